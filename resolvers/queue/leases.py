"""The leases of tasks: hand a task over to an engine, let a worker claim it, and take it back when either is lost.

A waiting task is handed over in a batch, whose name is its `holder`. A worker claims it with the token of the batch;
then only that worker may write, until its lease ends. If an engine starts a task twice, the second claim is refused.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database, changed, moment_of
from db.keys import among
from db.locks import held_in_order, in_order
from db.models import TERMINAL, Cluster, Job, JobState, Platform, Task
from db.types import now
from jobs.engine import Ending
from resolvers.failures import NotFound, WrongState
from resolvers.feed import ENDED, WORK, job_topic
from resolvers.identity.principal import TaskClaim
from resolvers.queue.lifecycle import count_run, forget, locked_task, move, settle
from resolvers.queue.ranking import WAITING, Turns, chosen, of_cluster

log = structlog.get_logger("torana.jobs")

CLAIM, COLLECT = frozenset({"claim"}), frozenset({"collect"})
SCOPES = frozenset({"progress", "log", "results"})
"""The scopes of the tokens of a batch, of its collector, and of a worker that claimed a task."""
LeaseOn = Callable[[Platform], float]
"""The lease of a worker in seconds, by where it runs."""
ANY = Turns()
LONGEST = 6
"""How often the time is doubled after which a batch that nobody claimed is handed over again."""


@dataclass(frozen=True, slots=True)
class Handed:
    """Tasks of one job that are to be given to an engine now."""

    name: str
    job_id: UUID
    job_key: str
    owner: UUID
    ordinals: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Live:
    """A task that was given to an engine, which may still have it."""

    name: str
    job_id: UUID
    ordinal: int
    state: JobState
    attempt: int
    owner: UUID

    @property
    def task_claim(self) -> TaskClaim:
        """The claim of the task's worker."""
        return TaskClaim(self.job_id, self.ordinal, self.attempt, SCOPES, self.name)


async def hand_over(
    session: AsyncSession, cluster: UUID | None, number: int, lease: float, turns: Turns = ANY
) -> list[Handed]:
    """Hand over up to `number` waiting tasks to a cluster, or to the gateway's own machine: those whose turn it is.

    They are not handed over again for `lease` seconds; the time doubles with each further hand-over.
    """
    tasks: Sequence[Task] = ()
    while not tasks:  # those that were found may be another process's by the time that their jobs are locked
        if not (given := await chosen(session, cluster, number, turns)):
            return []
        # Jobs before tasks, as everywhere, so that no two wait for each other.
        held = sa.select(Job).where(among(Job.id, "jobs", list(given))).order_by(Job.id).with_for_update()
        jobs = {job.id: job for job in await session.scalars(held)}
        found = await _first_of(session, given)
        still = sa.select(Task).where(among(Task.id, "tasks", found), *WAITING)
        tasks = (await session.scalars(still.order_by(Task.job_id, Task.ordinal).with_for_update())).all()
    moment = await moment_of(session)
    grouped = groupby(tasks, key=lambda task: task.job_id)
    return [handed(jobs[key], parts, moment, lease) for key, parts in grouped]


async def _first_of(session: AsyncSession, given: Mapping[UUID, int]) -> list[UUID]:
    """The keys of the first waiting tasks of some jobs, so many of each."""
    turn = sa.func.row_number().over(partition_by=Task.job_id, order_by=Task.ordinal)
    waiting = sa.select(Task.id, Task.job_id, turn.label("turn"))
    ranked = waiting.where(among(Task.job_id, "jobs", list(given)), *WAITING).subquery()
    rows = await session.execute(sa.select(ranked).where(ranked.c.turn <= max(given.values())))
    return [row.id for row in rows if row.turn <= given[row.job_id]]


async def claim_task(session: AsyncSession, task_claim: TaskClaim, claim: str, lease_on: LeaseOn) -> TaskClaim:
    """Give a task of its batch to the worker that chose the number `claim`; returns the claim on the task that it then
    runs.

    Asking again with the same number changes nothing. Raises STATE while another worker has the task, and when the task
    has ended.
    """
    held = await locked_task(session, task_claim)
    if held is None:
        raise NotFound("no such task")
    job, task = held
    if job.state in TERMINAL or task.state in TERMINAL:
        raise WrongState("the task is over; stop", state=task.state.name)
    moment = await moment_of(session)
    running = replace(task_claim, scopes=SCOPES, attempt=task.attempt)
    if task.state is JobState.RUNNING:
        if task.claim == claim:
            return running
        if task.lease_until is not None and task.lease_until > moment:
            raise WrongState("another worker has the task; stop", state=task.state.name)
        count_run(task, Ending.INTERRUPTED)
    task.attempt += 1
    task.state, task.holder, task.claim, task.error, task.reported = JobState.RUNNING, task_claim.batch, claim, None, 0
    task.done, task.last_update_at, task.ended_at, task.estimated_seconds = 0, moment, None, None
    task.started_at = task.started_at or moment
    task.lease_until = moment + timedelta(seconds=lease_on(job.platform))
    # What an earlier run delivered in part, this one delivers anew.
    await forget(session, sa.select(Task.id).where(Task.id == task.id))
    if job.state is JobState.PENDING:
        await move(session, job, JobState.RUNNING, estimated_start_at=None)
    changed(session, job_topic(job.id))
    return replace(running, attempt=task.attempt)


