"""The lease under which one process merges the results of a job."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database, moment_of
from db.locks import in_order
from db.models import Job, JobKind, JobState, Task, TaskResult
from db.types import now
from resolvers.queue.lifecycle import move


@dataclass(slots=True)
class Merge:
    """The claim of one process to merge the results of a job, until its lease ends. `state` is the job's state when
    reading the delivered results began."""

    job: UUID
    kind: JobKind
    state: JobState
    until: datetime


async def claim_merging(session: AsyncSession, lease: float) -> Merge | None:
    """Claim the oldest job with results to merge: first a job whose tasks ended or that was cancelled, else a job whose
    tasks delivered parts since the last merging."""
    free = sa.or_(Job.lease_until.is_(None), Job.lease_until < now())
    ended = sa.select(Job).where(Job.state.in_((JobState.MERGING_QUEUED, JobState.MERGING_RUNNING)), free)
    delivered = sa.select(Task.job_id).join(TaskResult, TaskResult.task_id == Task.id)
    cancelled = sa.select(Job).where(Job.state == JobState.CANCELED, Job.id.in_(delivered), free)
    due = sa.or_(Job.merge_after.is_(None), Job.merge_after < now())
    parts = sa.select(Job).where(Job.parts, Job.state == JobState.RUNNING, due, free)
    for wanted in (ended, cancelled, parts):
        first = wanted.order_by(Job.submitted_at).limit(1).with_for_update(skip_locked=True)
        if (job := (await session.scalars(first)).one_or_none()) is not None:
            break
    else:
        return None
    if job.state is JobState.MERGING_QUEUED:
        await move(session, job, JobState.MERGING_RUNNING)
    until = await moment_of(session) + timedelta(seconds=lease)
    job.lease_until, job.parts = until, False
    return Merge(job.id, job.kind, job.state, until)


async def prolong_merging(session: AsyncSession, merge: Merge, lease: float) -> None:
    """Prolong the lease by so many seconds, if this process still has it."""
    until = await moment_of(session) + timedelta(seconds=lease)
    held = sa.update(Job).where(Job.id == merge.job, Job.lease_until == merge.until).values(lease_until=until)
    if (await session.execute(held)).rowcount:  # type: ignore[attr-defined]
        merge.until = until


async def release_merging(session: AsyncSession, merge: Merge, *, rest: float | None = None) -> Job | None:
    """Release a merging, which others may claim after `rest` seconds at the earliest. Returns the job, locked, if this
    process still had the lease."""
    job = await session.get(Job, merge.job, with_for_update=True)
    if job is None or job.lease_until != merge.until:
        return None
    job.lease_until = None if rest is None else await moment_of(session) + timedelta(seconds=rest)
    return job


async def release_all_merging(session: AsyncSession) -> None:
    """Release all mergings: the only process that could merge has just started."""
    await in_order(session, sa.update(Job).where(Job.lease_until.is_not(None)).values(lease_until=None))


async def parts_due(database: Database, most: float) -> float:
    """Seconds until parts of a running job are due for merging; `most` when none are."""
    waiting = (Job.parts, Job.state == JobState.RUNNING)
    ((moment, after),) = await database.rows(sa.select(now(), sa.func.min(Job.merge_after)).where(*waiting))
    return most if after is None else min(most, max(0.0, (after - moment).total_seconds()))
