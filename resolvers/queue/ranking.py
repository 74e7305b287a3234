"""The one queue of all kinds of jobs: whose tasks are handed over next, and which place each waiting job has.

Jobs of a higher priority go first; other attempts wait in a lower class of their own. Within a class users take turns:
whoever has the fewest tasks under way is next; of several, whoever was served longest ago. So it is among the jobs of
one user. The evaluations of a challenge take one turn together, whoever submitted (the job's lane).
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count, groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.keys import among
from db.locks import held_in_order
from db.models import TERMINAL, Job, JobState, Platform, Project, Task, User
from db.types import instant_text
from db.written import because
from resolvers.feed import job_topic

TOLD = 200
"""The first places of a queue, of which each change is published."""


def spelled_out(state: JobState) -> Any:
    """A state that is no parameter: partial indexes are found by none."""
    return sa.literal(state, Task.state.expression.type, literal_execute=True)


WAITING = (Task.state == spelled_out(JobState.PENDING), Task.holder.is_(None))
"""Tasks that are to be handed over."""


@dataclass(frozen=True, slots=True)
class Turns:
    """How many tasks of one user, and of one project, may be under way; None: any number."""

    user: int | None = None
    project: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job with tasks that wait: how many, whose it is, in whose turn, and whether none of its tasks was begun yet."""

    key: UUID
    owner: UUID
    lane: UUID
    project: UUID | None
    priority: int
    tasks: int
    idle: bool
    position: int | None
    handed: datetime | None = None


@dataclass(slots=True)
class Out:
    """How many tasks are under way, by owner, lane, project and job."""

    owners: Counter[UUID] = field(default_factory=Counter)
    lanes: Counter[UUID] = field(default_factory=Counter)
    projects: Counter[UUID | None] = field(default_factory=Counter)
    jobs: Counter[UUID] = field(default_factory=Counter)
    served: dict[UUID, datetime] = field(default_factory=dict)
    """When tasks of a lane were last handed over."""

    def add(self, owner: UUID, lane: UUID, project: UUID | None, job: UUID, number: int = 1) -> None:
        self.owners[owner] += number
        self.lanes[lane] += number
        self.projects[project] += number
        self.jobs[job] += number


LANE = sa.func.coalesce(Job.lane_id, Job.owner_user_id)
"""In whose turn a job waits."""


def of_cluster(cluster: UUID | None) -> sa.ColumnElement[bool]:
    """The jobs of a cluster, or of the gateway's own machine."""
    here = sa.and_(Job.cluster_id.is_(None), Job.platform == Platform.IN_PROCESS)
    return here if cluster is None else Job.cluster_id == cluster


async def waiting_jobs(session: AsyncSession, cluster: UUID | None) -> list[Waiting]:
    """The jobs of a cluster, or of the gateway's own machine, that have waiting tasks; the oldest first."""
    counted = sa.select(Task.job_id, sa.func.count().label("number")).where(*WAITING).group_by(Task.job_id)
    tasks = counted.subquery("waiting")
    whose = (Job.id, Job.owner_user_id, LANE, Job.project_id, Job.priority)
    wanted = (
        sa.select(*whose, tasks.c.number, Job.state == JobState.PENDING, Job.queue_position, Job.handed_at)
        .join(tasks, tasks.c.job_id == Job.id)
        .where(of_cluster(cluster))
        .order_by(Job.submitted_at, Job.id)
    )
    return [Waiting(*row) for row in await session.execute(wanted)]


async def under_way(session: AsyncSession, jobs: Sequence[Waiting]) -> Out:
    """The tasks that engines have, and when the lanes of waiting jobs were last served."""
    counted = (
        sa.select(Job.owner_user_id, LANE, Job.project_id, Job.id, sa.func.count())
        .join(Task, Task.job_id == Job.id)
        .where(Task.holder.is_not(None), Task.state.not_in(TERMINAL))
        .group_by(Job.owner_user_id, Job.lane_id, Job.project_id, Job.id)
    )
    owners = list({job.owner for job in jobs if job.lane == job.owner})
    lanes = list({job.lane for job in jobs if job.lane != job.owner})
    own = sa.select(Job.owner_user_id, sa.func.max(Job.handed_at)).group_by(Job.owner_user_id)
    served = own.where(among(Job.owner_user_id, "owners", owners), Job.lane_id.is_(None))
    shared = sa.select(Job.lane_id, sa.func.max(Job.handed_at)).group_by(Job.lane_id)
    shared = shared.where(among(Job.lane_id, "lanes", lanes))
    out = Out()
    for row in await session.execute(counted):
        out.add(*row)
    for statement in (served if owners else None, shared if lanes else None):
        for lane, moment in (await session.execute(statement)).all() if statement is not None else ():
            if lane is not None and moment is not None:
                out.served[lane] = moment
    return out


