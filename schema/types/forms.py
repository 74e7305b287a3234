"""Descriptions of forms: what a program shows to somebody who makes or changes a row, from the inputs of the schema."""

from enum import Enum
from typing import Annotated, Any

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    Undefined,
    get_named_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)

from resolvers.failures import NotFound
from schema.fields.fields import Info
from schema.fields.scalars import JSON, enum


class Shown(Enum):
    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    MOMENT = "MOMENT"
    CHOICE = "CHOICE"
    REFERENCE = "REFERENCE"
    JSON = "JSON"
    FORM = "FORM"


FieldKind = enum(
    Shown,
    "How a field of a form is shown.",
    name="FormFieldKind",
    TEXT="A text.",
    NUMBER="A number.",
    BOOLEAN="Yes or no.",
    MOMENT="A date, or a date and time.",
    CHOICE="One of `choices`.",
    REFERENCE="A row of another type, by its id: one of the list of that name.",
    JSON="Settings in JSON.",
    FORM="A form within the form: ask for the one that `type` names.",
)
_KINDS = {
    "Int": Shown.NUMBER, "Float": Shown.NUMBER, "BigInt": Shown.NUMBER, "Boolean": Shown.BOOLEAN, "ID": Shown.REFERENCE,
    "DateTime": Shown.MOMENT, "Date": Shown.MOMENT, "JSON": Shown.JSON,
}  # fmt: skip


@strawberry.type(description="A field of a form.")
class FormField:
    name: str = strawberry.field(description="Its name in the input.")
    label: str = strawberry.field(description="What it means.")
    kind: FieldKind = strawberry.field(description="How it is shown.")  # type: ignore[valid-type]
    type: str = strawberry.field(description="Its type in the schema, without what is around it.")
    required: bool = strawberry.field(description="Whether it must be given.")
    nullable: bool = strawberry.field(description="Whether it may be null.")
    several: bool = strawberry.field(description="Whether it is a list.")
    default: JSON | None = strawberry.field(description="What holds where it is left out; null: nothing.")
    choices: list[str] = strawberry.field(description="Of a CHOICE: the values.")


@strawberry.type(description="A form: what is asked of who makes or changes a row.")
class Form:
    name: str = strawberry.field(description="The input of the schema that it is of.")
    label: str = strawberry.field(description="What it is for.")
    fields: list[FormField] = strawberry.field(description="Its fields, in their order.")


@strawberry.type
class FormsQuery:
    @strawberry.field(description="The form of an input of the schema, such as NewParticipant or ParticipantChanges.")
    async def form(
        self, info: Info, input: Annotated[str, strawberry.argument(description="The name of the input.")]
    ) -> Form:
        kind = info._raw_info.schema.get_type(input)
        if not isinstance(kind, GraphQLInputObjectType):
            raise NotFound("no input of the schema has this name; one is such as NewParticipant", field="input")
        return Form(
            name=kind.name,
            label=kind.description or "",
            fields=[_field(name, field) for name, field in kind.fields.items()],
        )


def _field(name: str, field: Any) -> FormField:
    inner: Any = get_named_type(field.type)
    outer = field.type.of_type if is_non_null_type(field.type) else field.type
    shown = _KINDS.get(inner.name, Shown.TEXT)
    if isinstance(inner, GraphQLEnumType):
        shown = Shown.CHOICE
    elif isinstance(inner, GraphQLInputObjectType):
        shown = Shown.FORM
    default = field.default_value
    return FormField(
        name=name,
        label=field.description or "",
        kind=shown,
        type=inner.name,
        required=is_required_input_field(field),
        nullable=not is_non_null_type(field.type),
        several=is_list_type(outer),
        default=None if default is Undefined else getattr(default, "name", default),
        choices=[*inner.values] if isinstance(inner, GraphQLEnumType) else [],
    )
