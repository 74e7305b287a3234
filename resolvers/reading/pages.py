"""The SQL of a connection: the object with a page of rows, which are read once for all its fields."""

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from db.aliases import Found
from db.prepared import Statement
from db.texts import Piece, cursor, cursor_item, joined, listed, otherwise
from resolvers.reading.paging import COUNTED, Keyset
from resolvers.reading.plan import Constant, Edges, Fields, Groups, Info, Many, Place, Rows

Row = Callable[[Fields, Any], Iterator[Piece]]
"""Makes the object of a row."""
Grouped = Callable[[Groups], Any]
"""Makes the list of groups."""
_NUMBER, _PLACE, _TOTAL = "number", "place", "total"
_LISTS = (Rows, Edges)


def digits(value: int) -> Any:
    """A number as part of the text. If page sizes were parameters, PostgreSQL would expect large ones, and make a new
    plan each time in the hope of a better one."""
    return sa.literal_column(str(value), sa.Integer())


def objects(fields: Fields, made: Callable[[str, Any], Iterator[Piece]]) -> Iterator[Piece]:
    """The pieces of an object."""
    yield "{"
    for place, (name, part) in enumerate(fields):
        yield f'{"," if place else ""}"{name}":'
        yield from made(name, part)
    yield "}"


def _told(part: Many) -> set[Place]:
    """What a connection tells of its place in the list, and its total."""
    of_info = (place for _, shown in part.fields if isinstance(shown, Info) for _, place in shown.fields)
    return {place for place in (*of_info, *(shown for _, shown in part.fields)) if isinstance(place, Place)}


def counts(part: Many) -> bool:
    """Whether the total of a list is asked for."""
    return bool(_told(part) & {Place.TOTAL, Place.AT_LEAST})


