"""The life of a job: its states, what its workers report, how it ends.

Every change of a job's state goes through `move`. A worker writes only while it holds the present attempt of its
task, so that whatever a dead or late worker sends changes nothing.
"""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import (
    TERMINAL,
    Job,
    JobKind,
    JobState,
    LogEntry,
    Platform,
    Simulation,
    SimulationInput,
    Task,
    TaskResult,
)
from db.types import now
from jobs.results import ResultError, read
from resolvers.audit import record
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, Invalid, NotFound, Unauthenticated, WrongState
from resolvers.feed import WORK, job_topic, log_topic
from resolvers.principal import Errand
from resolvers.writing import locked, moment_of, signed_in

LINE = 4_000
"""Characters kept of a log line."""
LINES = 5_000
"""Log lines of one report."""

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


# What workers do ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker needs to run its task."""

    program: str
    files: dict[str, str]
    ordinal: int
    attempt: int
    requested: int


def errand_of(ctx: Context, scope: str) -> Errand:
    """The errand of the worker who asks, if its token covers `scope`."""
    errand = ctx.principal.errand
    if errand is None:
        raise Unauthenticated("this is for workers, with the token of their task")
    if scope not in errand.scopes:
        raise Forbidden(f"the worker's token does not cover {scope}", scope=scope)
    return errand


async def assignment(ctx: Context) -> Assignment:
    errand = errand_of(ctx, "inputs")
    wanted = (
        sa.select(Simulation.sim_type, SimulationInput.files, Task.requested, Task.attempt, Task.state)
        .select_from(Task)
        .join(Job, Job.id == Task.job_id)
        .join(Simulation, Simulation.id == Job.simulation_id)
        .join(SimulationInput, SimulationInput.simulation_id == Simulation.id)
        .where(Task.job_id == errand.job_id, Task.ordinal == errand.ordinal)
    )
    async with ctx.database.read() as connection:
        row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        raise NotFound("no such task")
    if row.attempt != errand.attempt or row.state is not JobState.RUNNING:
        raise _lost(errand)
    return Assignment(row.sim_type.name, row.files, errand.ordinal, errand.attempt, row.requested)


@dataclass(frozen=True, slots=True)
class Line:
    """A log line; `number` counts the lines of this attempt from 1, so that a repeated report adds none."""

    number: int
    text: str


async def report(
    ctx: Context,
    *,
    done: int | None = None,
    estimated_seconds: int | None = None,
    lines: Sequence[Line] = (),
    error: str | None = None,
) -> JobState:
    """Progress, log lines and the end by failure of the worker's task; returns the state of the job."""
    errand = errand_of(ctx, "log" if done is None and error is None else "progress")
    if len(lines) > LINES:
        raise Invalid(f"a report carries at most {LINES} lines, not {len(lines)}", field="lines")
    limits = ctx.services.limits
    try:
        async with ctx.database.write() as session:
            job, task = await _held(session, errand)
            if task.state is not JobState.RUNNING:
                raise _lost(errand)
            if lines:
                await _append(session, job, task, lines, limits.log_lines)
            moment = await moment_of(session)
            task.lease_until = moment + timedelta(seconds=limits.lease)
            due = moment - task.last_update_at >= timedelta(seconds=limits.progress_interval)
            if done is not None and done > task.done and (due or done >= task.requested):
                task.done = min(done, task.requested)
                task.estimated_seconds = estimated_seconds
                task.last_update_at = moment
                await _progress(session, job)
            if error is not None:
                task.state, task.ended_at, task.lease_until = JobState.FAILED, moment, None
                task.error = {"code": "PROGRAM_FAILED", "message": error[:LINE]}
                await _settle(session, job)
            return job.state
    except Failure as failure:
        await _refused(ctx, errand, failure)
        raise


async def put_results(ctx: Context, estimators: Any) -> JobState:
    """Store what the worker's task delivers, and end the task; the same results again change nothing."""
    errand = errand_of(ctx, "results")
    try:
        data = await asyncio.to_thread(_packed, estimators)
    except ResultError as error:
        raise Invalid(str(error), field="estimators") from None
    try:
        async with ctx.database.write() as session:
            job, task = await _held(session, errand)
            if task.state is JobState.COMPLETED:
                return job.state
            if task.state is not JobState.RUNNING:
                raise _lost(errand)
            session.add(TaskResult(task_id=task.id, primaries=task.requested, data=data))
            moment = await moment_of(session)
            task.state, task.done, task.ended_at = JobState.COMPLETED, task.requested, moment
            task.last_update_at, task.lease_until, task.estimated_seconds = moment, None, None
            await _progress(session, job)
            await _settle(session, job)
            return job.state
    except Failure as failure:
        await _refused(ctx, errand, failure)
        raise


