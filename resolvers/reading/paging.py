"""Keyset paging: an order is columns and the key, and a cursor holds a row's values of them."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

import orjson
import sqlalchemy as sa

from db.models.ordering import instead, sort_key
from db.texts import joined, value
from db.types import instant_text
from resolvers.failures import Invalid, LimitExceeded

MOST = 100
"""The most rows of a page."""
COUNTED = 100_000
"""The most rows of a list that are counted."""


class Order:
    """An order by columns, then by key, so that no two rows are equal. Null has a place (`db.models.ordering`), and an
    index has the columns. Orders are equal only when they are the same."""

    def __init__(self, *columns: Any, descending: bool = False) -> None:
        self.model = columns[0].class_
        self.columns = tuple(column.property.columns[0] for column in columns if column.key != "id")
        self.descending = descending
        self.names = (*(column.key for column in self.columns), "id")
        """The attributes of a row that its place is made of."""
        self._name = f"{self.model.__name__}.{'.'.join(self.names[:-1])}{'-' if descending else '+'}"

    def keys(self, entity: Any) -> list[Any]:
        """The keys by which rows are sorted, of an alias of the model; the last is the row's own."""
        return [*(sort_key(entity, column) for column in self.columns), entity.id]

    def values(self, row: Any) -> tuple[Any, ...]:
        """The place of a row of which no value is null."""
        return tuple(getattr(row, name) for name in self.names)

    def cursor(self, row: Any) -> str:
        """The cursor of a row, opaque to clients: the name of this order, and the row's values."""
        places = (_plain(getattr(row, column.key), column) for column in self.columns)
        return base64.urlsafe_b64encode(orjson.dumps([self._name, *places, str(row.id)])).decode().rstrip("=")

    def place_of(self, entity: Any) -> Any:
        """The text that a cursor is in base64, made by the database."""
        *keys, key = self.keys(entity)
        places = (piece for place in keys for piece in (*value(place), ","))
        return joined([f'["{self._name}",', *places, '"', sa.cast(key, sa.Text()), '"]'])

    def place(self, cursor: str, argument: str) -> tuple[Any, ...]:
        """The values of a cursor that this order made."""
        try:
            name, *places, key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name != self._name:
                raise ValueError
            parsed = (_parsed(value, column) for value, column in zip(places, self.columns, strict=True))
            return (*parsed, UUID(key))
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, binascii.Error):
            raise Invalid("this is not a cursor of this list in this order", field=argument) from None


def _plain(value: Any, column: sa.Column[Any]) -> Any:
    """A value as a cursor holds it."""
    if value is None:
        return instead(column.type)
    if isinstance(value, datetime):
        return instant_text(value)
    return value.name if isinstance(value, Enum) else value


def _parsed(value: Any, column: sa.Column[Any]) -> Any:
    """A value of a cursor; raises one of several errors for a wrong one."""
    kind = column.type.python_type
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    if kind is date:
        return date.fromisoformat(value)
    if issubclass(kind, Enum):
        return kind[value]
    if type(value) is not kind:
        raise TypeError
    return value


class Cursors(Protocol):
    """What makes and reads the cursors of an order."""

    def cursor(self, row: Any) -> str: ...

    def place(self, cursor: str, argument: str) -> tuple[Any, ...]: ...


@dataclass(frozen=True, slots=True)
class Keyset:
    """The part of a slice that decides the text of a statement: order, direction, and whether it begins at a place.

    The place itself comes as the parameters `place0` and so on, with the suffix that the statement gives the list.
    """

    order: Order
    backward: bool
    placed: bool

    def by(self, entity: Any) -> list[Any]:
        return [key.desc() if self._down else key.asc() for key in self.order.keys(entity)]

    def beyond(self, entity: Any, suffix: str = "") -> sa.ColumnElement[bool]:
        """The rows after the place: `a >= x AND (a > x OR id > y)`, a conjunction first, so that an index can seek; of
        further columns likewise."""
        clause: Any = None
        for number, key in reversed(list(enumerate(self.order.keys(entity)))):
            here = sa.bindparam(f"place{number}{suffix}", type_=key.type)
            past = key < here if self._down else key > here
            clause = past if clause is None else sa.and_(key <= here if self._down else key >= here, past | clause)
        return clause  # type: ignore[no-any-return]

    def passes(self, entity: Any, other: Any) -> sa.ColumnElement[bool]:
        """The row of `other` comes after that of `entity`."""
        clause: Any = None
        for own, past in reversed(list(zip(self.order.keys(entity), self.order.keys(other), strict=True))):
            further = past < own if self._down else past > own
            clause = further if clause is None else further | ((past == own) & clause)
        return clause  # type: ignore[no-any-return]

    @property
    def _down(self) -> bool:
        return self.order.descending != self.backward


