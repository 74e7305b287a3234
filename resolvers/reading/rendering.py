"""Turn a read plan into one statement that makes its JSON, with the access rules inside."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import sqlalchemy as sa

from db import plans
from db.aliases import Alias, Found, nullable, outer
from db.engine import Database
from db.keys import Several, among, spread
from db.prepared import Statement
from db.texts import Piece, base64, joined, json_octets, listed, maybe, number, otherwise, string, value
from db.types import Key
from resolvers.access.clauses import FALSE, TRUE
from resolvers.access.rules import allowed
from resolvers.access.visibility import visible
from resolvers.identity.principal import AccessProfile
from resolvers.reading.grouping import GROUPS
from resolvers.reading.marks import BY_ROWS, denial, slabbed
from resolvers.reading.marks import place as mark_of
from resolvers.reading.numbers import NUMBERS
from resolvers.reading.pages import Page, counts, digits, objects
from resolvers.reading.paging import Keyset
from resolvers.reading.plan import (
    Asked,
    Constant,
    Fields,
    Form,
    Group,
    GroupKey,
    Groups,
    Id,
    Many,
    Measured,
    One,
    Place,
    ReadPlan,
    Value,
)
from resolvers.reading.relationships import ends, held, joins
from resolvers.reading.seeking import by_values, counted, every, narrowed, sought

KEY = 36
"""Characters of a key's text."""
SEVERAL = 2
"""Relationships whose planning takes longer than a statement of its own."""
SHORT = 1_000
"""The most bytes of JSON that the database puts into a text itself."""


def root(read_plan: ReadPlan, profile: AccessProfile, planned: bool = False) -> Statement:
    """A statement of one row: the JSON `text` of a list or a row of the root, null for no row. It is `planned` for its
    values or for all."""
    part = read_plan.tree.root
    if isinstance(part, Many):
        profile = narrowed(read_plan.asked[part.number].where, profile)
    statement = sa.select(_Renderer(read_plan, profile).field(part).label("text"))
    return plans.planned(statement, planned)


async def varies(database: Database, read_plan: ReadPlan, profile: AccessProfile) -> bool:
    """Whether what is read from the root is a list that is to be planned for its values."""
    part = read_plan.tree.root
    return isinstance(part, Many) and await by_values(database, part.model, read_plan.asked[part.number].where, profile)


def finds_first(read_plan: ReadPlan) -> bool:
    """Whether a list that is planned for its values is found by a statement of its own, since it asks for several
    relationships of its rows: what is read of them is the same for all."""
    part = read_plan.tree.root
    return read_plan.tree.related >= SEVERAL and not any(isinstance(shown, Groups) for _, shown in part.fields)


def keys(read_plan: ReadPlan, profile: AccessProfile) -> Statement:
    """A statement of one row for a list of the root: the `keys` of its first rows, one more than are asked for, and the
    `total` if that is. It is planned for its values."""
    part, asked = _listed(read_plan)
    assert asked.slice is not None
    profile = narrowed(asked.where, profile)
    cut, most, suffix = asked.slice.cut, digits(asked.slice.limit + 1), f"_{part.number}"
    rows = sought(part.model, cut, asked.where, profile, most, lambda entity: [entity.id], suffix=suffix)
    total = counted(part.model, asked.where, profile, suffix=suffix).scalar_subquery() if counts(part) else sa.null()
    found = sa.func.array(rows.scalar_subquery(), type_=Several(Key())).label("keys")
    return plans.planned(sa.select(found, total.label("total")))


def found(read_plan: ReadPlan, profile: AccessProfile) -> Statement:
    """As `root`, for a list of which the parameters `keys`, `more` and `total` tell what `keys` found; with the
    `number` of rows that are still there."""
    part, _ = _listed(read_plan)
    return _Renderer(read_plan, profile).found(part)


def _listed(read_plan: ReadPlan) -> tuple[Many, Asked]:
    part = read_plan.tree.root
    assert isinstance(part, Many)
    return part, read_plan.asked[part.number]


def below(read_plan: ReadPlan, profile: AccessProfile, dialect: str) -> Statement:
    """A statement that gives for each of `keys`, as `key`, the JSON `text` of what the relationship leads to from that
    parent."""
    parent = spread("keys", dialect)
    (key,) = parent.c
    text = _Renderer(read_plan, profile).field(read_plan.tree.root, outer(key))
    return sa.select(key.label("key"), text.label("text")).select_from(parent)


