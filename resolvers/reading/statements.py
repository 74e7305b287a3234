"""The statements of the loaders. Each is built once for its shape and kept; values come as parameters.

The text never depends on a value: keys travel as one parameter, a page's place and size as others. Of the principal
only the access profile decides the text.
"""

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from db import plans
from db.aliases import Alias, Found, outer
from db.keys import among, spread
from db.models import Entity
from db.prepared import Statement
from resolvers.access.visibility import visible
from resolvers.identity.principal import AccessProfile
from resolvers.reading.conditions import Where
from resolvers.reading.grouping import GROUPS, Grouping, Measure
from resolvers.reading.paging import Keyset
from resolvers.reading.relationships import Relationship, ends, parents
from resolvers.reading.seeking import counted, every, narrowed, reached, sought
from resolvers.reading.selection import Selection

kept = lru_cache(maxsize=2_000)

_LIMIT: Any = sa.bindparam("limit", type_=sa.Integer())


@kept
def by_key(selection: Selection, profile: AccessProfile, where: Where | None = None) -> Statement:
    """Rows by the parameter `keys`."""
    entity = Alias(selection.model)
    columns = selection.on(entity, profile)
    return sa.select(*columns).where(among(entity.id, "keys"), *reached(entity, where, profile))


@kept
def by_foreign_key(relationship: Relationship, selection: Selection, profile: AccessProfile) -> Statement:
    """Rows by the keys of their one-to-one parents."""
    entity = Alias(selection.model)
    _, remote = ends(relationship)
    columns = selection.on(entity, profile, (remote,))
    seen = visible(entity, profile, via=relationship)
    return sa.select(*columns).where(among(getattr(entity, remote), "keys"), seen)


@kept
def first(selection: Selection, where: Where, profile: AccessProfile) -> Statement:
    """The one row that meets a condition on a unique column."""
    entity = Alias(selection.model)
    columns = selection.on(entity, profile)
    return sa.select(*columns).where(visible(entity, profile), *where.clauses(entity, "", profile)).limit(1)


@kept
def listing(selection: Selection, cut: Keyset, where: Where | None, profile: AccessProfile, planned: bool) -> Statement:
    """A page of all rows of a model, `planned` for its values or for all."""
    profile = narrowed(where, profile)
    found = Found(selection.model, "page")
    columns = selection.on(found, profile, cut.order.names)
    rows = sought(selection.model, cut, where, profile, _LIMIT, found.asked_of).subquery(found.called)
    return plans.planned(sa.select(*columns).select_from(rows), planned)


@kept
def pages(
    relationship: Relationship,
    selection: Selection,
    cut: Keyset,
    where: Where | None,
    profile: AccessProfile,
    dialect: str,
) -> Statement:
    """The first children of each parent in `keys`, each found by its own index seek, with `parent_key`.

    PostgreSQL joins the seek laterally. SQLite has no lateral joins and reads it as an IN list.
    """
    parent = spread("keys", dialect)
    (parent_key,) = parent.c
    key, columns = outer(parent_key), [parent_key.label("parent_key")]
    model = selection.model
    if dialect == "postgresql":
        found = Found(model, "child")
        columns += selection.on(found, profile, cut.order.names)
        rows = sought(model, cut, where, profile, _LIMIT, found.asked_of, relationship, key).lateral(found.called)
        return sa.select(*columns).select_from(parent).join(rows, sa.true())
    child = Alias(model)
    columns += selection.on(child, profile, cut.order.names)
    keys = sought(model, cut, where, profile, _LIMIT, lambda entity: [entity.id], relationship, key)
    listed = child.id.in_(keys.scalar_subquery())
    return sa.select(*columns).select_from(parent).join(child, listed).order_by(parent_key, *cut.by(child))


@kept
def counts(relationship: Relationship, where: Where | None, profile: AccessProfile, dialect: str) -> Statement:
    """For each parent in `keys`, as `key`, the `number` of its children."""
    parent = spread("keys", dialect)
    (parent_key,) = parent.c
    model = relationship.property.mapper.class_
    number = counted(model, where, profile, relationship, outer(parent_key)).scalar_subquery()
    return sa.select(parent_key.label("key"), number.label("number")).select_from(parent)


@kept
def total(model: type[Entity], where: Where | None, profile: AccessProfile, planned: bool) -> Statement:
    """The `number` of all rows of a model."""
    profile = narrowed(where, profile)
    number = counted(model, where, profile).scalar_subquery()
    return plans.planned(sa.select(number.label("number")), planned)


@kept
def groups(
    grouping: Grouping, measures: tuple[Measure, ...], where: Where | None, profile: AccessProfile, planned: bool
) -> Statement:
    """The groups of all rows of a model, as `Grouping.grouped` has them."""
    profile = narrowed(where, profile)

    def columns(entity: Any) -> Any:
        return grouping.columns(entity, profile, measures, "")

    rows = every(grouping.model, where, profile, columns).subquery("rows_of_groups")
    return plans.planned(grouping.grouped(rows, measures, "").limit(GROUPS + 1), planned)


@kept
def groups_below(
    relationship: Relationship,
    grouping: Grouping,
    measures: tuple[Measure, ...],
    where: Where | None,
    profile: AccessProfile,
) -> Statement:
    """The same of what a relationship leads to, for each parent in `keys`, which is `parent_key`."""
    entity = Alias(grouping.model)
    column, *clauses = parents(relationship, entity)
    read = [column.label("parent_key"), *grouping.columns(entity, profile, measures, "")]
    met = () if where is None else where.clauses(entity, "", profile)
    seen = visible(entity, profile, via=relationship)
    rows = sa.select(*read).where(among(column, "keys"), *clauses, seen, *met).subquery("rows_of_groups")
    return grouping.grouped(rows, measures, "", by=[rows.c.parent_key])
