"""Makes one result of what the tasks of a job delivered, while it runs and at its end."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Job, JobState, Task, TaskResult
from jobs.results import Estimator, Merging, ResultError, read
from resolvers.claims import claim_merging
from resolvers.context import Services
from resolvers.feed import job_topic, results_topic
from resolvers.lifecycle import move
from resolvers.simulations import read_delivered, store_estimators

LEASE = 900.0
"""Seconds that merging the results of one job may take before another process takes it over."""
REST = 10.0
"""Parts of a running job are merged again after so many times as long as it took, and not before `PAUSE` seconds."""
PAUSE = 3.0


async def merge_ready(services: Services) -> None:
    """Merge the delivered results of every job that waits for it."""
    while True:
        async with services.database.write() as session:
            claimed = await claim_merging(session, LEASE)
        if claimed is None:
            return
        try:
            await _merge(services, *claimed)
        except Exception:
            await _give_up(services, *claimed)
            raise


async def _give_up(services: Services, key: UUID, lease: datetime) -> None:
    """Let the merging be tried again now, not when its lease has ended."""
    held = (Job.id == key, Job.lease_until == lease)
    async with services.database.write() as session:
        await session.execute(sa.update(Job).where(*held).values(lease_until=None, parts=Job.state == JobState.RUNNING))


async def _merge(services: Services, key: UUID, lease: datetime) -> None:
    """Merge outside any transaction, then store the result and end the job in one, if it is still ours to do."""
    began = time.monotonic()
    delivered, merged, error = await _merged(services, key)
    async with services.database.write() as session:
        job = await session.get(Job, key, with_for_update=True)
        if job is None or job.simulation_id is None or job.lease_until != lease:
            return
        job.lease_until = None
        if error is not None:
            if job.state is JobState.MERGING_RUNNING:
                await move(session, job, JobState.FAILED, error={"code": "MERGE_FAILED", "message": error})
        elif delivered:
            await _store(session, job, job.simulation_id, merged)
        if job.state is JobState.RUNNING:
            spent = time.monotonic() - began
            job.merge_after = await moment_of(session) + timedelta(seconds=max(PAUSE, REST * spent))
            return
        if job.state is JobState.MERGING_RUNNING:
            await move(session, job, JobState.COMPLETED)
        await session.execute(sa.delete(TaskResult).where(TaskResult.id.in_(delivered)))


async def _merged(services: Services, key: UUID) -> tuple[Sequence[UUID], list[Estimator], str | None]:
    """The keys of what the tasks delivered, what comes of it, and what doesn't fit together. What one task delivered is
    read after the other, so that only one is held at a time."""
    merging = Merging()
    async with services.database.read() as connection:
        tasks = sa.select(TaskResult.id).join(Task, Task.id == TaskResult.task_id).where(Task.job_id == key)
        counted = Task.state.in_((JobState.COMPLETED, JobState.RUNNING, JobState.CANCELED))
        delivered = (await connection.execute(tasks.where(counted).order_by(Task.ordinal))).scalars().all()
        for result in delivered:
            one = sa.select(TaskResult.primaries, TaskResult.data).where(TaskResult.id == result)
            if (row := (await connection.execute(one)).one_or_none()) is None:
                continue
            try:
                await asyncio.to_thread(_add, merging, row.primaries, row.data)
            except ResultError as failure:
                return delivered, [], str(failure)
    return delivered, await asyncio.to_thread(merging.result), None


def _add(merging: Merging, primaries: int, data: bytes) -> None:
    merging.add(primaries, read(read_delivered(data)))


async def _store(session: AsyncSession, job: Job, simulation: UUID, merged: Sequence[Estimator]) -> None:
    """Store the results, unless a later attempt has some."""
    overtaken = sa.exists().where(
        Job.simulation_id == simulation,
        Job.attempt > job.attempt,
        sa.or_(Job.state == JobState.COMPLETED, Job.merges > 0),
    )
    if await session.scalar(sa.select(overtaken)):
        return
    await store_estimators(session, simulation, merged)
    job.merges += 1
    changed(session, results_topic(simulation), job_topic(job.id))
