"""Relationships as clauses: the columns that one joins, and the tables between."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from db.aliases import Alias

Relationship = InstrumentedAttribute[Any]


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


def held(relationship: Relationship, local: Any, key: Any) -> sa.Select[Any]:
    """The statement that finds a row by its key, if the relationship leads to it from the value `local` of a parent."""
    row = Alias(relationship.property.mapper.class_)
    return sa.select(row.id).where(row.id == key, joins(relationship, row, local))
