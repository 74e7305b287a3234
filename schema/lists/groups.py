"""The connection type of each type of node, and the groups that its rows can be counted in."""

import inspect
from collections.abc import Sequence
from enum import Enum
from functools import cache
from types import new_class
from typing import Annotated, Any, Optional

import sqlalchemy as sa
import strawberry
from strawberry.annotation import StrawberryAnnotation

from db.buckets import Bucket
from db.models import Entity
from resolvers.reading.grouping import DIMENSIONS, GROUPS, Grouping, How, Measure, grouping
from resolvers.reading.paging import Page
from resolvers.spelling import camel, constant
from schema.fields.declarations import NODES, Column, Dimension, Grouped, Measured, NodeType, Related, later
from schema.fields.fields import Info, resolver_of, sign, unguarded
from schema.fields.nodes import Connection
from schema.fields.scalars import enum, member_name
from schema.fields.selection import select
from schema.lists.filters import bare

Model = type[Entity]

Buckets = enum(
    Bucket,
    "The length of time in which moments are counted together.",
    HOUR="An hour; one that clocks show twice is two.",
    DAY="A day.",
    WEEK="A week, from Monday.",
    MONTH="A month.",
)
_WORDS = {
    How.SUM: "The sum of the numbers.",
    How.MIN: "The least number.",
    How.MAX: "The greatest number.",
    How.AVG: "The mean of the numbers.",
}


@cache
def connection_of(model: Model) -> Any:
    """The type of pages of a model's rows."""
    node: Any = NODES[model]
    dimensions, numbers = _asked(node)
    if not dimensions:
        return StrawberryAnnotation(Connection[node.cls]).resolve()
    group: Any = _group(node, dimensions, numbers)
    kinds = {"groups": Optional[list[group]]}  # noqa: UP045
    own = {"groups": _groups(node, dimensions, numbers), "__annotations__": kinds}
    made = new_class(f"{node.name}Connection", (Connection[node.cls],), exec_body=lambda names: names.update(own))
    return strawberry.type(made, description="One page of a list.")


def _asked(node: NodeType) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a type by which its rows are grouped, and those whose numbers are computed with, by attribute."""
    dimensions: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for field in node.fields:
        if isinstance(field, Related) and field.group:
            dimensions[field.relationship.key] = field
        elif isinstance(field, Column) and field.lists.group:
            kind = sa.inspect(node.model).mapper.columns[field.key].type
            (numbers if isinstance(kind, sa.Integer | sa.Float) else dimensions)[field.key] = field
    if set(dimensions) == {"created_at"}:
        return {}, {}  # what every row has is not enough to be counted by
    return dimensions, numbers


def _groups(node: NodeType, dimensions: dict[str, Any], numbers: dict[str, Any]) -> Any:
    """The field with the groups of a list."""
    members = _members(f"{node.name}Dimension", dimensions, "By which value rows are counted.")
    measures = tuple(Measure(how, key) for how in How for key in numbers)

    def asked(by: Sequence[Any], bucket: Any = None, time_zone: str | None = None) -> Grouping:
        keys = [members[member_name(one)].value for one in by]
        return grouping(node.model, keys, Bucket(getattr(bucket, "value", bucket or "day")), time_zone or "UTC")

    async def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        page: Page = root
        assert page.grouped is not None
        return await page.grouped(asked(**arguments), measures)

    offered = {
        "by": (list[members], f"By what, at most {DIMENSIONS}.", inspect.Parameter.empty),  # type: ignore[valid-type]
        "bucket": (Optional[Buckets], "How moments are put together.", Bucket.DAY),  # noqa: UP045
        "time_zone": (Optional[str], "Whose clocks tell hours and days, such as `Europe/Zurich`.", "UTC"),  # noqa: UP045
    }
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    sign(
        resolve,
        (
            inspect.Parameter(
                name, either, default=default, annotation=Annotated[kind, strawberry.argument(description=words)]
            )
            for name, (kind, words, default) in offered.items()
        ),
    )
    field = Grouped(
        description="All rows of the list that you may see, counted in groups of the same values, in the order of "
        f"those; null last, which stands also for what you may not see. At most {GROUPS:,} groups.",
        base_resolver=resolver_of(resolve),
    )
    field.model, field.measures, field.asked = node.model, measures, asked
    return field


def _group(node: NodeType, dimensions: dict[str, Any], numbers: dict[str, Any]) -> Any:
    """The type of a group."""
    fields: dict[str, Any] = {
        "key": _same("What its rows have in common.", lambda root: root),
        "count": _same("How many rows it has.", lambda root: root.count),
    }
    kinds: dict[str, Any] = {"key": _key(node, dimensions), "count": int}
    if numbers:
        members = _members(f"{node.name}Number", numbers, "A number of a row.")
        for how, words in _WORDS.items():
            fields[how.value] = _measured(how, members, words)
            kinds[how.value] = float | None
    made: Any = type(f"{node.name}Aggregate", (), {**fields, "__annotations__": kinds})
    return strawberry.type(made, description=f"Rows of {node.name} that have the same values.")


def _key(node: NodeType, dimensions: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for key, declared in dimensions.items():
        name = declared.python_name
        words = unguarded(declared)
        target = declared.model if isinstance(declared, Related) else None
        field = Dimension(description=words, base_resolver=resolver_of(_value(key, target)))
        field.model, field.key, field.target = node.model, key, target
        fields[name] = field
        kinds[name] = Optional[bare(declared.type) if target is None else later(target)]  # noqa: UP045
    made: Any = type(f"{node.name}AggregateKey", (), {**fields, "__annotations__": kinds})
    return strawberry.type(
        made, description="The values that rows of a group have in common; null for what they were not grouped by."
    )


def _value(key: str, target: Model | None) -> Any:
    """The function that gives a value of a group's key."""

    async def row(root: strawberry.Parent[Any], info: Info) -> Any:
        assert target is not None
        found = root.keys.get(key)
        return None if found is None else await info.context.loaders.one(select(info, target), found)

    return row if target is not None else lambda root: root.keys.get(key)


def _measured(how: How, members: Any, words: str) -> Any:
    def asked(field: Any) -> Measure:
        return Measure(how, members[member_name(field)].value)

    def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        return root.measures[asked(**arguments)]

    kind = Annotated[members, strawberry.argument(description="Which number.")]
    sign(resolve, [inspect.Parameter("field", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)])
    field = Measured(description=words, base_resolver=resolver_of(resolve))
    field.asked = asked
    return field


def _same(description: str, made: Any) -> Any:
    return strawberry.field(description=description, resolver=made)


def _members(name: str, fields: dict[str, Any], description: str) -> Any:
    """An enumeration of fields, each with its attribute as the value."""
    members: Any = Enum(name, {constant(f.graphql_name or camel(f.python_name)): key for key, f in fields.items()})  # type: ignore[misc]
    published: Any = strawberry.enum(members, description=description)
    for value, field in zip(published.__strawberry_definition__.values, fields.values(), strict=True):
        value.description = unguarded(field)
    return members
