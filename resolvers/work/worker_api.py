"""What workers call: claim a task, and report on it. What they deliver is taken by `deliveries`.

A worker may write only while it holds the current attempt of its task. A dead or late worker changes nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside
from db.models import TERMINAL, FilePurpose, Job, JobKind, JobState, Task
from jobs.programs.lines import cut
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, Invalid, NotFound, Unauthenticated
from resolvers.identity.principal import TaskClaim
from resolvers.queue.kinds import Fetched
from resolvers.queue.leases import claim_task, expect_end
from resolvers.queue.lifecycle import locked_task
from resolvers.queue.reports import Report, lost
from resolvers.writing.audit import record

log = structlog.get_logger("torana.jobs")

VERDICT = 30.0
"""Seconds for which a cluster is asked how a batch ended."""
LINES = 2_000
"""The most log lines of one report."""
FILE = 255
"""The most characters of the name of a file that lines are of."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker needs to run its task. `token` lets it report: at least every `lease` seconds, or the task is lost,
    and preferably every `interval`. `checksums` are the SHA-256 of the files, in hexadecimal digits. `fetched` are
    larger files by name, each with the path to fetch it from; files that it delivers are uploaded for `purpose`. No
    page may have more than `values` numbers, no request more than `body` bytes, no file more than `upload`."""

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
    values: int
    numbers: int
    body: int
    upload: int


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
    async with ctx.database.write(as_system="a worker takes the task of its token") as session:
        running = await claim_task(session, task_claim, number, ctx.services.limits.lease_on)
        job, task = await held(session, running)
    return await assignment(ctx, running, job, task)


async def assignment(ctx: Context, running: TaskClaim, job: Job, task: Task) -> Assignment:
    """What the worker needs that has claimed a task. Where it can be given nothing, the task has failed."""
    limits, kind = ctx.services.limits, ctx.services.jobs.kinds[job.kind]
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
        lease=limits.lease_on(job.platform),
        interval=limits.progress_interval,
        silence=limits.silence,
        values=limits.page_values,
        numbers=limits.result_values,
        body=limits.worker_body,
        upload=ctx.services.files.bounds.upload,
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
        log.info("jobs.collected", job=job.key, batch=task_claim.batch, reason=cut(reason))
        return job.state


async def report(ctx: Context, said: Report) -> JobState:
    """Report progress, log lines and the failure of the worker's task; returns the state of the job."""
    task_claim = task_claim_of(ctx, "log" if said.done is None and said.error is None else "progress")
    if len(said.lines) > LINES:
        raise Invalid(f"a report carries at most {LINES} lines, not {len(said.lines)}", field="lines")
    for index, line in enumerate(said.lines):
        if line.file is not None and not 1 <= len(line.file) <= FILE:
            place = f"lines.{index}.file"
            raise Invalid(f"the name of a file has 1 to {FILE} characters, not {len(line.file)}", field=place)
    try:
        return await ctx.services.jobs.reports.put(task_claim, said)
    except Failure as failure:
        await refused(ctx, task_claim, failure)
        raise


async def held(session: AsyncSession, task_claim: TaskClaim) -> tuple[Job, Task]:
    """The job and the task of a claim, locked. Raises when the claim is over."""
    held = await locked_task(session, task_claim)
    if held is None:
        raise NotFound("no such task")
    job, task = held
    _expect_held(task_claim, task.attempt, task.state, job.state)
    return held


async def standing(ctx: Context, task_claim: TaskClaim) -> tuple[JobState, JobState, JobKind]:
    """The states of the job and the task, and the job's kind. Raises as `held` does, before large results are read
    that would be refused."""
    wanted = sa.select(Job.state, Job.kind, Task.state.label("task"), Task.attempt).join(Task, Task.job_id == Job.id)
    for row in await ctx.database.rows(wanted.where(Job.id == task_claim.job_id, Task.ordinal == task_claim.ordinal)):
        _expect_held(task_claim, row.attempt, row.task, row.state)
        return row.state, row.task, row.kind
    raise NotFound("no such task")


def _expect_held(task_claim: TaskClaim, attempt: int, task: JobState, job: JobState) -> None:
    if attempt != task_claim.attempt or (job in TERMINAL and task is not JobState.COMPLETED):
        raise lost(task_claim)


async def refused(ctx: Context, task_claim: TaskClaim, failure: Failure) -> None:
    async with ctx.database.write() as session:
        aside(session)
        record(session, ctx, "WORKER_REFUSED", "Task", None, code=failure.code, ordinal=task_claim.ordinal)
