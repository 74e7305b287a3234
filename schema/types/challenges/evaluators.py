"""Evaluators, their versions and the files of those."""

from typing import Annotated

import strawberry

from db import models
from resolvers.challenges import evaluators
from resolvers.challenges.evaluators import NewVersion
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import deleting, result
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum, key_of, optional_key
from schema.fields.values import OBJECT
from schema.lists.connections import connection

Executor = enum(
    models.Executor,
    "How an evaluator runs. All but EXTERNAL run in a sandbox: without the network, with bounds, on read-only inputs.",
    PYTHON="By Python: a built-in program, or one of the evaluator's own.",
    BASH="By bash.",
    SBATCH="By bash, on a cluster that Slurm schedules.",
    CONTAINER="From an image, as docker save writes it or in the OCI layout, in the same sandbox.",
    EXTERNAL="By the worker of an organiser, which claims evaluations with a token of the challenge.",
)
EvaluatorFileRole = enum(
    models.EvaluatorFileRole,
    "What an evaluator has a file for.",
    PROGRAM="It is its program.",
    REFERENCE="Submissions are compared with it. No submitted program reads it.",
    GIVEN="A submitted program is given it.",
)
_NAMES = ", ".join(evaluators.NAMES)


@node(models.Evaluator, by="label", listed="The evaluators that you may see.")
class Evaluator(Node):
    """What computes the scores of submissions."""

    label: str = column("Its name, unique for its host.", filter=True, order=True, search=True)
    host: str | None = column("The machine that it was discovered on; empty for none.")
    challenge = related(models.Evaluator.challenge, "The challenge that it is of; null: the platform's.")
    current_version = related(models.Evaluator.current_version, "The version that submissions are evaluated with.")
    versions = connection(models.Evaluator.versions, "Its versions.", order="-number")


@node(models.EvaluatorVersion)
class EvaluatorVersion(Node):
    """A version of an evaluator. It never changes."""

    number: int = column("Counts the versions from 1.", filter=True, order=True)
    executor: Executor = column("How it runs.", filter=True, group=True)  # type: ignore[valid-type]
    program: str | None = column(f"The built-in program: {_NAMES}; null: one of its files.")
    executor_arguments: JSON | None = column("Arguments of the executor, before the program: a list of texts.")
    arguments: JSON | None = column("Arguments of the program: a list of texts.")
    entry_point: str | None = column("The file of a submission that is run first; null: submissions are data.")
    scores_schema: JSON = column("The JSON Schema of its scores.")
    bounds: JSON = column("Its bounds, where they are not the usual ones: an object.")
    digest: str = column("The SHA-256 of all that decides the scores.", filter=True)
    evaluator = related(models.EvaluatorVersion.evaluator, "The evaluator.")
    cluster = related(models.EvaluatorVersion.cluster, "The cluster that runs it; null: the gateway's own machine.")
    evaluator_files = connection(models.EvaluatorVersion.files, "Its files, for organisers.", small=True)


@node(models.EvaluatorFile)
class EvaluatorFile(Node):
    """A file that a version of an evaluator needs."""

    role: EvaluatorFileRole = column("What it is for.", filter=True, name="use")  # type: ignore[valid-type]
    file = related(models.EvaluatorFile.file, "The file.")
    version_of = related(models.EvaluatorFile.version_of, "The version.")


@strawberry.input(description="The bounds of a program. What is left out has its usual value.")
class EvaluatorBounds:
    seconds: float | None = strawberry.field(default=None, description="From its start to its end; 3600.")
    memory_megabytes: int | None = strawberry.field(
        default=None, description="Of all its processes and of what it writes; 4096."
    )
    processes: int | None = strawberry.field(default=None, description="Processes and threads at once; 64.")
    output_megabytes: int | None = strawberry.field(default=None, description="What it may write; 1024.")
    files: int | None = strawberry.field(default=None, description="How many files it may write; 10000.")
    printed_megabytes: int | None = strawberry.field(default=None, description="What it may print; 64.")

    def given(self) -> dict[str, float | int]:
        """The bounds that are given, in seconds and bytes."""
        sized = (("memory", self.memory_megabytes, 20), ("output", self.output_megabytes, 20))
        plain = (("seconds", self.seconds), ("processes", self.processes), ("files", self.files))
        found: dict[str, float | int] = {name: value for name, value in plain if value is not None}
        found |= {name: value << shift for name, value, shift in sized if value is not None}
        if self.printed_megabytes is not None:
            found["printed"] = self.printed_megabytes * 1_000_000
        return found


