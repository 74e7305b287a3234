"""Connections: a page of a list, with its cursors and its count."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
import strawberry

from bench.plain.database import sessions
from bench.plain.loaders import Info
from bench.plain.pages import Pages, Slice

T = TypeVar("T")


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    node: T
    cursor: str


@strawberry.type
class Connection(Generic[T]):
    nodes: list[T]
    pages: strawberry.Private[Pages]
    counted: strawberry.Private[Any]
    """The key of the parent, or the statement that counts a whole list."""
    cursors: strawberry.Private[list[str]]
    page_info: PageInfo

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        return [Edge(node=node, cursor=cursor) for node, cursor in zip(self.nodes, self.cursors, strict=True)]

    @strawberry.field
    async def total_count(self, info: Info) -> int:
        if isinstance(self.counted, UUID):
            return await info.context.counts.load((self.pages, self.counted))
        async with sessions() as session:
            return (await session.scalar(self.counted)) or 0


def connect(
    pages: Pages, rows: Sequence[Any], first: int, after: str | None, counted: Any, made: Callable[[Any], Any]
) -> Any:
    """A page of `rows`, which hold one more than asked for when the list goes on."""
    shown = rows[:first]
    cursors = [pages.cursor(row) for row in shown]
    info = PageInfo(
        has_next_page=len(rows) > first,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    nodes = [made(row) for row in shown]
    return Connection(nodes=nodes, pages=pages, counted=counted, cursors=cursors, page_info=info)


async def children(
    info: Info, pages: Pages, parent: UUID, first: int, after: str | None, made: Callable[[Any], Any]
) -> Any:
    rows = await info.context.pages.load(Slice(pages, parent, first, after))
    return connect(pages, rows, first, after, parent, made)


async def listing(
    pages: Pages, first: int, after: str | None, made: Callable[[Any], Any], condition: Any = None
) -> Any:
    model = pages.column.class_
    whole = sa.select(model) if condition is None else sa.select(model).where(condition)
    statement = whole.order_by(*pages.by(model)).limit(first + 1)
    if after is not None:
        statement = statement.where(pages.beyond(model, after))
    async with sessions() as session:
        rows = (await session.scalars(statement)).all()
    counted = whole.with_only_columns(sa.func.count(), maintain_column_froms=True)
    return connect(pages, rows, first, after, counted, made)
