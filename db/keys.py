"""Lists of values as one parameter, so that a statement's text does not change with their number."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg.pgproto.pgproto  # type: ignore[import-untyped]
import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from db.types import Key


def key_from(text: str) -> UUID:
    """The key that a text names, in the form that PostgreSQL's driver sends without taking it apart; raises ValueError
    for a text that is no UUID."""
    found: UUID = asyncpg.pgproto.pgproto.UUID(text)
    return found


class Keys(list[UUID]):
    """Keys for many statements; their JSON is made once."""

    @cached_property
    def text(self) -> str:
        return orjson.dumps([str(key) for key in self]).decode()


class Several(sa.types.TypeDecorator[Any]):
    """A list of values of one type: an array on PostgreSQL, a JSON array on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    @property
    def as_it_is(self) -> Sequence[str]:
        return getattr(self.item, "as_it_is", ())

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            # The driver takes what our own types hold as it is; asking each for every item would take longer.
            item = self.item
            inner = item.load_dialect_impl(dialect) if isinstance(item, sa.types.TypeDecorator) else item
            return dialect.type_descriptor(sa.ARRAY(inner))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        if isinstance(value, Keys):
            return value.text
        stored = self.item.dialect_impl(dialect).bind_processor(dialect) or _same
        return orjson.dumps([stored(item) for item in value]).decode()


def _same(value: Any) -> Any:
    return value


class among(FunctionElement[bool]):
    """`among(column, name)`: the column is one of the values in the parameter of that name, or of `values`."""

    type = sa.Boolean()
    inherit_cache = True
    name = "among"

    def __init__(self, column: Any, parameter: str, values: Sequence[Any] | None = None) -> None:
        kind = Several(column.type)
        given = sa.bindparam(parameter, type_=kind) if values is None else sa.bindparam(None, values, type_=kind)
        super().__init__(column, given)

    def self_group(self, against: Any = None) -> Any:
        """Return it unchanged: SQLAlchemy would compare it with 1 for SQLite, which then uses no index."""
        return self


class most_among(among):
    """The same, for a column that is one of the values in most rows: it is checked when a row was found otherwise.
    SQLite then reads a list in its order, instead of collecting the rows of each value and sorting them all. PostgreSQL
    does not sort the values anew for each row of an outer query, to look them up in an index."""

    inherit_cache = True


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    same = f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"
    return f"({same}) IS TRUE" if isinstance(element, most_among) else same


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    plus = "+" if isinstance(element, most_among) else ""
    return f"{plus}{compiler.process(column, **kw)} IN (SELECT value FROM json_each({compiler.process(values, **kw)}))"  # noqa: S608


class untrue(FunctionElement[bool]):
    """The clause is false or null."""

    type = sa.Boolean()
    inherit_cache = True
    name = "untrue"

    def __init__(self, clause: Any) -> None:
        super().__init__(clause)

    def self_group(self, against: Any = None) -> Any:
        return self


@compiles(untrue)
def _untrue(element: untrue, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)}) IS NOT TRUE"


class found(FunctionElement[bool]):
    """`found(column, select)`: the column is one of the few values that a query of its own finds. The query runs once
    and first; a planner without statistics would run it for every row."""

    type = sa.Boolean()
    inherit_cache = True
    name = "found"

    def __init__(self, column: Any, select: sa.Select[Any]) -> None:
        super().__init__(column, select.correlate(None).scalar_subquery())

    def self_group(self, against: Any = None) -> Any:
        return self


@compiles(found, "postgresql")
def _found_postgresql(element: found, compiler: Any, **kw: Any) -> str:
    column, select = element.clauses
    return f"{compiler.process(column, **kw)} = ANY (ARRAY{_alone(select, compiler, **kw)})"


@compiles(found, "sqlite")
def _found_sqlite(element: found, compiler: Any, **kw: Any) -> str:
    column, select = element.clauses
    return f"{compiler.process(column, **kw)} IN {_alone(select, compiler, **kw)}"


def _alone(select: Any, compiler: Any, lateral_from_linter: Any = None, **kw: Any) -> str:
    """Hide the query from SQLAlchemy's search for unjoined tables, which would count what is joined here to an outer
    LATERAL."""
    text: str = compiler.process(select, **kw)
    return text


def spread(name: str, dialect: str) -> TableValuedAlias:
    """The keys in the parameter of that name, as a table of one column."""
    parameter = sa.bindparam(name, type_=Several(Key()))
    if dialect == "postgresql":
        return sa.func.unnest(parameter).table_valued(sa.column("key", Key()), name="parent").render_derived()
    return sa.func.json_each(parameter).table_valued(sa.column("value", Key()), name="parent")
