"""Bring a database to the newest revision, and compare it with the models."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.engine import parse_address
from db.models import Base


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


async def _sync(url: str, work: Any) -> Any:
    address = parse_address(url)
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            if address.get_backend_name() == "sqlite":
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            answer = await connection.run_sync(work)
            await connection.commit()
            return answer
    finally:
        await engine.dispose()


def newest() -> str | None:
    """The revision that the code expects."""
    return ScriptDirectory.from_config(_config()).get_current_head()


async def present(url: str) -> str | None:
    """The revision that the database has."""
    revision: str | None = await _sync(url, lambda c: MigrationContext.configure(c).get_current_revision())
    return revision


async def migrate(url: str) -> None:
    """Run every revision that the database lacks, each in a transaction of its own."""
    await _sync(url, lambda connection: command.upgrade(_config(connection), "head"))


async def revise(url: str, message: str) -> None:
    """Write the revision that leads from the database at `url`, which is at the newest one, to the models."""
    await _sync(url, lambda c: command.revision(_config(c), message=message, autogenerate=True))


async def differences(url: str) -> list[Any]:
    """What the models say and the database at `url` does not, and the reverse."""
    found: list[Any] = await _sync(
        url, lambda c: compare_metadata(MigrationContext.configure(c, opts={"compare_type": True}), Base.metadata)
    )
    return found
