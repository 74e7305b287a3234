"""The difference of the inputs of two simulations."""

from typing import Annotated

import strawberry

from resolvers.simulations import differences
from resolvers.simulations.differences import Kind
from schema.fields.fields import Info
from schema.fields.scalars import JSON, enum, key_of

DifferenceKind = enum(
    Kind,
    "How something differs in two inputs.",
    name="DifferenceKind",
    ADDED="Only the other simulation has it.",
    REMOVED="The other simulation lacks it.",
    CHANGED="Both have it, and it is not the same.",
)


@strawberry.type(description="An input file that is not the same in two simulations.")
class TextDifference:
    name: str = strawberry.field(description="The name of the file.")
    kind: DifferenceKind = strawberry.field(description="How it differs.")  # type: ignore[valid-type]
    diff: str = strawberry.field(
        description=f"A unified diff with {differences.CONTEXT} lines of context: the first {differences.TEXT:,} "
        f"characters, in whole lines, and at most {differences.TOTAL:,} of all files together."
    )
    complete: bool = strawberry.field(description="Whether the diff was not cut.")


@strawberry.type(description="A value of the editor's project that is not the same in two simulations.")
class ValueDifference:
    path: str = strawberry.field(
        description="Where it is: a JSON Pointer (RFC 6901), such as `/beam/energy`. An element that was removed from "
        "a list has its former place, every other one its place in the other simulation."
    )
    kind: DifferenceKind = strawberry.field(description="How it differs.")  # type: ignore[valid-type]
    before: JSON | None = strawberry.field(description="Its value in the simulation.")
    after: JSON | None = strawberry.field(description="Its value in the other simulation.")
    complete: bool = strawberry.field(
        description=f"Whether the values stand here: those of more than {differences.VALUE:,} bytes are left out."
    )


@strawberry.type(description="What differs in the inputs of two simulations. What is the same in both is left out.")
class InputDifference:
    input_files: list[TextDifference] = strawberry.field(
        description="The program's own files, also those that were made from a project of the editor, by their names."
    )
    input_json: list[ValueDifference] | None = strawberry.field(
        description=f"What differs in the editor's projects, at most {differences.CHANGES:,} values; null unless both "
        "simulations were given as such."
    )
    complete: bool = strawberry.field(description="Whether nothing was cut or left out.")


@strawberry.type
class DifferencesQuery:
    @strawberry.field(
        description="What differs in the input of another simulation. You must be allowed to read the inputs of both."
    )
    async def input_difference(
        self,
        info: Info,
        simulation: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")],
        other: Annotated[strawberry.ID, strawberry.argument(description="The simulation that it is compared with.")],
    ) -> InputDifference | None:
        keys = key_of("Simulation", simulation, "simulation"), key_of("Simulation", other, "other")
        found = await differences.difference(info.context, *keys)
        texts = [TextDifference(name=t.name, kind=t.kind, diff=t.diff, complete=t.complete) for t in found.texts]
        info.context.spend(sum(len(text.diff) for text in texts))
        values = None
        if found.values is not None:
            values = [
                ValueDifference(
                    path=v.path, kind=v.kind, before=JSON(v.before), after=JSON(v.after), complete=v.complete
                )
                for v in found.values
            ]
        return InputDifference(input_files=texts, input_json=values, complete=found.complete)
