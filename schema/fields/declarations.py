"""Fields of the schema declared as data. The GraphQL field, its loader, columns, plan, cost and tests come from it.

A field of a node is a `Column`, a `Part` (an object made of columns), `Related` (to one), `Connected` (a page of many)
or `Computed` from columns; a field of the root is `Connected`, `Listed`, `ById` or `Found`.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from db import models
from resolvers.access.rules import Rule
from resolvers.failures import Forbidden
from resolvers.reading.paging import Order
from resolvers.reading.plan import Asked
from schema.fields.scalars import global_id


class Key(StrawberryField):
    """The global id."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> str:
        return global_id(self.typename, source.id)

    typename: str


class Column(StrawberryField):
    """A column of the row, by its name; guarded when it `needs` one of some rules."""

    def __init__(self, *args: Any, needs: tuple[Rule, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = needs
        self.refusal = ""
        """The message for a principal who may not read it."""

    @property
    def key(self) -> str:
        """The column's attribute of the model."""
        return self.python_name

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        if self.needs and not getattr(source, f"may_{self.python_name}"):
            raise Forbidden(self.refusal)
        return getattr(source, self.python_name)


class Numbers(Column):
    """A column with a JSON array as text. The executor passes it into the response as bytes, unchanged."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        text = super().get_result(source, info, args, kwargs)
        return None if text is None else text.encode()


class Part(StrawberryField):
    """An object made of columns of the same row: `names` maps its fields to them; null when the first one is."""

    def __init__(self, *args: Any, names: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    @property
    def present(self) -> str:
        return next(iter(self.names.values()))

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return None if getattr(source, self.present) is None else _PartOf(source, self.names)


class _PartOf:
    __slots__ = ("_names", "_row")

    def __init__(self, row: Any, names: Mapping[str, str]) -> None:
        self._row = row
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(name)
        return getattr(self._row, self._names[name])


class Related(StrawberryField):
    """The row at the other end of a to-one relationship, or the first of a to-many one in an order."""

    relationship: Any
    order: Order | None

    @property
    def model(self) -> type[models.Entity]:
        return target_of(self.relationship)


class Computed(StrawberryField):
    """A value made in Python from the columns that it `reads`; `asks` names rules whose answers it needs, as
    `may_<name>`."""

    reads: tuple[str, ...]
    asks: Mapping[str, tuple[Rule, ...]]


class Orders:
    """The orders that a list may be asked for, by name; the first is the default."""

    def __init__(self, name: str, description: str, **orders: tuple[Order, str]) -> None:
        members: Any = Enum(name, [(key, key) for key in orders])  # type: ignore[misc]
        self.enum: Any = strawberry.enum(members, description=description)
        definition: Any = getattr(self.enum, "__strawberry_definition__")  # noqa: B009
        for value in definition.values:
            value.description = orders[value.name][1]
        self._orders = {key: order for key, (order, _) in orders.items()}
        self.default: Any = next(iter(members))

    def __getitem__(self, member: Enum | None) -> Order:
        return next(iter(self._orders.values())) if member is None else self._orders[member.name]

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())


class Connected(StrawberryField):
    """A page of the rows of a relationship, or (from the root) of all rows of a model. `asked` reads its arguments."""

    source: Any
    orders: Orders
    most: int
    asked: Callable[..., Asked]

    @property
    def model(self) -> type[models.Entity]:
        return target_of(self.source)


class Listed(StrawberryField):
    """A page of values that are no nodes, made in Python; from the root."""

    most: int


class ById(StrawberryField):
    """The nodes of global ids, from the root: one or several."""


class Found(StrawberryField):
    """One row of a model, from the root, that meets the condition which `asked` makes of the arguments."""

    model: type[models.Entity]
    asked: Callable[..., Asked]


def target_of(source: Any) -> type[models.Entity]:
    """The model of a relationship, or the model itself."""
    model: type[models.Entity] = source if isinstance(source, type) else source.property.mapper.class_
    return model
