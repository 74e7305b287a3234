"""Seeking the rows of a list: which they are, the first of them in an order, and how many there are.

A row of a list may be seen for several reasons, each of which an index knows: it belongs to a project of the
principal, or it is the principal's own. Where one clause for all of them would have the database look at the rows of
others, a list is sought reason by reason.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from db.aliases import Alias, Found
from db.engine import Database
from db.keys import among, untrue
from db.models import Entity
from db.prepared import Statement
from resolvers.access.clauses import FALSE, TRUE, Clause, all_of
from resolvers.access.visibility import alive, decided, sees_part, visible, ways
from resolvers.identity.principal import AccessProfile
from resolvers.reading.conditions import Where
from resolvers.reading.paging import COUNTED, Keyset
from resolvers.reading.relationships import Relationship, ends, joins

Columns = Callable[[Any], Sequence[Any]]
"""Makes the columns to read, of an alias of the model."""
Model = type[Entity]


def sought(
    model: Model,
    cut: Keyset,
    where: Where | None,
    profile: AccessProfile,
    most: Any,
    columns: Columns,
    relationship: Relationship | None = None,
    key: Any = None,
    suffix: str = "",
) -> Any:
    """The first rows of a list in the order of the keyset `cut`: at most `most`. With a relationship, the rows that it
    leads to from the parent with this key."""
    if relationship is None and not profile.wide and _by_links(model, profile):
        branches = _apart(model, where, profile, suffix)
        also = functools.partial(_also, columns, cut.order.names)
        parts = [sa.select(_first(entity, clauses, cut, most, also, suffix).subquery()) for entity, clauses in branches]
        together = Found(model, "together")
        rows = sa.union_all(*parts).subquery(together.called)
        return sa.select(*columns(together)).select_from(rows).order_by(*cut.by(together)).limit(most)
    branches = _branches(model, where, profile, relationship, key, suffix)
    found = [_first(entity, clauses, cut, most, columns, suffix) for entity, clauses in branches]
    if len(found) == 1:
        return found[0]
    return sa.union_all(*(sa.select(one.subquery()) for one in found))  # of which one has rows


def _also(columns: Columns, names: Sequence[str], entity: Any) -> list[Any]:
    """The columns, and those by which the list is ordered."""
    found = {column.name: column for column in columns(entity)}
    return [*found.values(), *(getattr(entity, name).label(name) for name in names if name not in found)]


def _by_links(model: Model, profile: AccessProfile) -> bool:
    """Whether there are several reasons to see a row, and rows of other tables say some of them. A plan can begin with
    those of one reason, but not with those of all."""
    found = ways(Alias(model), profile)
    return len(found) > 1 and any(isinstance(way, sa.Exists) for way in found)


def _first(entity: Any, clauses: Sequence[Any], cut: Keyset, most: Any, columns: Columns, suffix: str) -> Statement:
    statement = sa.select(*columns(entity)).select_from(entity).where(*clauses)
    if cut.placed:
        statement = statement.where(cut.beyond(entity, suffix))
    return statement.order_by(*cut.by(entity)).limit(most)


def counted(
    model: Model,
    where: Where | None,
    profile: AccessProfile,
    relationship: Relationship | None = None,
    key: Any = None,
    suffix: str = "",
) -> Statement:
    """The number of rows of a list, up to `COUNTED` and one more."""
    one: Any = sa.literal_column("1").label("one")
    together = every(model, where, profile, lambda _: [one], relationship, key, suffix)
    bound = sa.literal_column(str(COUNTED + 1), sa.Integer())
    return sa.select(sa.func.count().label("total")).select_from(together.limit(bound).subquery())


def every(
    model: Model,
    where: Where | None,
    profile: AccessProfile,
    columns: Columns,
    relationship: Relationship | None = None,
    key: Any = None,
    suffix: str = "",
) -> Any:
    """All rows of a list, in no order."""
    if relationship is None:
        branches = _apart(model, where, profile._replace(wide=False), suffix)
    else:
        branches = _branches(model, where, profile, relationship, key, suffix)
    rows: list[Any] = [sa.select(*columns(entity)).select_from(entity).where(*clauses) for entity, clauses in branches]
    return rows[0] if len(rows) == 1 else sa.select(sa.union_all(*rows).subquery())


def _branches(
    model: Model, where: Where | None, profile: AccessProfile, relationship: Relationship | None, key: Any, suffix: str
) -> list[tuple[Any, list[Any]]]:
    """The clauses of a list. Where some rules depend on the parent alone, they are asked of it once: all of its
    children are seen then, or else those that other rules show."""
    split = None
    if relationship is not None and relationship.property.secondary is None:
        split = decided(model, profile, relationship, ends(relationship)[1], key)
    if split is None or relationship is None:
        entity = Alias(model)
        return [(entity, reached(entity, where, profile, relationship, key, suffix))]
    when, others = split
    found = []
    gates: tuple[tuple[Clause, Callable[[Any], Clause]], ...] = ((when, _every), (untrue(when), others))
    for gate, see in gates:
        entity = Alias(model)
        if (seen := all_of(alive(entity), see(entity))) is not FALSE:
            found.append(
                (entity, [joins(relationship, entity, key), gate, *_met(where, entity, suffix, profile), seen])
            )
    return found


def _every(_: Any) -> Clause:
    return TRUE


def _apart(model: Model, where: Where | None, profile: AccessProfile, suffix: str) -> list[tuple[Any, list[Any]]]:
    """The clauses of a list of all rows, way by way: each row is in the first way that shows it."""
    number = len(ways(Alias(model), profile))
    if number < 2:
        entity = Alias(model)
        return [(entity, reached(entity, where, profile, suffix=suffix))]
    found: list[tuple[Any, list[Any]]] = []
    for place in range(number):
        entity = Alias(model)
        # Those by place first: an index alone finds all of their rows.
        ordered = sorted(ways(entity, profile), key=lambda way: not isinstance(way, among))
        *before, this = ordered[: place + 1]
        seen = all_of(alive(entity), this, *map(untrue, before))
        found.append((entity, [*_met(where, entity, suffix, profile), seen]))
    return found


def reached(
    entity: Any,
    where: Where | None,
    profile: AccessProfile,
    relationship: Relationship | None = None,
    parent_key: Any = None,
    suffix: str = "",
) -> list[Any]:
    """The clauses that make a row of `entity` one of a list: its parent, the list's conditions, its visibility. Where
    all cost the same they are asked in this order: fewer rows meet the conditions."""
    clauses = [*_met(where, entity, suffix, profile), visible(entity, profile, via=relationship)]
    if relationship is not None:
        clauses.insert(0, joins(relationship, entity, parent_key))
    return clauses


def _met(where: Where | None, entity: Any, suffix: str, profile: AccessProfile) -> Sequence[Any]:
    return () if where is None else where.clauses(entity, suffix, profile)


def narrowed(where: Where | None, profile: AccessProfile) -> AccessProfile:
    """The profile for a search: a principal who searches for a text is not taken to see most of the rows that match."""
    return profile._replace(wide=False) if where is not None and where.searches else profile


async def by_values(database: Database, model: Model, where: Where | None, profile: AccessProfile) -> bool:
    """Whether a list of all rows of a model is planned for its values, on which depends what it reads. One plan for all
    principals would walk through everybody's rows in the order of the list for one who sees few of them, and one plan
    for all searches would not know which text is rare."""
    varies = sees_part(model, narrowed(where, profile)) or (where is not None and where.searches)
    return varies and not await database.plans_alike(model.__tablename__)
