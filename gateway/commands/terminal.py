"""What commands share: they open the gateway's services, and end with one line when something is wrong."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

import asyncpg  # type: ignore[import-untyped]
import typer
from sqlalchemy.exc import SQLAlchemyError

from db import migrating
from db.address import AddressError
from db.engine import InUse
from db.storage.storage import StorageAway
from gateway.app import make_services
from gateway.background.relay import relayed
from gateway.operations.document_lists import ListError
from gateway.settings import Settings, SettingsError
from resolvers.context import Services
from resolvers.failures import Failure

WRONG, USAGE = 1, 2
"""The exit status of a command that was refused or failed, and of one that could not start."""


def fail(message: str, status: int = USAGE) -> NoReturn:
    typer.echo(f"torana: {message}", err=True)
    raise SystemExit(status)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    """Open the gateway's services for one command, beside a gateway that may be running."""
    services = make_services(settings)
    try:
        async with relayed(settings.storage, services.database):
            yield services
    finally:
        await services.identity.close()
        await services.files.storage.close()
        await services.database.dispose()


def check_migrated(settings: Settings) -> None:
    """End the command when the database lacks tables of this version, or has those of a newer one."""
    present = asyncio.run(migrating.present(settings.storage.url))
    if not migrating.knows(present):
        raise migrating.Newer(str(present))
    if present != migrating.newest():
        fail("the database lacks tables that this version needs; run: torana migrate")


@contextmanager
def told(status: int = USAGE) -> Iterator[None]:
    """Print in one line what went wrong, and end the command: with `status` when a database or a file is the cause."""
    try:
        yield
    except (SettingsError, InUse, ListError, Failure, StorageAway, migrating.Newer, migrating.Broken) as error:
        fail(str(error))
    except AddressError as error:
        fail(f"TORANA_DATABASE_URL: {error}")
    except (SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError, OSError) as error:
        if os.environ.get("TORANA_DEBUG"):
            raise
        fail(f"the database or a file can't be used: {str(error).splitlines()[0]}", status)
