"""Migrate a database to the newest revision, and compare it with the models."""

import contextlib
import os
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from db import files
from db.address import file_of, parse_address
from db.models import Base

LOCATIONS = [Path(__file__).parent / "migrations" / "versions"]
"""The folders of revisions."""
_LOCK = 0x746F72616E61
"""The PostgreSQL advisory lock that a migrating process holds."""
_WAIT = 60
"""Seconds that a migration waits for a gateway's write on SQLite."""

T = TypeVar("T")


class Newer(Exception):
    """The database is at a revision that this version of the code does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is at revision {revision}, which this version of Torana does not know: a newer one migrated "
            "it; run that version, or restore a copy of the database made before"
        )


class Broken(Exception):
    """A migration would leave rows that refer to no row."""


def newest() -> str | None:
    """The revision that the code expects."""
    return _scripts().get_current_head()


def knows(revision: str | None) -> bool:
    """Whether the code knows a revision; also true for a database that has none yet."""
    return revision is None or revision in {script.revision for script in _scripts().walk_revisions()}


async def present(url: str) -> str | None:
    """The revision of the database; none for an SQLite file that does not exist."""
    file = file_of(parse_address(url))
    if file is not None and not file.exists():
        return None
    return await _read(url, _revision)


async def migrate(url: str, to: str = "head") -> tuple[str | None, str | None]:
    """Run every missing revision in one transaction, which is rolled back when one fails; returns the revision before
    and after. While another process migrates, this one waits. Raises Newer."""

    def upgrade(connection: sa.Connection) -> tuple[str | None, str | None]:
        before = _revision(connection)
        if before is not None and not knows(before):
            raise Newer(before)
        command.upgrade(_config(connection), to)
        if connection.dialect.name == "sqlite" and before != (after := _revision(connection)):
            _check_references(connection)
            return before, after
        return before, _revision(connection)

    async with _alone(url) as connection:
        return await connection.run_sync(upgrade)


async def revise(url: str, message: str) -> None:
    """Write the revision that leads from the database at `url`, which must be at the newest one, to the models."""
    await _read(url, lambda c: command.revision(_config(c), message=message, autogenerate=True))


async def differences(url: str) -> list[Any]:
    """The differences between the models and the database at `url`."""
    return await _read(url, _compared)


def _compared(connection: sa.Connection) -> list[Any]:
    """The differences. Of indexes on expressions only their names are compared: SQLite tells no more of them, and
    PostgreSQL writes expressions in its own way."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", sa.exc.SAWarning)
        warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression", UserWarning)
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)
    names = "SELECT name FROM sqlite_master WHERE type = 'index'"
    if connection.dialect.name == "postgresql":
        names = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
    there = set(connection.exec_driver_sql(names).scalars())
    indexes = [index for table in Base.metadata.tables.values() for index in table.indexes]
    made = {str(index.name) for index in indexes if any(isinstance(e, sa.TextClause) for e in index.expressions)}
    found = [one for one in found if not (one[0] in ("add_index", "remove_index") and one[1].name in made & there)]
    return [*found, *(("missing_index", name) for name in sorted(made - there))]


async def _read(url: str, work: Callable[[sa.Connection], T]) -> T:
    async with _connected(url) as engine, engine.connect() as connection:
        return await connection.run_sync(work)


@contextlib.asynccontextmanager
async def _alone(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction of the one process that migrates."""
    file = file_of(parse_address(url))
    async with contextlib.AsyncExitStack() as held:
        if file is not None:
            await held.enter_async_context(files.locked(file.with_suffix(".migrating")))
            files.kept(file)
        engine = await held.enter_async_context(_connected(url))
        if file is not None:
            _write_on_sqlite(engine)
        connection = await held.enter_async_context(engine.begin())
        if file is None:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(parse_address(url), poolclass=NullPool, hide_parameters=True)
    try:
        yield engine
    finally:
        await engine.dispose()


def _write_on_sqlite(engine: AsyncEngine) -> None:
    """Begin transactions as writers, and include changes of tables in them: the driver's own transactions leave them
    out."""

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _open(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        # A table made anew is dropped in between: what refers to it must not go with it. Set before the transaction,
        # as SQLite ignores it within one.
        for pragma in (f"busy_timeout={_WAIT * 1000}", "journal_mode=WAL", "foreign_keys=OFF", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_references(connection: sa.Connection) -> None:
    found = sorted({row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})
    if found:
        raise Broken(f"rows of {', '.join(found)} refer to rows that are not there; nothing was changed")


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, LOCATIONS)))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
