"""Archives as a kind of jobs: the task fetches the zip of each simulation as the owner may see it, and delivers one."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import Archive, File, FilePurpose, Job, JobKind, Simulation, Task, Upload
from db.written import because
from jobs.programs import archive as program
from resolvers.access.visibility import visible
from resolvers.accounts.tickets import TICKET, address_of
from resolvers.archives.archives import SIMULATIONS
from resolvers.context import Services
from resolvers.failures import Invalid, NotFound
from resolvers.identity.principal import Kind as Who
from resolvers.identity.principal import Principal
from resolvers.identity.tokens import Fetch
from resolvers.queue.kinds import Fetched, Inputs, Kind
from resolvers.queue.lifecycle import Subject
from resolvers.simulations import exports
from resolvers.spelling import apart, global_id, safe

NOTHING = "there is nothing left that the owner may read"
LASTS = timedelta(days=2)
"""How long a task may take to fetch what it archives."""


async def _inputs(services: Services, job: Job, task: Task) -> Inputs:
    """The zips of the simulations that the owner may read by now."""
    until = datetime.now(UTC) + LASTS
    owner = await services.identity.principals.of(Fetch(Who.USER, job.owner_user_id, None, "", until))
    simulations = await _simulations(services, owner, job.subject_id)
    if not simulations:
        raise NotFound(NOTHING)
    parts, files, folders = [], [], set[str]()
    for number, (key, title) in enumerate(simulations, 1):
        folder = "" if len(simulations) == 1 else apart(safe(title, "simulation"), folders)
        parts.append({"file": f"{number}.zip", "folder": folder})
        address = f"/{'/'.join(exports.FOLDER)}/{global_id('Simulation', key)}/all.zip"
        ticket = services.identity.keys.fetch_ticket(Who.USER, job.owner_user_id, None, address_of(address, ()), LASTS)
        files.append(Fetched(f"{number}.zip", f"{address}?{TICKET}={ticket}"))
    return Inputs(program.PROGRAM, {program.DESCRIPTION: json.dumps({"parts": parts})}, files)


async def _simulations(services: Services, owner: Principal, archive: UUID) -> Sequence[tuple[UUID, str]]:
    subject = sa.select(Archive.simulation_id, Archive.project_id).where(Archive.id == archive)
    ((simulation, project),) = await services.database.rows(subject)
    which = Simulation.id == simulation if simulation is not None else Simulation.project_id == project
    wanted = sa.select(Simulation.id, Simulation.title).where(which, visible(Simulation, owner.profile))
    wanted = wanted.order_by(Simulation.created_at, Simulation.id).limit(SIMULATIONS)
    return [(row.id, row.title) for row in await services.database.rows(wanted, dict(owner.parameters))]


async def _subject(session: AsyncSession, job: Job) -> Subject:
    archive = await session.get_one(Archive, job.subject_id)
    return Subject(JobKind.ARCHIVE, archive.id, archive.user_id, None, job.title)


def _place(job: Job) -> Mapping[str, Any]:
    return {"archive_id": job.archive_id}


async def _accept(_: Services, session: AsyncSession, job: Job, task: Task, uploads: Sequence[Upload]) -> None:
    """The delivered zip is the archive's file from now on, until the archive expires."""
    if len(uploads) != 1:
        raise Invalid(f"an archive is one file, not {len(uploads)}", field="uploads", allowed=1, value=len(uploads))
    archive = await session.get_one(Archive, job.subject_id)
    file = await session.get_one(File, uploads[0].file_id, with_for_update=True)
    because(session, "what a job made belongs to its subject", File)
    file.name = f"{safe(archive.title, 'archive')}.zip"
    file.archive_id, file.expires_at = archive.id, max(archive.expires_at, await moment_of(session))
    changed(session, row_topic(Archive, archive.id), row_topic(File, file.id))


KIND: Kind[Services] = Kind(
    name=JobKind.ARCHIVE,
    inputs=_inputs,
    subject=_subject,
    purpose=FilePurpose.ARCHIVE,
    place=_place,
    accept=_accept,
)
