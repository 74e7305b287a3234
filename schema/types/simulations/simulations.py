"""Simulations, their input and their results."""

from typing import Annotated, Any, Optional

import sqlalchemy as sa
import strawberry

from db import models
from resolvers import labels
from resolvers.access.policy import policy_of
from resolvers.failures import Invalid
from resolvers.reading.paging import Order
from resolvers.simulations import simulations
from resolvers.simulations.simulations import delete_simulation
from schema.fields.declarations import FoundBy
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult, ExpectedVersion, restoring
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, BigInt, enum, key_of, optional_key
from schema.lists import batches
from schema.lists.batches import After, DeletedBatch, DeletedBatchResult, Ids
from schema.lists.connections import connection
from schema.lists.filters import filter_type

SimulationType = enum(
    models.SimulationType,
    "The program that a simulation's input is written for.",
    SHIELDHIT="SHIELD-HIT12A. Where none is configured, the built-in proton beam in water reads its files.",
    TOPAS="TOPAS.",
    FLUKA="FLUKA.",
    GEANT4="Geant4.",
    DUMMY="A program for tests.",
)
InputType = enum(
    models.InputType,
    "How the input is given.",
    EDITOR="A project of YAPTIDE's editor, which is converted to the files of SHIELDHIT or FLUKA.",
    FILES="The program's own files.",
)

SimulationFilter: Any = filter_type(models.Simulation)
NEWEST_JOB = Order(models.Job.attempt, descending=True)


def _of_job(entity: Any, suffix: str, _: Any) -> list[Any]:
    return [models.Job.simulation_id == entity.id, models.Job.key == sa.bindparam(f"job_key{suffix}")]


@node(
    models.Simulation,
    found_by={"job_key": FoundBy("The key of one of its jobs.", _of_job)},
    by="-created_at",
    listed="Your simulations and those of your projects.",
)
class Simulation(Node):
    """A Monte-Carlo simulation of a radiation field: its input, the jobs that compute it, and its results."""

    title: str = column("The title that its owner gave it; may be empty.", filter=True, order=True, search=True)
    sim_type: SimulationType = column("The program it is for.", filter=True, group=True)  # type: ignore[valid-type]
    input_type: InputType = column("How its input was given.", filter=True, group=True)  # type: ignore[valid-type]
    owner = related(models.Simulation.owner, "Who submitted it.", group=True)
    project = related(models.Simulation.project, "The project whose members see it, if any.", group=True)
    session = related(models.Simulation.session, "The session whose data it is, if any.", group=True)
    job = related(models.Simulation.jobs, "Its latest job.", order=NEWEST_JOB)
    jobs = connection(models.Simulation.jobs, "All its jobs, one for each attempt.", order="-attempt")
    input = related(models.Simulation.input, "Its input.")
    estimators = connection(
        models.Simulation.estimators, "Its results; empty until tasks delivered some.", order="name"
    )
    outputs = connection(
        models.Simulation.outputs, "The files that its program wrote, until they expire.", order="-created_at"
    )
    labels = connection(models.Simulation.labels, "The labels that its owner gave it.", order="name")
    links = connection(
        models.Simulation.links,
        "The links that share it, also expired ones. They are shown to its owner.",
        order="-created_at",
    )


@node(models.SimulationSetup)
class SimulationSetup(Node):
    """The input of a simulation."""

    files: JSON | None = column("The input files: an object of name to text.", name="inputFiles")
    project: JSON | None = column(
        "The editor's project from which the files were made; null when files were given.", name="inputJson"
    )
    total_primaries: BigInt = column("The primary particles asked for, over all tasks.", filter=True, group=True)
    simulation = related(models.SimulationSetup.simulation, "The simulation.")


@node(models.SimulationLabel)
class SimulationLabel(Node):
    """A label that its owner gave to a simulation. `updateSimulation` sets them."""

    name: str = column("The label.", filter=True, group=True, order=True)
    simulation = related(models.SimulationLabel.simulation, "The simulation.")


@strawberry.input(description="What each task asks of its cluster. What is left out is the cluster's default.")
class ClusterOptions:
    partition: str | None = strawberry.field(default=None, description="The partition or queue.")
    account: str | None = strawberry.field(default=None, description="The account that is charged.")
    minutes: int | None = strawberry.field(default=None, description="For how many minutes a task may run.")
    megabytes: int | None = strawberry.field(default=None, description="The memory of a task, in megabytes.")
    cores: int | None = strawberry.field(default=None, description="The cores of a task.")


LABELS = f"Labels of your own, at most {labels.MOST} of at most {labels.LENGTH} characters."


@strawberry.input(
    description="Changes of a Simulation. A field that is left out stays as it is; null takes it out of its project "
    "or session."
)
class SimulationChanges:
    title: str | None = strawberry.field(default=strawberry.UNSET, description="At most 255 characters.")
    project: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The project.")
    session: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The session.")
    labels: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description=f"In place of those that it has. {LABELS}"
    )


SimulationResult = Annotated[
    Simulation | Problem, strawberry.union("SimulationResult", description="The simulation, or why not.")
]


@strawberry.type
class SimulationsMutation:
    @mutation(needs=SIGNED_IN)
    async def update_simulation(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")],
        expected_version: ExpectedVersion,
        input: Annotated[SimulationChanges, strawberry.argument(description="What changes.")],
    ) -> SimulationResult:
        """Change the title, the labels, the project or the session of a simulation of your own."""
        changes: dict[str, Any] = {k: v for k, v in vars(input).items() if v is not strawberry.UNSET}
        for name, typename in (("project", "Project"), ("session", "Session")):
            if name in changes:
                changes[f"{name}_id"] = optional_key(typename, changes.pop(name), f"input.{name}")
        for name in ("title", "labels"):
            if changes.get(name, "") is None:
                raise Invalid(f"{name} may be empty, not null", field=f"input.{name}")
        key = await simulations.update_simulation(info.context, key_of("Simulation", id), expected_version, changes)
        return await written(info, "Simulation", models.Simulation, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN, allowed=policy_of(models.Simulation).delete)
    async def delete_simulation(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a simulation with its results. Its jobs must have ended. `restoreSimulation` brings it
        back, until deleted simulations are cleared."""
        return Deleted(
            id=id, at=await simulations.delete_simulation(info.context, key_of("Simulation", id), expected_version)
        )

    restore_simulation = restoring(models.Simulation, "Simulation", SimulationResult)

    @mutation(needs=SIGNED_IN, several="simulations", allowed=policy_of(models.Simulation).delete)
    async def delete_simulations(
        self,
        info: Info,
        simulations: Ids = None,
        filter: Annotated[
            Optional[SimulationFilter],  # noqa: UP045  (it is no type yet)
            strawberry.argument(description=batches.FILTER),
        ] = None,
        after: After = None,
    ) -> DeletedBatchResult:
        """Delete several simulations with their results. Each is a transaction of its own: one that can't
        be deleted, such as one whose job runs, keeps no other."""
        rows = await batches.rows_of(info, models.Simulation, simulations, filter, after)
        return DeletedBatch.of(await batches.each(info, rows, delete_simulation, SIGNED_IN))
