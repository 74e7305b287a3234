"""What workers call: claim a task, report on it, deliver its results.

A worker may write only while it holds the current attempt of its task. A dead or late worker changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside, changed, moment_of
from db.models import TERMINAL, FilePurpose, Job, JobKind, JobState, Task, TaskResult, Upload, UploadState
from jobs.results import ResultError
from resolvers.context import Context
from resolvers.failures import (
    Away,
    Code,
    Failure,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    WrongState,
    check_limit,
)  # fmt: skip
from resolvers.feed import WORK
from resolvers.identity.principal import TaskClaim
from resolvers.queue.kinds import Fetched
from resolvers.queue.leases import claim_task, expect_end
from resolvers.queue.lifecycle import locked_task, settle
from resolvers.queue.reports import LINE, Report, lost, sum_up
from resolvers.writing.audit import record

log = structlog.get_logger("torana.jobs")

VERDICT = 30.0
"""Seconds for which a cluster is asked how a batch ended."""
FILES = 100
"""The most files that one task delivers."""
LINES = 2_000
"""The most log lines of one report."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker needs to run its task. `token` lets it report: at least every `lease` seconds, or the task is lost,
    and preferably every `interval`. `checksums` are the SHA-256 of the files, in hexadecimal digits. `fetched` are
    larger files by name, each with the path to fetch it from; files that it delivers are uploaded for `purpose`."""

    token: str
    program: Mapping[str, Any]
    files: Mapping[str, str]
    checksums: Mapping[str, str]
    fetched: Sequence[Fetched]
    purpose: FilePurpose | None
    ordinal: int
    attempt: int
    requested: int
    lease: float
    interval: float
    silence: float


def task_claim_of(ctx: Context, scope: str) -> TaskClaim:
    """The claim of the worker who calls, if its token covers `scope`."""
    task_claim = ctx.principal.task_claim
    if task_claim is None:
        raise Unauthenticated("this is for workers, with the token of their task")
    if scope not in task_claim.scopes:
        raise Forbidden(f"the worker's token does not cover {scope}", scope=scope)
    return task_claim


async def claim(ctx: Context, number: str) -> Assignment:
    """Claim the task that the worker was started for; `number` is chosen by the worker, so that it may call again."""
    task_claim = task_claim_of(ctx, "claim")
    if not 8 <= len(number) <= 64:
        raise Invalid("the number of a claim has 8 to 64 characters", field="number")
    limits = ctx.services.limits
    async with ctx.database.write(as_system="a worker takes the task of its token") as session:
        running = await claim_task(session, task_claim, number, limits.lease_on)
        job, task = await _held(session, running)
    kind = ctx.services.jobs.kinds[job.kind]
    try:
        given = await kind.inputs(ctx.services, job, task)
    except Failure as failure:  # for good: another run would be given no more
        await ctx.services.jobs.reports.put(running, Report(error=failure.message))
        raise
    return Assignment(
        token=ctx.services.identity.keys.worker_token(running, limits.worker_lifetime),
        program=given.program.description(),
        files=given.texts,
        checksums={name: hashlib.sha256(text.encode()).hexdigest() for name, text in given.texts.items()},
        fetched=given.files,
        purpose=kind.purpose,
        ordinal=running.ordinal,
        attempt=running.attempt,
        requested=task.requested,
        lease=limits.lease_on(job.cluster_id),
        interval=limits.progress_interval,
        silence=limits.silence,
    )


async def collect(ctx: Context, reason: str) -> JobState:
    """All tasks of a batch have ended: the dispatcher asks the cluster how, and tasks that the cluster does not know
    run again. Returns the state of the job."""
    task_claim = task_claim_of(ctx, "collect")
    async with ctx.database.write(as_system="a worker takes the task of its token") as session:
        await expect_end(session, task_claim, VERDICT)
        job = await session.get(Job, task_claim.job_id)
        if job is None:
            raise NotFound("no such job")
        log.info("jobs.collected", job=job.key, batch=task_claim.batch, reason=reason[:LINE])
        return job.state


async def report(ctx: Context, said: Report) -> JobState:
    """Report progress, log lines and the failure of the worker's task; returns the state of the job."""
    task_claim = task_claim_of(ctx, "log" if said.done is None and said.error is None else "progress")
    if len(said.lines) > LINES:
        raise Invalid(f"a report carries at most {LINES} lines, not {len(said.lines)}", field="lines")
    try:
        return await ctx.services.jobs.reports.put(task_claim, said)
    except Failure as failure:
        await _refused(ctx, task_claim, failure)
        raise


async def put_results(ctx: Context, estimators: Any, *, done: int | None = None) -> JobState:
    """Store the results of the worker's task, and end the task; the same results again change nothing. With `done`,
    they are the results of so many primaries so far: the task goes on, and its next results replace these."""
    task_claim = task_claim_of(ctx, "results")
    try:
        state, of_task, kind = await _standing(ctx, task_claim)
        if of_task is JobState.COMPLETED:
            return state
        if (pack := ctx.services.jobs.kinds[kind].accept_json) is None:
            raise Invalid(f"a task of a {kind.name} job delivers files, by workerDeliver", field="estimators")
        data = await asyncio.to_thread(pack, estimators)
    except ResultError as error:
        raise Invalid(str(error), field="estimators") from None
    except Failure as failure:
        await _refused(ctx, task_claim, failure)
        raise
    try:
        async with ctx.database.write(as_system="a worker delivers for the task of its token") as session:
            job, task = await _held(session, task_claim)
            if task.state is JobState.COMPLETED:
                return job.state
            if task.state is not JobState.RUNNING:
                raise lost(task_claim)
            if done is not None and not 1 <= done <= task.requested:
                raise Invalid(f"done must be between 1 and {task.requested}, not {done}", field="done", value=done)
            await _deliver(session, task, data, done)
            if done is not None:
                task.lease_until = await moment_of(session) + timedelta(
                    seconds=ctx.services.limits.lease_on(job.cluster_id)
                )
                job.parts = True
                changed(session, WORK)
                return job.state
            return await _completed(session, job, task)
    except Failure as failure:
        await _refused(ctx, task_claim, failure)
        raise


