"""Builds of packages as a kind of jobs: the task gets the specification as JSON, and delivers the packages as files."""

import asyncio
import json
from collections.abc import Sequence
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.locks import held_in_order
from db.models import File, FilePurpose, Job, JobKind, Spec, SpecVersion, Task, Upload
from db.written import because
from jobs.programs import package as program
from resolvers.context import Services
from resolvers.failures import Conflict, Invalid, NotFound, WrongState
from resolvers.queue.kinds import Inputs, Kind
from resolvers.queue.lifecycle import Subject
from resolvers.specs.builds import drop_packages, subject_of
from resolvers.specs.reading import document

DELIVERED = 3
"""The wheel, the source distribution and the JSON Schema."""


async def _inputs(services: Services, job: Job, task: Task) -> Inputs:
    columns = (SpecVersion.name, SpecVersion.title, SpecVersion.description, SpecVersion.source, SpecVersion.language)
    wanted = sa.select(Spec.canonical_name, *columns).join(Spec, Spec.id == SpecVersion.spec_id)
    rows = await services.database.rows(
        wanted.where(SpecVersion.id == job.subject_id, SpecVersion.deleted_at.is_(None))
    )
    if not rows:
        raise NotFound("the version is gone")
    ((name, version, title, description, source, language),) = rows
    read = await asyncio.to_thread(lambda: orjson.dumps(document(source, language)).decode())
    described = {"name": name, "version": version, "title": title, "description": description}
    return Inputs(program.PROGRAM, {program.DESCRIPTION: json.dumps(described), program.SPECIFICATION: read})


async def _subject(session: AsyncSession, job: Job) -> Subject:
    version = await session.get_one(SpecVersion, job.subject_id)
    spec = await session.get_one(Spec, version.spec_id)
    if version.deleted_at is not None or spec.deleted_at is not None:
        raise WrongState("the version is deleted", state=job.state.name)
    return subject_of(spec, version)


async def _hold(session: AsyncSession, job: UUID) -> None:
    version = sa.select(Job.spec_version_id).where(Job.id == job).scalar_subquery()
    spec = sa.select(SpecVersion.spec_id).where(SpecVersion.id == version).scalar_subquery()
    await held_in_order(session, Spec, Spec.id == spec)
    await held_in_order(session, SpecVersion, SpecVersion.id == version)


async def _accept(_: Services, session: AsyncSession, job: Job, task: Task, uploads: Sequence[Upload]) -> None:
    """The delivered files are the packages of the version from now on; those of a build before go. A package that was
    fetched stays as it is: CONFLICT for other bytes. They are nobody's own: who reads the spec reads them."""
    if len(uploads) != DELIVERED:
        raise Invalid(f"a version has {DELIVERED} packages, not {len(uploads)}", field="uploads", allowed=DELIVERED)
    version = await session.get_one(SpecVersion, job.subject_id, populate_existing=True)
    if version.fetched_at is not None:
        await _expect_same(session, version, uploads)
    await drop_packages(session, version.id)
    because(session, "what a job made belongs to its subject", File)
    because(session, "packages are of their version", Spec)
    own = {"package_changes": Spec.package_changes + 1, "updated_at": Spec.updated_at}
    counted = sa.update(Spec).where(Spec.id == version.spec_id).values(**own)
    await session.execute(counted.execution_options(synchronize_session=False))
    for upload in sorted(uploads, key=lambda one: str(one.file_id)):
        file = await session.get_one(File, upload.file_id, with_for_update=True)
        file.spec_version_id, file.owner_user_id, file.expires_at = version.id, None, None
        changed(session, row_topic(File, file.id))
    changed(session, row_topic(SpecVersion, version.id))


async def _expect_same(session: AsyncSession, version: SpecVersion, uploads: Sequence[Upload]) -> None:
    mine = (File.spec_version_id == version.id, File.purpose == FilePurpose.SPEC_PACKAGE, File.deleted_at.is_(None))
    rows = await session.execute(sa.select(File.name, File.digest).where(*mine))
    held = {row.name: row.digest for row in rows}
    for upload in uploads:
        if held.get(upload.name, upload.digest) != upload.digest:
            told = f"{upload.name} was fetched, and would be another file now: put the spec as another version"
            raise Conflict(told, field="uploads")


KIND: Kind[Services] = Kind(
    name=JobKind.PACKAGE_BUILD,
    inputs=_inputs,
    subject=_subject,
    purpose=FilePurpose.SPEC_PACKAGE,
    hold=_hold,
    accept=_accept,
)
