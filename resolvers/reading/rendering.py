"""Turn a read plan into one statement that makes its JSON, with the access rules inside."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.aliases import Alias, model_of
from db.keys import among, spread
from db.prepared import Statement
from db.texts import Piece, base64, joined, json_octets, listed, maybe, number, otherwise, string, value
from resolvers.access.clauses import FALSE, TRUE
from resolvers.access.rules import allowed
from resolvers.access.visibility import visible
from resolvers.identity.principal import AccessProfile
from resolvers.reading.marks import denial
from resolvers.reading.marks import place as mark_of
from resolvers.reading.paging import Keyset
from resolvers.reading.plan import (
    Asked,
    Constant,
    Edges,
    Fields,
    Form,
    Group,
    Id,
    Info,
    Many,
    One,
    Place,
    ReadPlan,
    Rows,
    Value,
)
from resolvers.reading.statements import ends, joins, narrowed, planned, reached, seek

KEY = 36
"""Characters of a key's text."""
SHORT = 1_000
"""The most bytes of JSON that the database puts into a text itself."""


def root(read_plan: ReadPlan, profile: AccessProfile) -> Statement:
    """A statement of one row: the JSON `text` of a list or a row of the root, null for no row."""
    part = read_plan.tree.root
    if isinstance(part, One):
        return sa.select(_Renderer(read_plan, profile).field(part).label("text"))
    profile = narrowed(read_plan.asked[part.number].where, profile)
    statement = sa.select(_Renderer(read_plan, profile).field(part).label("text"))
    return planned(statement, part.model, profile)


def below(read_plan: ReadPlan, profile: AccessProfile, dialect: str) -> Statement:
    """A statement that gives for each of `keys`, as `key`, the JSON `text` of what the relationship leads to from that
    parent."""
    parent = spread("keys", dialect)
    (key,) = parent.c
    text = _Renderer(read_plan, profile).field(read_plan.tree.root, parent, key)
    return sa.select(key.label("key"), text.label("text")).select_from(parent)


def by_key(read_plan: ReadPlan, profile: AccessProfile) -> Statement:
    """A statement of the rows in `keys`, as `key` and `text`."""
    entity = Alias(read_plan.tree.root.model)
    text = joined(_Renderer(read_plan, profile).row(read_plan.tree.root.fields, entity))
    found = sa.select(entity.id.label("key"), text.label("text")).select_from(entity)
    return found.where(among(entity.id, "keys"), visible(entity, profile))


def _object(fields: Fields, made: Callable[[str, Any], Iterator[Piece]]) -> Iterator[Piece]:
    yield "{"
    for place, (name, part) in enumerate(fields):
        yield f'{"," if place else ""}"{name}":'
        yield from made(name, part)
    yield "}"


def _within(statement: Any, above: Any) -> Any:
    return statement if above is None else statement.correlate(above)


def _local(part: One | Many) -> str:
    assert part.relationship is not None
    return ends(part.relationship)[0]


def _nullable(entity: Any, key: str) -> bool:
    column = sa.inspect(model_of(entity)).mapper.columns[key]
    return not isinstance(column, sa.Column) or bool(column.nullable)  # what is computed may be null


def _number(value: int) -> Any:
    """A number as part of the text. If page sizes were parameters, PostgreSQL would expect large ones, and make a new
    plan each time in the hope of a better one."""
    return sa.literal_column(str(value), sa.Integer())


