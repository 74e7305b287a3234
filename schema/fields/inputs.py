"""Declare the inputs of a model once. The input types of its create and update mutations are made from them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
import strawberry

from db import models
from db.searching.folding import composed
from db.types import Name
from resolvers.access.policy import policy_of
from resolvers.access.rules import words
from resolvers.failures import Invalid
from resolvers.mail.templates import printable
from resolvers.spelling import camel
from resolvers.writing import crud
from schema.fields.fields import Info
from schema.fields.mutations import WRITER, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import key_of
from schema.fields.values import Shape

NEEDED: Any = object()


@dataclass(frozen=True, slots=True)
class Given:
    """A column that clients set: its type (or the name of the node type that it refers to), its description, its
    default. With UNSET the column's own default holds. A `fixed` one is set at creation only; `kept` makes the text
    that is stored; `shape` is the shape of a JSON value."""

    kind: Any
    description: str
    default: Any = NEEDED
    fixed: bool = False
    kept: Callable[[str, str], str] | None = None
    shape: Shape | None = None

    @property
    def refers(self) -> bool:
        return isinstance(self.kind, str)


@dataclass(frozen=True, slots=True)
class Several:
    """Ids of a type, given at creation: each becomes a row of `link` with the columns `own` and `other`. Where they may
    be `changed`, a list that is given later replaces them."""

    kind: str
    link: type[models.Entity]
    own: str
    other: str
    description: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """The columns that clients may set in rows of `model`, and the two input types made from them."""

    name: str
    model: type[models.Entity]
    given: Mapping[str, Given]
    several: Mapping[str, Several]
    new: Any
    changes: Any

    def values(self, input: Any) -> dict[str, Any]:
        """The values of an input by column; raises Invalid for a text that is too long or empty, and for a wrong id."""
        found: dict[str, Any] = {}
        for name, given in self.given.items():
            value = getattr(input, name, strawberry.UNSET)
            if value is strawberry.UNSET:
                continue
            column = f"{name}_id" if given.refers else name
            found[column] = self._checked(name, given, column, value)
        return found

    def links(self, input: Any) -> list[crud.Link]:
        """The links to make with a new row; raises Invalid for an id of another type."""
        found: list[crud.Link] = []
        for name, several in self.several.items():
            given = getattr(input, name, None)
            if given is None or given is strawberry.UNSET:
                continue
            field = camel(name)
            keys = [key_of(several.kind, id, f"input.{field}.{n}") for n, id in enumerate(given)]
            found.append(crud.Link(several.link, several.own, several.other, field, keys))
        return found

    def _checked(self, name: str, given: Given, column: str, value: Any) -> Any:
        field, kept = f"input.{camel(name)}", sa.inspect(self.model).mapper.columns[column]
        if value is None:
            if not kept.nullable:
                raise Invalid(f"{camel(name)} can't be null", field=field)
            return None
        if given.refers:
            return key_of(given.kind, value, field)
        if isinstance(value, str):
            value = composed(value)
            most = getattr(kept.type, "length", None)
            value = given.kept(value, field) if given.kept else value
            if most is not None and len(value) > most:
                raise Invalid(f"at most {most} characters are kept", field=field)
            if isinstance(kept.type, Name) and not printable(value):
                raise Invalid(f"{camel(name)} is one line without control characters", field=field)
            if given.default is NEEDED and not value.strip():
                raise Invalid(f"{camel(name)} can't be empty", field=field)
        return value


def lower(text: str, field: str) -> str:
    """A text that is stored in lower case."""
    return text.lower()


def inputs(name: str, model: type[models.Entity], /, **fields: Given | Several) -> Inputs:
    """Declare the columns that clients may set in rows of a model."""
    given = {key: field for key, field in fields.items() if isinstance(field, Given)}
    several = {key: field for key, field in fields.items() if isinstance(field, Several)}
    new = {key: _field(field, field.default in (None, strawberry.UNSET), field.default) for key, field in given.items()}
    new |= {
        key: (list[strawberry.ID], strawberry.field(description=field.description, default_factory=list))
        for key, field in several.items()
    }
    changes = {key: _field(field, True, strawberry.UNSET) for key, field in given.items() if not field.fixed}
    changes |= {
        key: (list[strawberry.ID] | None, strawberry.field(description=field.description, default=strawberry.UNSET))
        for key, field in several.items()
        if field.changed
    }
    return Inputs(
        name,
        model,
        given,
        several,
        _input(f"New{name}", f"A new {name}.", new),
        _input(f"{name}Changes", f"Changes of a {name}. A field that is left out stays as it is.", changes),
    )


def _field(field: Given, optional: bool, default: Any) -> tuple[Any, Any]:
    """The type and the declaration of an input field."""
    kind = strawberry.ID if field.refers else field.kind
    told, metadata = field.description, {}
    if field.shape is not None:
        told, metadata = field.shape.described(told), field.shape.metadata
    declared: Any = (
        strawberry.field(description=told, metadata=metadata)
        if default is NEEDED
        else strawberry.field(description=told, metadata=metadata, default=default)
    )
    return kind | None if optional else kind, declared


def _input(name: str, description: str, fields: Mapping[str, tuple[Any, Any]]) -> Any:
    namespace: dict[str, Any] = {"__annotations__": {key: kind for key, (kind, _) in fields.items()}}
    namespace |= {key: declared for key, (_, declared) in fields.items()}
    return strawberry.input(type(name, (), namespace), description=description)


def result(kind: type[Node]) -> Any:
    """The union of a node type and Problem."""
    name = kind.__name__
    return Annotated[kind | Problem, strawberry.union(f"{name}Result", description=f"The {name}, or why not.")]


@strawberry.type(description="The row is deleted. Where its type can be restored, `restore...` brings it back.")
class Deleted:
    id: strawberry.ID = strawberry.field(description="What was deleted.")
    at: datetime = strawberry.field(description="When it was done.")


DeletedResult = Annotated[
    Deleted | Problem, strawberry.union("DeletedResult", description="The deleted row, or why not.")
]

_ID = Annotated[strawberry.ID, strawberry.argument(description="The id of the row.")]
ExpectedVersion = Annotated[
    int,
    strawberry.argument(
        description="The `version` that you read. If the row has a newer one, the answer is CONFLICT and nothing "
        "changes."
    ),
]
AnyVersion = Annotated[
    int | None,
    strawberry.argument(
        description="The `version` that you read. If the row has a newer one, the answer is CONFLICT. Left out or "
        "null: any version."
    ),
]


def editing(declared: Inputs, answer: Any) -> tuple[Any, Any, Any, Any]:
    """The mutations that create, update, delete and restore rows. Their descriptions say who may."""
    name, model, may = declared.name, declared.model, policy_of(declared.model)

    async def create(self: Any, info: Info, input: Any) -> Any:
        key = await crud.create(info.context, model, declared.values(input), declared.links(input))
        return await written(info, name, model, key)

    async def update(self: Any, info: Info, id: Any, expected_version: int, input: Any) -> Any:
        key = key_of(name, id)
        await crud.update(info.context, model, key, expected_version, declared.values(input))
        return await written(info, name, model, key)

    said = {**may.columns, **may.leaving}
    fields = "".join(f" `{camel(f)}` only by {words(rules)}." for f, rules in said.items() if f in declared.given)
    given: Any = Annotated[declared.new, strawberry.argument(description="The new row.")]
    changed: Any = Annotated[declared.changes, strawberry.argument(description="What changes.")]
    return (
        _mutation(create, f"Create a {name}. Allowed to {words(may.create)}.", answer, input=given),
        _mutation(
            update,
            f"Change a {name}. Allowed to {words(may.update)}.{fields}",
            answer,
            id=_ID,
            expected_version=ExpectedVersion,
            input=changed,
        ),
        deleting(
            model, name, f"Delete a {name}. DEPENDENCY names the rows that still need it, and how many there are."
        ),
        restoring(model, name, answer),
    )


def restoring(model: type[models.Entity], name: str, answer: Any) -> Any:
    """The mutation that restores deleted rows of a model."""

    async def restore(self: Any, info: Info, id: Any) -> Any:
        key = key_of(name, id)
        await crud.restore(info.context, model, key)
        return await written(info, name, model, key)

    allowed = words(policy_of(model).restore)
    what = f"Restore a deleted {name} and what was deleted with it. Links and credentials do not come back."
    description = f"{what} Allowed to {allowed}."
    return _mutation(restore, description, answer, id=_ID)


def deleting(model: type[models.Entity], name: str, description: str) -> Any:
    """The mutation that deletes rows of a model."""

    async def delete(self: Any, info: Info, id: Any, expected_version: int | None = None) -> Any:
        at = await crud.delete(info.context, model, key_of(name, id), expected_version)
        return Deleted(id=id, at=at)

    allowed = f"{description} Allowed to {words(policy_of(model).delete)}."
    return _mutation(delete, allowed, DeletedResult, id=_ID, expected_version=AnyVersion)


def _mutation(function: Callable[..., Any], description: str, answer: Any, **arguments: Any) -> Any:
    own, optional = inspect.Parameter.POSITIONAL_OR_KEYWORD, AnyVersion
    parameters = [
        inspect.Parameter("self", own),
        inspect.Parameter("info", own, annotation=Info),
        *(
            inspect.Parameter(n, own, annotation=kind, default=None if kind is optional else inspect.Parameter.empty)
            for n, kind in arguments.items()
        ),
    ]
    function.__signature__ = inspect.Signature(parameters, return_annotation=answer)  # type: ignore[attr-defined]
    function.__annotations__ = {**{p.name: p.annotation for p in parameters[1:]}, "return": answer}
    function.__doc__ = description
    return mutation(needs=WRITER)(function)
