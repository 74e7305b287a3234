"""The conditions of a filter: plain data, read from an input by `schema.lists.filters`, and turned into SQL here.

A condition holds or does not: a value that is null, or that the principal may not read, meets none, and so meets the
negation of each. A reference is to a row that the principal sees. So nothing is told that a read would not tell.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

import sqlalchemy as sa

from db.aliases import Alias
from db.keys import among, found, untrue
from db.models import Entity
from db.searching.folding import beside, fold, words
from resolvers.access.clauses import FALSE, TRUE, Clause, all_of, any_of, some
from resolvers.access.policy import Rules, policy_of
from resolvers.access.visibility import may_read, visible
from resolvers.failures import Invalid, check_limit
from resolvers.identity.principal import AccessProfile
from resolvers.reading.paging import Keyset, Order
from resolvers.reading.relationships import Relationship, ends, joins, parents

TEXT, WORDS = 100, 8
"""The most characters and words of a text to search for."""
WILDCARDS = frozenset("%_*?")
Model = type[Entity]
How = Callable[[Any, str], Clause]
"""Compares a column with the parameter of a name."""


class Condition(Protocol):
    """A condition about a row: `clause` makes its SQL, of an alias of the row's model. The names of its parameters end
    with the suffix. It has a hash, by which its statements are kept."""

    def __hash__(self) -> int: ...

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause: ...


@dataclass(frozen=True, slots=True)
class Compared:
    """The value of a column compares like this with a parameter, and the principal may read it."""

    model: Model
    key: str
    how: How
    parameter: str

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        met = self.how(getattr(entity, self.key), self.parameter + suffix)
        return all_of(may_read(policy_of(self.model).guard(self.key), entity, profile), met)


@dataclass(frozen=True, slots=True)
class Searched:
    """At least one of several texts that the principal may read has the word in a parameter."""

    model: Model
    keys: tuple[str, ...]
    parameter: str

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        by_guard: dict[Rules, list[Clause]] = {}  # rules that several texts share are asked once
        for key in self.keys:
            met = like(getattr(entity, key), self.parameter + suffix)
            by_guard.setdefault(policy_of(self.model).guard(key), []).append(met)
        return any_of(*(all_of(may_read(guard, entity, profile), any_of(*met)) for guard, met in by_guard.items()))


@dataclass(frozen=True, slots=True)
class IsNull:
    """There is no row, or there is one: of the rows of a list there always is."""

    null: bool

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        return FALSE if self.null else TRUE


@dataclass(frozen=True, slots=True)
class Reached:
    """A row that the principal sees, to which a relationship leads, meets a condition. With an `order` only the first
    of the rows that the principal sees counts. Unless it is one of `several`, there may be no such row: then the
    condition is one about none. `few` is true when few rows can meet the condition: they are found first."""

    model: Model
    key: str
    inner: Condition
    order: Order | None = None
    few: bool = False
    several: bool = False

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        relationship: Relationship = getattr(self.model, self.key)
        target = Alias(relationship.property.mapper.class_)
        seen = visible(target, profile, via=relationship)  # from a row that the principal sees
        met = (seen, self.inner.clause(target, suffix, profile))
        own = getattr(entity, ends(relationship)[0])
        if self.few and self.order is None:
            column, *clauses = parents(relationship, target)
            return found(own, sa.select(column).where(*clauses, *met))
        first = TRUE if self.order is None else self._first(relationship, target, profile)
        there, joined = target.__clause_element__(), joins(relationship, target, own)
        reached = FALSE if met[1] is FALSE else some(there, joined, *met, first)
        if self.several or not of_none(self.inner):
            return reached
        missing = untrue(some(there, joined, seen))
        return missing if reached is FALSE else any_of(reached, missing)

    def _first(self, relationship: Relationship, target: Any, profile: AccessProfile) -> Clause:
        """No other row to which the relationship leads comes before this one."""
        assert self.order is not None
        other, (_, remote) = Alias(relationship.property.mapper.class_), ends(relationship)
        same = getattr(other, remote) == getattr(target, remote)
        before = Keyset(self.order, True, False).passes(target, other)
        return untrue(some(other.__clause_element__(), same, before, visible(other, profile, via=relationship)))


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        return all_of(*(part.clause(entity, suffix, profile) for part in self.parts))


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        return any_of(*(part.clause(entity, suffix, profile) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition

    def clause(self, entity: Any, suffix: str, profile: AccessProfile) -> Clause:
        clause = self.part.clause(entity, suffix, profile)
        return FALSE if clause is TRUE else TRUE if clause is FALSE else untrue(clause)


def of_none(condition: Condition) -> bool:
    """Whether a condition holds where there is no row: as if all its values were null."""
    match condition:
        case IsNull(null):
            return null
        case Not(part):
            return not of_none(part)
        case AllOf(parts):
            return all(map(of_none, parts))
        case AnyOf(parts):
            return any(map(of_none, parts))
        case Reached(inner=inner, several=False):
            return of_none(inner)
    return False


@lru_cache(maxsize=2_000)
def clauses_of(condition: Condition) -> Callable[[Any, str, AccessProfile], Sequence[Clause]]:
    """The function that makes the clauses of a condition, the same one for each operation."""
    return partial(_clauses, condition)


def _clauses(condition: Condition, entity: Any, suffix: str, profile: AccessProfile) -> Sequence[Clause]:
    parts = condition.parts if isinstance(condition, AllOf) else (condition,)
    return [part.clause(entity, suffix, profile) for part in parts]


@lru_cache(maxsize=2_000)
def searches(condition: Condition) -> bool:
    """Whether few rows may meet the condition, which only its values tell: it searches a text, or asks for values of
    related rows."""
    return any(
        isinstance(part, Searched)
        or (isinstance(part, Reached) and not part.few)
        or (isinstance(part, Compared) and part.how in (like, begins))
        for part in _parts(condition)
    )


def _parts(condition: Condition) -> Iterator[Condition]:
    yield condition
    for part in getattr(condition, "parts", ()):
        yield from _parts(part)
    for name in ("part", "inner"):
        if (part := getattr(condition, name, None)) is not None:
            yield from _parts(part)


def equal(column: Any, parameter: str) -> Clause:
    return column == sa.bindparam(parameter, type_=column.type)  # type: ignore[no-any-return]


def filled(column: Any, parameter: str) -> Clause:
    """The column has a value, or none."""
    return column.is_not(None) == sa.bindparam(parameter, type_=sa.Boolean())  # type: ignore[no-any-return]


def chosen(column: Any, parameter: str) -> Clause:
    """The column has one of several values."""
    return among(column, parameter)


def least(column: Any, parameter: str) -> Clause:
    """The column has this value or a later one."""
    return column >= sa.bindparam(parameter, type_=column.type)  # type: ignore[no-any-return]


def most(column: Any, parameter: str) -> Clause:
    """The column has this value or an earlier one."""
    return column <= sa.bindparam(parameter, type_=column.type)  # type: ignore[no-any-return]


def before(column: Any, parameter: str) -> Clause:
    """The column is before this moment."""
    return column < sa.bindparam(parameter, type_=column.type)  # type: ignore[no-any-return]


def after(column: Any, parameter: str) -> Clause:
    """The column is after this moment."""
    return column > sa.bindparam(parameter, type_=column.type)  # type: ignore[no-any-return]


def like(column: Any, parameter: str) -> Clause:
    """The fold of the text is like a pattern."""
    return beside(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")  # type: ignore[no-any-return]


def begins(column: Any, parameter: str) -> Clause:
    """The text, which has no fold, begins like this, letter by letter."""
    start = sa.bindparam(parameter, type_=sa.Text())
    return sa.func.substr(column, 1, sa.func.length(start)) == start


def escaped(text: str) -> str:
    """A text as a part of a pattern that stands for nothing but itself."""
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def folded_words(text: str, field: str, *, once: bool = True) -> list[str]:
    """The words of a text to search for, folded, each `once` or as they stand; none for a text without words. INVALID
    for one of wildcards only, LIMIT_EXCEEDED for one that is too long."""
    told = f"a text to search for has at most {TEXT} characters"
    check_limit(told, len(text), TEXT, limit="text", field=field)
    if (bare := text.strip()) and WILDCARDS.issuperset(bare.replace(" ", "")):
        raise Invalid(
            "a text to search for is more than wildcards: there are none, % and _ stand for themselves", field=field
        )
    found = words(text) if once else fold(text).split()
    check_limit(f"a text to search for has at most {WORDS} words", len(found), WORDS, limit="words", field=field)
    return found
