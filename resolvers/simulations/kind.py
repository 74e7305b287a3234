"""Simulations as a kind of jobs: tasks get input files, and deliver estimators as JSON, which are merged."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Job, JobKind, Simulation, SimulationSetup, Task
from resolvers.context import Services
from resolvers.queue.kinds import Inputs, Kind
from resolvers.queue.lifecycle import Subject
from resolvers.simulations import merging


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


KIND: Kind[Services] = Kind(
    name=JobKind.SIMULATION,
    inputs=_inputs,
    subject=_subject,
    accept_json=merging.packed,
    finish=merging.finish,
)
