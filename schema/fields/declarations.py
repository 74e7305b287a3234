"""Fields of the schema declared as data. The GraphQL field, its loader, columns, plan, cost and tests come from it.

A field of a node is a `Column`, a `Part` (an object made of columns), `Related` (to one), `Connected` (a page of many)
or `Computed` from columns; a field of the root is `Connected`, `Listed`, `ById` or `Found`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from db import models
from resolvers.access.rules import Rule
from resolvers.failures import Forbidden
from resolvers.identity.principal import AccessProfile
from resolvers.reading.grouping import Grouping, Measure
from resolvers.reading.paging import Order
from resolvers.reading.plan import Asked
from resolvers.spelling import global_id


@dataclass(frozen=True, slots=True)
class Lists:
    """How lists may be asked for a column: by a `filter`, in its `order`, in groups of rows with the same value (of a
    number: by its sum and the like), by a `search` for parts of its text; and whether one row is `found` by it."""

    filter: bool = False
    order: bool = False
    group: bool = False
    search: bool = False
    found: bool = False


NO_WAY = Lists()


class Key(StrawberryField):
    """The global id."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> str:
        return global_id(self.typename, source.id)

    typename: str


class Column(StrawberryField):
    """A column of the row, by its name; guarded when it `needs` one of some rules."""

    def __init__(self, *args: Any, needs: tuple[Rule, ...] = (), lists: Lists = NO_WAY, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = needs
        self.lists = lists
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


class Varied(Column):
    """A column that has other values for some readers: `ways` has rules, each with the column whose value is read where
    one of them holds; the first that does decides. Lists are filtered by the column itself."""

    ways: tuple[tuple[tuple[Rule, ...], str], ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(key for _, key in self.ways)

    @property
    def asks(self) -> Mapping[str, tuple[Rule, ...]]:
        return {f"{self.python_name}_{number}": rules for number, (rules, _) in enumerate(self.ways)}

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_result(source, info, args, kwargs)
        for number, (_, key) in enumerate(self.ways):
            if getattr(source, f"may_{self.python_name}_{number}"):
                return getattr(source, key)
        return value


class Numbers(Column):
    """A column with a JSON array as text. The executor passes it into the response as bytes, unchanged."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        text = super().get_result(source, info, args, kwargs)
        return None if text is None else text.encode()


class Slabbed(Numbers):
    """Numbers of a part that may stand in slabs. Its arguments choose some; then they are read in Python, from the
    columns that it `reads`."""

    reads: tuple[str, ...]

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return StrawberryField.get_result(self, source, info, args, kwargs)


class Part(StrawberryField):
    """An object made of columns of the same row: `names` maps its fields to them; null when the first one is."""

    def __init__(self, *args: Any, names: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    @property
    def present(self) -> str:
        return next(iter(self.names.values()))

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return None if getattr(source, self.present) is None else PartOf(source, self.names)


class PartOf:
    """A part of a row; `names` maps its fields to columns."""

    __slots__ = ("names", "row")

    def __init__(self, row: Any, names: Mapping[str, str]) -> None:
        self.row = row
        self.names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self.names:
            raise AttributeError(name)
        return getattr(self.row, self.names[name])


class Related(StrawberryField):
    """The row at the other end of a to-one relationship, or the first of a to-many one in an order."""

    relationship: Any
    order: Order | None
    filter: bool
    group: bool

    @property
    def model(self) -> type[models.Entity]:
        return target_of(self.relationship)


class Computed(StrawberryField):
    """A value made in Python from the columns that it `reads`; `asks` names rules whose answers it needs, as
    `may_<name>`."""

    reads: tuple[str, ...]
    lists: Lists
    asks: Mapping[str, tuple[Rule, ...]]


class Connected(StrawberryField):
    """A page of the rows of a relationship, or (from the root) of all rows of a model. `asked` reads its arguments.
    `small` says that the list is small by nature, so that it may be sorted. `pinned` says that it is replaced as a
    whole, so that a cursor of the list before is refused. `order` names its default order, `orders` makes all."""

    source: Any
    order: str
    small: bool
    pinned: bool
    filter: bool
    kind: Any
    orders: Callable[[], Any]
    most: int
    asked: Callable[..., Asked]

    @property
    def model(self) -> type[models.Entity]:
        return target_of(self.source)


class Grouped(StrawberryField):
    """The groups of a list of a model; from its connection. `asked` reads its arguments, `measures` are all numbers
    that groups may be asked for."""

    model: type[models.Entity]
    measures: tuple[Measure, ...]
    asked: Callable[..., Grouping]


class Dimension(StrawberryField):
    """A value that the rows of a group share, by the attribute `key` of the model; of a reference the row of
    `target`."""

    model: type[models.Entity]
    key: str
    target: type[models.Entity] | None


class Measured(StrawberryField):
    """A number that is computed of a group; `asked` reads its argument."""

    asked: Callable[..., Measure]


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


@dataclass(frozen=True, slots=True)
class FoundBy:
    """By what a row is found: in words, and as clauses, with its name as their parameter. `read` makes what is compared
    of what was given."""

    words: str
    clauses: Callable[[Any, str, AccessProfile], Sequence[Any]]
    read: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Lasting:
    """Rows that last: from the moment in one column to that in another, which may not be known; while `going` holds, a
    column and its value, until now."""

    start: str
    end: str
    going: tuple[str, Any]


@dataclass(frozen=True, slots=True)
class NodeType:
    """How the rows of a model are shown: their type, the name of the list of all, what that list says of itself, the
    order that it has by default (`-` before a column is from its end), and orders by several columns, by name.
    `found_by` tells by what a row is found that is no column of it; `lasting`, when it lasts."""

    model: type[models.Entity]
    cls: Any
    many: str
    listed: str
    order: str
    orders: Mapping[str, Sequence[str]]
    found_by: Mapping[str, FoundBy]
    lasting: "Lasting | None" = None

    @property
    def name(self) -> str:
        name: str = self.cls.__name__
        return name

    @property
    def fields(self) -> list[Any]:
        found: list[Any] = self.cls.__strawberry_definition__.fields
        return found


NODES: dict[type[models.Entity], NodeType] = {}
"""The types of all models that have one."""


class Later(LazyType[Any, Any]):
    """The type that `make` makes or finds once all types are declared; `type_name` is its name. Two are equal only when
    they are the same: `typing` would take one for another."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    def __init__(self, type_name: str, make: Callable[[], Any]) -> None:
        super().__init__(type_name, "")
        object.__setattr__(self, "make", make)

    def resolve_type(self) -> Any:
        return self.make()  # type: ignore[attr-defined]


def later(model: type[models.Entity]) -> Later:
    """The type of a model, which may be declared after what refers to it."""
    return Later(model.__name__, lambda: NODES[model].cls)
