"""The orders of lists: for each list an input with the fields that it may be ordered by, and a direction."""

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any

import sqlalchemy as sa
import strawberry

from db.models import Entity
from db.models.ordering import indexed
from db.searching.folding import folded
from resolvers.access.policy import policy_of
from resolvers.reading.paging import Order
from resolvers.reading.relationships import ends
from resolvers.spelling import camel, constant
from schema.fields.declarations import NODES, Column, Connected, NodeType, target_of
from schema.fields.scalars import enum, member_name
from schema.lists.comparisons import input_of

Model = type[Entity]
By = tuple[tuple[Any, ...], str]
"""The columns of an order, and what they are in words."""


class OrderDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


Direction = enum(OrderDirection, "The direction of an order.", ASC="From the least.", DESC="From the greatest.")


class Orders:
    """The orders that a list may be asked for, by the name of the field that it is ordered by."""

    def __init__(self, name: str, fields: Mapping[str, By], default: tuple[str, bool]) -> None:
        self._orders = {
            (field, down): Order(*by, descending=down) for field, (by, _) in fields.items() for down in (False, True)
        }
        if default not in self._orders:
            raise TypeError(f"{name}: no index has the list in its default order, by {default[0]}")
        self.names, self.default = tuple(fields), default
        self.input, members = _input(name, tuple((field, words) for field, (_, words) in fields.items()))
        self.given = {"field": members[default[0]], "direction": OrderDirection["DESC" if default[1] else "ASC"]}
        """The default, as the schema gives it."""

    def __getitem__(self, given: Mapping[str, Any] | None) -> Order:
        """The order that a client asked for; by default the list's own."""
        if not given:
            return self._orders[self.default]
        field, direction = given["field"], given.get("direction") or OrderDirection.ASC
        return self._orders[member_name(field), member_name(direction) == "DESC"]

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())


@cache
def _input(name: str, fields: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    """The input type of an order and its fields as an enumeration; lists of one type that may be ordered by the same
    fields share it."""
    members: Any = Enum(f"{name}Field", [(field, field) for field, _ in fields])  # type: ignore[misc]
    published: Any = strawberry.enum(members, description="What a list may be ordered by.")
    for value in published.__strawberry_definition__.values:
        value.description = dict(fields)[value.name]
    made = input_of(
        name,
        "The order of a list. Rows of the same value are in the order of their ids.",
        {
            "field": strawberry.field(description="What it is ordered by."),
            "direction": strawberry.field(description="From which end.", default=OrderDirection.ASC),
        },
        {"field": published, "direction": Direction},
    )
    return made, members


@cache
def orders_of(source: Any) -> Orders:
    """The orders of a list: of all rows of a model, or of what a relationship leads to. An order is offered where an
    index has it; a list that is small by nature is sorted. Raises TypeError for a default that is not offered."""
    node = NODES[target_of(source)]
    order, small = _declared(node, source)
    every = _offered(node)
    of_all = [name for name, (by, _) in every.items() if _has(node.model, by)]
    found = of_all if small else [name for name, (by, _) in every.items() if _has(source, by)]
    own = isinstance(source, type) or found == of_all
    name = f"{node.name}Order" if own else _name_of(source)
    default = constant(camel(order.lstrip("-"))), order.startswith("-")
    return Orders(name, {key: every[key] for key in found}, default)


def _name_of(source: Any) -> str:
    """The name of the order of a list that is a field of a type."""
    parent = NODES[source.class_]
    field = next(one.python_name for one in parent.fields if isinstance(one, Connected) and one.source is source)
    return f"{parent.name}{camel(f'_{field}')}Order"


def _declared(node: NodeType, source: Any) -> tuple[str, bool]:
    """The default order of a list, and whether it is small by nature."""
    for field in () if isinstance(source, type) else NODES[source.class_].fields:
        if isinstance(field, Connected) and field.source is source:
            return field.order or node.order, field.small
    return node.order, False


def _offered(node: NodeType) -> dict[str, By]:
    """By what rows of a type may be ordered, by the names of the fields."""
    found: dict[str, By] = {}
    for field in node.fields:
        if isinstance(field, Column) and field.lists.order:
            if field.key in policy_of(node.model).fields:
                raise TypeError(f"{node.name}.{field.key} is guarded: an order by it would tell what it is")
            by = sorted_by(node.model, field.key)
            late = by.property.columns[0].nullable and by.key == field.key
            words = f"{field.description} Rows without one come last." if late else field.description or ""
            found[constant(field.graphql_name or camel(field.python_name))] = (by,), words
    for name, keys in node.orders.items():
        found[name] = tuple(sorted_by(node.model, key) for key in keys), f"By {', then '.join(map(camel, keys))}."
    found["ID"] = (node.model.id,), "The id: the order in which rows came here."
    return found


def sorted_by(model: Model, key: str) -> Any:
    """The column that sorts by a column: its fold, where it has one."""
    own = sa.inspect(model).mapper.columns[key]
    return getattr(model, folded(own.table).get(own.name, key))


def _has(source: Any, by: tuple[Any, ...]) -> bool:
    """Whether an index has a list in an order."""
    columns = [column.property.columns[0] for column in by if column.key != "id"]
    if isinstance(source, type):
        return indexed(source.__table__, columns)  # type: ignore[attr-defined]
    if source.property.secondary is not None:
        return False
    target = target_of(source)
    return indexed(target.__table__, columns, sa.inspect(target).mapper.columns[ends(source)[1]].name)