class Page:
    """The page of a list, made in three layers, each only where it is needed.

    `found` are the columns of the first rows. Above it, rows are made into texts and numbered where one more was sought
    than is shown, or where they are shown backward. Then the texts are joined, and the total stands beside. `known`
    are clauses, whether the list goes on and its total, where rows were found before: just those that are shown, in the
    order in which they are.
    """

    def __init__(
        self,
        part: Many,
        cut: Keyset,
        limit: int,
        found: Found,
        row: Row,
        grouped: Grouped,
        known: tuple[Any, Any] | None = None,
    ) -> None:
        self._grouped = grouped
        self._fields, self._cut, self._limit, self._found, self._row = part.fields, cut, limit, found, row
        self.counts, self._told = counts(part), _told(part)
        self._edges = [inner for _, shown in part.fields if isinstance(shown, Edges) for _, inner in shown.fields]
        self._shows = any(isinstance(shown, _LISTS) for _, shown in part.fields)
        self._ahead = Place.PREVIOUS if cut.backward else Place.NEXT
        self._known: Any
        self._total: Any
        self._known, self._total = known or (None, None)
        self._backward = cut.backward and known is None
        self._apart: list[Any] | None = None

    @property
    def reads(self) -> bool:
        """Whether its fields need the rows."""
        pointed = self._limit > 0 and bool(self._told & {Place.START, Place.END})
        return self._shows or pointed or bool(self.more)

    @property
    def more(self) -> int:
        """How many rows to seek beyond those that are shown: one tells whether the list goes on. A list from its start
        that is counted tells so by its total."""
        known = self._known is not None or (self.counts and not self._cut.placed and self._limit < COUNTED)
        return 1 if self._ahead in self._told and not known else 0

    def text(self, rows: Callable[[], Any] | None, total: Statement | None, name: str) -> Statement:
        """The statement of one row: the object. `rows` makes the FROM of what was found once all columns are asked for,
        and `total` is the statement of the total; None where it is not read. `name` ends the names of subqueries."""
        if total is not None:
            self._apart = []
            self._total = sa.literal_column(f"counted_{name}.{_TOTAL}", sa.BigInteger())
        over: Any = None if rows is None else self._numbered(rows, name)
        pieces = joined(objects(self._fields, self._field))
        if total is None:
            return sa.select(pieces) if over is None else sa.select(pieces).select_from(over)
        counted = total.subquery(f"counted_{name}")
        if not self._apart:
            return sa.select(pieces).select_from(counted)
        texts = sa.select(*self._apart).select_from(over).subquery(f"texts_{name}")
        self._apart = None
        return sa.select(pieces).select_from(texts.join(counted, sa.true()))

    def _numbered(self, rows: Callable[[], Any], name: str) -> Any:
        """The rows as texts by their columns, numbered if need be."""
        shown = [part for _, part in self._fields if isinstance(part, Rows)]
        self._rows = [*shown, *(part for part in self._edges if isinstance(part, Rows))]
        texts = [joined(self._row(part.fields, self._found)) for part in self._rows]
        place = self._cut.order.place_of(self._found) if self._points else None
        self._name = name
        self._page: Any = None
        self._at: Any
        self._texts: list[Any]
        if not ((self.more and self._shows) or (self._backward and (self._shows or self._points))):
            self._texts, self._at = texts, place
            return rows()
        columns = [text.label(f"row{number}") for number, text in enumerate(texts)]
        columns += [] if place is None else [place.label(_PLACE)]
        number = sa.func.row_number().over().label(_NUMBER)
        page = sa.select(*columns, number).select_from(rows())
        self._page = (page.order_by(number.desc()) if self._backward else page).subquery(f"page_{name}")
        self._texts = [self._page.c[f"row{number}"] for number, _ in enumerate(texts)]
        self._at = None if place is None else self._page.c[_PLACE]
        return self._page

    @property
    def _points(self) -> bool:
        return bool(self._told & {Place.START, Place.END}) or Place.CURSOR in self._edges

    def _field(self, _: str, shown: Any) -> Iterator[Piece]:
        if isinstance(shown, Rows):
            yield from ("[", self._aggregate(otherwise(self._inside(listed(self._row_of(shown))), "")), "]")
        elif isinstance(shown, Edges):
            edge = joined(objects(shown.fields, self._of_edge))
            yield from ("[", self._aggregate(otherwise(self._inside(listed(edge)), "")), "]")
        elif isinstance(shown, Groups):
            yield self._grouped(shown)
        elif isinstance(shown, Info):
            yield from objects(shown.fields, self._field)
        elif isinstance(shown, Constant):
            yield f'"{shown.text}"'
        elif shown is Place.TOTAL:
            yield sa.case((self._total > digits(COUNTED), joined(["null"])), else_=sa.cast(self._total, sa.Text()))
        elif shown is Place.AT_LEAST:
            most = sa.case((self._total > digits(COUNTED), digits(COUNTED)), else_=self._total)
            yield sa.cast(most, sa.Text())
        elif shown is self._ahead:
            yield sa.case((self._goes_on(), joined(["true"])), else_=joined(["false"]))
        elif shown in (Place.NEXT, Place.PREVIOUS):
            yield "true" if self._cut.placed else "false"
        elif self._limit == 0:
            yield "null"
        else:
            yield self._aggregate(self._end(first=shown is Place.START))

    def _aggregate(self, text: Any) -> Any:
        """A text over the rows: a column of its own where the total stands beside."""
        if self._apart is None:
            return text
        label = f"part{len(self._apart)}"
        self._apart.append(text.label(label))
        return sa.literal_column(f"texts_{self._name}.{label}", text.type)

    def _goes_on(self) -> Any:
        if self._known is not None:
            return self._known
        size = digits(self._limit)
        return self._aggregate(sa.func.count() > size) if self.more else self._total > size

    def _row_of(self, shown: Rows) -> Any:
        return self._texts[next(n for n, row in enumerate(self._rows) if row is shown)]

    def _of_edge(self, _: str, part: Any) -> Iterator[Piece]:
        if isinstance(part, Constant):
            yield f'"{part.text}"'
        else:
            yield from cursor(self._at) if part is Place.CURSOR else [self._row_of(part)]

    def _inside(self, text: Any) -> Any:
        """An aggregate over the rows that are shown."""
        return text.filter(self._page.c[_NUMBER] <= digits(self._limit)) if self.more else text

    def _end(self, *, first: bool) -> Any:
        """The cursor of the first or the last row that is shown, as JSON. What is one too many comes last, or backward
        first."""
        number, size = sa.func.count(), digits(self._limit)
        least = sa.case((number > size, size), else_=number) if self.more else number
        start = number - least + digits(1) if self._backward else digits(1)
        end = number if self._backward else least
        return otherwise(cursor_item(self._at, start if first else end), "null")
