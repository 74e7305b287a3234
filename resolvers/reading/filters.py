"""The comparisons of filters: each makes the clause that compares a column with a parameter."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from db.aliases import Alias
from db.keys import among, found
from db.searching.folding import beside, words
from resolvers.access.visibility import visible
from resolvers.failures import Invalid, LimitExceeded
from resolvers.identity.principal import AccessProfile
from resolvers.reading.relationships import ends, parents

TEXT, WORDS = 100, 8
"""The most characters and words of a text to search for."""


def equal(column: Any, parameter: str) -> Any:
    return column == sa.bindparam(parameter, type_=column.type)


def filled(column: Any, parameter: str) -> Any:
    """The column has a value, or none."""
    return column.is_not(None) == sa.bindparam(parameter, type_=sa.Boolean())


def chosen(column: Any, parameter: str) -> Any:
    """The column has one of several values."""
    return among(column, parameter)


def ranged(column: Any, parameter: str) -> Any:
    """The column has one of the numbers that a text names."""
    return among(column, parameter)


def since(column: Any, parameter: str) -> Any:
    """The column is at this moment or later."""
    return column >= sa.bindparam(parameter, type_=column.type)


def until(column: Any, parameter: str) -> Any:
    """The column is before this moment."""
    return column < sa.bindparam(parameter, type_=column.type)


def contains(column: Any, parameter: str) -> Any:
    """The text contains the pattern of one folded word, whatever its case and marks."""
    return beside(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")


def patterns(text: str) -> list[str]:
    """The pattern of each word of a text; none for a text without words."""
    if len(text) > TEXT:
        raise LimitExceeded(f"a text filter has at most {TEXT} characters", limit="text", allowed=TEXT, value=len(text))
    if "\0" in text:
        raise Invalid("a text to search for holds no NUL", field="filter")
    found = words(text)
    if len(found) > WORDS:
        raise LimitExceeded(f"a text filter has at most {WORDS} words", limit="words", allowed=WORDS, value=len(found))
    return [f"%{word.replace('/', '//').replace('%', '/%').replace('_', '/_')}%" for word in found]


def along(entity: Any, path: Sequence[Any], profile: AccessProfile, compare: Callable[[Any], Any]) -> Any:
    """Apply `compare` to a column of `entity`, or to the key of a visible row that relationships lead to."""
    step, *rest = path
    if not hasattr(step.property, "mapper"):
        return compare(getattr(entity, step.key))
    target = Alias(step.property.mapper.class_)
    inner = along(target, rest, profile, compare) if rest else compare(target.id)
    (local, remote), (column, *clauses) = ends(step), parents(step, target)
    seen = found(getattr(entity, local), sa.select(column).where(*clauses, visible(target, profile), inner))
    if rest or remote != "id" or step.property.secondary is not None:
        return seen
    return sa.and_(compare(getattr(entity, local)), seen)  # the former finds rows in the order of an index
