"""Every read that a field makes: a row by key, the rows of a relationship, a page of them, a list from the root.

A loader is identified by what it loads; only the parent's key varies within a batch. The statements come from the
mapper, so that a relationship needs no code of its own, and each has one text whatever the number of keys.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, aliased
from strawberry.dataloader import DataLoader

from db.engine import Database
from db.keys import among, spread
from db.models import Entity
from resolvers import access
from resolvers.paging import Page, Slice
from resolvers.principal import Principal
from resolvers.selection import Selection

Relationship = InstrumentedAttribute[Any]

BATCH = 1_000
"""Keys of one statement."""


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions of a list beyond visibility: `clauses(entity)` builds them, `key` tells them apart."""

    key: Hashable
    clauses: Callable[[Any], Sequence[Any]]


class Loaders:
    """The reads of one operation, as one principal. Rows read once are not read again until `forget`."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal
        self._loaders: dict[Hashable, DataLoader[UUID, Any]] = {}

    def forget(self) -> None:
        """Read afresh from here on: a mutation has written."""
        self._loaders.clear()

    def one(self, selection: Selection, key: UUID) -> Awaitable[Any | None]:
        """The row with this key, or None when there is none that the principal may see."""
        return self._loader((selection,), partial(self._by_key, selection)).load(key)

    def related(self, relationship: Relationship, row: Any, selection: Selection) -> Awaitable[Any | None]:
        """The row at the other end of a to-one relationship, or None."""
        local, remote = _pair(relationship)
        key = getattr(row, local)
        if remote == "id":
            return _nothing() if key is None else self.one(selection, key)
        return self._loader((relationship, selection), partial(self._by_foreign_key, relationship, selection)).load(key)

    def page(
        self, relationship: Relationship, row: Any, slice: Slice, selection: Selection, where: Where | None = None
    ) -> Awaitable[Page]:
        """A page of the rows that a to-many relationship leads to."""
        identity = (relationship, slice, selection, where and where.key)
        return self._loader(identity, partial(self._pages, relationship, slice, selection, where)).load(row.id)

    async def listing(self, slice: Slice, selection: Selection, where: Where | None = None) -> Page:
        """A page of all rows that the principal may see."""
        entity = aliased(selection.model)
        found = self._seek(entity, slice, where).with_only_columns(
            *selection.on(entity, self._principal, slice.order.names)
        )
        rows = [] if slice.limit == 0 else await self._rows(found)
        return Page.cut(rows, slice, partial(self._total, selection.model, where))

    async def first(self, selection: Selection, where: Where) -> Any | None:
        """The one row that meets a condition on a unique column."""
        entity = aliased(selection.model)
        clauses = [access.visible(entity, self._principal), *where.clauses(entity)]
        rows = await self._rows(sa.select(*selection.on(entity, self._principal)).where(*clauses).limit(1))
        return rows[0] if rows else None

    def _loader(self, identity: Hashable, load: Callable[[list[UUID]], Awaitable[list[Any]]]) -> DataLoader[UUID, Any]:
        if (loader := self._loaders.get(identity)) is None:
            loader = self._loaders[identity] = DataLoader(load, max_batch_size=BATCH)
        return loader

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[Any]:
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
            return rows

    async def _by_key(self, selection: Selection, keys: list[UUID]) -> list[Any]:
        entity = aliased(selection.model)
        columns = selection.on(entity, self._principal)
        statement = sa.select(*columns).where(among(entity.id, keys), access.visible(entity, self._principal))
        found = {row.id: row for row in await self._rows(statement)}
        return [found.get(key) for key in keys]

    async def _by_foreign_key(self, relationship: Relationship, selection: Selection, keys: list[UUID]) -> list[Any]:
        """One-to-one, from the side that has no key."""
        entity = aliased(selection.model)
        _, remote = _pair(relationship)
        seen = access.visible(entity, self._principal, via=relationship)
        columns = selection.on(entity, self._principal, (remote,))
        statement = sa.select(*columns).where(among(getattr(entity, remote), keys), seen)
        found = {getattr(row, remote): row for row in await self._rows(statement)}
        return [found.get(key) for key in keys]

    async def _pages(
        self, relationship: Relationship, slice: Slice, selection: Selection, where: Where | None, keys: list[UUID]
    ) -> list[Page]:
        grouped: dict[UUID, list[Any]] = defaultdict(list)
        if slice.limit > 0:
            for row in await self._rows(self._top(relationship, slice, selection, where, keys)):
                grouped[row.parent_key].append(row)
        count = self._loader((relationship, "count", where and where.key), partial(self._counts, relationship, where))
        return [Page.cut(grouped[key], slice, partial(count.load, key)) for key in keys]

    def _top(
        self, relationship: Relationship, slice: Slice, selection: Selection, where: Where | None, keys: list[UUID]
    ) -> sa.Select[Any]:
        """The first `limit + 1` children of each parent, each found by its own index seek.

        PostgreSQL joins the seek laterally; SQLite, which cannot, reads it as an IN list.
        """
        parent = spread(keys, self._database.dialect)
        (parent_key,) = parent.c
        child, inner = aliased(selection.model), aliased(selection.model)
        seek = self._seek(inner, slice, where, relationship, parent_key)
        columns = [parent_key.label("parent_key")]
        if self._database.dialect == "postgresql":
            found = seek.with_only_columns(*selection.on(inner, self._principal, slice.order.names)).lateral("child")
            return sa.select(*columns, *found.c).select_from(parent).join(found, sa.true())
        columns += selection.on(child, self._principal, slice.order.names)
        listed = child.id.in_(seek.with_only_columns(inner.id).scalar_subquery())
        order = slice.order.by(child, backward=slice.backward)
        return sa.select(*columns).select_from(parent).join(child, listed).order_by(parent_key, *order)

    def _seek(
        self,
        entity: Any,
        slice: Slice,
        where: Where | None,
        relationship: Relationship | None = None,
        parent_key: Any = None,
    ) -> sa.Select[Any]:
        statement = sa.select(entity.id).where(*self._reached(entity, where, relationship, parent_key))
        if slice.after is not None:
            statement = statement.where(slice.order.beyond(entity, slice.after, backward=slice.backward))
        return statement.order_by(*slice.order.by(entity, backward=slice.backward)).limit(slice.limit + 1)

    def _reached(
        self, entity: Any, where: Where | None, relationship: Relationship | None, parent_key: Any
    ) -> list[Any]:
        clauses = [access.visible(entity, self._principal, via=relationship)]
        if relationship is not None:
            clauses.insert(0, getattr(entity, _pair(relationship)[1]) == parent_key)
        return clauses if where is None else [*clauses, *where.clauses(entity)]

    async def _counts(self, relationship: Relationship, where: Where | None, keys: list[UUID]) -> list[int]:
        parent = spread(keys, self._database.dialect)
        (parent_key,) = parent.c
        child = aliased(relationship.property.mapper.class_)
        counted = sa.select(sa.func.count()).where(*self._reached(child, where, relationship, parent_key))
        statement = sa.select(parent_key.label("key"), counted.scalar_subquery().label("number")).select_from(parent)
        counts = {row.key: row.number for row in await self._rows(statement)}
        return [counts[key] for key in keys]

    async def _total(self, model: type[Entity], where: Where | None) -> int:
        entity = aliased(model)
        statement = sa.select(sa.func.count().label("number")).where(*self._reached(entity, where, None, None))
        (row,) = await self._rows(statement.select_from(entity))
        number: int = row.number
        return number


async def _nothing() -> None:
    return None


def _pair(relationship: Relationship) -> tuple[str, str]:
    """The attributes that a relationship joins: the parent's, the child's."""
    prop = relationship.property
    ((local, remote),) = prop.local_remote_pairs
    return (
        prop.parent.get_property_by_column(local).key,
        prop.mapper.get_property_by_column(remote).key,
    )
