"""Submit simulations: with an input of their own, or with that of another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import strawberry

from db import models
from resolvers.failures import Failure, Invalid
from resolvers.simulations import simulations
from resolvers.simulations.inputs import Input, read_input
from resolvers.spelling import snake
from schema.fields.fields import Info
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.scalars import JSON, key_of, optional_key
from schema.fields.values import Shape
from schema.types.simulations.simulations import (
    LABELS,
    ClusterOptions,
    InputType,
    SimulationResult,
    SimulationType,
)

_INPUT = Shape(dict, 2_000_000)


@strawberry.input(description="A simulation to run.")
class NewSimulation:
    sim_type: SimulationType | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="The program. It may be left out with `from` alone."
    )
    input_type: InputType | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="How the input is given: by default FILES, or with `from` as is given here or there."
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
    title: str | None = strawberry.field(
        default=None, description="Its title, of at most 255 characters; by default empty."
    )
    tasks: int | None = strawberry.field(
        default=None, description="How many tasks share the primaries, each with a seed of its own; by default 1."
    )
    project: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The project whose users see the simulation; by default none."
    )
    session: strawberry.ID | None = strawberry.field(default=None, description="The session whose data it is.")
    labels: list[str] = strawberry.field(default_factory=list, description=LABELS)
    cluster: strawberry.ID | None = strawberry.field(
        default=None, description="The cluster that is to run it; null: the gateway's own machine."
    )
    options: ClusterOptions | None = strawberry.field(default=None, description="What is asked of the cluster.")


def input_of(given: NewSimulation, like: Input | None) -> tuple[models.InputType, Any]:
    """The type of the input, and the input of that type: what is given, else that of the simulation `like` which it
    is. What is given of the other type would be forgotten."""
    kind: models.InputType = given.input_type or _type_of(given, like)
    if kind is models.InputType.EDITOR and given.input_json is None and like is not None and like.project is None:
        raise Invalid("that simulation has no editor's project", field="from")
    editor = kind is models.InputType.EDITOR
    own, other = ("inputJson", "inputFiles") if editor else ("inputFiles", "inputJson")
    if (given.input_files if editor else given.input_json) is not None:
        raise Invalid(f"input of type {kind.name} comes as {own} alone", field=f"input.{other}")
    own_input = given.input_json if editor else given.input_files
    return kind, like.of_type(kind) if own_input is None and like is not None else own_input


def _type_of(given: NewSimulation, like: Input | None) -> models.InputType:
    """The type of an input that does not say it."""
    if like is None or given.input_files is not None:
        return models.InputType.FILES
    return like.input_type if given.input_json is None else models.InputType.EDITOR


def submission_of(given: NewSimulation, like: Input | None) -> dict[str, Any]:
    """What is submitted: what is given, else what the simulation `like` which it is was submitted with."""
    if (sim_type := given.sim_type or (like and like.sim_type)) is None:
        raise Invalid("name the program, or a simulation to take it from", field="input.simType")
    kind, own = input_of(given, like)
    project = given.project
    return {
        "sim_type": sim_type,
        "input_type": kind,
        "given": own,
        "title": given.title if given.title is not None else like.title if like else "",
        "tasks": given.tasks if given.tasks is not None else like.tasks if like else 1,
        "project_id": (like and like.project_id)
        if project is strawberry.UNSET
        else optional_key("Project", project, "input.project"),
        "session_id": optional_key("Session", given.session, "input.session"),
        "cluster_id": optional_key("Cluster", given.cluster, "input.cluster"),
        "labels": given.labels,
        "options": vars(given.options) if given.options else None,
    }


@contextmanager
def told_of_source(given: NewSimulation, like: Input | None) -> Iterator[None]:
    """Let failures about what comes from the simulation `like` say so, and name the argument `from`."""
    try:
        yield
    except Failure as failure:
        if like is not None and _from_source(given, failure.field or ""):
            failure.message = f"what comes from that simulation does not do here: {failure.message}"
            failure.field = "from"
        raise


def _from_source(given: NewSimulation, field: str) -> bool:
    """Whether a field of the input is left out, so that it comes from another simulation; of input files and project,
    whether both are."""
    name = snake(field.removeprefix("input.").partition(".")[0])
    if name in ("input_files", "input_json"):
        return given.input_files is None and given.input_json is None
    if name == "project":
        return given.project is strawberry.UNSET
    return name in ("sim_type", "input_type", "title", "tasks") and getattr(given, name) is None


@strawberry.type
class SubmissionsMutation:
    @mutation(needs=SIGNED_IN)
    async def submit_simulation(
        self,
        info: Info,
        input: Annotated[NewSimulation, strawberry.argument(description="The simulation.")],
        from_: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                name="from",
                description="A simulation whose input you may read. What `input` leaves out of program, input, title, "
                "tasks and project is taken from it, as it was submitted or last tried again.",
            ),
        ] = None,
    ) -> SimulationResult:
        """Submit a simulation. Its input is checked as the program will read it: an error in a file names file and
        line."""
        like = None if from_ is None else await read_input(info.context, key_of("Simulation", from_, "from"), "from")
        submission = submission_of(input, like)
        with told_of_source(input, like):
            key = await simulations.submit_simulation(info.context, **submission)
        return await written(info, "Simulation", models.Simulation, key)  # type: ignore[no-any-return]
