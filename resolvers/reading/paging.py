"""Keyset paging: an order is a column and the key, and a cursor holds a row's values of both."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

import orjson
import sqlalchemy as sa

from db.texts import base64url, value
from db.types import instant_text
from resolvers.failures import Invalid, LimitExceeded

MOST = 100
"""The most rows of a page."""
COUNTED = 100_000
"""The most rows of a list that are counted."""


@dataclass(frozen=True, eq=False)
class Order:
    """An order by `column`, then by key, so that no two rows are equal. The column is never null, and an index leads
    with it."""

    column: Any
    descending: bool = False

    @cached_property
    def names(self) -> tuple[str, str]:
        return (self.column.key, "id")

    def cursor(self, row: Any) -> str:
        """The cursor of a row, opaque to clients: the name of this order, and the row's values."""
        place = getattr(row, self.column.key)
        if isinstance(place, datetime):
            place = instant_text(place)
        elif isinstance(place, Enum):
            place = place.name
        elif isinstance(place, UUID):
            place = str(place)
        return base64.urlsafe_b64encode(orjson.dumps([self._name, place, str(row.id)])).decode().rstrip("=")

    def cursor_of(self, entity: Any) -> Any:
        """The same, made by the database."""
        place, key = (getattr(entity, name) for name in self.names)
        return base64url([f'["{self._name}",', *value(place), ',"', sa.cast(key, sa.Text()), '"]'])

    def place(self, cursor: str, argument: str) -> tuple[Any, ...]:
        """The values of a cursor that this order made."""
        try:
            name, value, key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name != self._name:
                raise ValueError
            return (self._parsed(value), UUID(key))
        except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error):
            raise Invalid("this is not a cursor of this list in this order", field=argument) from None

    @cached_property
    def _name(self) -> str:
        return f"{self.column.class_.__name__}.{self.column.key}{'-' if self.descending else '+'}"

    def _parsed(self, value: Any) -> Any:
        kind = self.column.type.python_type
        if kind is datetime:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        if kind is date:
            return date.fromisoformat(value)
        if kind is UUID:
            return UUID(value)
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

    The place itself comes as the parameters `place` and `place_id`, with the suffix that the statement gives the list.
    """

    order: Order
    backward: bool
    placed: bool

    def by(self, entity: Any) -> list[Any]:
        down = self.order.descending != self.backward
        return [c.desc() if down else c.asc() for c in self._on(entity)]

    def beyond(self, entity: Any, suffix: str = "") -> sa.ColumnElement[bool]:
        """The rows after the place: `a >= x AND (a > x OR id > y)`, a conjunction first, so that an index can seek."""
        first, key = self._on(entity)
        x = sa.bindparam(f"place{suffix}", type_=first.type)
        y = sa.bindparam(f"place_id{suffix}", type_=key.type)
        if self.order.descending != self.backward:
            return sa.and_(first <= x, sa.or_(first < x, key < y))
        return sa.and_(first >= x, sa.or_(first > x, key > y))

    def _on(self, entity: Any) -> list[Any]:
        return [getattr(entity, name) for name in self.order.names]


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
        return {} if self.after is None else {"place": self.after[0], "place_id": self.after[1]}

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
    counts up to `COUNTED` and one more.
    """

    nodes: Sequence[Any]
    slice: Slice
    more: bool
    counted: Callable[[], Awaitable[int]]

    @classmethod
    def cut(cls, rows: Sequence[Any], slice: Slice, counted: Callable[[], Awaitable[int]]) -> "Page":
        """Make a page of `rows`, which hold one more than the slice asks for when the list goes on."""
        more, rows = len(rows) > slice.limit, rows[: slice.limit]
        return cls(rows[::-1] if slice.backward else rows, slice, more, counted)

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
