"""The life of a job: its states, how it ends, and what its owner commands.

Every change of a job's state goes through `move`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import (
    TERMINAL,
    Job,
    JobKind,
    JobState,
    Platform,
    Task,
)
from db.types import now
from resolvers.audit import record
from resolvers.context import Context
from resolvers.failures import Forbidden, WrongState
from resolvers.feed import WORK, job_topic, log_topic
from resolvers.principal import Errand
from resolvers.writing import locked, moment_of, signed_in

_S = JobState
MOVES: dict[JobState, frozenset[JobState]] = {
    _S.UNKNOWN: frozenset({_S.PENDING, _S.FAILED, _S.CANCELED}),
    _S.PENDING: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELED}),
    _S.RUNNING: frozenset({_S.MERGING_QUEUED, _S.MERGING_RUNNING, _S.COMPLETED, _S.FAILED, _S.CANCELED}),
    _S.MERGING_QUEUED: frozenset({_S.MERGING_RUNNING, _S.FAILED, _S.CANCELED}),
    _S.MERGING_RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED}),
    **dict.fromkeys(TERMINAL, frozenset[JobState]()),
}
"""Which states follow which; a terminal one is followed by none."""


async def move(session: AsyncSession, job: Job, state: JobState, **columns: Any) -> None:
    """Bring a job, held by the transaction, into `state`; the same state again changes nothing."""
    if job.state is state:
        return
    if state not in MOVES[job.state]:
        raise WrongState(f"a {job.state.name} job cannot become {state.name}", state=job.state.name)
    job.state = state
    moment = await moment_of(session)
    job.last_update_at = moment
    if state is JobState.RUNNING and job.started_at is None:
        job.started_at = moment
    if state in TERMINAL:
        job.ended_at = moment
        job.estimated_seconds = None
        if state is not JobState.CANCELED:  # whoever merges what was delivered goes on
            job.lease_until = None
    for name, value in columns.items():
        setattr(job, name, value)
    changed(session, job_topic(job.id), log_topic(job.id), WORK)


async def locked_task(session: AsyncSession, errand: Errand) -> tuple[Job, Task] | None:
    """The job and the task of an errand, locked in this order everywhere, so that no two wait for each other."""
    job = await session.get(Job, errand.job_id, with_for_update=True)
    found = sa.select(Task).where(Task.job_id == errand.job_id, Task.ordinal == errand.ordinal).with_for_update()
    task = (await session.scalars(found)).one_or_none()
    return None if job is None or task is None else (job, task)


async def settle(session: AsyncSession, job: Job) -> None:
    """Once no task is active: queue the merging, or fail when no task delivered."""
    await session.flush()
    tasks = (await session.scalars(sa.select(Task).where(Task.job_id == job.id).order_by(Task.ordinal))).all()
    changed(session, job_topic(job.id))
    if job.state in TERMINAL or any(task.state not in TERMINAL for task in tasks):
        return
    delivered = [task for task in tasks if task.state is JobState.COMPLETED]
    failed = [task for task in tasks if task.state is JobState.FAILED]
    if not delivered:
        error = next((task.error for task in failed if task.error), None)
        await move(session, job, JobState.FAILED, error=error or {"code": "NO_RESULT", "message": "no task delivered"})
        return
    warnings = [
        f"task {task.ordinal} failed: {(task.error or {}).get('message', 'no reason given')}" for task in failed
    ]
    merging = JobState.MERGING_QUEUED if len(tasks) > 1 else JobState.MERGING_RUNNING
    await move(session, job, merging, warnings=warnings)


def new_job(
    owner: UUID, simulation: UUID, title: str, shares: Sequence[int], attempt: int = 1
) -> tuple[Job, list[Task]]:
    """A pending job of one task for each share of the work."""
    key = uuid4()
    job = Job(
        id=key,
        key=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{key}-DIRECT",
        kind=JobKind.SIMULATION,
        platform=Platform.IN_PROCESS,
        owner_user_id=owner,
        simulation_id=simulation,
        title=title,
        attempt=attempt,
    )
    return job, [Task(job_id=key, ordinal=n, requested=share) for n, share in enumerate(shares, 1)]


async def cancel_job(ctx: Context, key: UUID) -> UUID:
    """End a job of one's own; what its tasks delivered so far is kept."""
    async with ctx.database.write() as session:
        job = await _commanded(session, ctx, key)
        await move(session, job, JobState.CANCELED, cancel_requested_at=await moment_of(session))
        await session.execute(
            sa.update(Task)
            .where(Task.job_id == job.id, Task.state.not_in(TERMINAL))
            .values(state=JobState.CANCELED, ended_at=now(), lease_until=None, version=Task.version + 1)
        )
        record(session, ctx, "CANCEL_JOB", "Job", job.id)
    return key


async def retry_job(ctx: Context, key: UUID) -> UUID:
    """Try again what failed or was cancelled: a new job of the same simulation, one attempt higher."""
    try:
        async with ctx.database.write() as session:
            job = await _commanded(session, ctx, key)
            if job.state not in (JobState.FAILED, JobState.CANCELED):
                raise WrongState(
                    f"only a FAILED or CANCELED job can be retried, this one is {job.state.name}", state=job.state.name
                )
            highest = sa.select(sa.func.max(Job.attempt)).where(Job.simulation_id == job.simulation_id)
            attempt = (await session.scalar(highest) or 0) + 1
            shares = await session.scalars(
                sa.select(Task.requested).where(Task.job_id == job.id).order_by(Task.ordinal)
            )
            assert job.simulation_id is not None
            again, tasks = new_job(job.owner_user_id, job.simulation_id, job.title, shares.all(), attempt)
            session.add(again)
            await session.flush()
            session.add_all(tasks)
            changed(session, WORK)
            record(session, ctx, "RETRY_JOB", "Job", again.id)
            return again.id
    except IntegrityError:
        raise WrongState("another job of this simulation is not finished yet") from None


async def _commanded(session: AsyncSession, ctx: Context, key: UUID) -> Job:
    signed_in(ctx)
    job = await locked(session, ctx, Job, key)
    if not ctx.principal.superadmin and job.owner_user_id != ctx.principal.id:
        raise Forbidden("only the owner of a job, or a superadmin, may do this")
    return job