async def chosen(session: AsyncSession, cluster: UUID | None, number: int, turns: Turns) -> dict[UUID, int]:
    """How many tasks of which jobs are handed over next, at most `number` in all."""
    jobs = await waiting_jobs(session, cluster)
    if not jobs:
        return {}
    if turns.user is not None:  # so that two processes don't each give the last share
        await held_in_order(session, User, among(User.id, "owners", list({job.owner for job in jobs})))
    if turns.project is not None:
        projects = [project for project in {job.project for job in jobs} if project is not None]
        await held_in_order(session, Project, among(Project.id, "projects", projects))
    given: Counter[UUID] = Counter()
    for job in order(jobs, await under_way(session, jobs), turns):
        given[job.key] += 1
        if (number := number - 1) <= 0:
            break
    return dict(given)


def order(jobs: Sequence[Waiting], out: Out, turns: Turns) -> Iterator[Waiting]:
    """Jobs in the order in which their tasks are handed over, each once for each task."""
    ranked = sorted(enumerate(jobs), key=lambda one: (-one[1].priority, one[0]))
    for _, some in groupby(ranked, key=lambda one: one[1].priority):
        yield from _in_turns(list(some), out, turns)


def _in_turns(some: Sequence[tuple[int, Waiting]], out: Out, turns: Turns) -> Iterator[Waiting]:
    """The same of one class. A heap has the lanes, by their tasks under way and when they were last served; one for
    each lane has the jobs, in the same way."""
    clock, left = count(1), {job.key: job.tasks for _, job in some}
    jobs: dict[UUID, list[tuple[int, _Since, int, Waiting]]] = {}
    for age, job in some:
        jobs.setdefault(job.lane, []).append((out.jobs[job.key], _since(job.handed), age, job))
    for heap in jobs.values():
        heapq.heapify(heap)
    lanes = [(out.lanes[lane], _since(out.served.get(lane)), heap[0][2], lane) for lane, heap in jobs.items()]
    heapq.heapify(lanes)
    while lanes:
        *_, lane = heapq.heappop(lanes)
        _, _, age, job = heapq.heappop(jobs[lane])
        now = (1, next(clock), "")
        if _may_have(out, turns, job):
            out.add(job.owner, lane, job.project, job.key)
            left[job.key] -= 1
            if left[job.key]:
                heapq.heappush(jobs[lane], (out.jobs[job.key], now, age, job))
            yield job
        if jobs[lane]:
            heapq.heappush(lanes, (out.lanes[lane], now, jobs[lane][0][2], lane))


def _may_have(out: Out, turns: Turns, job: Waiting) -> bool:
    """Whether its owner and its project may have one more task under way."""
    of_user = turns.user is None or out.owners[job.owner] < turns.user
    return of_user and (turns.project is None or job.project is None or out.projects[job.project] < turns.project)


_Since = tuple[int, int, str]
"""When somebody was last served: never or before this pass, or as which of this pass."""


def _since(moment: datetime | None) -> _Since:
    return (0, 0, "" if moment is None else instant_text(moment))


async def write_places(session: AsyncSession, cluster: UUID | None) -> int:
    """Write the places of the jobs that wait for their first task, where they changed; returns how many there are."""
    jobs = [job for job in await waiting_jobs(session, cluster) if job.idle]
    once = [replace(job, tasks=1) for job in jobs]
    ranked = order(once, await under_way(session, jobs), Turns())
    places = {job.key: (place, job.position) for place, job in enumerate(ranked, 1)}
    moved = {key: place for key, (place, before) in places.items() if place != before}
    gone = sa.select(Job.id).where(of_cluster(cluster), Job.queue_position.is_not(None))
    lost = {key for key in await session.scalars(gone) if key not in places}
    if not moved and not lost:
        return len(places)
    because(session, "the dispatcher writes places in the queue", Job)
    await held_in_order(session, Job, among(Job.id, "jobs", [*moved, *lost]))
    table: Any = Job.__table__
    row = table.update().where(table.c.id == sa.bindparam("job")).values(queue_position=sa.bindparam("place"))
    await session.execute(row, [{"job": key, "place": moved.get(key)} for key in sorted({*moved, *lost})])
    first = [key for key, place in moved.items() if place <= TOLD]
    changed(session, *map(job_topic, {*first, *lost}))
    return len(places)
