"""Prepared statements: compiled once to the driver's text, and run many times without SQLAlchemy."""

import weakref
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa

GENERIC = "force_generic_plan"
"""The mode in which PostgreSQL plans a statement once for all values."""

Statement: TypeAlias = sa.Select[*tuple[Any, ...]]


class Prepared:
    """A prepared statement: `sql` is the driver's text, `plans` the mode of planning that it asks for; `arguments` puts
    named values into its order and types."""

    def __init__(self, statement: Statement, dialect: sa.Dialect) -> None:
        self.plans: str = statement.get_execution_options().get("plans", GENERIC)
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._given = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._places = [
            (name, _processor(compiled.binds[name].type, dialect))
            for name in getattr(compiled, "positiontup", None) or ()
        ]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        found = []
        for name, process in self._places:
            value = values[name] if name in values else self._given[name]
            found.append(value if process is None else process(value))
        return found


def _processor(kind: Any, dialect: sa.Dialect) -> Any:
    """What turns a value of a type into what the driver takes; None where it takes the value as it is."""
    if dialect.name in getattr(kind, "as_it_is", ()):
        return None
    return kind.dialect_impl(dialect).bind_processor(dialect)


class Holder(Protocol):
    """An object that statements are made from. They are dropped with it."""

    prepared: dict[Hashable, Prepared]


class Shelf:
    """A holder for statements that belong to no other object."""

    def __init__(self) -> None:
        self.prepared: dict[Hashable, Prepared] = {}


class Kept:
    """Keeps prepared statements with their holders: those used last, of at most `most` characters together."""

    def __init__(self, dialect: sa.Dialect, most: int) -> None:
        self.dialect = dialect
        self._most = most
        self._characters = 0
        self._order: OrderedDict[tuple[int, Hashable], tuple[weakref.ref[Any], int]] = OrderedDict()

    def find(self, holder: Holder, key: Hashable) -> Prepared | None:
        """The statement of this key, if it is kept."""
        place = (id(holder), key)
        if (found := holder.prepared.get(key)) is None or place not in self._order:
            return None
        self._order.move_to_end(place)
        return found

    def keep(self, holder: Holder, key: Hashable, made: Prepared) -> None:
        place = (id(holder), key)
        holder.prepared[key] = made
        if (former := self._order.pop(place, None)) is not None:  # of a holder that is gone
            self._characters -= former[1]
        self._order[place] = (weakref.ref(holder), len(made.sql))
        self._characters += len(made.sql)
        while self._characters > self._most and len(self._order) > 1:
            (_, dropped), (reference, size) = self._order.popitem(last=False)
            self._characters -= size
            if (gone := reference()) is not None:
                gone.prepared.pop(dropped, None)
