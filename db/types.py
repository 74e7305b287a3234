"""Column types that store a value as the text that clients see, on both dialects."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from uuid_utils.compat import uuid7

from db.searching.folding import composed

__all__ = ["Instant", "Json", "Key", "Name", "Value", "choice", "now", "uuid7"]


class Key(sa.types.TypeDecorator[UUID]):
    """A UUID: PostgreSQL's own type; on SQLite lower-case text of 36 characters."""

    impl = sa.Uuid
    cache_ok = True
    python_type = UUID
    as_it_is = ("postgresql",)
    """The databases whose drivers take values of this type as they are."""

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Uuid())
        return dialect.type_descriptor(sa.CHAR(36))

    def process_bind_param(self, value: UUID | str | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return str(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> UUID | None:
        return value if value is None or isinstance(value, UUID) else UUID(value)


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz`; on SQLite the text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, which sorts as time does."""

    impl = sa.DateTime
    cache_ok = True
    python_type = datetime

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        return dialect.type_descriptor(sa.CHAR(27))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value if dialect.name == "postgresql" else instant_text(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value
        return datetime.fromisoformat(value)


class Name(sa.types.TypeDecorator[str]):
    """A text that people call something by: stored in NFC, and compared by code points on both dialects."""

    impl = sa.String
    cache_ok = True
    python_type = str

    def __init__(self, length: int) -> None:
        super().__init__(length)

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(sa.String(self.length, collation=collation))

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else composed(value)


class Json(sa.JSON):
    """JSON that counts as changed when its text is: Python takes 1, 1.0 and true for equal, and ignores the order of
    keys."""

    cache_ok = True

    def compare_values(self, x: Any, y: Any) -> bool:
        return x is y or orjson.dumps(x) == orjson.dumps(y)


class Value(Json):
    """Any JSON value: PostgreSQL's `json`; on SQLite text, because a column of type JSON would turn a text that looks
    like a number into one."""

    cache_ok = True


@compiles(Value, "sqlite")
def _value_sqlite(element: Value, compiler: Any, **_: Any) -> str:
    return "TEXT"


def instant_text(value: datetime) -> str:
    """The one text of a moment, in the database of SQLite and in every response."""
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class now(FunctionElement[datetime]):
    """The time by the database's clock, so that processes whose clocks differ agree on leases."""

    type = Instant()
    inherit_cache = True
    name = "now"


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: Any, **_: Any) -> str:
    return "clock_timestamp()"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **_: Any) -> str:
    return "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


class later(FunctionElement[datetime]):
    """`later(seconds)`: the time by the database's clock, so many seconds on (back, when negative)."""

    type = Instant()
    inherit_cache = True
    name = "later"

    def __init__(self, seconds: float) -> None:
        super().__init__(sa.bindparam(None, float(seconds), type_=sa.Float()))


@compiles(later, "postgresql")
def _later_postgresql(element: later, compiler: Any, **kw: Any) -> str:
    return f"clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)})"


@compiles(later, "sqlite")
def _later_sqlite(element: later, compiler: Any, **kw: Any) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', {compiler.process(element.clauses, **kw)} || ' seconds')"


def choice(members: type[Enum]) -> sa.Enum:
    """An enumeration stored as the text of its names, checked by the database."""
    return sa.Enum(members, native_enum=False, length=32, create_constraint=True, name=members.__name__.lower())
