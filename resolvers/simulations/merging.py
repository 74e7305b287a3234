"""Merge what the tasks of a job delivered into one result, while the job runs and at its end."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Job, JobState, Task, TaskResult
from db.outages import Contended, Unavailable
from jobs.results import Estimator, Merging, ResultError, read
from resolvers.context import Services
from resolvers.feed import WORK, job_topic, results_topic
from resolvers.queue import merge_leases
from resolvers.queue.lifecycle import move
from resolvers.queue.merge_leases import Merge
from resolvers.simulations.simulations import read_delivered, store_estimators

LEASE = 60.0
"""The lease in seconds: another process takes over from one that died while merging; a living one prolongs it."""
REST = 10.0
"""Parts of a running job are merged again after so many times as long as merging took, and after at least `PAUSE`
seconds."""
PAUSE = 3.0
AGAIN = 10.0
"""Seconds after which a failed merging is tried again; those of other jobs go on."""
ENOUGH = 3_600.0
"""Seconds after which a merging that still fails is given up: the job failed."""

log = structlog.get_logger("torana.jobs")


async def merge_ready(services: Services) -> None:
    """Merge the delivered results of every job that waits for it."""
    while True:
        async with services.database.write(as_system="finished jobs are merged") as session:
            claimed = await merge_leases.claim_merging(session, LEASE)
        if claimed is None:
            return
        try:
            await merge(services, claimed)
        except Exception as error:  # of one job, which must not keep the others waiting
            if not isinstance(error, Unavailable | Contended):
                log.error("jobs.merge_failed", job=str(claimed.job), error=repr(error))
            await _put_off(services, claimed, hopeless=isinstance(error, sa.exc.DataError))
        except BaseException:  # this process stops; another goes on
            await asyncio.shield(_put_off(services, claimed, rest=None))
            raise


async def _put_off(services: Services, claimed: Merge, *, rest: float | None = AGAIN, hopeless: bool = False) -> None:
    """Put the merging off to a later try, unless it is `hopeless` or was tried for long enough."""
    async with services.database.write(as_system="finished jobs are merged") as session:
        if (job := await merge_leases.release_merging(session, claimed, rest=rest)) is None:
            return
        job.parts = job.state is JobState.RUNNING and not hopeless
        tried = (await moment_of(session) - job.last_update_at).total_seconds()
        if job.state is JobState.MERGING_RUNNING and (hopeless or tried > ENOUGH):
            error = {"code": "MERGE_FAILED", "message": "the results could not be stored"}
            await move(session, job, JobState.FAILED, error=error)


async def merge(services: Services, claimed: Merge) -> None:
    """Merge outside any transaction. Then, in one transaction, store the result and end the job, if this process still
    has the lease."""
    began = time.monotonic()
    alone = asyncio.Lock()
    prolonging = asyncio.create_task(_prolong(services, claimed, alone))
    try:
        delivered, merged, error = await _merged(services, claimed.job)
        async with alone:  # so that nothing is being prolonged that is cancelled
            prolonging.cancel()
    finally:
        prolonging.cancel()
        await asyncio.gather(prolonging, return_exceptions=True)
    async with services.database.write(as_system="finished jobs are merged") as session:
        job = await merge_leases.release_merging(session, claimed)
        if job is None or job.simulation_id is None:
            return
        if claimed.state is JobState.RUNNING and job.state is not JobState.RUNNING:
            changed(session, WORK)  # more was delivered than we read: it waits to be merged
            return
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
        changed(session, results_topic(job.simulation_id))


async def _prolong(services: Services, claimed: Merge, alone: asyncio.Lock) -> None:
    while True:
        await asyncio.sleep(LEASE / 3)
        async with alone, services.database.write(as_system="finished jobs are merged") as session:
            await merge_leases.prolong_merging(session, claimed, LEASE)


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
    merging.add(primaries, read(read_delivered(data)))


async def _store(session: AsyncSession, job: Job, simulation: UUID, merged: Sequence[Estimator]) -> None:
    """Store the results, unless a later attempt has stored some."""
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
