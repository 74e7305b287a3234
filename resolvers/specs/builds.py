"""Have the packages of versions built: a job for each version, and no more than one at a time."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.locks import in_order
from db.models import TERMINAL, File, FilePurpose, Job, JobKind, Spec, SpecVersion, Task
from db.types import now
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.context import Context
from resolvers.failures import WrongState
from resolvers.queue.cancelling import end_job
from resolvers.queue.lifecycle import Place, Subject, enqueue, new_job
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, seen

SHARE = 1


def subject_of(spec: Spec, version: SpecVersion) -> Subject:
    """What the build of a version is about."""
    title = f"{spec.canonical_name} {version.name}"
    return Subject(JobKind.PACKAGE_BUILD, version.id, spec.user_id, spec.project_id, title)


async def begin(session: AsyncSession, spec: Spec, version: SpecVersion) -> UUID:
    """Have a version, locked by the transaction with its spec, built; returns the key of the job."""
    highest = sa.select(sa.func.max(Job.attempt)).where(Job.spec_version_id == version.id)
    attempt = (await session.scalar(highest) or 0) + 1
    because(session, "packages are built by a job", Job, Task)
    job, tasks = new_job(subject_of(spec, version), [SHARE], Place(), await moment_of(session), attempt)
    await enqueue(session, job, tasks)
    changed(session, row_topic(SpecVersion, version.id))
    return job.id


async def end(session: AsyncSession, versions: Collection[UUID]) -> None:
    """Cancel the builds of versions, locked by the transaction with their specs."""
    running = sa.select(Job.id).where(Job.spec_version_id.in_(versions), Job.state.not_in(TERMINAL)).order_by(Job.id)
    for job in (await session.scalars(running)).all():
        await end_job(session, job, asked=True)


async def drop_packages(session: AsyncSession, version: UUID) -> None:
    """Delete the packages of a version, locked by the transaction."""
    because(session, "packages are of their version", File)
    held = sa.update(File).where(File.spec_version_id == version, File.purpose == FilePurpose.SPEC_PACKAGE)
    held = held.where(File.deleted_at.is_(None))
    await in_order(session, held.values(deleted_at=now(), version=File.version + 1))
    changed(session, row_topic(File, "*"))


async def rebuild(ctx: Context, key: UUID) -> UUID:
    """Have a version built again; STATE while it is being built. Returns the key of the version."""
    async with writing(ctx, "BUILD", SpecVersion, key) as session:
        spec = await locked(session, ctx, Spec, (await seen(session, ctx, SpecVersion, key)).spec_id)
        row = await locked(session, ctx, SpecVersion, key)
        await require(session, ctx, spec, policy_of(Spec).update, "build")
        running = sa.select(Job.state).where(Job.spec_version_id == key, Job.state.not_in(TERMINAL))
        if (state := await session.scalar(running)) is not None:
            raise WrongState("its packages are being built", state=state.name)
        await begin(session, spec, row)
        record(session, ctx, "BUILD", "SpecVersion", key, name=spec.canonical_name, version=row.name)
    return key
