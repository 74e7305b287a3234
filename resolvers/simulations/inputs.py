"""The stored input of a simulation, for those who may read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.models import InputType, Job, Simulation, SimulationSetup, SimulationType, Task
from resolvers.access.policy import policy_of
from resolvers.access.rules import allowed, words
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Input:
    """What a simulation was submitted with. `project` is the editor's, if one was given; `files` are the native files,
    given or made from it; `tasks` are those of its latest job."""

    sim_type: SimulationType
    input_type: InputType
    title: str
    project_id: UUID | None
    files: Mapping[str, str]
    project: Mapping[str, Any] | None
    tasks: int

    def of_type(self, kind: InputType) -> Mapping[str, Any] | None:
        """What is given as input of this type; None where there is none."""
        return self.project if kind is InputType.EDITOR else self.files


async def read_input(ctx: Context, key: UUID, field: str) -> Input:
    """The input of a simulation, which `field` named. NOT_FOUND for a simulation that is not there or is hidden,
    FORBIDDEN for who sees it and may not read its input."""
    profile, parameters = ctx.principal.profile, dict(ctx.principal.parameters)
    guard = policy_of(SimulationSetup).guard("files")
    wanted = (
        sa.select(
            *(Simulation.sim_type, Simulation.input_type, Simulation.title, Simulation.project_id),
            *(SimulationSetup.files, SimulationSetup.project),
            allowed(guard, SimulationSetup, profile).label("may"),
        )
        .join(Simulation, Simulation.id == SimulationSetup.simulation_id)
        .where(SimulationSetup.simulation_id == key, visible(SimulationSetup, profile))
    )
    rows = await ctx.database.rows(wanted, parameters, ctx.lane)
    if not rows:
        raise NotFound("no Simulation with this id", field=field)
    row = rows[0]
    if not row.may:
        raise Forbidden(f"only {words(guard)} may read the input of this Simulation", field=field)
    return Input(
        row.sim_type, row.input_type, row.title, row.project_id, row.files, row.project, await _tasks(ctx, key)
    )


async def _tasks(ctx: Context, key: UUID) -> int:
    """The number of tasks of the latest job; 1 where all were deleted."""
    latest = sa.select(Job.id).where(Job.simulation_id == key).order_by(Job.attempt.desc()).limit(1).scalar_subquery()
    number = sa.select(sa.func.count()).select_from(Task).where(Task.job_id == latest)
    return (await ctx.database.rows(number, {}, ctx.lane))[0][0] or 1
