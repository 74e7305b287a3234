"""Query plans: which statements get a plan for their values, and EXPLAIN of a statement as it is run.

PostgreSQL runs reads by a generic plan, made once for all parameters. A statement that is `planned` gets a plan of its
own each time, made for its values. Connections are set to one of both, so that a read needs no further statement.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db.prepared import GENERIC, Statement
from db.readers import driver

__all__ = ["GENERIC", "MARK", "OWN", "Sizes", "choose", "literal", "on_postgresql", "on_sqlite", "planned"]

OWN = "force_custom_plan"
"""The other mode of connections that read: each statement is planned for its values."""
MARK = "/* planned */"
"""Begins the text of a statement that is planned each time, for who reads it in the server's statistics."""
_NAME = "torana_explained"
SMALL = 64 * 1024
"""The most bytes of a small table."""
KEPT = 60.0
"""Seconds after which sizes are looked at again."""

_SMALL = """SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND pg_relation_size(oid) <= $1"""


class Sizes:
    """Which tables of PostgreSQL are small: a plan for all values reads one of them whole in less time than a plan for
    some values is made. `fetch` runs a text with its arguments and gives the rows."""

    def __init__(self, fetch: Callable[[str, Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._fetch = fetch
        self._small: frozenset[str] = frozenset()
        self._until = 0.0

    async def small(self, table: str) -> bool:
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + KEPT  # others go on with what was known
            self._small = frozenset(row[0] for row in await self._fetch(_SMALL, [SMALL]))
        return table in self._small


def planned(statement: Statement, own: bool = True) -> Statement:
    """Have a statement planned for its values, where its `own` plan is worth it: what it reads depends on them so much
    that planning costs less."""
    if not own:
        return statement
    return statement.prefix_with(MARK, dialect="postgresql").execution_options(plans=OWN)


async def choose(connection: AsyncConnection, mode: str) -> None:
    """Make PostgreSQL use plans of this kind on a connection from here on."""
    await driver(connection).execute(f"SET plan_cache_mode = {mode}")


async def on_postgresql(asked: AsyncConnection, text: str, arguments: Sequence[Any], *options: str) -> Sequence[Any]:
    """The rows of EXPLAIN, with its options, for a statement as it is run on this connection.

    The statement is prepared and executed: EXPLAIN of a text with parameters makes a plan for their values, whatever
    `plan_cache_mode` says.
    """
    connection = driver(asked)
    given = f"({', '.join(map(literal, arguments))})" if arguments else ""
    await connection.execute(f"PREPARE {_NAME} AS {text}")
    try:
        rows: Sequence[Any] = await connection.fetch(f"EXPLAIN ({', '.join(options)}) EXECUTE {_NAME}{given}")
    finally:
        await connection.execute(f"DEALLOCATE {_NAME}")
    return rows


async def on_sqlite(connection: Any, text: str, arguments: Sequence[Any]) -> list[str]:
    """The lines of EXPLAIN QUERY PLAN on a driver's connection, indented."""
    depth = {0: -1}
    rows = await connection.execute_fetchall(f"EXPLAIN QUERY PLAN {text}", arguments)
    return ["  " * depth.setdefault(row[0], depth[row[1]] + 1) + row[3] for row in rows]


def literal(value: Any) -> str:
    """A parameter as a literal of PostgreSQL; raises TypeError for a type that no read has."""
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        items = ",".join("NULL" if item is None else _quoted(str(item), '"', "\\") for item in value)
        return _quoted(f"{{{items}}}", "'", "'")
    if isinstance(value, str | bool | int | float | UUID | date):
        return _quoted(str(value), "'", "'")
    raise TypeError(f"no literal for {type(value).__name__}")


def _quoted(text: str, mark: str, escape: str) -> str:
    if escape != mark:
        text = text.replace(escape, escape * 2)
    return f"{mark}{text.replace(mark, escape + mark)}{mark}"
