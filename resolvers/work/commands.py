"""The commands of users about their jobs: cancel, retry, delete."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.locks import held_in_order
from db.models import TERMINAL, Job, JobState, Task, TaskResult
from db.types import now
from db.written import because
from resolvers.access.policies.jobs import CANCEL, PRIORITY, RETRY
from resolvers.access.policy import policy_of
from resolvers.access.rules import Rule
from resolvers.context import Context
from resolvers.failures import Invalid, WrongState
from resolvers.feed import WORK, job_topic
from resolvers.queue.cancelling import cancel
from resolvers.queue.lifecycle import enqueue, expect_ended, new_job
from resolvers.reading.conditions import Where
from resolvers.work.placement import checked_options, chosen_place
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, expect_met, locked, require

PRIORITIES = 10
"""The highest priority of a job; the lowest is as far below 0."""


async def cancel_job(ctx: Context, key: UUID, *, twice: bool = False, where: Where | None = None) -> UUID:
    """Cancel a job; what its tasks delivered so far is kept. STATE for one that has ended, unless it was cancelled and
    may be `twice`, which changes nothing; CONFLICT for one that doesn't meet `where`."""
    async with writing(ctx, "CANCEL_JOB", Job, key) as session:
        job = await _commanded(session, ctx, key, CANCEL, "cancel", where)
        if job.state is JobState.CANCELED:
            if twice:
                return key
            raise WrongState("the job is CANCELED already", state=job.state.name)
        await cancel(session, job, asked=ctx.principal.id == job.owner_user_id)
        record(session, ctx, "CANCEL_JOB", "Job", job.id)
    return key


async def retry_job(
    ctx: Context,
    key: UUID,
    elsewhere: tuple[UUID | None, Mapping[str, Any]] | None = None,
    *,
    where: Where | None = None,
) -> UUID:
    """Retry a job that failed or was cancelled: a new job of the same subject, one attempt higher. It runs in the
    same place or `elsewhere`: on a cluster with options, or with None on the gateway's own machine. CONFLICT for one
    that doesn't meet `where`."""
    try:
        async with writing(ctx, "RETRY_JOB", Job, key) as session:
            job = await _commanded(session, ctx, key, RETRY, "retry", where)
            cluster, options = elsewhere or (job.cluster_id, job.options)
            place = await chosen_place(session, ctx, cluster, options, "")
            if elsewhere is not None:
                place = replace(place, options=checked_options(options, cluster, ""))
            if job.state not in (JobState.FAILED, JobState.CANCELED):
                raise WrongState(
                    f"only a FAILED or CANCELED job can be retried, this one is {job.state.name}", state=job.state.name
                )
            subject = await ctx.services.jobs.kinds[job.kind].subject(session, job)
            highest = sa.select(sa.func.max(Job.attempt)).where(Job.subject_column(job.kind) == subject.id)
            attempt = (await session.scalar(highest) or 0) + 1
            shares = await session.scalars(
                sa.select(Task.requested).where(Task.job_id == job.id).order_by(Task.ordinal)
            )
            again, tasks = new_job(subject, shares.all(), place, await moment_of(session), attempt)
            because(session, "a job is tried again by another", Job, Task)
            await enqueue(session, again, tasks)
            record(session, ctx, "RETRY_JOB", "Job", again.id)
            return again.id
    except IntegrityError:
        raise WrongState("another job of the same is not finished yet") from None


async def set_priority(ctx: Context, key: UUID, priority: int, expected_version: int | None = None) -> UUID:
    """Let a job that has not ended go before others that wait, or after them."""
    async with writing(ctx, "SET_PRIORITY", Job, key) as session:
        job = await _commanded(session, ctx, key, PRIORITY, "set the priority of")
        if expected_version is not None:
            expect(job, expected_version)
        if not -PRIORITIES <= priority <= PRIORITIES:
            told = f"a priority is from -{PRIORITIES} to {PRIORITIES}, not {priority}"
            raise Invalid(told, field="priority", allowed=PRIORITIES, value=priority)
        if job.state in TERMINAL:
            raise WrongState(f"the job is {job.state.name}", state=job.state.name)
        job.priority = priority
        record(session, ctx, "SET_PRIORITY", "Job", job.id, priority=priority)
        changed(session, WORK, job_topic(job.id))
    return key


async def delete_job(
    ctx: Context, key: UUID, expected_version: int | None = None, *, where: Where | None = None
) -> datetime:
    """Delete a job that has ended, with its tasks and its log; its results stay. Returns when. CONFLICT for one that
    doesn't meet `where`."""
    async with writing(ctx, "DELETE_JOB", Job, key) as session:
        job = await _commanded(session, ctx, key, policy_of(Job).delete, "delete", where)
        if expected_version is not None:
            expect(job, expected_version)
        expect_ended(job)
        tasks = sa.select(Task.id).where(Task.job_id == key)
        held = tasks.where(Task.holder.is_not(None), Task.lease_until > now()).exists()
        delivered = sa.exists().where(TaskResult.task_id.in_(tasks))
        if await session.scalar(sa.select(sa.or_(held, delivered))):
            raise WrongState("what its tasks delivered is still being put away; try again in some seconds")
        record(session, ctx, "DELETE_JOB", "Job", job.id, key=job.key)
        await held_in_order(session, Task, Task.job_id == key)
        because(session, "a job is deleted by who may", Job)
        await session.execute(sa.delete(Job).where(Job.id == job.id))
        changed(session, job_topic(job.id))
        return await moment_of(session)


async def _commanded(
    session: AsyncSession, ctx: Context, key: UUID, rules: Sequence[Rule], verb: str, where: Where | None = None
) -> Job:
    job = await locked(session, ctx, Job, key)
    await expect_met(session, ctx, job, where)
    await require(session, ctx, job, rules, verb)
    return job
