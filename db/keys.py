"""Many values as one parameter, so that a statement's text does not change with their number."""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from db.types import Key


class Several(sa.types.TypeDecorator[Any]):
    """A list of values of one type: an array on PostgreSQL, a JSON array on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

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
        stored = self.item.dialect_impl(dialect).bind_processor(dialect) or _same
        return orjson.dumps([stored(item) for item in value]).decode()


def _same(value: Any) -> Any:
    return value


class among(FunctionElement[bool]):
    """`among(column, name)`: the column is one of the values in the parameter of that name."""

    type = sa.Boolean()
    inherit_cache = True
    name = "among"

    def __init__(self, column: Any, parameter: str) -> None:
        super().__init__(column, sa.bindparam(parameter, type_=Several(column.type)))

    def self_group(self, against: Any = None) -> Any:
        """As it is: SQLAlchemy would compare it with 1 for SQLite, which then uses no index."""
        return self


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} IN (SELECT value FROM json_each({compiler.process(values, **kw)}))"  # noqa: S608


def spread(name: str, dialect: str) -> TableValuedAlias:
    """The keys in the parameter of that name, as a table of one column."""
    parameter = sa.bindparam(name, type_=Several(Key()))
    if dialect == "postgresql":
        return sa.func.unnest(parameter).table_valued(sa.column("key", Key()), name="parent").render_derived()
    return sa.func.json_each(parameter).table_valued(sa.column("value", Key()), name="parent")
