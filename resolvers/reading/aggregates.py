"""SQL of groups that the two databases write differently: sums, and the buckets of moments."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from db.buckets import Bucket
from db.types import Instant


class Total(FunctionElement[float]):
    """The sum of numbers; never too large for a database."""

    type = sa.Float()
    inherit_cache = True
    name = "total"


@compiles(Total, "postgresql")
def _total_postgresql(element: Total, compiler: Any, **kw: Any) -> str:
    return f"CAST(sum({compiler.process(element.clauses, **kw)}) AS double precision)"


@compiles(Total, "sqlite")
def _total_sqlite(element: Total, compiler: Any, **kw: Any) -> str:
    return f"total({compiler.process(element.clauses, **kw)})"


class Bucketed(FunctionElement[Any]):
    """The bucket that a moment is in: on PostgreSQL the first moment of an hour, and of others the time that clocks
    show at their beginning, which `Start` makes a moment; on SQLite the first moment."""

    type = Instant()
    inherit_cache = False
    name = "bucketed"

    def __init__(self, bucket: Bucket, column: Any, zone: Any) -> None:
        self.bucket = bucket
        super().__init__(column, zone)


@compiles(Bucketed, "postgresql")
def _bucketed_postgresql(element: Bucketed, compiler: Any, **kw: Any) -> str:
    column, zone = (compiler.process(part, **kw) for part in element.clauses)
    local = f"timezone({zone}, {column})"
    unit = element.bucket.value
    if element.bucket is Bucket.HOUR:
        # An hour that clocks show twice is two.
        return f"timezone('UTC', {column} - ({local} - date_trunc('{unit}', {local})))"
    return f"date_trunc('{unit}', {local})"


@compiles(Bucketed, "sqlite")
def _bucketed_sqlite(element: Bucketed, compiler: Any, **kw: Any) -> str:
    column, zone = (compiler.process(part, **kw) for part in element.clauses)
    return f"bucket({column}, '{element.bucket.value}', {zone})"


class Start(Bucketed):
    """The first moment of a bucket. Clocks may show a time twice: PostgreSQL takes the later moment for it, a bucket
    begins at the earlier one."""

    inherit_cache = False
    name = "start"


@compiles(Start, "postgresql")
def _start_postgresql(element: Start, compiler: Any, **kw: Any) -> str:
    local, zone = (compiler.process(part, **kw) for part in element.clauses)
    if element.bucket is Bucket.HOUR:
        return f"timezone('UTC', {local})"
    found = f"timezone({zone}, {local})"
    earlier = f"{found} - interval '1 hour'"
    return f"CASE WHEN timezone({zone}, {earlier}) = {local} THEN {earlier} ELSE {found} END"


@compiles(Start, "sqlite")
def _start_sqlite(element: Start, compiler: Any, **kw: Any) -> str:
    text: str = compiler.process(next(iter(element.clauses)), **kw)
    return text
