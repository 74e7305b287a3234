"""The statements of the loaders. Each is built once for its shape and kept; values come as parameters.

The text never depends on a value: keys travel as one parameter, a page's place and size as others. Of the principal
only the access profile decides the text.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from db import plans
from db.aliases import Alias
from db.keys import among, spread
from db.models import Entity
from db.prepared import Statement
from resolvers.access.visibility import sees_part, visible
from resolvers.identity.principal import AccessProfile
from resolvers.reading.paging import Keyset
from resolvers.reading.selection import Selection
from resolvers.reading.shapes import shape

Relationship = InstrumentedAttribute[Any]

kept = lru_cache(maxsize=2_000)

_LIMIT: Any = sa.bindparam("limit", type_=sa.Integer())


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions beyond visibility: `clauses(entity, suffix, profile)` builds them, with parameters that `values`
    fills. A statement of several lists tells their parameters apart by the suffix. Two are equal when their functions
    have the same `shape`. `searches` is true when they search for a part of a text, which few rows may have."""

    clauses: Callable[[Any, str, AccessProfile], Sequence[Any]] = field(compare=False)
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)
    searches: bool = False
    shape: Hashable = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", shape(self.clauses))

    @classmethod
    def equal(cls, column: Any, value: Any) -> "Where":
        """The column has this value."""
        return cls(_equal(column.key), {f"where_{column.key}": value})


@kept
def _equal(key: str) -> Callable[[Any, str, AccessProfile], Sequence[Any]]:
    def clauses(entity: Any, suffix: str, profile: AccessProfile) -> Sequence[Any]:
        own = getattr(entity, key)
        return [own == sa.bindparam(f"where_{key}{suffix}", type_=own.type)]

    return clauses


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
def listing(selection: Selection, cut: Keyset, where: Where | None, profile: AccessProfile) -> Statement:
    """A page of all rows of a model."""
    entity, profile = Alias(selection.model), narrowed(where, profile)
    columns = selection.on(entity, profile, cut.order.names)
    statement = seek(entity, cut, reached(entity, where, profile), _LIMIT).with_only_columns(*columns)
    return planned(statement, selection.model, profile)


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
    child, inner = Alias(selection.model), Alias(selection.model)
    sought = seek(inner, cut, reached(inner, where, profile, relationship, parent_key), _LIMIT)
    columns = [parent_key.label("parent_key")]
    if dialect == "postgresql":
        found = sought.with_only_columns(*selection.on(inner, profile, cut.order.names)).lateral("child")
        return sa.select(*columns, *found.c).select_from(parent).join(found, sa.true())
    columns += selection.on(child, profile, cut.order.names)
    listed = child.id.in_(sought.with_only_columns(inner.id).scalar_subquery())
    return sa.select(*columns).select_from(parent).join(child, listed).order_by(parent_key, *cut.by(child))


@kept
def counts(relationship: Relationship, where: Where | None, profile: AccessProfile, dialect: str) -> Statement:
    """For each parent in `keys`, as `key`, the `number` of its children."""
    parent = spread("keys", dialect)
    (parent_key,) = parent.c
    child = Alias(relationship.property.mapper.class_)
    counted = sa.select(sa.func.count()).where(*reached(child, where, profile, relationship, parent_key))
    return sa.select(parent_key.label("key"), counted.scalar_subquery().label("number")).select_from(parent)


@kept
def total(model: type[Entity], where: Where | None, profile: AccessProfile) -> Statement:
    """The `number` of all rows of a model."""
    entity, profile = Alias(model), narrowed(where, profile)
    counted = sa.select(sa.func.count().label("number")).select_from(entity)
    return planned(counted.where(*reached(entity, where, profile)), model, profile)


def narrowed(where: Where | None, profile: AccessProfile) -> AccessProfile:
    """The profile for a search: a principal who searches for a text is not taken to see most of the rows that match."""
    return profile._replace(wide=False) if where is not None and where.searches else profile


def planned(statement: Statement, model: type[Entity], profile: AccessProfile) -> Statement:
    """A list of all rows of a model, planned for the values of a principal who sees only some of them. One plan for all
    principals would walk through everybody's rows in the order of the list."""
    return plans.planned(statement) if sees_part(model, profile) else statement


def ends(relationship: Relationship) -> tuple[str, str]:
    """The attributes that a relationship joins: the parent's and the child's; both keys where a table lies between."""
    prop = relationship.property
    if prop.secondary is not None:
        return "id", "id"
    ((local, remote),) = prop.local_remote_pairs
    return (
        prop.parent.get_property_by_column(local).key,
        prop.mapper.get_property_by_column(remote).key,
    )


def joins(relationship: Relationship, entity: Any, parent_key: Any) -> Any:
    """The clause that `entity` is what the relationship leads to from the parent of this key."""
    prop = relationship.property
    if prop.secondary is None:
        return getattr(entity, ends(relationship)[1]) == parent_key
    link = prop.secondary.alias()
    ((_, parent),), ((_, child),) = prop.synchronize_pairs, prop.secondary_synchronize_pairs
    linked = sa.select(link.c[child.key]).where(link.c[parent.key] == parent_key)
    return entity.id.in_(linked.correlate_except(link))


def parents(relationship: Relationship, entity: Any) -> list[Any]:
    """The column with the parent from which a relationship leads to `entity`, and the clauses that join it."""
    prop = relationship.property
    if prop.secondary is None:
        return [getattr(entity, ends(relationship)[1])]
    link = prop.secondary.alias()
    ((_, parent),), ((_, child),) = prop.synchronize_pairs, prop.secondary_synchronize_pairs
    return [link.c[parent.key], link.c[child.key] == entity.id]


def seek(entity: Any, cut: Keyset, reached: Sequence[Any], most: Any, suffix: str = "") -> Statement:
    """The first rows of `entity` that meet `reached`, in the order of the keyset `cut`: at most `most`."""
    statement = sa.select(entity.id).select_from(entity).where(*reached)
    if cut.placed:
        statement = statement.where(cut.beyond(entity, suffix))
    return statement.order_by(*cut.by(entity)).limit(most)


def reached(
    entity: Any,
    where: Where | None,
    profile: AccessProfile,
    relationship: Relationship | None = None,
    parent_key: Any = None,
    suffix: str = "",
) -> list[Any]:
    """The clauses that make a row of `entity` one of a list: its parent, its visibility, the list's conditions."""
    clauses = [visible(entity, profile, via=relationship)]
    if relationship is not None:
        clauses.insert(0, joins(relationship, entity, parent_key))
    return clauses if where is None else [*clauses, *where.clauses(entity, suffix, profile)]
