"""Indexes of PostgreSQL's pg_trgm over texts that are searched: a part of a text is found without looking at every row.

They are made by a command and not by a migration: a server may lack the extension, or the right to make it, and answers
are the same without them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.dialects import postgresql

from db.address import of_driver
from db.engine import Database
from db.searching.folding import beside

LOCK = 0x746F72616E61  # "torana"
"""The advisory lock that one holds who makes indexes."""
PAUSE = 0.5
"""Seconds between two tries to take it."""


class NoTrigrams(Exception):
    """The server can't make such indexes; the message says why."""


def name_of(column: Any) -> str:
    return f"trigrams_{column.table.name}_{column.name}"


async def make(database: Database, columns: Iterable[Any], told: Callable[[str], None]) -> int:
    """Make the indexes of these columns of tables that are not there yet, beside gateways that serve; returns their
    number. Then have the server count what is in them: without that it would take every text for a rare one. Calls
    `told` with what is done next. Of two that run at once one waits. Raises NoTrigrams."""
    if database.dialect != "postgresql":
        raise NoTrigrams("SQLite looks at every text; its indexes of trigrams know no words of two letters")
    connection = await asyncpg.connect(of_driver(database.url))
    try:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
            await asyncio.sleep(PAUSE)  # without a transaction, for which the other one would wait
        return await _make(connection, list(columns), told)
    except asyncpg.InsufficientPrivilegeError as error:
        hint = (
            "run this as the role that owns the tables; an administrator of the database can CREATE EXTENSION pg_trgm"
        )
        raise NoTrigrams(f"{str(error).rstrip('.')}; {hint}") from None
    except asyncpg.FeatureNotSupportedError as error:
        raise NoTrigrams(f"{str(error).rstrip('.')}; install PostgreSQL's contrib modules") from None
    finally:
        await connection.close()


async def _make(connection: Any, columns: Sequence[Any], told: Callable[[str], None]) -> int:
    made = 0
    if (schema := await connection.fetchval(_SCHEMA)) is None:
        await connection.execute("CREATE EXTENSION pg_trgm")
        schema = await connection.fetchval(_SCHEMA)
    for column in columns:
        name = name_of(column)
        valid = await connection.fetchval(_VALID, name)
        if valid is False:  # of a command that was interrupted
            await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        if not valid:
            told(f"making {name}")
            await connection.execute(
                f'CREATE INDEX CONCURRENTLY "{name}" ON "{column.table.name}" '
                f'USING gin (({_text(column)}) "{schema}".gin_trgm_ops)'
            )
            made += 1
    for table in dict.fromkeys(column.table.name for column in columns):
        told(f"counting {table}")
        await connection.execute(f'ANALYZE "{table}"')
    return made


_SCHEMA = "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_trgm'"
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident($1))"


def _text(column: Any) -> str:
    """The text that filters search, as SQL over the columns of its table."""
    dialect: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
    found: str = beside(column).compile(dialect=dialect, compile_kwargs={"include_table": False}).string
    return found
