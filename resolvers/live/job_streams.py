"""The subscriptions to a job, to many jobs, to results and to a log.

Each subscribes to topics first, then reads, then waits, so no change is missed. A reconnect begins anew.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.models import TERMINAL, JobState
from db.types import later
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import (
    ANY_JOB,
    job_topic,
    key_of_topic,
    log_topic,
    results_topic,
)
from resolvers.live.watching import TOGETHER, UNHEARD
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order, Slice
from resolvers.reading.selection import Selection

_STATE = Selection(models.Job, ("history", "state", "version"))
_NEWEST = Order(models.Job.attempt, descending=True)
_MERGED = Selection(models.Job, ("merges", "state", "version"))
BATCH = 500
"""Log lines that are read at once."""
PAUSE = 0.05
"""Seconds between two reads of a job that goes on changing."""


class _PastJob:
    """A job's row with a state that the job came into and has left since."""

    def __init__(self, row: Any, state: JobState) -> None:
        self._row = row
        self.state = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


async def job(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The job as it is, then after each change until its final state. No state that it went through is left out."""
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, *_STATE.columns})))
    with ctx.services.feed.subscription(job_topic(key)) as changes:
        known: int | None = None
        sent: int | None = None
        while True:
            row = await ctx.fork().loaders.one(wanted, key)
            if row is None:
                raise NotFound("no Job with this id", field="id")
            for past in row.history[known:-1] if known is not None else ():
                yield _PastJob(row, JobState[past["state"]])
            known = len(row.history)
            # A task's change is the job's too, and leaves the job's own version.
            if row.state not in TERMINAL or row.version != sent:
                yield row
            if row.state in TERMINAL:
                return
            sent = row.version
            await asyncio.sleep(PAUSE)
            await changes.next()


async def jobs(ctx: Context, selection: Selection, where: Where | None) -> AsyncGenerator[Any, None]:
    """Each job that meets the conditions, when it changes."""
    with ctx.services.feed.subscription(ANY_JOB) as changes:
        looked = time.monotonic()
        while True:
            topics = await changes.next()
            keys = [key for topic in topics if (key := key_of_topic(topic)) is not None]
            if ANY_JOB in topics:  # which ones changed was not heard
                since = sa.select(models.Job.id).where(
                    models.Job.last_update_at >= later(looked - time.monotonic() - UNHEARD)
                )
                keys += {row.id for row in await ctx.database.rows(since)} - {*keys}
            looked = time.monotonic()
            for start in range(0, len(keys), BATCH):
                for row in await ctx.fork().loaders.among(selection, keys[start : start + BATCH], where):
                    yield row
            await asyncio.sleep(TOGETHER)


async def results(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The simulation, each time that results were stored, until its current job has ended."""
    with ctx.services.feed.subscription(results_topic(key)) as changes:
        wanted = replace(selection, columns=tuple(sorted({*selection.columns, "version"})))
        seen: tuple[Any, ...] | None = None
        while True:
            found = ctx.fork().loaders
            row = await found.one(wanted, key)
            if row is None:
                raise NotFound("no Simulation with this id", field="id")
            jobs = await found.page(models.Simulation.jobs, row, Slice(_NEWEST, 1), _MERGED)
            if not jobs.nodes:
                raise NotFound("no job of this Simulation", field="id")
            (present,) = jobs.nodes
            now = (present.id, present.merges, row.version)
            if now != seen:
                yield row
            if present.state in TERMINAL and not (present.state is JobState.CANCELED and await _unmerged(ctx, present)):
                return
            seen = now
            await changes.next()


async def _unmerged(ctx: Context, job: Any) -> bool:
    """Whether results that the job's tasks delivered are still to be merged."""
    left = sa.select(models.TaskResult.id).join(models.Task, models.Task.id == models.TaskResult.task_id)
    return bool(await ctx.database.rows(left.where(models.Task.job_id == job.id).limit(1)))


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
                    after = order.values(row)
                    yield row
                if not page.more:
                    break
            if state.state in TERMINAL:
                return
            await changes.next()