class _Renderer:
    """The SQL of a plan's parts, as a principal of one access profile may see them.

    Where a part lies below a row, `above` is what that row is selected from, and `key` the column of it that joins.
    """

    def __init__(self, read_plan: ReadPlan, profile: AccessProfile) -> None:
        self._asked = read_plan.asked
        self._profile = profile

    def field(self, part: One | Many, above: Any = None, key: Any = None) -> Any:
        """A relationship, a list, or a row of the root; null when there is no row."""
        if isinstance(part, Many):
            return self._page(part, above, key)
        text = self._one(part, above, key, lambda entity: joined(self.row(part.fields, entity)))
        return text if above is None else otherwise(text, "null")

    def row(self, fields: Fields, entity: Any) -> Iterator[Piece]:
        """The object of a row."""
        return _object(fields, lambda _, part: self._part(part, entity))

    def _part(self, part: Any, entity: Any) -> Iterator[Piece]:
        if isinstance(part, Constant):
            yield f'"{part.text}"'
        elif isinstance(part, Id):
            text = (f"{part.typename}:", sa.cast(entity.id, sa.Text()))
            yield from ('"', base64(text, len(text[0]) + KEY), '"')
        elif isinstance(part, Value):
            yield from self._value(part, entity)
        elif isinstance(part, Group):
            pieces = self.row(part.fields, entity)
            yield from [maybe(getattr(entity, part.present), pieces)] if _nullable(entity, part.present) else pieces
        else:
            yield self.field(part, entity, getattr(entity, _local(part)))

    def _value(self, part: Value, entity: Any) -> Iterator[Piece]:
        column = getattr(entity, part.key)
        if part.form is Form.STORED:
            pieces = mark_of(entity, part.key)
        elif part.form is Form.JSON:
            place = joined(mark_of(entity, part.key))
            pieces = iter([sa.case((json_octets(column) <= _number(SHORT), joined(number(column))), else_=place)])
        else:
            pieces = string(column) if part.form is Form.STRING else value(column)
        if _nullable(entity, part.key):
            pieces = iter([maybe(column, pieces)])
        if part.needs:
            mark, may = denial(part.denied), allowed(part.needs, entity, self._profile)
            if may is FALSE:
                pieces = iter([mark])
            elif may is not TRUE:
                pieces = iter([sa.case((may, joined(pieces)), else_=joined([mark]))])
        yield from pieces

    def _one(self, part: One, above: Any, key: Any, made: Callable[[Any], Any]) -> Any:
        """One row, made into JSON by `made`."""
        entity = Alias(part.model)
        clauses = [visible(entity, self._profile, via=part.relationship)]
        if part.relationship is None:
            where = self._asked[part.number].where
            assert where is not None
            clauses += where.clauses(entity, f"_{part.number}", self._profile)
        else:
            clauses.insert(0, joins(part.relationship, entity, key))
        statement = sa.select(made(entity)).select_from(entity).where(*clauses).limit(_number(1))
        if part.order is not None:
            statement = statement.order_by(*Keyset(part.order, False, False).by(entity))
        return _within(statement, above).scalar_subquery()

    def _rows(self, part: Many, entity: Any, above: Any, key: Any, more: int) -> Statement:
        """The rows of a page: those asked for, and so many more."""
        asked, suffix = self._asked[part.number], f"_{part.number}"
        assert asked.slice is not None
        held = reached(entity, asked.where, self._profile, part.relationship, key, suffix)
        sought: Statement = _within(
            seek(entity, asked.slice.cut, held, _number(asked.slice.limit + more), suffix), above
        )
        return sought

    def _page(self, part: Many, above: Any, key: Any) -> Any:
        """A connection: its rows are read once for all its fields."""
        asked = self._asked[part.number]
        assert asked.slice is not None
        cut, entity = asked.slice.cut, Alias(part.model)
        told = {place for _, shown in part.fields if isinstance(shown, Info) for _, place in shown.fields}
        ahead = Place.PREVIOUS if cut.backward else Place.NEXT
        edges = [inner for _, shown in part.fields if isinstance(shown, Edges) for _, inner in shown.fields]
        rows = [shown for shown in (*(shown for _, shown in part.fields), *edges) if isinstance(shown, Rows)]
        columns: list[Any] = [
            joined(self.row(shown.fields, entity)).label(f"row{number}") for number, shown in enumerate(rows)
        ]
        if told & {Place.START, Place.END} or Place.CURSOR in edges:
            columns.append(joined(['"', cut.order.cursor_of(entity), '"']).label(_CURSOR))
        about = _About(cut, ahead, rows, lambda: self._total(part, asked, above, key))
        numbered = bool(told & {ahead, Place.START, Place.END})
        if not numbered and not any(isinstance(shown, Rows | Edges) for _, shown in part.fields):
            return joined(about.object(part.fields))
        sought = self._rows(part, entity, above, key, 1 if ahead in told else 0)
        page: Any = sought.with_only_columns(*(columns or [entity.id])).subquery()
        if numbered or cut.backward:
            place, found = sa.func.row_number().over().label(_PLACE), sa.func.count().over().label(_FOUND)
            listed = sa.select(page, place, found)
            page = _within(listed.order_by(place.desc()) if cut.backward else listed, above).subquery()
        about.page = page
        if ahead in told:
            about.size = _number(asked.slice.limit)
        return _within(sa.select(joined(about.object(part.fields))).select_from(page), above).scalar_subquery()

    def _total(self, part: Many, asked: Asked, above: Any, key: Any) -> Any:
        entity = Alias(part.model)
        held = reached(entity, asked.where, self._profile, part.relationship, key, f"_{part.number}")
        counted = sa.select(sa.func.count()).select_from(entity).where(*held)
        return _within(counted, above).scalar_subquery()


