"""Merge what the tasks of a simulation's job delivered into one result."""

import asyncio
import gzip
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import Job, JobState, Task, TaskResult
from jobs.results import Estimator, Merging, ResultError, read
from resolvers.context import Services
from resolvers.feed import job_topic, results_topic
from resolvers.queue.kinds import Finished
from resolvers.simulations.simulations import store_estimators


def packed(estimators: Any) -> bytes:
    """Delivered results, checked, as they wait to be merged; raises ResultError."""
    read(estimators)
    return gzip.compress(orjson.dumps(estimators), 3)


async def finish(services: Services, key: UUID) -> Finished:
    """The merged result of a job, or what doesn't fit together."""
    delivered, merged, error = await _merged(services, key)
    return Finished(delivered, partial(_store, merged), error)


async def _merged(services: Services, key: UUID) -> tuple[Sequence[UUID], list[Estimator], str | None]:
    """The keys of the tasks' results, the merged result, and what doesn't fit together. Results are read one after the
    other, so that only one is held in memory."""
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
    merging.add(primaries, read(orjson.loads(gzip.decompress(data))))


async def _store(merged: Sequence[Estimator], session: AsyncSession, job: Job) -> None:
    """Store the results, unless a later attempt has stored some."""
    overtaken = sa.exists().where(
        Job.simulation_id == job.simulation_id,
        Job.attempt > job.attempt,
        sa.or_(Job.state == JobState.COMPLETED, Job.merges > 0),
    )
    if await session.scalar(sa.select(overtaken)):
        return
    await store_estimators(session, job.subject_id, merged)
    job.merges += 1
    changed(session, results_topic(job.subject_id), job_topic(job.id))
