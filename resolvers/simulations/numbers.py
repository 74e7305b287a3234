"""The numbers of a page for download, as text, some at a time: what is held in memory does not grow with the page."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import sqlalchemy as sa

from db.models import Page
from resolvers.context import Context
from resolvers.failures import Away
from resolvers.reading.numbers import slab

PIECE = 64 * 1024
"""About the characters that are read at once of what stands in a row."""


async def texts(ctx: Context, row: Any, key: str) -> AsyncIterator[str]:
    """The numbers of a page's column, between commas, some at a time; nothing where there are none. The values and the
    errors come in pieces of the same numbers. Raises UNAVAILABLE when the page was replaced meanwhile."""
    if row.content is None:
        whole: str | None = getattr(row, key)
        if whole is not None and len(whole) > 2:
            for piece in _cut(whole) if row.data_errors is None else (whole[1:-1],):
                yield piece
        return
    loaders = ctx.fork().loaders
    found = 0
    for number in count():
        text = await slab(loaders.select, row.content, key, number)
        if text is None:
            break
        found += text.count(",") + 1
        yield text
    if found != row.value_count and (found or not await _has_it(ctx, row)):
        raise Away("the page was replaced while it was read", seconds=1)


async def _has_it(ctx: Context, row: Any) -> bool:
    """Whether the page still has the content that was read."""
    found = await ctx.database.rows(sa.select(Page.id).where(Page.id == row.id, Page.content == row.content))
    return bool(found)


def _cut(whole: str) -> Iterator[str]:
    start, end = 1, len(whole) - 1
    while start < end:
        stop = whole.find(",", start + PIECE)
        stop = end if stop < 0 else stop
        yield whole[start:stop]
        start = stop + 1


def written(whole: str) -> Iterator[str]:
    """The numbers of a JSON array as they are written in it, without reading all at once; null becomes empty."""
    for piece in _cut(whole):
        yield from cells(piece)


def cells(text: str) -> list[str]:
    """The numbers between commas as they are written, empty for null."""
    return ["" if number == "null" else number for number in text.split(",")]