_CURSOR, _PLACE, _FOUND = "cursor", "place", "found"
"""Columns of a page besides its rows."""


@dataclass(slots=True)
class _About:
    """The fields of a connection, made from its `page`: aggregates over rows in the order of the list, with their
    number from the start of the page. The objects of `rows` are its columns. `size` is set when the page may hold one
    row more than asked for."""

    cut: Keyset
    ahead: Place
    rows: Sequence[Rows]
    total: Callable[[], Any]
    page: Any = None
    size: Any = None

    def object(self, fields: Fields) -> Iterator[Piece]:
        return _object(fields, self._field)

    def _field(self, name: str, shown: Any) -> Iterator[Piece]:
        if isinstance(shown, Rows):
            yield from ("[", otherwise(self._inside(listed(self._row(shown))), ""), "]")
        elif isinstance(shown, Edges):
            edge = joined(_object(shown.fields, self._of_edge))
            yield from ("[", otherwise(self._inside(listed(edge)), ""), "]")
        elif isinstance(shown, Info):
            yield from _object(shown.fields, self._field)
        elif isinstance(shown, Constant):
            yield f'"{shown.text}"'
        elif shown is Place.TOTAL:
            yield self.total()
        elif shown is self.ahead:
            more = sa.func.max(self.page.c[_FOUND]) > self.size
            yield sa.case((more, joined(["true"])), else_=joined(["false"]))
        elif shown in (Place.NEXT, Place.PREVIOUS):
            yield "true" if self.cut.placed else "false"
        else:
            yield self._cursor(first=(shown is Place.START) != self.cut.backward)

    def _row(self, shown: Rows) -> Any:
        return self.page.c[f"row{next(n for n, row in enumerate(self.rows) if row is shown)}"]

    def _of_edge(self, _: str, part: Any) -> Iterator[Piece]:
        if isinstance(part, Constant):
            yield f'"{part.text}"'
        else:
            yield self.page.c[_CURSOR] if part is Place.CURSOR else self._row(part)

    def _inside(self, text: Any, *clauses: Any) -> Any:
        """An aggregate over the rows that were asked for and that meet some clauses."""
        held = [*clauses] if self.size is None else [self.page.c[_PLACE] <= self.size, *clauses]
        return text.filter(*held) if held else text

    def _cursor(self, *, first: bool) -> Any:
        """The cursor of the first or the last row in seek order."""
        place, found = self.page.c[_PLACE], self.page.c[_FOUND]
        last = found if self.size is None else sa.case((found > self.size, self.size), else_=found)
        chosen = place == _number(1) if first else place == last
        return otherwise(self._inside(sa.func.max(self.page.c[_CURSOR]), chosen), "null")
