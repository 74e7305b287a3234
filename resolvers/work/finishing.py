"""Finish jobs: put together what their tasks delivered, while they run and at their end, as their kind does it."""

import asyncio
import time
from datetime import timedelta

import sqlalchemy as sa
import structlog

from db.engine import changed, moment_of
from db.models import JobState, Task, TaskResult, TaskSlab
from db.outages import Contended, Unavailable
from resolvers.context import Services
from resolvers.feed import WORK, results_topic
from resolvers.queue import merge_leases
from resolvers.queue.lifecycle import move
from resolvers.queue.merge_leases import Merge

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
        finish = services.jobs.kinds[claimed.kind].finish
        assert finish is not None, f"results of a {claimed.kind.name} job wait, and nothing takes them"
        finished = await finish(services, claimed.job)
        async with alone:  # so that nothing is being prolonged that is cancelled
            prolonging.cancel()
    finally:
        prolonging.cancel()
        await asyncio.gather(prolonging, return_exceptions=True)
    async with services.database.write(as_system="finished jobs are merged") as session:
        job = await merge_leases.release_merging(session, claimed)
        if job is None:
            return
        if claimed.state is JobState.RUNNING and job.state is not JobState.RUNNING:
            changed(session, WORK)  # more was delivered than we read: it waits to be merged
            return
        if finished.error is not None:
            if job.state is JobState.MERGING_RUNNING:
                await move(session, job, JobState.FAILED, error={"code": "MERGE_FAILED", "message": finished.error})
        elif finished.delivered and finished.store is not None:
            await finished.store(session, job)
        if job.state is JobState.RUNNING:
            spent = time.monotonic() - began
            job.merge_after = await moment_of(session) + timedelta(seconds=max(PAUSE, REST * spent))
            return
        if job.state is JobState.MERGING_RUNNING:
            await move(session, job, JobState.COMPLETED)
        tasks = sa.select(Task.id).where(Task.job_id == job.id)
        await session.execute(sa.delete(TaskResult).where(TaskResult.id.in_(finished.delivered)))
        await session.execute(sa.delete(TaskSlab).where(TaskSlab.task_id.in_(tasks)))
        changed(session, results_topic(job.subject_id))


async def _prolong(services: Services, claimed: Merge, alone: asyncio.Lock) -> None:
    while True:
        await asyncio.sleep(LEASE / 3)
        async with alone, services.database.write(as_system="finished jobs are merged") as session:
            await merge_leases.prolong_merging(session, claimed, LEASE)
