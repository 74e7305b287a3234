"""The loaders, through which fields read: a row by key, related rows, a page of them, a list from the root.

A loader is identified by what it loads; only the parent's key varies within a batch.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import cache, partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from strawberry.dataloader import DataLoader

from db.engine import Database, TooComplex
from db.models import Entity
from db.prepared import Statement
from db.texts import finished
from resolvers.identity.principal import Principal
from resolvers.reading import marks, rendering, statements
from resolvers.reading.conditions import Where
from resolvers.reading.grouping import Group, Grouping, Measure
from resolvers.reading.marks import Rendered, Stored
from resolvers.reading.paging import Page, Slice
from resolvers.reading.plan import Many, ReadPlan
from resolvers.reading.relationships import Relationship, ends
from resolvers.reading.seeking import by_values
from resolvers.reading.selection import Selection

BATCH = 1_000
"""The most keys of one statement."""

Otherwise = Callable[[], Awaitable[Any]]

log = structlog.get_logger("torana")

_ends = cache(ends)


class Loaders:
    """The reads of one operation, as one principal. Rows are read once, until `forget`. `spend` counts bytes of the
    answer, and raises TooLarge for too many. `lane` is the client in whose turn statements run."""

    def __init__(
        self, database: Database, principal: Principal, spend: Callable[[int], None], lane: Hashable = None
    ) -> None:
        self._database = database
        self._prepared = partial(database.prepared, lane=lane)
        self._lane = lane
        self._spend = spend
        self._principal = principal
        self._profile = principal.settled
        self._loaders: dict[Hashable, DataLoader[UUID, Any]] = {}
        self._reading: set[asyncio.Task[Any]] = set()

    def forget(self) -> None:
        """Read everything anew from here on, because a mutation has written."""
        self._loaders.clear()
        self._profile = self._principal.profile

    def end(self) -> None:
        """Stop all reads that are still running: nobody waits for them any more."""
        for task in self._reading - {asyncio.current_task()}:
            task.cancel()

    def one(self, selection: Selection, key: UUID) -> Awaitable[Any | None]:
        """The row with this key, or None when there is none that the principal may see."""
        return _loaded(self._loader(selection, partial(self._by_key, selection)), key)

    async def among(self, selection: Selection, keys: list[UUID], where: Where | None) -> Sequence[Any]:
        """The rows with these keys that the principal may see and that meet the conditions."""
        return await self._rows(statements.by_key(selection, self._profile, where), {"keys": keys}, where)

    def related(self, relationship: Relationship, row: Any, selection: Selection) -> Awaitable[Any | None]:
        """The row at the other end of a to-one relationship, or None."""
        local, remote = _ends(relationship)
        key = getattr(row, local)
        if remote == "id":
            return _nothing() if key is None else self.one(selection, key)
        load = partial(self._by_foreign_key, relationship, selection)
        return _loaded(self._loader((relationship, selection), load), key)

    def page(
        self, relationship: Relationship, row: Any, slice: Slice, selection: Selection, where: Where | None = None
    ) -> Awaitable[Page]:
        """A page of the rows that a to-many relationship leads to."""
        identity = (relationship, slice, selection, where, where and tuple(where.values.items()))
        load = partial(self._pages, relationship, slice, selection, where)
        parent = getattr(row, _ends(relationship)[0]) or UUID(int=0)  # which no row has
        return _loaded(self._loader(identity, load), parent)

    async def listing(self, slice: Slice, selection: Selection, where: Where | None = None) -> Page:
        """A page of all rows that the principal may see."""
        planned = await by_values(self._database, selection.model, where, self._profile)
        statement = statements.listing(selection, slice.cut, where, self._profile, planned)
        rows = await self._rows(statement, slice.parameters, where)
        count = partial(self._total, selection.model, where)
        return Page.cut(rows, slice, count, partial(self._grouped, where))

    async def select(self, statement: sa.Select[Any]) -> Sequence[Any]:
        """The rows of a statement that needs no rights: what belongs to a row that was read before."""
        return await self._database.rows(statement, {}, self._lane)

    async def first(self, selection: Selection, where: Where) -> Any | None:
        """The one row that meets a condition on a unique column."""
        rows = await self._rows(statements.first(selection, where, self._profile), {}, where)
        return rows[0] if rows else None

    async def text(self, read_plan: ReadPlan, otherwise: Otherwise | None = None) -> Any:
        """A list or a row of the root, Rendered; None for a row that does not exist or that the principal may not see.
        What can't be rendered comes from `otherwise`, or is raised."""
        try:
            text = await self._root(read_plan)
            return None if text is None else (await self._rendered([text], read_plan))[0]
        except TooComplex:
            if otherwise is None:
                raise
            return await otherwise()

    async def _root(self, read_plan: ReadPlan) -> str | None:
        planned = await rendering.varies(self._database, read_plan, self._profile)
        if planned and rendering.finds_first(read_plan) and (text := await self._found(read_plan)) is not None:
            return text
        ((made,),) = await self._planned(rendering.root, read_plan, planned)
        return made  # type: ignore[no-any-return]

    async def _found(self, read_plan: ReadPlan) -> str | None:
        """The list by a statement that finds its rows and one that reads them; None when one went away in between, so
        that its total and its page would not agree."""
        ((keys, total),) = await self._planned(rendering.keys, read_plan)
        slice = read_plan.asked[0].slice
        assert slice is not None
        more, keys = len(keys) > slice.limit, keys[: slice.limit]
        shown = keys[::-1] if slice.backward else keys
        ((text, number),) = await self._planned(rendering.found, read_plan, keys=shown, more=more, total=total)
        return text if number == len(shown) else None

    async def below(self, read_plan: ReadPlan, row: Any, otherwise: Otherwise) -> Any:
        """What a relationship of a row leads to, Rendered: a page or a row; None for a row that the principal may not
        see. What can't be rendered comes from `otherwise`."""
        root = read_plan.tree.root
        assert root.relationship is not None
        if (key := getattr(row, _ends(root.relationship)[0])) is None:
            return await otherwise() if isinstance(root, Many) else None
        identity = (read_plan.tree, read_plan.shape, tuple(read_plan.values.items()))
        try:
            made: Rendered = await _loaded(self._loader(identity, partial(self._below, read_plan)), key)
            return None if made.text == "null" else made
        except TooComplex:
            return await otherwise()

    async def texts(self, read_plan: ReadPlan, keys: Sequence[UUID]) -> dict[UUID, Rendered]:
        """The rows of these keys that the principal may see, Rendered."""
        rows = await self._planned(rendering.by_key, read_plan, keys=keys)
        made = await self._rendered([text for _, text in rows], read_plan)
        return {UUID(str(key)): one for (key, _), one in zip(rows, made, strict=True)}

    async def _rendered(self, texts: Sequence[str], read_plan: ReadPlan) -> list[Rendered]:
        """The texts of a statement with their marks replaced; one further statement for each table that marks refer
        to."""
        if self._database.dialect == "sqlite":
            texts = [finished(text) for text in texts]
        made = [Rendered.of(text, read_plan.tree.denials) for text in texts]
        texts = [one.text for one in made]
        wanted = [Stored.of(text) for text in texts]
        size = 0
        for text, stored in zip(texts, wanted, strict=True):
            size += len(text) if text.isascii() else len(text.encode())
            size += 0 if stored is None else stored.size
        self._spend(size)
        if not any(wanted):
            return made
        values: dict[tuple[str, str, str], bytes | None] = {}
        for table, (columns, keys) in marks.places(one for one in wanted if one).items():
            apart = table == marks.SLABS
            statement = partial(marks.slabs, columns) if apart else partial(marks.stored, table, columns)
            prepared = await self._prepared(self._database.stored, (table, columns), statement)
            rows = await self._database.fetch(prepared, {"keys": keys}, self._lane)
            if apart:
                values |= await asyncio.to_thread(marks.joined_slabs, columns, keys, rows)
            else:
                values |= marks.found(table, sorted(columns), rows)
        try:
            return [
                one if stored is None else Rendered(stored.filled(values), one.denied)
                for one, stored in zip(made, wanted, strict=True)
            ]
        except KeyError:  # deleted since
            raise TooComplex("stored JSON went away while it was read") from None

    async def _planned(
        self, make: Callable[..., Statement], read_plan: ReadPlan, *more: Any, **given: Any
    ) -> Sequence[Any]:
        statement = partial(make, read_plan, self._profile, *more)
        prepared = await self._prepared(read_plan.tree, (make, read_plan.shape, self._profile, *more), statement)
        values = {**self._principal.parameters, **read_plan.values, **given}
        try:
            return await self._database.fetch(prepared, values, self._lane)
        except TooComplex as error:
            read_plan.tree.refused = True
            log.warning("rendering.refused", why=str(error), characters=len(prepared.sql))
            raise

    async def _below(self, read_plan: ReadPlan, keys: list[UUID]) -> list[Rendered]:
        rows = await self._planned(rendering.below, read_plan, self._database.dialect, keys=keys)
        made = await self._rendered([text for _, text in rows], read_plan)
        found = {str(key): one for (key, _), one in zip(rows, made, strict=True)}
        return [found[str(key)] for key in keys]

    def _loader(self, identity: Hashable, load: Callable[[list[UUID]], Awaitable[list[Any]]]) -> DataLoader[UUID, Any]:
        if (loader := self._loaders.get(identity)) is None:
            loader = self._loaders[identity] = DataLoader(partial(self._batch, load), max_batch_size=BATCH)
        return loader

    async def _rows(self, statement: Statement, given: dict[str, Any], where: Where | None = None) -> Sequence[Any]:
        parameters = {**self._principal.parameters, **given}
        if where is not None:
            parameters |= where.values
        return await self._database.rows(statement, parameters, self._lane)

    async def _batch(self, load: Callable[[list[UUID]], Awaitable[list[Any]]], keys: list[UUID]) -> list[Any]:
        task = asyncio.current_task()
        assert task is not None
        self._reading.add(task)
        try:
            return await load(keys)
        finally:
            self._reading.discard(task)

    async def _by_key(self, selection: Selection, keys: list[UUID]) -> list[Any]:
        rows = await self._rows(statements.by_key(selection, self._profile), {"keys": keys})
        found = {row.id: row for row in rows}
        return [found.get(key) for key in keys]

    async def _by_foreign_key(self, relationship: Relationship, selection: Selection, keys: list[UUID]) -> list[Any]:
        """A one-to-one relationship, from the side that has no foreign key."""
        rows = await self._rows(statements.by_foreign_key(relationship, selection, self._profile), {"keys": keys})
        _, remote = _ends(relationship)
        found = {getattr(row, remote): row for row in rows}
        return [found.get(key) for key in keys]

    async def _pages(
        self, relationship: Relationship, slice: Slice, selection: Selection, where: Where | None, keys: list[UUID]
    ) -> list[Page]:
        grouped: dict[UUID, list[Any]] = defaultdict(list)
        statement = statements.pages(relationship, selection, slice.cut, where, self._profile, self._database.dialect)
        for row in await self._rows(statement, {"keys": keys, **slice.parameters}, where):
            grouped[row.parent_key].append(row)
        identity = (relationship, "count", where, where and tuple(where.values.items()))
        count = self._loader(identity, partial(self._counts, relationship, where))
        groups = partial(self._grouped_below, relationship, where)
        return [Page.cut(grouped[key], slice, partial(_loaded, count, key), partial(groups, key)) for key in keys]

    async def _counts(self, relationship: Relationship, where: Where | None, keys: list[UUID]) -> list[int]:
        statement = statements.counts(relationship, where, self._profile, self._database.dialect)
        counts = {row.key: row.number for row in await self._rows(statement, {"keys": keys}, where)}
        return [counts[key] for key in keys]

    async def _grouped(self, where: Where | None, grouping: Grouping, measures: tuple[Measure, ...]) -> Sequence[Group]:
        """The groups of all rows of a model."""
        grouping.check(where)
        planned = await by_values(self._database, grouping.model, where, self._profile)
        statement = statements.groups(grouping.unzoned, measures, where, self._profile, planned)
        return grouping.made(await self._rows(statement, grouping.values(""), where), measures)

    async def _grouped_below(
        self, relationship: Relationship, where: Where | None, key: UUID, grouping: Grouping, measures: Any
    ) -> Sequence[Group]:
        """The same of what a relationship leads to."""
        grouping.check(where)
        load = partial(self._groups, relationship, where, grouping, measures)
        identity = (relationship, grouping, measures, where, where and tuple(where.values.items()))
        return grouping.made(await _loaded(self._loader(identity, load), key), measures)

    async def _groups(
        self, relationship: Relationship, where: Where | None, grouping: Grouping, measures: Any, keys: list[UUID]
    ) -> list[Sequence[Any]]:
        found: dict[UUID, list[Any]] = defaultdict(list)
        statement = statements.groups_below(relationship, grouping.unzoned, measures, where, self._profile)
        for row in await self._rows(statement, {"keys": keys, **grouping.values("")}, where):
            found[row.parent_key].append(row)
        return [found[key] for key in keys]

    async def _total(self, model: type[Entity], where: Where | None) -> int:
        planned = await by_values(self._database, model, where, self._profile)
        (row,) = await self._rows(statements.total(model, where, self._profile, planned), {}, where)
        number: int = row.number
        return number


def _loaded(loader: DataLoader[UUID, Any], key: UUID) -> Awaitable[Any]:
    """The value of a key. Several fields may wait for it: when an error elsewhere cancels one of them, the others go
    on."""
    return asyncio.shield(loader.load(key))


async def _nothing() -> None:
    return None
