"""Indexes of PostgreSQL's pg_trgm over texts that are searched: a part of a text is found without looking at every row.

They are made by a command and not by a migration: a server may lack the extension, or the right to make it, and answers
are the same without them.
"""

from collections.abc import Callable, Iterable
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.dialects import postgresql

from db.address import of_driver
from db.engine import Database
from db.searching.folding import beside


class NoTrigrams(Exception):
    """The server can't make such indexes; the message says why."""


def name_of(column: Any) -> str:
    return f"trigrams_{column.table.name}_{column.name}"


async def make(database: Database, columns: Iterable[Any], told: Callable[[str], None]) -> int:
    """Make the indexes of these columns of tables that are not there yet, beside gateways that serve; returns their
    number. Calls `told` with the name of each that is made. Raises NoTrigrams."""
    if database.dialect != "postgresql":
        raise NoTrigrams("SQLite looks at every text; its indexes of trigrams know no words of two letters")
    connection = await asyncpg.connect(of_driver(database.url))
    try:
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except asyncpg.PostgresError as error:
            raise NoTrigrams(f"{error}; whoever administers the database can run CREATE EXTENSION pg_trgm") from None
        made = 0
        for column in columns:
            name = name_of(column)
            valid = await connection.fetchval(_VALID, name)
            if valid is False:  # of a command that was interrupted
                await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
            if not valid:
                told(name)
                await connection.execute(
                    f'CREATE INDEX CONCURRENTLY "{name}" ON "{column.table.name}" '
                    f"USING gin (({_text(column)}) gin_trgm_ops)"
                )
                made += 1
        return made
    finally:
        await connection.close()


_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident($1))"


def _text(column: Any) -> str:
    """The text that filters search, as SQL over the columns of its table."""
    dialect: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
    found: str = beside(column).compile(dialect=dialect, compile_kwargs={"include_table": False}).string
    return found
