"""Which conditions of a filter hold for every row, or for none, whatever is stored."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from resolvers.reading import filters
from resolvers.reading.filters import AllOf, AnyOf, Compared, Condition, IsNull, Not, Reached, of_none
from resolvers.reading.relationships import ends


def constant(condition: Condition, values: Mapping[str, Any]) -> bool | None:
    """True for a condition that every row meets, False for one that none does, None where that depends on the row.
    `values` are those of its parameters. Only what follows from the condition itself counts, not what is stored."""
    match condition:
        case IsNull(null):
            return not null
        case Not(part):
            return None if (inner := constant(part, values)) is None else not inner
        case AllOf(parts):
            return _joined((constant(part, values) for part in parts), empty=True)
        case AnyOf(parts):
            return _joined((constant(part, values) for part in parts), empty=False)
        case Reached():
            return _of_reached(condition, values)
        case Compared():
            return _of_compared(condition, values[condition.parameter])
    return None


def _joined(parts: Iterable[bool | None], *, empty: bool) -> bool | None:
    """The constant of parts that all must hold (`empty`), or of which one must."""
    found = set(parts)
    if (not empty) not in found:
        return None if None in found else empty
    return not empty


def _of_reached(condition: Reached, values: Mapping[str, Any]) -> bool | None:
    """A reference says something where it asks whether there is a row: by its inner condition, or by `isNull`."""
    inner = constant(condition.inner, values)
    none = not condition.several and of_none(condition.inner)
    if inner is False:
        return None if none else False
    if inner is None:
        return None
    return None if _asks(condition.inner) and not _always_there(condition) else True


def _asks(condition: Condition) -> bool:
    """Whether it asks by `isNull` for there being a row at all."""
    if isinstance(condition, AllOf | AnyOf):
        return any(map(_asks, condition.parts))
    return isinstance(condition, IsNull) or (isinstance(condition, Not) and _asks(condition.part))


def _always_there(condition: Reached) -> bool:
    """Whether each row has a reference to another."""
    if condition.several:
        return False
    own = sa.inspect(condition.model).mapper.columns[ends(getattr(condition.model, condition.key))[0]]
    return own.key != "id" and not own.nullable


def _of_compared(condition: Compared, value: Any) -> bool | None:
    nullable = sa.inspect(condition.model).mapper.columns[condition.key].nullable
    if condition.how is filters.chosen and not value:
        return False
    if condition.how is filters.filled and not nullable:
        return bool(value)
    return True if condition.how is filters.begins and not value else None