async def deliver(ctx: Context, keys: Sequence[UUID]) -> JobState:
    """Take the files that the worker's task uploaded, and end the task; the same files again change nothing. Raises
    UNAVAILABLE while one of them is still being checked."""
    task_claim = task_claim_of(ctx, "results")
    try:
        async with ctx.database.write(as_system="a worker delivers for the task of its token") as session:
            job, task = await _held(session, task_claim)
            if task.state is JobState.COMPLETED:
                return job.state
            if task.state is not JobState.RUNNING:
                raise lost(task_claim)
            if (accept := ctx.services.jobs.kinds[job.kind].accept) is None:
                raise Invalid(f"a task of a {job.kind.name} job delivers no files", field="uploads")
            await accept(session, job, task, await _uploaded(session, task_claim, task, keys))
            return await _completed(session, job, task)
    except Failure as failure:
        if failure.code is not Code.UNAVAILABLE:
            await _refused(ctx, task_claim, failure)
        raise


async def _uploaded(session: AsyncSession, task_claim: TaskClaim, task: Task, keys: Sequence[UUID]) -> list[Upload]:
    """Uploads of this run of the task, checked."""
    wanted = sa.select(Upload).where(
        Upload.id.in_(keys), Upload.task_id == task.id, Upload.task_attempt == task_claim.attempt
    )
    found = {row.id: row for row in await session.scalars(wanted.order_by(Upload.id).with_for_update())}
    check_limit(f"at most {FILES} files, not {len(keys)}", len(keys), FILES, limit="uploads", field="uploads")
    for number, key in enumerate(keys):
        field = f"uploads.{number}"
        if (row := found.get(key)) is None:
            raise NotFound("there is no such upload of this task", field=field)
        if row.state is UploadState.ASSEMBLING:
            raise Away(f"{row.name} is still being checked", seconds=1, field=field)
        if row.state is UploadState.FAILED:
            why = (row.refusal or {}).get("message", "it is not taken")
            raise Invalid(f"{row.name}: {why}", field=field)
        if row.state is not UploadState.COMPLETE:
            raise WrongState(f"{row.name} is not complete: {row.received} bytes came", field=field)
    return [found[key] for key in keys]


async def _completed(session: AsyncSession, job: Job, task: Task) -> JobState:
    """The task has delivered: it ends, and with the last one its job."""
    moment = await moment_of(session)
    task.state, task.done, task.ended_at, task.holder = JobState.COMPLETED, task.requested, moment, None
    task.last_update_at, task.lease_until, task.estimated_seconds = moment, None, None
    await sum_up(session, job)
    await settle(session, job)
    return job.state


async def _deliver(session: AsyncSession, task: Task, data: bytes, done: int | None) -> None:
    """Replace what the task delivered before; results of fewer primaries change nothing."""
    before = (await session.scalars(sa.select(TaskResult).where(TaskResult.task_id == task.id))).one_or_none()
    if before is None:
        before = TaskResult(task_id=task.id, primaries=0)
        session.add(before)
    if done is None or done > before.primaries:
        before.primaries, before.final, before.data = done or task.requested, done is None, data


async def _held(session: AsyncSession, task_claim: TaskClaim) -> tuple[Job, Task]:
    """The job and the task of a claim, locked. Raises when the claim is over."""
    held = await locked_task(session, task_claim)
    if held is None:
        raise NotFound("no such task")
    job, task = held
    _expect_held(task_claim, task.attempt, task.state, job.state)
    return held


async def _standing(ctx: Context, task_claim: TaskClaim) -> tuple[JobState, JobState, JobKind]:
    """The states of the job and the task, and the job's kind. Raises as `_held` does, before large results are read
    that would be refused."""
    wanted = sa.select(Job.state, Job.kind, Task.state.label("task"), Task.attempt).join(Task, Task.job_id == Job.id)
    for row in await ctx.database.rows(wanted.where(Job.id == task_claim.job_id, Task.ordinal == task_claim.ordinal)):
        _expect_held(task_claim, row.attempt, row.task, row.state)
        return row.state, row.task, row.kind
    raise NotFound("no such task")


def _expect_held(task_claim: TaskClaim, attempt: int, task: JobState, job: JobState) -> None:
    if attempt != task_claim.attempt or (job in TERMINAL and task is not JobState.COMPLETED):
        raise lost(task_claim)


async def _refused(ctx: Context, task_claim: TaskClaim, failure: Failure) -> None:
    async with ctx.database.write() as session:
        aside(session)
        record(session, ctx, "WORKER_REFUSED", "Task", None, code=failure.code, ordinal=task_claim.ordinal)
