"""Every read that a field makes: a row by key, the rows of a relationship, a page of them, a list from the root.

A loader is identified by what it loads; only the parent's key varies within a batch.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import cache, partial
from typing import Any
from uuid import UUID

from strawberry.dataloader import DataLoader

from db.engine import Database
from db.models import Entity
from resolvers import statements
from resolvers.paging import Page, Slice
from resolvers.principal import Principal
from resolvers.selection import Selection
from resolvers.statements import Relationship, Statement, Where

BATCH = 1_000
"""Keys of one statement."""

_joined = cache(statements.joined)


class Loaders:
    """The reads of one operation, as one principal. Rows read once are not read again until `forget`."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal
        self._standing = principal.standing
        self._loaders: dict[Hashable, DataLoader[UUID, Any]] = {}

    def forget(self) -> None:
        """Read afresh from here on: a mutation has written."""
        self._loaders.clear()

    def one(self, selection: Selection, key: UUID) -> Awaitable[Any | None]:
        """The row with this key, or None when there is none that the principal may see."""
        return self._loader(selection, partial(self._by_key, selection)).load(key)

    def related(self, relationship: Relationship, row: Any, selection: Selection) -> Awaitable[Any | None]:
        """The row at the other end of a to-one relationship, or None."""
        local, remote = _joined(relationship)
        key = getattr(row, local)
        if remote == "id":
            return _nothing() if key is None else self.one(selection, key)
        return self._loader((relationship, selection), partial(self._by_foreign_key, relationship, selection)).load(key)

    def page(
        self, relationship: Relationship, row: Any, slice: Slice, selection: Selection, where: Where | None = None
    ) -> Awaitable[Page]:
        """A page of the rows that a to-many relationship leads to."""
        identity = (relationship, slice, selection, where, where and tuple(where.values.items()))
        return self._loader(identity, partial(self._pages, relationship, slice, selection, where)).load(row.id)

    async def listing(self, slice: Slice, selection: Selection, where: Where | None = None) -> Page:
        """A page of all rows that the principal may see."""
        statement = statements.listing(selection, slice.cut, where, self._standing)
        rows = [] if slice.limit == 0 else await self._rows(statement, slice.parameters, where)
        return Page.cut(rows, slice, partial(self._total, selection.model, where))

    async def first(self, selection: Selection, where: Where) -> Any | None:
        """The one row that meets a condition on a unique column."""
        rows = await self._rows(statements.first(selection, where, self._standing), {}, where)
        return rows[0] if rows else None

    def _loader(self, identity: Hashable, load: Callable[[list[UUID]], Awaitable[list[Any]]]) -> DataLoader[UUID, Any]:
        if (loader := self._loaders.get(identity)) is None:
            loader = self._loaders[identity] = DataLoader(load, max_batch_size=BATCH)
        return loader

    async def _rows(self, statement: Statement, given: dict[str, Any], where: Where | None = None) -> Sequence[Any]:
        parameters = {**self._principal.parameters, **given}
        if where is not None:
            parameters |= where.values
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement, parameters)).all()
            return rows

    async def _by_key(self, selection: Selection, keys: list[UUID]) -> list[Any]:
        rows = await self._rows(statements.by_key(selection, self._standing), {"keys": keys})
        found = {row.id: row for row in rows}
        return [found.get(key) for key in keys]

    async def _by_foreign_key(self, relationship: Relationship, selection: Selection, keys: list[UUID]) -> list[Any]:
        """One-to-one, from the side that has no key."""
        rows = await self._rows(statements.by_foreign_key(relationship, selection, self._standing), {"keys": keys})
        _, remote = _joined(relationship)
        found = {getattr(row, remote): row for row in rows}
        return [found.get(key) for key in keys]

    async def _pages(
        self, relationship: Relationship, slice: Slice, selection: Selection, where: Where | None, keys: list[UUID]
    ) -> list[Page]:
        grouped: dict[UUID, list[Any]] = defaultdict(list)
        if slice.limit > 0:
            statement = statements.pages(
                relationship, selection, slice.cut, where, self._standing, self._database.dialect
            )
            for row in await self._rows(statement, {"keys": keys, **slice.parameters}, where):
                grouped[row.parent_key].append(row)
        identity = (relationship, "count", where, where and tuple(where.values.items()))
        count = self._loader(identity, partial(self._counts, relationship, where))
        return [Page.cut(grouped[key], slice, partial(count.load, key)) for key in keys]

    async def _counts(self, relationship: Relationship, where: Where | None, keys: list[UUID]) -> list[int]:
        statement = statements.counts(relationship, where, self._standing, self._database.dialect)
        counts = {row.key: row.number for row in await self._rows(statement, {"keys": keys}, where)}
        return [counts[key] for key in keys]

    async def _total(self, model: type[Entity], where: Where | None) -> int:
        (row,) = await self._rows(statements.total(model, where, self._standing), {}, where)
        number: int = row.number
        return number


async def _nothing() -> None:
    return None