def handed(job: Job, tasks: Iterable[Task], moment: datetime, lease: float) -> Handed:
    """Note that tasks of a job are handed over, all of which the transaction has locked."""
    job.batches += 1
    job.queue_position, job.handed_at = None, moment
    name, ordinals = f"torana-{job.id.hex}-{job.batches}", []
    for task in tasks:
        task.holder, task.lease_until = name, moment + timedelta(seconds=lease * 2 ** min(task.handed, LONGEST))
        task.handed += 1
        ordinals.append(task.ordinal)
    return Handed(name, job.id, job.key, job.owner_user_id, tuple(ordinals), job.options)


async def claim_waiting(session: AsyncSession, number: int, lease: float) -> list[TaskClaim]:
    """Hand over up to `number` tasks of the gateway's own machine, and claim them at once."""
    task_claims = []
    for handed in await hand_over(session, None, number, lease):
        for ordinal in handed.ordinals:
            task_claim = TaskClaim(handed.job_id, ordinal, 0, CLAIM, handed.name)
            task_claims.append(await claim_task(session, task_claim, f"{handed.name}-{ordinal}", lambda _: lease))
    return task_claims


async def hold_jobs(session: AsyncSession, task_claims: Iterable[TaskClaim]) -> None:
    """Lock the jobs of several tasks, in the order of their keys, before the tasks are released in one transaction."""
    await held_in_order(session, Job, Job.id.in_({task_claim.job_id for task_claim in task_claims}))


async def release_task(
    session: AsyncSession,
    task_claim: TaskClaim,
    reason: str,
    runs: Callable[[Ending], int] | None,
    *,
    ending: Ending = Ending.LOST,
    lapsed: bool = False,
) -> None:
    """Release a task whose run ended without a result, or before a worker claimed it. The task waits again; or it
    failed, when so many of its `runs` ended like this one, or when its `ending` says that another run is of no use.
    With None for `runs` this one does not count.

    Changes nothing when the claim is over: another batch or another attempt has the task, or it ended; or, when it is
    released because its lease has `lapsed`, the worker has reported after all.
    """
    held = await locked_task(session, task_claim)
    if held is None:
        return
    job, task = held
    if task.holder != task_claim.batch or task.attempt != task_claim.attempt or task.state in TERMINAL:
        return
    moment = await moment_of(session)
    if lapsed and task.lease_until is not None and task.lease_until > moment:
        return
    task.holder, task.claim, task.lease_until, task.last_update_at = None, None, None, moment
    task.estimated_seconds = None
    if ending in (Ending.FAILED, Ending.CANCELED):
        task.state, task.ended_at = JobState[ending.name], moment
        task.error = {"code": "CLUSTER_ENDED", "message": reason}
        await settle(session, job)
        return
    why = (task.error or {}).get("message", reason)  # the worker may have told more than the engine sees
    ending, times = (ending, 0) if runs is None else count_run(task, ending)
    if runs is not None:
        log.warning(f"jobs.{ending.name.lower()}", job=job.key, task=task.ordinal, attempt=task.attempt, why=why)
    if runs is None or times < runs(ending):
        task.state, task.error = JobState.PENDING, None
        changed(session, job_topic(job.id), WORK)
        return
    task.state, task.ended_at = JobState.FAILED, moment
    task.error = {"code": "TASK_LOST", "message": f"{why}; it was {ending.name.lower()} {times} times"}
    await settle(session, job)


async def refuse_batch(session: AsyncSession, handed: Handed, reason: str) -> None:
    """The engine refuses these tasks for good: they failed."""
    job = await session.get(Job, handed.job_id, with_for_update=True)
    if job is None:
        return
    moment = await moment_of(session)
    tasks = sa.select(Task).where(Task.job_id == job.id, Task.holder == handed.name, Task.state == JobState.PENDING)
    for task in await session.scalars(tasks.order_by(Task.ordinal).with_for_update()):
        task.state, task.ended_at, task.holder, task.lease_until = JobState.FAILED, moment, None, None
        task.error = {"code": "SUBMIT_FAILED", "message": reason}
    await settle(session, job)


