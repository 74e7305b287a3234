"""The states of a job, and how it ends. Every change of a job's state goes through `move`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import TERMINAL, Job, JobKind, JobState, Platform, Task, TaskResult, TaskSlab
from db.types import instant_text
from jobs.engine import Ending
from resolvers.failures import WrongState
from resolvers.feed import WORK, job_topic, log_topic, results_topic
from resolvers.identity.principal import TaskClaim
from resolvers.mail.job_mails import wanted

_S = JobState
MOVES: dict[JobState, frozenset[JobState]] = {
    _S.UNKNOWN: frozenset({_S.PENDING, _S.FAILED, _S.CANCELED}),
    _S.PENDING: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELED}),
    _S.RUNNING: frozenset({_S.MERGING_QUEUED, _S.MERGING_RUNNING, _S.COMPLETED, _S.FAILED, _S.CANCELED}),
    _S.MERGING_QUEUED: frozenset({_S.MERGING_RUNNING, _S.FAILED, _S.CANCELED}),
    _S.MERGING_RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED}),
    **dict.fromkeys(TERMINAL, frozenset[JobState]()),
}
"""The states that may follow each state; none follows a terminal one."""


async def move(session: AsyncSession, job: Job, state: JobState, *, asked: bool = False, **columns: Any) -> None:
    """Bring a job, locked by the transaction, into `state`; the same state again changes nothing. When it ends, its
    owner is told, if the owner wants that and has not `asked` for it."""
    if job.state is state:
        return
    if state not in MOVES[job.state]:
        raise WrongState(f"a {job.state.name} job cannot become {state.name}", state=job.state.name)
    job.state = state
    moment = await moment_of(session)
    job.history = [*job.history, {"state": state.name, "at": instant_text(moment)}]
    job.last_update_at = moment
    if state is JobState.RUNNING and job.started_at is None:
        job.started_at, job.queue_position = moment, None
    if state in TERMINAL:
        job.ended_at = moment
        job.estimated_seconds = None
        job.queue_position = None
        job.untold = not asked and await wanted(session, job.owner_user_id)
        changed(session, results_topic(job.subject_id))
        if state is not JobState.CANCELED:  # whoever merges what was delivered goes on
            job.lease_until = None
    for name, value in columns.items():
        setattr(job, name, value)
    changed(session, job_topic(job.id), log_topic(job.id), WORK)


def expect_ended(job: Job) -> None:
    """Refuse to delete a job that has not ended."""
    if job.state not in TERMINAL:
        raise WrongState(f"the job {job.key} is {job.state.name}; cancel it first", state=job.state.name)


async def locked_task(session: AsyncSession, task_claim: TaskClaim) -> tuple[Job, Task] | None:
    """The job and the task of a claim, locked. The order is the same everywhere, so that no two transactions wait for
    each other."""
    job = await session.get(Job, task_claim.job_id, with_for_update=True)
    found = (
        sa.select(Task).where(Task.job_id == task_claim.job_id, Task.ordinal == task_claim.ordinal).with_for_update()
    )
    task = (await session.scalars(found)).one_or_none()
    return None if job is None or task is None else (job, task)


async def forget(session: AsyncSession, tasks: sa.Select[Any]) -> None:
    """Remove what tasks delivered."""
    for model in (TaskResult, TaskSlab):
        gone = sa.delete(model).where(model.task_id.in_(tasks))
        await session.execute(gone.execution_options(synchronize_session=False))


def count_run(task: Task, ending: Ending) -> tuple[Ending, int]:
    """Count a run that ended; returns how it ended and how many did so. Where the worker still told that the program
    was ended, the run was lost, whatever became of its host."""
    if ending is Ending.LOST or task.error is not None:
        task.losses += 1
        return Ending.LOST, task.losses
    task.interruptions += 1
    return ending, task.interruptions


async def settle(session: AsyncSession, job: Job) -> None:
    """When no task is active any more: complete the job, or queue the merging where results wait for it; or fail it
    when no task delivered. The database checks the tasks; only those that failed or were cancelled are read, once, at
    the end."""
    await session.flush()
    changed(session, job_topic(job.id))
    of_job = Task.job_id == job.id
    if job.state in TERMINAL or await session.scalar(sa.select(sa.exists().where(of_job, Task.state.not_in(TERMINAL)))):
        return
    job.parts = False
    counts = sa.select(Task.state, sa.func.count()).where(of_job).group_by(Task.state)
    number = {row[0]: row[1] for row in await session.execute(counts)}
    lacking = sa.select(Task.ordinal, Task.state, Task.error).where(of_job, Task.state != JobState.COMPLETED)
    if JobState.COMPLETED in number:
        missed = (await session.execute(lacking.order_by(Task.state == JobState.CANCELED, Task.ordinal))).all()
        warnings = [
            f"task {task.ordinal} {'was cancelled' if task.state is JobState.CANCELED else 'failed'}: "
            f"{(task.error or {}).get('message', 'no reason given')}"
            for task in missed
        ]
        waiting = sa.exists().where(TaskResult.task_id == Task.id, of_job)
        if not await session.scalar(sa.select(waiting)):
            await move(session, job, JobState.COMPLETED, warnings=warnings, progress=1.0)
            return
        merging = JobState.MERGING_QUEUED if sum(number.values()) > 1 else JobState.MERGING_RUNNING
        await move(session, job, merging, warnings=warnings)
        return
    first = lacking.order_by(Task.error.is_(None), Task.ordinal).limit(1)
    if JobState.FAILED not in number:  # cancelled on their cluster; what they delivered in part is kept
        ended = (await session.execute(first)).one_or_none()
        await move(session, job, JobState.CANCELED, error=ended and ended.error)
        return
    failed = (await session.execute(first.where(Task.state == JobState.FAILED))).one()
    delivered = sa.select(Task.id).where(of_job)
    await forget(session, delivered)
    error = failed.error or {"code": "NO_RESULT", "message": "no task delivered"}
    await move(session, job, JobState.FAILED, error=error)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs: a cluster with the options for it, or the gateway's own machine."""

    platform: Platform = Platform.IN_PROCESS
    cluster: UUID | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job is about: the row with the key `id`, whose owner and project the job has. Without a project the job is
    its owner's alone. Jobs of one `lane` take turns with others as those of one owner do."""

    kind: JobKind
    id: UUID
    owner: UUID
    project: UUID | None
    title: str
    lane: UUID | None = None


