"""What a worker does: it fetches its task, reports on it, delivers.

It writes only while it holds the present attempt of its task, so that whatever a dead or late worker sends changes
nothing.
"""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import (
    TERMINAL,
    Job,
    JobState,
    LogEntry,
    Simulation,
    SimulationInput,
    Task,
    TaskResult,
)
from jobs.results import ResultError, read
from resolvers.audit import record
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, Invalid, NotFound, Unauthenticated, WrongState
from resolvers.feed import job_topic, log_topic
from resolvers.jobs import locked_task, settle
from resolvers.principal import Errand
from resolvers.writing import moment_of

LINE = 4_000
"""Characters kept of a log line."""
LINES = 5_000
"""Log lines of one report."""


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
    found = await ctx.database.rows(wanted)
    if not found:
        raise NotFound("no such task")
    row = found[0]
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
                await settle(session, job)
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
            await settle(session, job)
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
    held = await locked_task(session, errand)
    if held is None:
        raise NotFound("no such task")
    job, task = held
    if task.attempt != errand.attempt or (job.state in TERMINAL and task.state is not JobState.COMPLETED):
        raise _lost(errand)
    return held


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
