"""Simulations, their input and their results."""

from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import strawberry

from db import models
from resolvers.failures import Invalid
from resolvers.reading.paging import Order
from resolvers.simulations import simulations
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult, ExpectedVersion
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, BigInt, enum, key_of, optional_key
from schema.fields.values import Shape
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

SimulationType = enum(
    models.SimulationType,
    "The program that a simulation's input is written for.",
    SHIELDHIT="SHIELD-HIT12A; here the built-in proton beam in water reads its files.",
    TOPAS="TOPAS.",
    FLUKA="FLUKA.",
    DUMMY="A program for tests.",
)
InputType = enum(
    models.InputType,
    "How the input is given.",
    EDITOR="A project of YAPTIDE's editor.",
    FILES="The program's own files.",
)

NEWEST_JOB = Order(models.Job.attempt, descending=True)


def _of_job(entity: Any, suffix: str, _: Any) -> list[Any]:
    return [models.Job.simulation_id == entity.id, models.Job.key == sa.bindparam(f"job_key{suffix}")]


@node(
    models.Simulation,
    found_by={"job_key": ("The key of one of its jobs.", _of_job)},
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


@strawberry.input(description="What each task asks of its cluster. What is left out is the cluster's default.")
class ClusterOptions:
    partition: str | None = strawberry.field(default=None, description="The partition or queue.")
    account: str | None = strawberry.field(default=None, description="The account that is charged.")
    minutes: int | None = strawberry.field(default=None, description="For how many minutes a task may run.")
    megabytes: int | None = strawberry.field(default=None, description="The memory of a task, in megabytes.")
    cores: int | None = strawberry.field(default=None, description="The cores of a task.")


_INPUT = Shape(dict, 2_000_000)


@strawberry.input(description="A simulation to run.")
class NewSimulation:
    sim_type: SimulationType = strawberry.field(description="The program.")  # type: ignore[valid-type]
    input_type: InputType = strawberry.field(  # type: ignore[valid-type]
        default=models.InputType.FILES, description="How the input is given."
    )
    input_files: JSON | None = strawberry.field(
        default=None,
        description=_INPUT.described("For FILES: the program's own input files, by name the text of each."),
        metadata=_INPUT.metadata,
    )
    input_json: JSON | None = strawberry.field(
        default=None,
        description=_INPUT.described("For EDITOR: the project, as YAPTIDE's editor saves it."),
        metadata=_INPUT.metadata,
    )
    title: str = strawberry.field(default="", description="Its title, of at most 255 characters.")
    tasks: int = strawberry.field(
        default=1, description="How many tasks share the primaries, each with a seed of its own."
    )
    project: strawberry.ID | None = strawberry.field(
        default=None, description="The project whose users see the simulation."
    )
    session: strawberry.ID | None = strawberry.field(default=None, description="The session whose data it is.")
    cluster: strawberry.ID | None = strawberry.field(
        default=None, description="The cluster that is to run it; null: the gateway's own machine."
    )
    options: ClusterOptions | None = strawberry.field(default=None, description="What is asked of the cluster.")


@strawberry.input(
    description="Changes of a Simulation. A field that is left out stays as it is; null takes it out of its project "
    "or session."
)
class SimulationChanges:
    title: str | None = strawberry.field(default=strawberry.UNSET, description="At most 255 characters.")
    project: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The project.")
    session: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The session.")


SimulationResult = Annotated[
    Simulation | Problem, strawberry.union("SimulationResult", description="The simulation, or why not.")
]


def input_of(given: NewSimulation) -> Any:
    """The input of the type that was named; what is given of the other type would be forgotten."""
    kind: models.InputType = given.input_type
    editor = kind is models.InputType.EDITOR
    own, other = ("inputJson", "inputFiles") if editor else ("inputFiles", "inputJson")
    if (given.input_files if editor else given.input_json) is not None:
        raise Invalid(f"input of type {kind.name} comes as {own} alone", field=f"input.{other}")
    return given.input_json if editor else given.input_files


@strawberry.type
class SimulationsMutation:
    @mutation(needs=SIGNED_IN)
    async def submit_simulation(
        self,
        info: Info,
        input: Annotated[NewSimulation, strawberry.argument(description="The simulation.")],
    ) -> SimulationResult:
        """Submit a simulation. Its input is checked as the program will read it: an error in a file names file and
        line."""
        key = await simulations.submit_simulation(
            info.context,
            title=input.title,
            sim_type=input.sim_type,
            input_type=input.input_type,
            given=input_of(input),
            tasks=input.tasks,
            project_id=optional_key("Project", input.project, "input.project"),
            session_id=optional_key("Session", input.session, "input.session"),
            cluster_id=optional_key("Cluster", input.cluster, "input.cluster"),
            options=vars(input.options) if input.options else None,
        )
        return await written(info, "Simulation", models.Simulation, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def update_simulation(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")],
        expected_version: ExpectedVersion,
        input: Annotated[SimulationChanges, strawberry.argument(description="What changes.")],
    ) -> SimulationResult:
        """Change the title, the project or the session of a simulation of your own."""
        changes: dict[str, Any] = {k: v for k, v in vars(input).items() if v is not strawberry.UNSET}
        for name, typename in (("project", "Project"), ("session", "Session")):
            if name in changes:
                changes[f"{name}_id"] = optional_key(typename, changes.pop(name), f"input.{name}")
        if changes.get("title", "") is None:
            raise Invalid("a title may be empty, not null", field="input.title")
        key = await simulations.update_simulation(info.context, key_of("Simulation", id), expected_version, changes)
        return await written(info, "Simulation", models.Simulation, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def delete_simulation(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a simulation of your own with its results. Its jobs must have ended."""
        return Deleted(
            id=id, at=await simulations.delete_simulation(info.context, key_of("Simulation", id), expected_version)
        )
