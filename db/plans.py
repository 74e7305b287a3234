"""The plan that a database makes for a statement, under the settings and for the parameters that it is run with."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

_NAME = "torana_explained"


async def on_postgresql(connection: Any, text: str, arguments: Sequence[Any], *options: str) -> Sequence[Any]:
    """The rows of EXPLAIN, with its options, on a driver's connection.

    The statement is prepared and executed: EXPLAIN of a text with parameters makes a plan for their values, whatever
    `plan_cache_mode` says.
    """
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
    """A parameter as PostgreSQL's text; raises TypeError for one of a type that no read has."""
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
