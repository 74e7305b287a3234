"""How a filter compares a column with its parameter."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from db.aliases import Alias
from db.keys import among, found
from resolvers.access import visible
from resolvers.principal import Standing
from resolvers.statements import ends, parents


def equal(column: Any, parameter: str) -> Any:
    return column == sa.bindparam(parameter, type_=column.type)


def filled(column: Any, parameter: str) -> Any:
    """Whether there is a value."""
    return column.is_not(None) == sa.bindparam(parameter, type_=sa.Boolean())


def chosen(column: Any, parameter: str) -> Any:
    """One of several values."""
    return among(column, parameter)


def ranged(column: Any, parameter: str) -> Any:
    """One of the numbers that a text names."""
    return among(column, parameter)


def since(column: Any, parameter: str) -> Any:
    """At this moment or later."""
    return column >= sa.bindparam(parameter, type_=column.type)


def until(column: Any, parameter: str) -> Any:
    """Before this moment."""
    return column < sa.bindparam(parameter, type_=column.type)


def contains(column: Any, parameter: str) -> Any:
    """A part of a text, whatever its case: the parameter is a pattern in lower case."""
    return sa.func.lower(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")


def along(entity: Any, path: Sequence[Any], standing: Standing, compare: Callable[[Any], Any]) -> Any:
    """What `compare` makes of a column of `entity`, or of the key of a visible row to which relationships lead."""
    step, *rest = path
    if not hasattr(step.property, "mapper"):
        return compare(getattr(entity, step.key))
    target = Alias(step.property.mapper.class_)
    inner = along(target, rest, standing, compare) if rest else compare(target.id)
    (local, remote), (column, *clauses) = ends(step), parents(step, target)
    seen = found(getattr(entity, local), sa.select(column).where(*clauses, visible(target, standing), inner))
    if rest or remote != "id" or step.property.secondary is not None:
        return seen
    return sa.and_(compare(getattr(entity, local)), seen)  # the former finds rows in the order of an index
