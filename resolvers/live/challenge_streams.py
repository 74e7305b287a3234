"""The subscriptions to a leaderboard and to a submission. Each subscribes first, then reads, then waits."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import UUID

from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import board_topic, submission_topic
from resolvers.reading.selection import Selection


async def leaderboard(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The leaderboard as it is, then after each build."""
    async for row in _watched(ctx, key, selection, board_topic(key), "build_id", "Leaderboard"):
        yield row


async def submission(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The submission as it is, then after each change."""
    async for row in _watched(ctx, key, selection, submission_topic(key), "version", "Submission"):
        yield row


async def _watched(
    ctx: Context, key: UUID, selection: Selection, topic: str, column: str, name: str
) -> AsyncGenerator[Any, None]:
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, column, "version"})))
    with ctx.services.feed.subscription(topic) as changes:
        seen: Any = None
        while True:
            row = await ctx.fork().loaders.one(wanted, key)
            if row is None:
                raise NotFound(f"no {name} with this id", field="id")
            now = (getattr(row, column), row.version)
            if now != seen:
                yield row
            seen = now
            await changes.next()
