"""The reports of workers, written together: one transaction for all reports of a moment.

Progress is written at most every few seconds for each task. Reports in between are answered from memory, and the last
one is written when its time has come. Log lines are written before they are answered.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database, changed, moment_of
from db.models import TERMINAL, Job, JobState, LogEntry, Task
from db.outages import Unavailable, tried_again
from jobs.programs.lines import cut
from resolvers.failures import Failure, NotFound, WrongState
from resolvers.feed import job_topic, log_topic
from resolvers.identity.principal import TaskClaim
from resolvers.limits import Limits
from resolvers.queue.lifecycle import settle

TOGETHER = 0.01
"""Seconds for which a report waits for others."""
FORGOTTEN = 600.0
"""Seconds without a report after which a worker is forgotten."""


@dataclass(frozen=True, slots=True)
class Line:
    """A log line; `number` counts the lines of this attempt from 1, so that a repeated report adds none. `file` is what
    it was read from; None for what the worker says itself."""

    number: int
    text: str
    file: str | None = None


@dataclass(slots=True)
class Report:
    """A report of a worker. `number` counts its reports: an earlier one that comes after a later one changes no
    progress. With an `error` the task has failed. With `lost` only this run has ended, for that reason; the engine or
    the end of the lease gives the task back."""

    number: int | None = None
    done: int | None = None
    seconds: int | None = None
    lines: list[Line] = field(default_factory=list)
    error: str | None = None
    lost: str | None = None

    def add(self, later: "Report") -> None:
        """Combine two reports."""
        self.lines += later.lines
        self.error = later.error if self.error is None else self.error
        self.lost = later.lost if self.lost is None else self.lost
        if later.done is not None and (later.number or 0) >= (self.number or 0):
            self.done, self.seconds = later.done, later.seconds
        self.number = max(self.number or 0, later.number or 0) or None


@dataclass(slots=True)
class _Waiting:
    report: Report
    due: float
    asked: list["asyncio.Future[JobState]"] = field(default_factory=list)


Outcome = JobState | Failure


class Reports:
    """The reports of the workers of this gateway's process."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._waiting: dict[TaskClaim, _Waiting] = {}
        self._written: dict[TaskClaim, tuple[float, JobState]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def put(self, task_claim: TaskClaim, report: Report) -> JobState:
        """Take a report; returns the state of the job. Raises STATE when the worker has lost its task."""
        now = time.monotonic()
        written, state = self._written.get(task_claim, (0.0, None))
        idle = not report.lines and report.error is None and report.lost is None
        due = written + self._limits.progress_interval if idle else 0.0
        waiting = self._waiting.setdefault(task_claim, _Waiting(Report(), due))
        waiting.report.add(report)
        waiting.due = min(waiting.due, due)
        if state is not None and due > now:
            self._wake(waiting.due - now)
            return state
        answer: asyncio.Future[JobState] = asyncio.get_running_loop().create_future()
        waiting.asked.append(answer)
        self._wake(TOGETHER)
        return await answer

    async def settled(self) -> None:
        """Write what still waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self._write(everything=True)

    def _wake(self, seconds: float) -> None:
        """Write in so many seconds at the latest."""
        if self._writing is not None and not self._writing.done():
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, 0.0)
        if self._timer is None or self._due > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = loop.call_at(at, self._start), at

    def _start(self) -> None:
        self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
            self._writing.add_done_callback(lambda _: self._again())

    def _again(self) -> None:
        if self._waiting:
            first = min(TOGETHER if one.asked else one.due - time.monotonic() for one in self._waiting.values())
            self._wake(first)

    async def _write(self, *, everything: bool = False) -> None:
        now = time.monotonic()
        ripe = {e: w for e, w in self._waiting.items() if everything or w.asked or w.due <= now}
        for task_claim in ripe:
            del self._waiting[task_claim]
        if not ripe:
            return
        outcomes = await self._outcomes({e: w.report for e, w in ripe.items()})
        for task_claim, waiting in ripe.items():
            self._answer(task_claim, waiting, outcomes[task_claim])
        for task_claim in [e for e, (at, _) in self._written.items() if now - at > FORGOTTEN]:
            del self._written[task_claim]

    async def _outcomes(self, reports: dict[TaskClaim, Report]) -> Mapping[TaskClaim, Outcome | Exception]:
        """Store reports together, or one by one where one of them can't be stored."""
        try:
            return await tried_again(partial(self._store, reports))
        except Exception as error:
            if len(reports) == 1 or isinstance(error, Unavailable):
                return dict.fromkeys(reports, error)
        outcomes: dict[TaskClaim, Outcome | Exception] = {}
        for task_claim, report in reports.items():
            outcomes |= await self._outcomes({task_claim: report})
        return outcomes

    async def _store(self, reports: dict[TaskClaim, Report]) -> dict[TaskClaim, Outcome]:
        async with self._database.write(as_system="reports of workers are written together") as session:
            return await store(session, self._limits, reports)

    def _answer(self, task_claim: TaskClaim, waiting: _Waiting, outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            self._written.pop(task_claim, None)
        else:
            self._written[task_claim] = (time.monotonic(), outcome)
        for answer in waiting.asked:
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


async def store(session: AsyncSession, limits: Limits, reports: dict[TaskClaim, Report]) -> dict[TaskClaim, Outcome]:
    """Write reports of any number of jobs; returns the state of each job, or why the report changed nothing."""
    by_job: defaultdict[UUID, list[TaskClaim]] = defaultdict(list)
    for task_claim in reports:
        by_job[task_claim.job_id].append(task_claim)
    jobs = sa.select(Job).where(Job.id.in_(by_job)).order_by(Job.id).with_for_update()
    found = {job.id: job for job in await session.scalars(jobs)}
    moment = await moment_of(session)
    outcomes: dict[TaskClaim, Outcome] = {}
    for key, task_claims in sorted(by_job.items()):
        job = found.get(key)
        ordinals = [task_claim.ordinal for task_claim in task_claims]
        wanted = sa.select(Task).where(Task.job_id == key, Task.ordinal.in_(ordinals))
        wanted = wanted.order_by(Task.ordinal).with_for_update()
        tasks = {task.ordinal: task for task in await session.scalars(wanted)}
        moved = failed = False
        for task_claim in task_claims:
            task = tasks.get(task_claim.ordinal)
            if job is None or task is None:
                outcomes[task_claim] = NotFound("no such task")
                continue
            if task.attempt != task_claim.attempt or task.state is not JobState.RUNNING or job.state in TERMINAL:
                outcomes[task_claim] = lost(task_claim)
                continue
            report = reports[task_claim]
            await _append(session, job, task, report.lines, limits.log_lines)
            task.lease_until = moment + timedelta(seconds=limits.lease_on(job.platform))
            moved |= _progress(task, report, moment)
            if report.lost is not None:
                task.error = {"code": "TASK_LOST", "message": cut(report.lost)}
            if report.error is not None:
                failed = True
                task.state, task.ended_at, task.lease_until, task.holder = JobState.FAILED, moment, None, None
                task.error = {"code": "PROGRAM_FAILED", "message": cut(report.error)}
                task.estimated_seconds = None
        if job is None:
            continue
        if moved:
            await sum_up(session, job)
        if failed:
            await settle(session, job)
        for task_claim in task_claims:
            outcomes.setdefault(task_claim, job.state)
    return outcomes


def lost(task_claim: TaskClaim) -> WrongState:
    return WrongState(f"attempt {task_claim.attempt} of task {task_claim.ordinal} is no longer to run; stop")


def _progress(task: Task, report: Report, moment: datetime) -> bool:
    """Store the progress; returns whether it changed."""
    if report.number is not None:
        if report.number <= task.reported:
            return False
        task.reported = report.number
    if report.done is None or report.done <= task.done:
        return False
    task.done = min(report.done, task.requested)
    task.estimated_seconds = report.seconds
    task.last_update_at = moment
    return True


async def _append(session: AsyncSession, job: Job, task: Task, lines: Sequence[Line], most: int) -> None:
    """Store the new lines, numbered on from the job's last; past `most`, store only that there were more."""
    if not lines:
        return
    stored = sa.select(sa.func.max(LogEntry.line)).where(LogEntry.task_id == task.id, LogEntry.attempt == task.attempt)
    last = await session.scalar(stored) or 0
    for line in sorted(lines, key=lambda line: line.number):
        if line.number <= last or job.log_length > most:
            continue
        text, file = cut(line.text), line.file
        if job.log_length == most:
            text, file = f"the log ends here: {most} lines are kept", None
        job.log_length += 1
        last = line.number
        session.add(
            LogEntry(
                job_id=job.id,
                task_id=task.id,
                attempt=task.attempt,
                line=line.number,
                sequence=job.log_length,
                file=file,
                text=text,
            )
        )
    changed(session, log_topic(job.id))


async def sum_up(session: AsyncSession, job: Job) -> None:
    """Set the progress of a job to that of its tasks."""
    await session.flush()
    running = sa.case((Task.state == JobState.RUNNING, Task.estimated_seconds))
    sums = sa.select(sa.func.sum(Task.done), sa.func.sum(Task.requested), sa.func.max(running))
    done, requested, estimated = (await session.execute(sums.where(Task.job_id == job.id))).one()
    job.progress = float(done) / float(requested)
    job.estimated_seconds = estimated
    job.last_update_at = await moment_of(session)
    changed(session, job_topic(job.id))


async def complete(session: AsyncSession, job: Job, task: Task) -> JobState:
    """The task has delivered: it ends, and with the last one its job. Returns the state of the job."""
    moment = await moment_of(session)
    task.state, task.done, task.ended_at, task.holder = JobState.COMPLETED, task.requested, moment, None
    task.last_update_at, task.lease_until, task.estimated_seconds = moment, None, None
    await sum_up(session, job)
    await settle(session, job)
    return job.state
