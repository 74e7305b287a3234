"""Choose how committed changes reach other processes: by the database itself, or by the redis of the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from db.engine import Database
from gateway.settings.storage import StorageSettings


@asynccontextmanager
async def relayed(settings: StorageSettings, database: Database) -> AsyncIterator[None]:
    """Relay changes, from before the database is started until after the last write."""
    if not (url := settings.redis_url.get_secret_value()):
        yield
        return
    made = import_module("gateway.background.redis_feed").RedisFeed
    relay = made(url, settings.redis_channel, database.publish, database.missed)
    database.announce = relay.announce
    await relay.start()
    try:
        yield
    finally:
        await relay.close()
