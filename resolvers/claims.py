"""What the process that runs jobs takes and gives back: tasks to run, results to merge, what fell silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import (
    Job,
    JobState,
    Task,
    TaskResult,
)
from db.types import now
from resolvers.feed import WORK, job_topic
from resolvers.jobs import locked_task, move, settle
from resolvers.principal import Errand
from resolvers.writing import moment_of


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that the claiming process now runs."""

    errand: Errand
    job_key: str


SCOPES = frozenset({"inputs", "progress", "log", "results"})


async def claim_tasks(session: AsyncSession, holder: str, number: int, lease: float) -> list[Claimed]:
    """Take up to `number` waiting tasks, oldest job first, for `holder`."""
    pending = sa.exists().where(Task.job_id == Job.id, Task.state == JobState.PENDING)
    waiting = (
        sa.select(Job)
        .where(Job.state.in_((JobState.PENDING, JobState.RUNNING)), pending)
        .order_by(Job.submitted_at, Job.id)
        .limit(number)
        .with_for_update()  # jobs before tasks, as everywhere, so that no two wait for each other
    )
    found = {job.id: job for job in await session.scalars(waiting)}
    tasks = (
        sa.select(Task)
        .join(Job, Job.id == Task.job_id)
        .where(Task.job_id.in_(found), Task.state == JobState.PENDING)
        .order_by(Job.submitted_at, Job.id, Task.ordinal)
        .limit(number)
    )
    claimed = []
    moment = await moment_of(session)
    for task in (await session.scalars(tasks)).all():
        job = found[task.job_id]
        task.attempt += 1
        task.state, task.holder, task.error = JobState.RUNNING, holder, None
        task.done, task.last_update_at, task.ended_at = 0, moment, None
        task.started_at = task.started_at or moment
        task.lease_until = moment + timedelta(seconds=lease)
        if job.state is JobState.PENDING:
            await move(session, job, JobState.RUNNING)
        changed(session, job_topic(job.id))
        claimed.append(Claimed(Errand(job.id, task.ordinal, task.attempt, SCOPES), job.key))
    return claimed


async def release_task(session: AsyncSession, errand: Errand, reason: str, attempts: int | None) -> None:
    """A run ended without a result: the task waits again, or failed when it was lost `attempts` times.

    With None for `attempts` it is not counted as lost. Changes nothing when the errand is over.
    """
    held = await locked_task(session, errand)
    if held is None:
        return
    job, task = held
    if task.state is not JobState.RUNNING or task.attempt != errand.attempt:
        return
    moment = await moment_of(session)
    task.holder, task.lease_until, task.last_update_at = None, None, moment
    task.losses += attempts is not None
    if attempts is None or task.losses < attempts:
        task.state = JobState.PENDING
        changed(session, job_topic(job.id), WORK)
        return
    task.state, task.ended_at = JobState.FAILED, moment
    task.error = {"code": "TASK_LOST", "message": f"{reason}; it was lost {task.losses} times"}
    await settle(session, job)


async def lost_errands(session: AsyncSession, *, all_but: str | None = None) -> list[Errand]:
    """Running tasks whose lease has run out; with `all_but`, every one that another holder had."""
    lost = Task.lease_until < now() if all_but is None else Task.holder != all_but
    return await _running(session, lost)


async def still_running(session: AsyncSession, errands: Sequence[Errand]) -> set[Errand]:
    """Those of `errands` that are still to run."""
    keys = {errand.job_id for errand in errands}
    return set(errands).intersection(await _running(session, Task.job_id.in_(keys)))


async def _running(session: AsyncSession, which: sa.ColumnElement[bool]) -> list[Errand]:
    wanted = sa.select(Task.job_id, Task.ordinal, Task.attempt).where(Task.state == JobState.RUNNING, which)
    return [Errand(row.job_id, row.ordinal, row.attempt, SCOPES) for row in await session.execute(wanted)]


async def claim_merging(session: AsyncSession, lease: float) -> tuple[UUID, datetime] | None:
    """The oldest job whose delivered results wait to be merged, cancelled ones too, and the end of its new lease."""
    delivered = sa.exists().where(TaskResult.task_id == Task.id, Task.job_id == Job.id)
    ready = sa.or_(
        Job.state.in_((JobState.MERGING_QUEUED, JobState.MERGING_RUNNING)),
        sa.and_(Job.state == JobState.CANCELED, delivered),
    )
    free = sa.or_(Job.lease_until.is_(None), Job.lease_until < now())
    found = sa.select(Job).where(ready, free).order_by(Job.submitted_at).limit(1).with_for_update(skip_locked=True)
    job = (await session.scalars(found)).one_or_none()
    if job is None:
        return None
    if job.state is JobState.MERGING_QUEUED:
        await move(session, job, JobState.MERGING_RUNNING)
    until = await moment_of(session) + timedelta(seconds=lease)
    job.lease_until = until
    return job.id, until