@strawberry.input(description="An evaluator, or a new version of one.")
class NewEvaluator:
    label: str = strawberry.field(description="Its name. With the host it says which evaluator this is.")
    host: str = strawberry.field(default="", description="The machine that it belongs to, where that matters.")
    challenge: strawberry.ID | None = strawberry.field(
        default=None, description="The challenge whose organisers look after it; null: the platform's, by superadmins."
    )
    executor: Executor = strawberry.field(description="How it runs.")  # type: ignore[valid-type]
    program: str | None = strawberry.field(default=None, description=f"A built-in program: {_NAMES}.")
    program_file: strawberry.ID | None = strawberry.field(
        default=None,
        description="Or a File of purpose EVALUATOR_PROGRAM: .py or .sh, or a .zip with main.py or main.sh; for "
        "CONTAINER an image as .tar.",
    )
    executor_arguments: list[str] = strawberry.field(
        default_factory=list, description="Arguments of the executor, before the program."
    )
    arguments: list[str] = strawberry.field(
        default_factory=list,
        description="Arguments of the program. A program of your own gets the folders of the submission, of the "
        "reference data and of its output after them. It writes `scores.json` into the last.",
    )
    entry_point: str | None = strawberry.field(
        default=None,
        description="Where submissions are programs: the file of theirs that is run first, without the reference data. "
        "It gets the folders of what it is given and of its output, which is then evaluated.",
    )
    scores_schema: JSON | None = strawberry.field(
        default=None,
        description=OBJECT.described(
            "The JSON Schema (2020-12) of its scores; by default that of the built-in program."
        ),
        metadata=OBJECT.metadata,
    )
    bounds: EvaluatorBounds | None = strawberry.field(default=None, description="Its bounds.")
    reference: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Files of purpose REFERENCE_DATA."
    )
    given: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Files of purpose CHALLENGE_DATA that submitted programs are given."
    )
    cluster: strawberry.ID | None = strawberry.field(
        default=None, description="The cluster that runs it; null: the gateway's own machine."
    )


def _version_of(input: NewEvaluator) -> NewVersion:
    role = models.EvaluatorFileRole
    own = [] if input.program_file is None else [key_of("File", input.program_file, "input.programFile")]
    files = {
        role.PROGRAM: own,
        role.REFERENCE: [key_of("File", id, f"input.reference.{n}") for n, id in enumerate(input.reference)],
        role.GIVEN: [key_of("File", id, f"input.given.{n}") for n, id in enumerate(input.given)],
    }
    return NewVersion(
        executor=models.Executor[input.executor.name],  # type: ignore[attr-defined]
        program=input.program,
        executor_arguments=input.executor_arguments,
        arguments=input.arguments,
        entry_point=input.entry_point,
        scores_schema=input.scores_schema,  # type: ignore[arg-type]
        bounds={} if input.bounds is None else input.bounds.given(),
        cluster=optional_key("Cluster", input.cluster, "input.cluster"),
        files=files,
    )


@strawberry.type
class EvaluatorsMutation:
    @mutation(needs=SIGNED_IN)
    async def upsert_evaluator(
        self, info: Info, input: Annotated[NewEvaluator, strawberry.argument(description="The evaluator.")]
    ) -> result(Evaluator):  # type: ignore[valid-type]
        """Make an evaluator, or a new version of the one with this label, which is then the current one. The same again
        makes none. Allowed to organisers of its challenge; without a challenge to superadmins."""
        key = await evaluators.upsert(
            info.context,
            input.label,
            _version_of(input),
            challenge=optional_key("Challenge", input.challenge, "input.challenge"),
            host=input.host,
        )
        return await written(info, "Evaluator", models.Evaluator, key)

    delete_evaluator = deleting(
        models.Evaluator, "Evaluator", "Delete an evaluator that evaluated nothing; DEPENDENCY for others."
    )
