"""External evaluators: the worker of an organiser claims an evaluation with the token of its challenge. From then on it
is a worker as any other: it fetches, reports and delivers with the token of its task."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import Evaluation, Job, JobState, Platform, Task
from db.written import because
from resolvers.challenges.names import one_line
from resolvers.context import Context
from resolvers.failures import Invalid, Unauthenticated
from resolvers.identity.principal import Kind, TaskClaim
from resolvers.queue.leases import CLAIM, SCOPES, claim_task, handed
from resolvers.queue.ranking import WAITING
from resolvers.work.worker_api import Assignment, assignment, held

VERSION = 255


async def claim(ctx: Context, number: str, version: str) -> Assignment | None:
    """Claim the evaluation whose turn it is; None when none waits. `number` is chosen by the worker, so that it may
    call again; `version` is what the evaluation says of the program that did it."""
    if ctx.principal.kind is not Kind.CHALLENGE_WORKER or ctx.principal.id is None:
        raise Unauthenticated("this is for workers of organisers, with the token of their challenge")
    if not 8 <= len(number) <= 64:
        raise Invalid("the number of a claim has 8 to 64 characters", field="number")
    version = one_line(version, VERSION, "a version", "version")
    lease = ctx.services.limits.lease_on
    async with ctx.database.write(as_system="a worker takes the task of its token") as session:
        mine = (
            sa.select(Job)
            .join(Evaluation, Evaluation.id == Job.evaluation_id)
            .where(Evaluation.challenge_id == ctx.principal.id, Job.platform == Platform.EXTERNAL)
        )
        again = sa.select(Task).where(Task.claim == number, Task.state == JobState.RUNNING, Task.job_id.in_(
            mine.with_only_columns(Job.id)))  # fmt: skip
        known = (await session.scalars(again)).first()
        if known is not None:
            running = TaskClaim(known.job_id, known.ordinal, known.attempt, SCOPES, known.holder or "")
        else:
            waiting = await _first(session, mine)
            if waiting is None:
                return None
            job, tasks = waiting
            given = handed(job, tasks, await moment_of(session), lease(Platform.EXTERNAL))
            task_claim = TaskClaim(job.id, given.ordinals[0], 0, CLAIM, given.name)
            running = await claim_task(session, task_claim, number, lease)
        found, task = await held(session, running)
        because(session, "an evaluation says what did it", Evaluation)
        of = sa.select(Evaluation).where(Evaluation.id == found.evaluation_id).with_for_update()
        evaluation = (await session.scalars(of)).one()
        evaluation.external_version = version
        await session.flush()
    return await assignment(ctx, running, found, task)


async def _first(session: AsyncSession, mine: sa.Select[Any]) -> tuple[Job, Sequence[Task]] | None:
    """The job whose turn it is, of these, and its waiting tasks, all locked."""
    waiting = mine.where(sa.exists().where(Task.job_id == Job.id, *WAITING))
    first = waiting.order_by(Job.priority.desc(), Job.submitted_at, Job.id).limit(1)
    while True:
        job = (await session.scalars(first.with_for_update(of=Job, skip_locked=True))).first()
        if job is None:
            return None
        free = sa.select(Task).where(Task.job_id == job.id, *WAITING).order_by(Task.ordinal).with_for_update()
        if tasks := (await session.scalars(free)).all():  # else another worker got them before the job was locked
            return job, tasks
