"""What subscriptions send. Subscribe, then read, then wait: nothing falls between, and a reconnect begins anew."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.models import TERMINAL, JobState
from db.types import later
from resolvers.access.places import project_of
from resolvers.access.policy import policies
from resolvers.access.rules import allowed
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import LimitExceeded, NotFound
from resolvers.feed import (
    ANY_JOB,
    PRESENT,
    Changes,
    job_topic,
    key_of_topic,
    log_topic,
    renewed_topic,
    results_topic,
    watched_topic,
)
from resolvers.identity.presence import INTERVAL, ONLINE
from resolvers.reading.paging import Order, Slice
from resolvers.reading.selection import Selection
from resolvers.reading.statements import Where

_STATE = Selection(models.Job, ("history", "state", "version"))
_NEWEST = Order(models.Job.attempt, descending=True)
_MERGED = Selection(models.Job, ("merges", "state", "version"))
BATCH = 500
"""Log lines read at once."""
UNHEARD = timedelta(minutes=1)
"""Before a break in what is heard of other processes, for which jobs are looked at again."""
AT_ONCE = 20
"""Subscriptions of one client that watch many rows."""
SOME = 100
"""Changes that are told at once."""
PAUSE, TOGETHER = 0.05, 0.25
"""Seconds between two looks at a job that goes on changing, and at what changed among many."""


@contextlib.contextmanager
def watch(ctx: Context, *topics: str) -> Iterator[Changes]:
    """Subscribe to topics of many rows; raises LimitExceeded for a client that has enough such subscriptions."""
    feed, own = ctx.services.feed, watched_topic(ctx.lane)
    if (others := len(feed.following(own))) >= AT_ONCE:
        told = f"at most {AT_ONCE} subscriptions watch what changes, or who is there, at once; end others first"
        raise LimitExceeded(told, limit="subscriptions", allowed=AT_ONCE, value=others + 1)
    with feed.subscription(own, *topics) as changes:
        yield changes


class _Then:
    """A job's row as it was when the job came into a state that it has left since."""

    def __init__(self, row: Any, state: JobState) -> None:
        self._row = row
        self.state = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


async def job(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The job as it is, then each time it changed, up to its final state: no state that it went through is left out."""
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, *_STATE.columns})))
    with ctx.services.feed.subscription(job_topic(key)) as changes:
        known: int | None = None
        sent: int | None = None
        while True:
            row = await ctx.fork().loaders.one(wanted, key)
            if row is None:
                raise NotFound("no Job with this id", field="id")
            for past in row.history[known:-1] if known is not None else ():
                yield _Then(row, JobState[past["state"]])
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
    """Each job that changes, of those that meet the conditions."""
    with ctx.services.feed.subscription(ANY_JOB) as changes:
        looked = datetime.now(UTC)
        while True:
            topics = await changes.next()
            keys = [key for topic in topics if (key := key_of_topic(topic)) is not None]
            if ANY_JOB in topics:  # which ones changed was not heard
                since = sa.select(models.Job.id).where(models.Job.last_update_at >= looked - UNHEARD)
                keys += {row.id for row in await ctx.database.rows(since)} - {*keys}
            looked = datetime.now(UTC)
            for start in range(0, len(keys), BATCH):
                for row in await ctx.fork().loaders.among(selection, keys[start : start + BATCH], where):
                    yield row
            await asyncio.sleep(TOGETHER)


async def results(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The simulation whenever its results were stored, until its present job has ended."""
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


async def present(ctx: Context, project: UUID) -> AsyncGenerator[list["Arrival"], None]:
    """Who of a project's users, participants and devices is there, as far as one is told: first all of them, then who
    comes and who goes, at most `SOME` at once. NOT_FOUND for a project that is not seen."""
    there: set[tuple[Any, UUID]] | None = None
    with watch(ctx, PRESENT, renewed_topic(ctx.principal.id)) as changes:
        while True:
            now = await _present(ctx, project)
            moved = [Arrival(model, key, (model, key) in now) for model, key in now ^ (there or set())]
            if there is None and not moved:
                yield []
            for start in range(0, len(moved), SOME):
                yield moved[start : start + SOME]
            there = now
            with contextlib.suppress(TimeoutError):  # who goes says nothing
                async with asyncio.timeout(INTERVAL):
                    await changes.next()


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who came or went."""

    model: type[models.Entity]
    id: UUID
    online: bool


async def _present(ctx: Context, project: UUID) -> set[tuple[Any, UUID]]:
    profile = ctx.principal.profile
    place = sa.bindparam("place", type_=models.Project.id.type)
    seen = sa.select(models.Project.id).where(models.Project.id == place, visible(models.Project, profile))
    wanted = [seen.add_columns(sa.literal("").label("name"))]
    known = {}
    for policy in policies():
        belongs = project_of(policy.model)
        if "online" not in policy.fields or belongs is None:
            continue
        entity: Any = Alias(policy.model)
        name = policy.model.__name__
        known[name] = policy.model
        rows = sa.select(entity.id, sa.literal(name).label("name")).where(
            entity.last_online_at > later(-ONLINE.total_seconds()),
            belongs(entity, lambda column: column == place),
            visible(entity, profile),
            allowed(policy.fields["online"], entity, profile),
        )
        wanted.append(rows)
    every = sa.union_all(*wanted).subquery()
    found = await ctx.database.rows(
        sa.select(every.c.id, every.c.name), {**ctx.principal.parameters, "place": project}, ctx.lane
    )
    if not any(not row.name for row in found):
        raise NotFound("no Project with this id", field="project")
    return {(known[row.name], row.id) for row in found if row.name}


async def _unmerged(ctx: Context, job: Any) -> bool:
    """Whether something that the job's tasks delivered is still to be merged."""
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
                    after = (getattr(row, order.column.key), row.id)
                    yield row
                if not page.more:
                    break
            if state.state in TERMINAL:
                return
            await changes.next()
