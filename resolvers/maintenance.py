"""Whether the gateway refuses writes for maintenance. Cached for a few seconds, and dropped when any process changes
it."""

import asyncio
import time
from collections.abc import Iterable
from contextvars import Context

import sqlalchemy as sa

from db.engine import Database
from db.models import ServerSetting

LOCK, SETTING = "lock", "READ_ONLY"
"""The topic of a change, and the name of the setting."""
KEPT = 5.0
"""Seconds for which the answer is cached, for changes that are made without the gateway."""


class Locking:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[bool, float] | None = None
        self._changes = 0
        database.listen(self._changed, self._missed)

    async def read_only(self) -> bool:
        """Whether writes are refused."""
        if self._known is None or self._known[1] < time.monotonic():
            changes = self._changes
            # In a context of its own, so that its statement does not count as the request's.
            held = await asyncio.create_task(self._read(), context=Context())
            if changes != self._changes:
                return held
            self._known = (held, time.monotonic() + KEPT)
        return self._known[0]

    async def _read(self) -> bool:
        rows = await self._database.rows(sa.select(ServerSetting.value).where(ServerSetting.name == SETTING))
        return bool(rows) and rows[0].value == "on"

    def _changed(self, topics: Iterable[str]) -> None:
        if LOCK in set(topics):
            self._missed()

    def _missed(self) -> None:
        self._changes += 1
        self._known = None
