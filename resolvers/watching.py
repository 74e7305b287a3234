"""What subscriptions send. Subscribe, then read, then wait: nothing falls between, and a reconnect begins anew."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import UUID

from db import models
from db.models import TERMINAL
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import job_topic, log_topic
from resolvers.paging import Order, Slice
from resolvers.selection import Selection

_STATE = Selection(models.Job, ("state", "version"))
BATCH = 500
"""Log lines read at once."""


async def job(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The job as it is, then each time it changed, up to its final state."""
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, *_STATE.columns})))
    with ctx.services.feed.subscription(job_topic(key)) as changes:
        sent: int | None = None
        while True:
            row = await ctx.fork().loaders.one(wanted, key)
            if row is None:
                raise NotFound("no Job with this id", field="id")
            # A task's change is the job's too, and leaves the job's own version.
            if row.state not in TERMINAL or row.version != sent:
                yield row
            if row.state in TERMINAL:
                return
            sent = row.version
            await changes.next()


async def job_log(
    ctx: Context, key: UUID, selection: Selection, order: Order, after: tuple[Any, ...] | None
) -> AsyncGenerator[Any, None]:
    """The lines of a job's log after a place in it, up to the end of a job that ended."""
    with ctx.services.feed.subscription(log_topic(key), job_topic(key)) as changes:
        while True:
            state = await ctx.fork().loaders.one(_STATE, key)
            if state is None:
                raise NotFound("no Job with this id", field="id")
            while True:
                page = await ctx.fork().loaders.page(models.Job.log, state, Slice(order, BATCH, after), selection)
                for row in page.nodes:
                    after = (getattr(row, order.column.key), row.id)
                    yield row
                if not page.more:
                    break
            if state.state in TERMINAL:
                return
            await changes.next()