async def release_batch(session: AsyncSession, handed: Handed) -> None:
    """The engine could not take these tasks: they wait again."""
    held = (Task.job_id == handed.job_id, Task.holder == handed.name, Task.state == JobState.PENDING)
    await in_order(session, sa.update(Task).where(*held).values(holder=None, lease_until=None, handed=Task.handed - 1))


async def note(session: AsyncSession, handed: Handed, external: Mapping[str, Any]) -> None:
    """Store the engine's name of a batch."""
    job = await session.get(Job, handed.job_id, with_for_update=True)
    if job is not None:
        job.external = {**job.external, handed.name: dict(external)}


async def room_on(session: AsyncSession, cluster: UUID | None) -> int:
    """How many more tasks may be handed to a cluster; none while it is disabled."""
    if cluster is None:
        return sys.maxsize
    found = await session.get(Cluster, cluster, with_for_update={"key_share": True})  # others that hand over wait
    if found is None or not found.enabled or found.deleted_at is not None:
        return 0
    if found.max_tasks is None:
        return sys.maxsize
    out = sa.select(sa.func.count()).select_from(Task).join(Job, Job.id == Task.job_id)
    return found.max_tasks - (await session.scalar(out.where(Task.holder.is_not(None), of_cluster(cluster))) or 0)


async def live_tasks(database: Database, cluster: UUID | None, *states: JobState) -> list[Live]:
    """The tasks in one of these states that were handed over."""
    wanted = (
        sa.select(Task.holder, Task.job_id, Task.ordinal, Task.state, Task.attempt, Job.owner_user_id)
        .join(Job, Job.id == Task.job_id)
        .where(Task.holder.is_not(None), Task.state.in_(states), of_cluster(cluster))
        .order_by(Task.job_id, Task.ordinal)
    )
    return [
        Live(row.holder or "", row.job_id, row.ordinal, row.state, row.attempt, row.owner_user_id)
        for row in await database.rows(wanted)
    ]


async def prolong(session: AsyncSession, starts: Mapping[str, datetime | None], lease: float) -> None:
    """Prolong the leases of batches that their engine still queues, by name, so that they are not handed over again.
    `starts` has when the engine will start them."""
    until = await moment_of(session) + timedelta(seconds=lease)
    waiting = (Task.holder.in_(starts), Task.state == JobState.PENDING)
    told = sa.select(Task.holder, Task.job_id).where(*waiting).distinct()
    names = {key: name for name, key in await session.execute(told)}
    held = sa.select(Job).where(Job.id.in_(names)).order_by(Job.id).with_for_update()
    for job in (await session.scalars(held)).all():
        if (start := starts[names[job.id] or ""]) != job.estimated_start_at:
            job.estimated_start_at = start
            changed(session, job_topic(job.id))
    await in_order(session, sa.update(Task).where(*waiting).values(lease_until=until))


async def release_lapsed(session: AsyncSession, cluster: UUID | None) -> None:
    """Clear the holders of tasks that ended a while ago, and hand over again what nobody claimed in time."""
    theirs = sa.exists().where(Job.id == Task.job_id, of_cluster(cluster))
    over = (Task.holder.is_not(None), Task.state != JobState.RUNNING, Task.lease_until < now(), theirs)
    if await in_order(session, sa.update(Task).where(*over).values(holder=None, lease_until=None)):
        changed(session, WORK)


async def lapsed_claims(session: AsyncSession) -> list[TaskClaim]:
    """The running tasks whose lease has run out."""
    lost = (Task.state == JobState.RUNNING, Task.lease_until < now())
    wanted = sa.select(Task.job_id, Task.ordinal, Task.attempt, Task.holder).where(*lost)
    wanted = wanted.order_by(Task.job_id, Task.ordinal)
    rows = await session.execute(wanted)
    return [TaskClaim(row.job_id, row.ordinal, row.attempt, SCOPES, row.holder or "") for row in rows]


async def expect_end(session: AsyncSession, collector: TaskClaim, within: float) -> None:
    """All tasks of the collector's batch have ended. A task that its engine does not report on within so many seconds
    is taken as lost."""
    soon = await moment_of(session) + timedelta(seconds=within)
    of_batch = (Task.job_id == collector.job_id, Task.holder == collector.batch, Task.state.not_in(TERMINAL))
    await in_order(session, sa.update(Task).where(*of_batch, Task.lease_until > soon).values(lease_until=soon))
    changed(session, ENDED)
