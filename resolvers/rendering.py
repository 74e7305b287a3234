"""A tree becomes one statement that makes its JSON, with who may see what inside.

A guarded field that may not be read leaves a mark in the text, which no stored value can hold because each process
makes its own; `Rendered` has null there and tells the path.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from db.keys import among, spread
from db.prepared import Statement
from db.texts import Piece, base64, joined, listed, maybe, number, octets, otherwise, string, value
from resolvers import access
from resolvers.access import visible
from resolvers.paging import Cut
from resolvers.principal import Standing
from resolvers.statements import ends, reached, seek
from resolvers.tree import (
    Asked,
    Constant,
    Denial,
    Drawing,
    Edges,
    Fields,
    Form,
    Group,
    Id,
    Info,
    Many,
    One,
    Place,
    Rows,
    Value,
)

MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{MARK}:[0-9]+"')


def root(drawing: Drawing, standing: Standing) -> Statement:
    """One row: the JSON `text` of a list or a row of the root (null for no row), and the bytes of stored numbers in it
    as `size`; the text is made only when those are at most the parameter `most`."""
    renderer, part = _Renderer(drawing, standing), drawing.tree.root
    if not drawing.tree.numbers:
        return sa.select(renderer.field(part).label("text"), sa.literal_column("0").label("size"))
    measured = sa.select(renderer.size(part).label("size")).cte("measured").prefix_with("MATERIALIZED")
    fits = measured.c.size <= sa.bindparam("most", type_=sa.BigInteger())
    return sa.select(sa.case((fits, renderer.field(part))).label("text"), measured.c.size)


def below(drawing: Drawing, standing: Standing, dialect: str) -> Statement:
    """For each of `keys`, as `key`, the JSON `text` of what the relationship leads to from a parent that holds it."""
    parent = spread("keys", dialect)
    (key,) = parent.c
    text = _Renderer(drawing, standing).field(drawing.tree.root, parent, key)
    return sa.select(key.label("key"), text.label("text")).select_from(parent)


def by_key(drawing: Drawing, standing: Standing) -> Statement:
    """The rows in `keys`, as `key` and `text`."""
    entity = aliased(drawing.tree.root.model)
    text = joined(_Renderer(drawing, standing).row(drawing.tree.root.fields, entity))
    found = sa.select(entity.id.label("key"), text.label("text")).select_from(entity)
    return found.where(among(entity.id, "keys"), visible(entity, standing))


@dataclass(frozen=True, slots=True)
class Rendered:
    """JSON text that is part of a response, what was denied in it by path, and the bytes of stored numbers in it."""

    text: str
    denied: Sequence[tuple[list[str | int], Denial]] = ()
    size: int = 0

    @classmethod
    def of(cls, text: str, denials: Sequence[Denial], size: int = 0) -> "Rendered":
        """What a statement made, with null where it left a mark."""
        if MARK not in text:
            return cls(text, (), size)
        return cls(_MARKED.sub("null", text), list(_denied(orjson.loads(text), denials, [])), size)


def _denied(found: Any, denials: Sequence[Denial], path: list[str | int]) -> Iterator[tuple[list[str | int], Denial]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, dict):
        items = found.items()
    elif isinstance(found, list):
        items = enumerate(found)
    elif isinstance(found, str) and found.startswith(MARK):
        yield path, denials[int(found.rpartition(":")[2])]
    for key, inner in items:
        yield from _denied(inner, denials, [*path, key])


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
    return bool(sa.inspect(entity).mapper.columns[key].nullable)


def _zero(size: Any) -> Any:
    return sa.func.coalesce(size, sa.literal_column("0"), type_=sa.BigInteger())


def _holds_numbers(fields: Fields) -> bool:
    return any(
        part.form is Form.STORED if isinstance(part, Value) else _holds_numbers(getattr(part, "fields", ()))
        for _, part in fields
    )


class _Renderer:
    """The SQL of a drawing's parts, as a principal of one standing may see them.

    Where a part lies below a row, `above` is what that row is selected from, and `key` the column of it that joins.
    """

    def __init__(self, drawing: Drawing, standing: Standing) -> None:
        self._asked = drawing.asked
        self._standing = standing

    def field(self, part: One | Many, above: Any = None, key: Any = None) -> Any:
        """What a relationship leads to, or a list or a row of the root, which is null when there is none."""
        if isinstance(part, Many):
            return self._page(part, above, key)
        text = self._one(part, above, key, lambda entity: joined(self.row(part.fields, entity)))
        return text if above is None else otherwise(text, "null")

    def row(self, fields: Fields, entity: Any) -> Iterator[Piece]:
        """The object of a row."""
        return _object(fields, lambda _, part: self._part(part, entity))

    def size(self, part: One | Many, above: Any = None, key: Any = None) -> Any:
        """The bytes of the stored numbers in a part."""
        if isinstance(part, One):
            return _zero(self._one(part, above, key, lambda entity: self._sizes(part.fields, entity)))
        entity = aliased(part.model)
        rows = self._rows(part, entity, above, key, exact=True)
        sizes = rows.with_only_columns(self._sizes(part.fields, entity).label("size")).subquery()
        return _within(sa.select(_zero(sa.func.sum(sizes.c.size))), above).scalar_subquery()

    def _sizes(self, fields: Fields, entity: Any) -> Any:
        total: Any = sa.literal_column("0", sa.BigInteger())
        for _, part in fields:
            if isinstance(part, Value) and part.form is Form.STORED:
                total += _zero(octets(getattr(entity, part.key)))
            elif isinstance(part, Group | Rows | Edges):
                total += self._sizes(part.fields, entity)
            elif isinstance(part, One | Many) and _holds_numbers(part.fields):
                total += self.size(part, entity, getattr(entity, _local(part)))
        return total

    def _part(self, part: Any, entity: Any) -> Iterator[Piece]:
        if isinstance(part, Constant):
            yield f'"{part.text}"'
        elif isinstance(part, Id):
            yield from ('"', base64(joined([f"{part.typename}:", sa.cast(entity.id, sa.Text())])), '"')
        elif isinstance(part, Value):
            yield from self._value(part, entity)
        elif isinstance(part, Group):
            yield maybe(getattr(entity, part.present), self.row(part.fields, entity))
        else:
            yield self.field(part, entity, getattr(entity, _local(part)))

    def _value(self, part: Value, entity: Any) -> Iterator[Piece]:
        column = getattr(entity, part.key)
        pieces = {Form.TYPED: value, Form.STRING: string, Form.STORED: number}[part.form](column)
        if _nullable(entity, part.key):
            pieces = iter([maybe(column, pieces)])
        if part.needs:
            mark, may = f'"{MARK}:{part.denied}"', access.allowed(part.needs, entity, self._standing)
            if may is access.FALSE:
                pieces = iter([mark])
            elif may is not access.TRUE:
                pieces = iter([sa.case((may, joined(pieces)), else_=joined([mark]))])
        yield from pieces

    def _one(self, part: One, above: Any, key: Any, made: Callable[[Any], Any]) -> Any:
        """What `made` makes of a row."""
        entity = aliased(part.model)
        clauses = [visible(entity, self._standing, via=part.relationship)]
        if part.relationship is None:
            where = self._asked[part.number].where
            assert where is not None
            clauses += where.clauses(entity, f"_{part.number}")
        else:
            clauses.insert(0, getattr(entity, ends(part.relationship)[1]) == key)
        statement = sa.select(made(entity)).select_from(entity).where(*clauses).limit(sa.literal_column("1"))
        if part.order is not None:
            statement = statement.order_by(*Cut(part.order, False, False).by(entity))
        return _within(statement, above).scalar_subquery()

    def _rows(self, part: Many, entity: Any, above: Any, key: Any, *, exact: bool) -> Statement:
        """The rows of a page: those asked for, and one more unless `exact`."""
        asked, suffix = self._asked[part.number], f"_{part.number}"
        assert asked.slice is not None
        held = reached(entity, asked.where, self._standing, part.relationship, key, suffix)
        sought: Statement = _within(seek(entity, asked.slice.cut, held, suffix, exact=exact), above)
        return sought

    def _page(self, part: Many, above: Any, key: Any) -> Any:
        """A connection: its rows are read once for all that it shows of them."""
        asked = self._asked[part.number]
        assert asked.slice is not None
        cut, entity = asked.slice.cut, aliased(part.model)
        told = {place for _, shown in part.fields if isinstance(shown, Info) for _, place in shown.fields}
        ahead = Place.PREVIOUS if cut.backward else Place.NEXT
        columns: list[Any] = [
            joined(_object(shown.fields, lambda _, inner: self._of_edge(inner, entity, cut))).label(f"row{number}")
            if isinstance(shown, Edges)
            else joined(self.row(shown.fields, entity)).label(f"row{number}")
            for number, (_, shown) in enumerate(part.fields)
            if isinstance(shown, Rows | Edges)
        ]
        if told & {Place.START, Place.END}:
            columns.append(joined(['"', cut.order.cursor_of(entity), '"']).label(_CURSOR))
        names = {name: f"row{number}" for number, (name, _) in enumerate(part.fields)}
        about = _About(cut, ahead, names, lambda: self._total(part, asked, above, key))
        numbered = bool(told & {ahead, Place.START, Place.END})
        if not columns and not numbered:
            return joined(about.object(part.fields))
        rows = self._rows(part, entity, above, key, exact=ahead not in told)
        page: Any = rows.with_only_columns(*(columns or [entity.id])).subquery()
        if numbered or cut.backward:
            place, found = sa.func.row_number().over().label(_PLACE), sa.func.count().over().label(_FOUND)
            listed = sa.select(page, place, found)
            page = _within(listed.order_by(place.desc()) if cut.backward else listed, above).subquery()
        about.page = page
        if ahead in told:
            about.size = sa.bindparam(f"size_{part.number}", type_=sa.Integer())
        return _within(sa.select(joined(about.object(part.fields))).select_from(page), above).scalar_subquery()

    def _of_edge(self, part: Any, entity: Any, cut: Cut) -> Iterator[Piece]:
        if part is Place.CURSOR:
            yield from ('"', cut.order.cursor_of(entity), '"')
        elif isinstance(part, Rows):
            yield from self.row(part.fields, entity)
        else:
            yield from self._part(part, entity)

    def _total(self, part: Many, asked: Asked, above: Any, key: Any) -> Any:
        entity = aliased(part.model)
        held = reached(entity, asked.where, self._standing, part.relationship, key, f"_{part.number}")
        counted = sa.select(sa.func.count()).select_from(entity).where(*held)
        return _within(counted, above).scalar_subquery()


_CURSOR, _PLACE, _FOUND = "cursor", "place", "found"
"""Columns of a page beside its rows."""


@dataclass(slots=True)
class _About:
    """What a connection shows, made of its `page`: aggregates over rows that stand in the list's order, with their
    place from where the page was sought; `columns` names those of rows by response key. `size` is set when the page
    may hold one row more than asked for.
    """

    cut: Cut
    ahead: Place
    columns: Mapping[str, str]
    total: Callable[[], Any]
    page: Any = None
    size: Any = None

    def object(self, fields: Fields) -> Iterator[Piece]:
        return _object(fields, self._field)

    def _field(self, name: str, shown: Any) -> Iterator[Piece]:
        if isinstance(shown, Rows | Edges):
            yield from ("[", otherwise(self._inside(listed(self.page.c[self.columns[name]])), ""), "]")
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

    def _inside(self, text: Any, *clauses: Any) -> Any:
        """An aggregate over the rows that were asked for, and that meet some clauses."""
        held = [*clauses] if self.size is None else [self.page.c[_PLACE] <= self.size, *clauses]
        return text.filter(*held) if held else text

    def _cursor(self, *, first: bool) -> Any:
        """The cursor of the row that was sought first, or last."""
        place, found = self.page.c[_PLACE], self.page.c[_FOUND]
        last = found if self.size is None else sa.case((found > self.size, self.size), else_=found)
        chosen = place == sa.literal_column("1") if first else place == last
        return otherwise(self._inside(sa.func.max(self.page.c[_CURSOR]), chosen), "null")
