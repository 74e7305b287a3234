"""Simulations as a kind of jobs: tasks get input files, and deliver estimators, which are merged, and the files that
their program wrote, which are kept for some time."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import File, FilePurpose, Job, JobKind, Simulation, SimulationSetup, Task, Upload
from db.written import because
from jobs.results.estimators import read
from resolvers.context import Services
from resolvers.queue.kinds import Accepted, Inputs, Kind
from resolvers.queue.lifecycle import Subject
from resolvers.simulations import delivered, merging


async def _inputs(services: Services, job: Job, task: Task) -> Inputs:
    wanted = (
        sa.select(Simulation.sim_type, SimulationSetup.files)
        .join(SimulationSetup, SimulationSetup.simulation_id == Simulation.id)
        .where(Simulation.id == job.simulation_id)
    )
    ((sim_type, files),) = await services.database.rows(wanted)
    return Inputs(services.jobs.programs[sim_type.name], files)


async def _subject(session: AsyncSession, job: Job) -> Subject:
    row = await session.get_one(Simulation, job.subject_id)
    return Subject(JobKind.SIMULATION, row.id, row.user_id, row.project_id, job.title)


def _place(job: Job) -> Mapping[str, Any]:
    return {"simulation_id": job.simulation_id, "project_id": job.project_id}


async def _accept(services: Services, session: AsyncSession, job: Job, task: Task, uploads: Sequence[Upload]) -> None:
    """What the program wrote is kept with its simulation, for as long as the settings say."""
    because(session, "what a job made belongs to its subject", File)
    until = await moment_of(session) + timedelta(seconds=services.files.bounds.outputs)
    for upload in uploads:
        file = await session.get_one(File, upload.file_id, with_for_update=True)
        file.simulation_id, file.task_id, file.project_id = job.simulation_id, task.id, job.project_id
        file.expires_at = until
        changed(session, row_topic(File, file.id))


def _accept_json(services: Services, given: Any, numbers: int) -> Accepted:
    checked = read(given, numbers=numbers, largest=services.limits.page_values)
    return Accepted(delivered.packed(checked), checked.warnings)


KIND: Kind[Services] = Kind(
    name=JobKind.SIMULATION,
    inputs=_inputs,
    subject=_subject,
    purpose=FilePurpose.OUTPUT,
    place=_place,
    accept=_accept,
    accept_json=_accept_json,
    finish=merging.finish,
)
