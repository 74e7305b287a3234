"""What workers deliver: estimators with their numbers, and files. With its results a task ends.

Numbers may come apart from the estimators, slab by slab, so that a result may be larger than a request. Nothing of them
counts before the estimators that refer to them.
"""

import asyncio
import binascii
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Job, JobState, Task, TaskResult, TaskSlab, Upload, UploadState
from jobs.results import slabs
from jobs.results.bounds import shortened
from jobs.results.estimators import ResultError
from resolvers.context import Context
from resolvers.failures import Away, Code, Failure, Invalid, NotFound, WrongState, check_limit
from resolvers.feed import WORK
from resolvers.identity.principal import TaskClaim
from resolvers.queue.kinds import Accepted
from resolvers.queue.reports import complete, lost
from resolvers.work.worker_api import held, refused, standing, task_claim_of

FILES = 100
"""The most files that one task delivers."""


async def put_numbers(ctx: Context, delivery: str, number: int, data: str) -> JobState:
    """Store a slab of a delivery's numbers: doubles, compressed, in base64. The same again changes nothing."""
    task_claim = task_claim_of(ctx, "results")
    try:
        _check_delivery(delivery)
        allowed = ctx.services.limits.result_values
        if not 0 <= number < -(-allowed // slabs.NUMBERS):
            told = f"a result has at most {allowed} numbers, in slabs of {slabs.NUMBERS} from 0: {number} is none"
            raise Invalid(told, field="number", allowed=allowed, value=number)
        packed, count = await asyncio.to_thread(_slab, data)
        async with ctx.database.write(as_system="a worker delivers for the task of its token") as session:
            job, task = await held(session, task_claim)
            _expect_running(task, task_claim)
            same = (TaskSlab.task_id == task.id, TaskSlab.delivery == delivery, TaskSlab.number == number)
            if await session.scalar(sa.select(TaskSlab.id).where(*same)) is None:
                await _forget_others(session, task, delivery)
                session.add(TaskSlab(task_id=task.id, delivery=delivery, number=number, count=count, data=packed))
            await _prolong(ctx, session, job, task)
            return job.state
    except Failure as failure:
        await refused(ctx, task_claim, failure)
        raise


def _expect_running(task: Task, task_claim: TaskClaim) -> None:
    if task.state is not JobState.RUNNING:
        raise lost(task_claim)


async def _prolong(ctx: Context, session: AsyncSession, job: Job, task: Task) -> None:
    """Let the worker keep its task for another lease."""
    task.lease_until = await moment_of(session) + timedelta(seconds=ctx.services.limits.lease_on(job.platform))


async def _forget_others(session: AsyncSession, task: Task, delivery: str) -> None:
    """Remove numbers of deliveries that were begun and never came to count."""
    counts = sa.exists().where(TaskResult.task_id == TaskSlab.task_id, TaskResult.delivery == TaskSlab.delivery)
    others = (TaskSlab.task_id == task.id, TaskSlab.delivery != delivery, ~counts)
    await session.execute(sa.delete(TaskSlab).where(*others).execution_options(synchronize_session=False))


def _slab(data: str) -> tuple[bytes, int]:
    try:
        packed = binascii.a2b_base64(data, strict_mode=True)
        return packed, len(slabs.unpacked(packed)) // 8
    except ValueError as error:
        raise Invalid(f"the numbers can't be read: {error}", field="data") from None


def _check_delivery(delivery: str) -> None:
    if not 8 <= len(delivery) <= 64:
        raise Invalid("the name of a delivery has 8 to 64 characters", field="delivery")


async def put_results(
    ctx: Context,
    estimators: Any,
    *,
    done: int | None = None,
    delivery: str | None = None,
    warnings: Sequence[str] = (),
    uploads: Sequence[UUID] = (),
) -> JobState:
    """Store the results of the worker's task, and end the task; the same results again change nothing. With `done`,
    they are the results of so many primaries so far: the task goes on, and its next results replace these. Numbers may
    have come before, as those of a `delivery`. `uploads` are files that the task uploaded."""
    task_claim = task_claim_of(ctx, "results")
    try:
        state, of_task, name = await standing(ctx, task_claim)
        if of_task is JobState.COMPLETED:
            return state
        kind = ctx.services.jobs.kinds[name]
        if kind.accept_json is None:
            raise Invalid(f"a task of a {name} job delivers files, by workerDeliver", field="estimators")
        numbers = 0 if delivery is None else await _delivered(ctx, task_claim, delivery)
        try:
            accepted = await asyncio.to_thread(kind.accept_json, ctx.services, estimators, numbers)
        except ResultError as error:
            if not uploads:
                raise
            empty = await asyncio.to_thread(kind.accept_json, ctx.services, [], 0)  # the files are kept
            accepted = Accepted(empty.data, [str(error)])
        async with ctx.database.write(as_system="a worker delivers for the task of its token") as session:
            job, task = await held(session, task_claim)
            if task.state is JobState.COMPLETED:
                return job.state
            _expect_running(task, task_claim)
            if done is not None and not 1 <= done <= task.requested:
                raise Invalid(f"done must be between 1 and {task.requested}, not {done}", field="done", value=done)
            files, not_kept = await _uploaded(session, task_claim, task, uploads)
            told = shortened((*accepted.warnings, *not_kept, *warnings))
            await _keep(session, task, Accepted(accepted.data, told), done, delivery)
            if done is not None:
                await _prolong(ctx, session, job, task)
                job.parts = True
                changed(session, WORK)
                return job.state
            if files:
                assert kind.accept is not None
                await kind.accept(ctx.services, session, job, task, files)
            return await complete(session, job, task)
    except ResultError as error:
        raise Invalid(str(error), field="estimators") from None
    except Failure as failure:
        if failure.code is not Code.UNAVAILABLE:
            await refused(ctx, task_claim, failure)
        raise


async def _delivered(ctx: Context, task_claim: TaskClaim, delivery: str) -> int:
    """How many numbers of a delivery came. INVALID where a slab is missing, or is not full."""
    _check_delivery(delivery)
    of_task = (Task.job_id == task_claim.job_id, Task.ordinal == task_claim.ordinal, TaskSlab.delivery == delivery)
    wanted = sa.select(TaskSlab.number, TaskSlab.count).join(Task, Task.id == TaskSlab.task_id).where(*of_task)
    counts = [row.count for row in await _rows(ctx, wanted.order_by(TaskSlab.number), delivery)]
    if any(count != slabs.NUMBERS for count in counts[:-1]):
        raise Invalid(f"each slab but the last has {slabs.NUMBERS} numbers", field="delivery")
    return sum(counts)


async def _rows(ctx: Context, wanted: Any, delivery: str) -> Sequence[Any]:
    rows = await ctx.database.rows(wanted)
    for place, row in enumerate(rows):
        if row.number != place:
            raise Invalid(f"slab {place} of the delivery did not come", field="delivery")
    if not rows:
        raise NotFound("there is no such delivery of this task", field="delivery")
    return rows


async def _keep(session: AsyncSession, task: Task, accepted: Accepted, done: int | None, delivery: str | None) -> None:
    """Replace what the task delivered before; results of fewer primaries change nothing."""
    before = (await session.scalars(sa.select(TaskResult).where(TaskResult.task_id == task.id))).one_or_none()
    if before is None:
        before = TaskResult(task_id=task.id, primaries=0)
        session.add(before)
    if done is None or done > before.primaries:
        before.primaries, before.final, before.data = done or task.requested, done is None, accepted.data
        before.delivery, before.warnings = delivery, list(accepted.warnings)
        others = (TaskSlab.task_id == task.id, TaskSlab.delivery.is_distinct_from(delivery))
        await session.execute(sa.delete(TaskSlab).where(*others))


async def deliver(ctx: Context, keys: Sequence[UUID]) -> JobState:
    """Take the files that the worker's task uploaded, and end the task; the same files again change nothing. Raises
    UNAVAILABLE while one of them is still being checked."""
    task_claim = task_claim_of(ctx, "results")
    try:
        _, _, name = await standing(ctx, task_claim)
        kind = ctx.services.jobs.kinds[name]
        async with ctx.database.write(as_system="a worker delivers for the task of its token") as session:
            if kind.hold is not None:
                await kind.hold(session, task_claim.job_id)
            job, task = await held(session, task_claim)
            if task.state is JobState.COMPLETED:
                return job.state
            _expect_running(task, task_claim)
            if kind.accept is None or kind.accept_json is not None:
                raise Invalid(f"a task of a {name.name} job delivers estimators", field="uploads")
            files, not_kept = await _uploaded(session, task_claim, task, keys)
            if not_kept:
                raise Invalid(not_kept[0], field="uploads")
            await kind.accept(ctx.services, session, job, task, files)
            return await complete(session, job, task)
    except Failure as failure:
        if failure.code is not Code.UNAVAILABLE:
            await refused(ctx, task_claim, failure)
        raise


async def _uploaded(
    session: AsyncSession, task_claim: TaskClaim, task: Task, keys: Sequence[UUID]
) -> tuple[list[Upload], list[str]]:
    """Uploads of this run of the task, checked, and sentences that name those that their check refused."""
    if not keys:
        return [], []
    check_limit(f"at most {FILES} files, not {len(keys)}", len(keys), FILES, limit="uploads", field="uploads")
    wanted = sa.select(Upload).where(
        Upload.id.in_(keys), Upload.task_id == task.id, Upload.task_attempt == task_claim.attempt
    )
    found = {row.id: row for row in await session.scalars(wanted.order_by(Upload.id).with_for_update())}
    kept: list[Upload] = []
    not_kept: list[str] = []
    for number, key in enumerate(keys):
        field = f"uploads.{number}"
        if (row := found.get(key)) is None:
            raise NotFound("there is no such upload of this task", field=field)
        if row.state is UploadState.ASSEMBLING:
            raise Away(f"{row.name} is still being checked", seconds=1, field=field)
        if row.state is UploadState.FAILED:
            why = (row.refusal or {}).get("message", "it is not taken")
            not_kept.append(f"{row.name} is not kept: {why}")
        elif row.state is UploadState.COMPLETE:
            kept.append(row)
        else:
            raise WrongState(f"{row.name} is not complete: {row.received} bytes came", field=field)
    return kept, not_kept