RERUN = -1
"""The priority of a job that is tried again: after those that wait for the first time."""


def new_job(
    subject: Subject, shares: Sequence[int], place: Place, moment: datetime, attempt: int = 1
) -> tuple[Job, list[Task]]:
    """A pending job with one task for each share of the work; `moment` is now, by the database's clock."""
    key = uuid4()
    way = "BATCH" if place.platform is Platform.SLURM else "DIRECT"
    job = Job(
        id=key,
        key=f"{moment:%Y%m%d-%H%M%S}-{key}-{way}",
        kind=subject.kind,
        platform=place.platform,
        cluster_id=place.cluster,
        options=dict(place.options),
        owner_user_id=subject.owner,
        project_id=subject.project,
        lane_id=subject.lane,
        title=subject.title,
        attempt=attempt,
        priority=0 if attempt == 1 else RERUN,
        history=[{"state": JobState.PENDING.name, "at": instant_text(moment)}],
        submitted_at=moment,
        **{Job.subject_column(subject.kind).key: subject.id},
    )
    return job, [Task(job_id=key, ordinal=n, requested=share) for n, share in enumerate(shares, 1)]


async def enqueue(session: AsyncSession, job: Job, tasks: Sequence[Task]) -> None:
    """Store a new job with its tasks, and tell those who hand jobs to engines."""
    session.add(job)
    await session.flush()
    session.add_all(tasks)
    await session.flush()
    changed(session, WORK, job_topic(job.id))