def by_key(read_plan: ReadPlan, profile: AccessProfile) -> Statement:
    """A statement of the rows in `keys`, as `key` and `text`."""
    entity = Alias(read_plan.tree.root.model)
    text = joined(_Renderer(read_plan, profile).row(read_plan.tree.root.fields, entity))
    found = sa.select(entity.id.label("key"), text.label("text")).select_from(entity)
    return found.where(among(entity.id, "keys"), visible(entity, profile))


def _local(part: One | Many) -> str:
    assert part.relationship is not None
    return ends(part.relationship)[0]


class _Renderer:
    """The SQL of a plan's parts, as a principal of one access profile may see them.

    Where a part lies below a row, `key` is the column of it that joins.
    """

    def __init__(self, read_plan: ReadPlan, profile: AccessProfile) -> None:
        self._asked = read_plan.asked
        self._profile = profile
        self._names = count(1)

    def field(self, part: One | Many, key: Any = None) -> Any:
        """A relationship, a list, or a row of the root; null when there is no row."""
        if isinstance(part, Many):
            return self._page(part, key)
        text = self._one(part, key, lambda entity: joined(self.row(part.fields, entity)))
        return text if key is None else otherwise(text, "null")

    def row(self, fields: Fields, entity: Any) -> Iterator[Piece]:
        """The object of a row."""
        return objects(fields, lambda _, part: self._part(part, entity))

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
            yield from [maybe(getattr(entity, part.present), pieces)] if nullable(entity, part.present) else pieces
        else:
            yield self.field(part, outer(getattr(entity, _local(part))))

    def _value(self, part: Value, entity: Any) -> Iterator[Piece]:
        if part.form is Form.SLABBED:
            yield from self._slabbed(part, entity)
            return
        pieces = self._varied(part, entity) if part.ways else self._plain(part.key, part.form, entity)
        if part.needs:
            mark, may = denial(part.denied), allowed(part.needs, entity, self._profile)
            if may is FALSE:
                pieces = iter([mark])
            elif may is not TRUE:
                pieces = iter([sa.case((may, joined(pieces)), else_=joined([mark]))])
        yield from pieces

    def _plain(self, key: str, form: Form, entity: Any) -> Iterator[Piece]:
        """The value of one column."""
        column = getattr(entity, key)
        if form is Form.STORED:
            pieces = mark_of(entity, key)
        elif form is Form.JSON:
            place = joined(mark_of(entity, key))
            pieces = iter([sa.case((json_octets(column) <= digits(SHORT), joined(number(column))), else_=place)])
        else:
            pieces = string(column) if form is Form.STRING else value(column)
        yield from [maybe(column, pieces)] if nullable(entity, key) else pieces

    def _varied(self, part: Value, entity: Any) -> Iterator[Piece]:
        """The value of the first column that is for this principal."""
        cases: list[tuple[Any, Any]] = []
        last = part.key
        for rules, key in part.ways:
            may = allowed(rules, entity, self._profile)
            if may is TRUE:
                last = key
                break
            if may is not FALSE:
                cases.append((may, joined(self._plain(key, part.form, entity))))
        otherwise = self._plain(last, part.form, entity)
        yield from [sa.case(*cases, else_=joined(otherwise))] if cases else otherwise

    def _slabbed(self, part: Value, entity: Any) -> Iterator[Piece]:
        """Numbers that stand in the row, or in slabs; too many are refused."""
        whole = maybe(getattr(entity, part.key), mark_of(entity, part.key))
        yield sa.case(
            (entity.content.is_(None), whole),
            (entity.value_count > digits(NUMBERS), joined([denial(part.denied)])),
            else_=joined(slabbed(entity, part.key)),
        )

    def _one(self, part: One, key: Any, made: Callable[[Any], Any]) -> Any:
        """One row, made into JSON by `made`."""
        entity = Alias(part.model)
        clauses = [visible(entity, self._profile, via=part.relationship)]
        if part.relationship is None:
            where = self._asked[part.number].where
            assert where is not None
            clauses += where.clauses(entity, f"_{part.number}", self._profile)
        else:
            clauses.insert(0, joins(part.relationship, entity, key))
        statement = sa.select(made(entity)).select_from(entity).where(*clauses).limit(digits(1))
        if part.order is not None:
            statement = statement.order_by(*Keyset(part.order, False, False).by(entity))
        return statement.scalar_subquery()

    def _page(self, part: Many, key: Any) -> Any:
        """A connection."""
        asked, suffix, name = self._asked[part.number], f"_{part.number}", str(next(self._names))
        assert asked.slice is not None
        cut, limit, profile = asked.slice.cut, asked.slice.limit, self._profile
        found = Found(part.model, f"rows_{name}")
        by = (part.relationship, key, suffix)
        page = Page(part, cut, limit, found, self.row, lambda shown: self._groups(part, shown, by))

        def rows() -> Any:
            most = digits(limit + page.more)
            return sought(part.model, cut, asked.where, profile, most, found.asked_of, *by).subquery(found.called)

        total = counted(part.model, asked.where, profile, *by) if page.counts else None
        text = page.text(rows if page.reads else None, total, name).scalar_subquery()
        if asked.held and part.relationship is not None:
            (*_, last) = asked.slice.place
            there = held(part.relationship, key, sa.bindparam(f"{last}{suffix}", type_=Key())).exists()
            return sa.case((there, text), else_=joined([BY_ROWS]))
        return text

    def _groups(self, part: Many, shown: Groups, by: tuple[Any, Any, str]) -> Any:
        """The groups of a list."""
        grouping, where = self._asked[shown.number], self._asked[part.number].where
        name, suffix, profile = f"groups_{next(self._names)}", f"_{shown.number}", self._profile
        asked = [inner for _, inner in shown.fields if isinstance(inner, Measured)]
        measures = [self._asked[inner.number] for inner in asked]

        def columns(entity: Any) -> Any:
            return grouping.columns(entity, profile, measures, suffix)

        rows = every(part.model, where, profile, columns, *by).subquery(f"rows_of_{name}")
        groups = grouping.grouped(rows, measures, suffix).limit(digits(GROUPS + 1)).subquery(name)

        def made(_: str, inner: Any) -> Iterator[Piece]:
            if isinstance(inner, Measured):
                number = groups.c[f"measure{next(n for n, one in enumerate(asked) if one is inner)}"]
                yield maybe(number, value(number))
            elif isinstance(inner, GroupKey):
                yield from objects(inner.fields, dimension)
            else:
                yield sa.cast(groups.c["count"], sa.Text()) if inner is Place.COUNT else f'"{inner.text}"'

        def dimension(_: str, inner: Any) -> Iterator[Piece]:
            if isinstance(inner, Constant):
                yield f'"{inner.text}"'
            elif inner.key not in grouping.keys:
                yield "null"
            else:
                column = groups.c[f"dimension{grouping.keys.index(inner.key)}"]
                yield maybe(column, value(column)) if inner.row is None else self.field(inner.row, outer(column))

        text = otherwise(listed(joined(objects(shown.fields, made))), "")
        many = sa.case(
            (sa.func.count() > digits(GROUPS), joined([denial(shown.denied)])), else_=joined(["[", text, "]"])
        )
        return sa.select(many).select_from(groups).scalar_subquery()

    def found(self, part: Many) -> Statement:
        """A connection of the root whose rows were found before."""
        asked, name = self._asked[part.number], str(next(self._names))
        assert asked.slice is not None
        cut = asked.slice.cut
        entity, found = Alias(part.model), Found(part.model, f"rows_{name}")
        given = sa.func.unnest(sa.bindparam("keys", type_=Several(Key())))
        listed = given.table_valued(sa.column("key", Key()), with_ordinality="place", name="listed").render_derived()
        more, total = (sa.bindparam(n, type_=t) for n, t in (("more", sa.Boolean()), ("total", sa.BigInteger())))
        by = (None, None, f"_{part.number}")
        groups = lambda shown: self._groups(part, shown, by)  # noqa: E731
        page = Page(part, cut, asked.slice.limit, found, self.row, groups, (more, total))

        def rows() -> Any:
            joined = sa.select(*found.asked_of(entity)).select_from(listed)
            joined = joined.join(entity.__clause_element__(), entity.id == listed.c.key)
            return joined.where(visible(entity, self._profile)).order_by(listed.c.place).subquery(found.called)

        return page.text(rows, None, name).add_columns(sa.func.count().label("number"))
