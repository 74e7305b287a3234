"""The plan of a field that one statement can make: plain data, made from the document by `schema.fields.planner`, and
turned into SQL by `rendering`."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from db import models
from db.prepared import Prepared
from resolvers.access.rules import Rule
from resolvers.failures import Failure
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order, Slice
from resolvers.reading.relationships import Relationship

Fields = tuple[tuple[str, Any], ...]
"""The fields of an object, by response key in the order of the response."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant text: the name of a type."""

    text: str


@dataclass(frozen=True, slots=True)
class Id:
    """The global id of the row."""

    typename: str


class Form(Enum):
    """How a column is written as JSON."""

    TYPED = "as its SQL type says"
    STRING = "in quotes"
    STORED = "it holds JSON text"
    JSON = "the same, and may be short"
    SLABBED = "it holds JSON text, or slabs do"


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a column. `denied` is the number of the tree's denial that replaces it unless a rule of `needs`
    holds, or where it has too many numbers. `ways` are rules, each with the column that is read instead where one of
    them holds."""

    key: str
    form: Form
    needs: tuple[Rule, ...] = ()
    denied: int = -1
    ways: tuple[tuple[tuple[Rule, ...], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """An object made of columns of the same row; null when the column `present` is null."""

    present: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class One:
    """The row at the end of a relationship; with `order`, the first of many. From the root (no relationship) it is the
    row that meets the conditions of question `number`."""

    model: type[models.Entity]
    fields: Fields
    relationship: Relationship | None = None
    order: Order | None = None
    number: int = -1


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a page, each an object."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class Edges:
    """The rows of a page, each in an object with its cursor (`Place.CURSOR`) and the row itself (`Rows`)."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a list, which question `number` tells. `denied` is the number of the tree's denial that replaces
    them where there are too many."""

    fields: Fields
    number: int
    denied: int


@dataclass(frozen=True, slots=True)
class GroupKey:
    """The object with the values that the rows of a group share."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of those values, by the name of its attribute: a column, or the row that a reference leads to."""

    key: str
    row: "One | None" = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A number that question `number` tells."""

    number: int


class Place(Enum):
    """The fields by which a page describes its place in the list."""

    CURSOR = "cursor"
    NEXT = "hasNextPage"
    PREVIOUS = "hasPreviousPage"
    START = "startCursor"
    END = "endCursor"
    TOTAL = "totalCount"
    AT_LEAST = "totalCountAtLeast"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Info:
    """The object with a page's `Place` fields."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class Many:
    """A page of a relationship, or of all rows of the model; question `number` says which page."""

    model: type[models.Entity]
    fields: Fields
    number: int
    relationship: Relationship | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the arguments of one list (or of a row from the root) ask for. Where it is `held`, the row of its cursor
    must still be in the list."""

    slice: Slice | None
    where: Where | None
    held: bool = False

    @property
    def shape(self) -> Hashable:
        """The part that decides the text of a statement."""
        return self.slice and (self.slice.cut, self.slice.limit), self.where

    def values(self, suffix: str) -> dict[str, Any]:
        """The rest, as parameters."""
        found = dict(self.slice.place) if self.slice else {}
        if self.where is not None:
            found.update(self.where.values)
        return {name + suffix: value for name, value in found.items()}


class Question(Protocol):
    """What the arguments of a field ask for: `shape` decides the text of a statement, `values` are the rest, as
    parameters."""

    @property
    def shape(self) -> Hashable: ...

    def values(self, suffix: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Denial:
    """A field that may be refused: the failure, and where the document asks for it."""

    failure: Failure
    nodes: Sequence[Any]


def _related(fields: Fields) -> int:
    return sum(
        isinstance(part, One | Many) + _related(part.fields)
        for _, part in fields
        if isinstance(part, One | Many | Rows | Edges | Group | Groups | GroupKey)
    )


@dataclass(eq=False, slots=True, weakref_slot=True)
class Tree:
    """The plan of a field, made once for a document.

    `root` refers by number to the `questions`, which read the arguments of an operation (`Asked`), and to the
    `denials`. `grouped` has the questions of groups, each with that of their list. `related` is the number of
    relationships that its rows lead to, at any level. `refused` is true when a database found its statement too large.
    `prepared` has its statements.
    """

    root: One | Many
    questions: Sequence[Callable[[Any], Question]]
    denials: Sequence[Denial]
    grouped: Sequence[tuple[int, int]] = ()
    related: int = field(init=False)
    refused: bool = False
    prepared: dict[Hashable, Prepared] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.related = _related(self.root.fields)


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A tree with the arguments of one operation."""

    tree: Tree
    asked: tuple[Any, ...]

    @property
    def shape(self) -> Hashable:
        return tuple(one.shape for one in self.asked)

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, one in enumerate(self.asked):
            found.update(one.values(f"_{number}"))
        return found