def page_size(first: int | None, last: int | None, most: int) -> int:
    """The number of rows that a page asks for; refused unless exactly one of `first` and `last` is given and within
    bounds."""
    if (first is None) == (last is None):
        raise Invalid(f"give first or last, between 0 and {most}", field="first")
    name, size = ("first", first) if first is not None else ("last", last)
    assert size is not None
    if size < 0:
        raise Invalid(f"{name} must be between 0 and {most}, not {size}", field=name)
    if size > most:
        raise LimitExceeded(
            f"{name}: {size} is over the page size of {most}", field=name, limit="pageSize", allowed=most, value=size
        )
    return size


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows of a list are wanted, and in which order: shared by all parents of one batch."""

    order: Cursors
    limit: int
    after: tuple[Any, ...] | None = None
    backward: bool = False

    @classmethod
    def of(
        cls, order: Cursors, most: int, *, first: int | None, after: str | None, last: int | None, before: str | None
    ) -> "Slice":
        limit = page_size(first, last, most)
        backward = last is not None
        if (after if backward else before) is not None:
            raise Invalid("after goes with first, before with last", field="after" if backward else "before")
        name, cursor = ("before", before) if backward else ("after", after)
        return cls(order, limit, None if cursor is None else order.place(cursor, name), backward)

    @property
    def cut(self) -> Keyset:
        assert isinstance(self.order, Order)
        return Keyset(self.order, self.backward, self.after is not None)

    @property
    def place(self) -> dict[str, Any]:
        """The place where it begins, as parameters."""
        return {f"place{number}": value for number, value in enumerate(self.after)} if self.after else {}

    @property
    def parameters(self) -> dict[str, Any]:
        """The same, with the number of rows: one more than asked for, to know whether the list goes on."""
        return {"limit": self.limit + 1, **self.place}


@dataclass(frozen=True, slots=True)
class Edge:
    node: Any
    order: Cursors

    @property
    def cursor(self) -> str:
        return self.order.cursor(self.node)


@dataclass(frozen=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page in the order of the list, and how to go on from it.

    The attributes have the names of the connection's fields. `counted` is called only when the total is asked for; it
    counts up to `COUNTED` and one more. `grouped` gives the groups of the list that a grouping asks for, with all its
    measures.
    """

    nodes: Sequence[Any]
    slice: Slice
    more: bool
    counted: Callable[[], Awaitable[int]]
    grouped: Callable[..., Awaitable[Sequence[Any]]] | None = None

    @classmethod
    def cut(
        cls,
        rows: Sequence[Any],
        slice: Slice,
        counted: Callable[[], Awaitable[int]],
        grouped: Callable[..., Awaitable[Sequence[Any]]] | None = None,
    ) -> "Page":
        """Make a page of `rows`, which hold one more than the slice asks for when the list goes on."""
        more, rows = len(rows) > slice.limit, rows[: slice.limit]
        return cls(rows[::-1] if slice.backward else rows, slice, more, counted, grouped)

    @property
    def edges(self) -> list[Edge]:
        return [Edge(row, self.slice.order) for row in self.nodes]

    @property
    def page_info(self) -> PageInfo:
        ahead, behind = self.more, self.slice.after is not None
        if self.slice.backward:
            ahead, behind = behind, ahead
        cursor = self.slice.order.cursor
        return PageInfo(
            has_next_page=ahead,
            has_previous_page=behind,
            start_cursor=cursor(self.nodes[0]) if self.nodes else None,
            end_cursor=cursor(self.nodes[-1]) if self.nodes else None,
        )

    @property
    def total_count(self) -> Awaitable[int | None]:
        return self._total()

    @property
    def total_count_at_least(self) -> Awaitable[int]:
        return self._least()

    async def _total(self) -> int | None:
        number = await self.counted()
        return None if number > COUNTED else number

    async def _least(self) -> int:
        return min(await self.counted(), COUNTED)
