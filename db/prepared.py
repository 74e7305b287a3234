"""A statement as its driver takes it: compiled once, run many times without SQLAlchemy."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa

Statement: TypeAlias = sa.Select[*tuple[Any, ...]]


class Prepared:
    """`sql` is the driver's text; `arguments` puts named values into its order and its types."""

    def __init__(self, statement: Statement, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._given = compiled.params
        self._places = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in getattr(compiled, "positiontup", None) or ()
        ]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        found = []
        for name, process in self._places:
            value = values[name] if name in values else self._given[name]
            found.append(value if process is None else process(value))
        return found


class Kept:
    """The prepared statements that were used last, of up to `most` characters together."""

    def __init__(self, dialect: sa.Dialect, most: int) -> None:
        self.dialect = dialect
        self._most = most
        self._characters = 0
        self._found: OrderedDict[Hashable, Prepared] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Statement]) -> Prepared:
        """The statement of this key, made when it is not there."""
        if (found := self._found.get(key)) is not None:
            self._found.move_to_end(key)
            return found
        found = self._found[key] = Prepared(make(), self.dialect)
        self._characters += len(found.sql)
        while self._characters > self._most and len(self._found) > 1:
            self._characters -= len(self._found.popitem(last=False)[1].sql)
        return found