def _packed(estimators: Any) -> bytes:
    """Results as they are stored, once they were checked."""
    read(estimators)
    return gzip.compress(orjson.dumps(estimators), 3)


async def _held(session: AsyncSession, errand: Errand) -> tuple[Job, Task]:
    """The job and the task of an errand, locked, if the errand still holds them."""
    job = await session.get(Job, errand.job_id, with_for_update=True)
    found = sa.select(Task).where(Task.job_id == errand.job_id, Task.ordinal == errand.ordinal).with_for_update()
    task = (await session.scalars(found)).one_or_none()
    if job is None or task is None:
        raise NotFound("no such task")
    if task.attempt != errand.attempt or (job.state in TERMINAL and task.state is not JobState.COMPLETED):
        raise _lost(errand)
    return job, task


def _lost(errand: Errand) -> WrongState:
    return WrongState(f"attempt {errand.attempt} of task {errand.ordinal} is no longer to run; stop")


async def _refused(ctx: Context, errand: Errand, failure: Failure) -> None:
    async with ctx.database.write() as session:
        record(session, ctx, "WORKER_REFUSED", "Task", None, code=failure.code.name, ordinal=errand.ordinal)


async def _append(session: AsyncSession, job: Job, task: Task, lines: Sequence[Line], most: int) -> None:
    """Store the lines that are new, numbered on from the job's last; past `most`, only that there were more."""
    stored = sa.select(sa.func.max(LogEntry.line)).where(LogEntry.task_id == task.id, LogEntry.attempt == task.attempt)
    last = await session.scalar(stored) or 0
    for line in sorted(lines, key=lambda line: line.number):
        if line.number <= last or job.log_length > most:
            continue
        text = line.text[:LINE].replace("\0", "\N{REPLACEMENT CHARACTER}")
        if job.log_length == most:
            text = f"the log ends here: {most} lines are kept"
        job.log_length += 1
        last = line.number
        session.add(
            LogEntry(
                job_id=job.id,
                task_id=task.id,
                attempt=task.attempt,
                line=line.number,
                sequence=job.log_length,
                text=text,
            )
        )
    changed(session, log_topic(job.id))


async def _progress(session: AsyncSession, job: Job) -> None:
    await session.flush()
    sums = sa.select(sa.func.sum(Task.done), sa.func.sum(Task.requested), sa.func.max(Task.estimated_seconds))
    done, requested, estimated = (await session.execute(sums.where(Task.job_id == job.id))).one()
    job.progress = float(done) / float(requested)
    job.estimated_seconds = estimated
    job.last_update_at = await moment_of(session)
    changed(session, job_topic(job.id))


async def _settle(session: AsyncSession, job: Job) -> None:
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


# What the process that runs jobs does -------------------------------------------------------------------------------


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
    job = await session.get(Job, errand.job_id, with_for_update=True)
    found = sa.select(Task).where(Task.job_id == errand.job_id, Task.ordinal == errand.ordinal).with_for_update()
    task = (await session.scalars(found)).one_or_none()
    if job is None or task is None or task.state is not JobState.RUNNING or task.attempt != errand.attempt:
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
    await _settle(session, job)


async def lost_errands(session: AsyncSession, *, all_but: str | None = None) -> list[Errand]:
    """Running tasks whose lease has run out; with `all_but`, every one that another holder had."""
    lost = Task.lease_until < now() if all_but is None else Task.holder != all_but
    rows = await session.execute(
        sa.select(Task.job_id, Task.ordinal, Task.attempt).where(Task.state == JobState.RUNNING, lost)
    )
    return [Errand(row.job_id, row.ordinal, row.attempt, SCOPES) for row in rows]


async def still_running(session: AsyncSession, errands: Sequence[Errand]) -> set[Errand]:
    """Those of `errands` that are still to run."""
    keys = {errand.job_id for errand in errands}
    rows = await session.execute(
        sa.select(Task.job_id, Task.ordinal, Task.attempt).where(Task.job_id.in_(keys), Task.state == JobState.RUNNING)
    )
    live = {(row.job_id, row.ordinal, row.attempt) for row in rows}
    return {errand for errand in errands if (errand.job_id, errand.ordinal, errand.attempt) in live}


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
