"""Whose a new upload is, and what it belongs to: the target that is named, or the task of a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import TERMINAL, Challenge, Job, JobState, Project, Session, Submission, Task, Upload
from resolvers.access.clauses import TRUE, any_of
from resolvers.access.rules import words
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, NotFound, Unauthenticated
from resolvers.files import quotas
from resolvers.files.new_uploads import NewUpload
from resolvers.files.purposes import PURPOSES
from resolvers.identity.principal import Kind
from resolvers.queue.lifecycle import locked_task
from resolvers.queue.reports import lost
from resolvers.writing.rows import referred_seen, require, seen

WHOSE: Mapping[Kind, str] = {
    Kind.USER: "owner_user_id",
    Kind.PARTICIPANT: "participant_id",
    Kind.DEVICE: "device_id",
    Kind.SERVICE: "service_id",
}
"""The column with who brings an upload."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """The columns of an upload that say whose it is and what it belongs to, and the user whose quota it counts for."""

    columns: Mapping[str, Any]
    owner: UUID | None

    @property
    def whose(self) -> sa.ColumnElement[bool]:
        """The uploads of the same user, participant, device or service."""
        column = next((name for name in WHOSE.values() if self.columns.get(name)), "owner_user_id")
        return getattr(Upload, column) == self.columns[column]  # type: ignore[no-any-return]


async def placed(session: AsyncSession, ctx: Context, new: NewUpload) -> Belonging:
    """Find what a new upload belongs to, if one may bring files for it."""
    if ctx.principal.task_claim is not None:
        return await _of_task(session, ctx, new)
    principal, purpose = ctx.principal, PURPOSES[new.purpose]
    if principal.kind not in WHOSE or principal.id is None:
        raise Unauthenticated("sign in first")
    if not purpose.who and not purpose.alone:
        raise Forbidden(f"files of purpose {purpose.name.name} are made by jobs")
    target: Any = None
    if new.target is not None:
        model, key = new.target
        if model is not purpose.target:
            wanted = f"is a {purpose.target.__name__}" if purpose.target else "is none"
            raise Invalid(f"the target of a {purpose.name.name} {wanted}", field=new.at("target"))
        target = await seen(session, ctx, model, key, field=new.at("target"))
        await require(session, ctx, target, purpose.who, "bring files for")
        purpose.expect(target)
    elif not purpose.alone and purpose.target is not None:
        raise Invalid(f"a {purpose.name.name} belongs to a {purpose.target.__name__}: name it", field=new.at("target"))
    elif any_of(*(rule.clause(None, principal.profile) for rule in purpose.alone)) is not TRUE:
        raise Forbidden(f"only {words(purpose.alone)} may bring files of purpose {purpose.name.name} without a target")
    owner = principal.id if principal.kind is Kind.USER else None
    whose = {WHOSE[principal.kind]: principal.id}
    return Belonging({**whose, **purpose.columns(target)}, owner)


async def still_placed(session: AsyncSession, ctx: Context, row: Upload) -> None:
    """Raise when the principal may bring no files any more for what an upload belongs to."""
    if ctx.principal.task_claim is not None:
        return
    if (known := target_in(row)) is not None:
        target: Any = await seen(session, ctx, *known, field="target")
        await require(session, ctx, target, PURPOSES[row.purpose].who, "bring files for")


def target_in(row: Upload) -> tuple[Any, UUID] | None:
    """What an upload belongs to: the closest."""
    for model, key in ((Session, row.session_id), (Submission, row.submission_id), (Challenge, row.challenge_id)):
        if key is not None:
            return model, key
    return None if row.project_id is None else (Project, row.project_id)


async def counted(session: AsyncSession, ctx: Context, new: NewUpload, belonging: Belonging) -> None:
    """Count a new upload against the quotas, and hold what it belongs to: in the order of locks."""
    bounds = ctx.services.files.bounds
    if ctx.principal.task_claim is None:
        await quotas.expect_few(session, bounds, belonging.owner, belonging.whose)
    size = 0 if new.joined else new.size or 0
    await quotas.expect_room(session, bounds, belonging.owner, belonging.columns.get("project_id"), size)
    if ctx.principal.task_claim is not None:
        held = await locked_task(session, ctx.principal.task_claim)
        _expect_running(ctx, *(held or (None, None)))
        return
    if new.target is not None:
        await referred_seen(session, ctx, *new.target, new.at("target"))


async def _of_task(session: AsyncSession, ctx: Context, new: NewUpload) -> Belonging:
    """What a worker delivers belongs to the run of its task."""
    claim = ctx.principal.task_claim
    assert claim is not None
    if "results" not in claim.scopes:
        raise Forbidden("the worker's token does not cover results", scope="results")
    wanted = sa.select(Job, Task).join(Task, Task.job_id == Job.id)
    wanted = wanted.where(Job.id == claim.job_id, Task.ordinal == claim.ordinal)
    job, task = _expect_running(ctx, *((await session.execute(wanted)).one_or_none() or (None, None)))
    kind = ctx.services.jobs.kinds[job.kind]
    if kind.purpose is not new.purpose:
        raise Forbidden(f"tasks of a {job.kind.name} job deliver no files of purpose {new.purpose.name}")
    columns = {"task_id": task.id, "task_attempt": claim.attempt, "owner_user_id": job.owner_user_id}
    return Belonging({**columns, **kind.place(job)}, job.owner_user_id)


def _expect_running(ctx: Context, job: Job | None, task: Task | None) -> tuple[Job, Task]:
    claim = ctx.principal.task_claim
    assert claim is not None
    if job is None or task is None:
        raise NotFound("no such task")
    if task.attempt != claim.attempt or task.state is not JobState.RUNNING or job.state in TERMINAL:
        raise lost(claim)
    return job, task
