"""How a list is declared: its orders, its filter, and the connection that is a page of it."""

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, cast

import sqlalchemy as sa
import strawberry
from strawberry.types.field import StrawberryField

from db import models
from resolvers import paging
from resolvers.failures import LimitExceeded
from resolvers.paging import MOST, Order, Slice
from resolvers.statements import Where
from schema.fields import Info, resolver_of, target_of
from schema.scalars import key_of
from schema.selecting import select


class Connected(StrawberryField):
    """A page of the rows of a relationship, or (from the root) of all rows of a model."""

    source: Any
    orders: "Orders"
    most: int

    @property
    def model(self) -> type[models.Entity]:
        return target_of(self.source)


class Orders:
    """The orders that a list may be asked for, by name; the first is the default."""

    def __init__(self, name: str, description: str, **orders: tuple[Order, str]) -> None:
        members: Any = Enum(name, [(key, key) for key in orders])  # type: ignore[misc]
        self.enum: Any = strawberry.enum(members, description=description)
        definition: Any = getattr(self.enum, "__strawberry_definition__")  # noqa: B009
        for value in definition.values:
            value.description = orders[value.name][1]
        self._orders = {key: order for key, (order, _) in orders.items()}

    def __getitem__(self, member: Enum | None) -> Order:
        return next(iter(self._orders.values())) if member is None else self._orders[member.name]

    def __iter__(self) -> Any:
        return iter(self._orders.values())


class Condition(StrawberryField):
    """A field of a filter: what it compares, and how. Null is no condition."""

    compares: Any
    how: Callable[[Any, str], Any]
    names: str | None


TEXT, CHOICES = 100, 50
"""Characters of a text to search for; values of a list to choose from."""


def _equal(column: Any, parameter: str) -> Any:
    return column == sa.bindparam(parameter, type_=column.type)


def _chosen(column: Any, parameter: str) -> Any:
    return column.in_(sa.bindparam(parameter, expanding=True, type_=column.type))


def _contains(column: Any, parameter: str) -> Any:
    return sa.func.lower(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")


def _bounded(how: Callable[..., Any], value: Any) -> Any:
    """The value as the parameter of a condition; raises LimitExceeded for too many, or too long."""
    if how is _chosen and len(value) > CHOICES:
        raise LimitExceeded(
            f"a filter names at most {CHOICES} values", limit="choices", allowed=CHOICES, value=len(value)
        )
    if how is not _contains:
        return tuple(value) if how is _chosen else value
    if len(value) > TEXT:
        raise LimitExceeded(
            f"a text filter has at most {TEXT} characters", limit="text", allowed=TEXT, value=len(value)
        )
    escaped = value.lower().replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"


def _condition(how: Callable[[Any, str], Any], compares: Any, description: str, names: str | None = None) -> Any:
    field = Condition(description=description, default=strawberry.UNSET)
    field.compares, field.how, field.names = compares, how, names
    return field


def equal(compares: Any, description: str) -> Any:
    return _condition(_equal, compares, description)


def chosen(compares: Any, description: str) -> Any:
    """One of several values."""
    return _condition(_chosen, compares, description)


def contains(compares: Any, description: str) -> Any:
    """A part of a text, whatever its case."""
    return _condition(_contains, compares, description)


def refers(typename: str, compares: Any, description: str) -> Any:
    """The global id of a `typename`."""
    return _condition(_equal, compares, description, typename)


def conditions(filter: Any) -> Where | None:
    """What a filter's input asks for, as SQL."""
    if filter is None:
        return None
    found: list[Condition] = []
    values: dict[str, Any] = {}
    for field in filter.__strawberry_definition__.fields:
        value = getattr(filter, field.python_name)
        if value is None or value is strawberry.UNSET:
            continue
        if field.names is not None:
            value = key_of(field.names, value, f"filter.{field.python_name}")
        found.append(field)
        values[f"filter_{field.python_name}"] = _bounded(field.how, value)

    def clauses(entity: Any) -> list[Any]:
        return [field.how(getattr(entity, field.compares.key), f"filter_{field.python_name}") for field in found]

    return Where((type(filter), *(field.python_name for field in found)), clauses, values)


def connection(source: Any, description: str, *, orders: Orders, filter: type | None = None, most: int = MOST) -> Any:
    """A page of a relationship, or of a whole model; `first` or `last` is required, up to `most`."""
    model = target_of(source)

    async def resolve(root: Any, info: Info, **arguments: Any) -> paging.Page:
        slice = Slice.of(
            orders[arguments.get("order")], most, **{k: arguments.get(k) for k in ("first", "after", "last", "before")}
        )
        where = conditions(arguments.get("filter"))
        selection = select(info, model, page=True)
        if isinstance(source, type):
            return await info.context.loaders.listing(slice, selection, where)
        return await info.context.loaders.page(source, root, slice, selection, where)

    offered = {
        "first": _offered(int, f"Rows from the start, 0 to {most}. Give this or `last`."),
        "after": _offered(str, "Only rows after this cursor; goes with `first`."),
        "last": _offered(int, f"Rows from the end, 0 to {most}. Give this or `first`."),
        "before": _offered(str, "Only rows before this cursor; goes with `last`."),
        "order": _offered(orders.enum, "The order of the list; cursors belong to one order."),
    }
    if filter is not None:
        offered["filter"] = _offered(filter, "Only rows that meet all its conditions.")
    _sign(resolve, offered)
    field = Connected(description=description, base_resolver=resolver_of(resolve))
    field.source, field.orders, field.most = source, orders, most
    return field


def _offered(kind: Any, description: str) -> Any:
    return Annotated[kind | None, strawberry.argument(description=description)]


def _sign(function: Callable[..., Any], offered: Mapping[str, Any]) -> None:
    """Give `function` the parameters that Strawberry reads as arguments."""
    either, parent = inspect.Parameter.POSITIONAL_OR_KEYWORD, cast("Any", strawberry.Parent)[Any]
    parameters = [
        inspect.Parameter("root", either, annotation=parent),
        inspect.Parameter("info", either, annotation=Info),
        *(inspect.Parameter(name, either, default=strawberry.UNSET, annotation=kind) for name, kind in offered.items()),
    ]
    function.__signature__ = inspect.Signature(parameters, return_annotation=Any)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
