"""The subscription to an upload. It subscribes first, then reads, then waits, so no change is missed."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import UUID

from db.models import UploadState
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import upload_topic
from resolvers.reading.selection import Selection

PAUSE = 0.25
"""Seconds between two reads of an upload that goes on changing."""
ENDED = (UploadState.COMPLETE, UploadState.FAILED, UploadState.EXPIRED)


async def upload(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The upload as it is, then after each change until it has ended. It ends, too, when it is deleted."""
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, "state", "version"})))
    with ctx.services.feed.subscription(upload_topic(key)) as changes:
        sent: int | None = None
        while True:
            row = await ctx.fork().loaders.one(wanted, key)
            if row is None:
                if sent is None:
                    raise NotFound("no Upload with this id", field="id")
                return
            if row.version != sent:
                yield row
            if row.state in ENDED:
                return
            sent = row.version
            await asyncio.sleep(PAUSE)
            await changes.next()
