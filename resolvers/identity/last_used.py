"""When API keys, static tokens and share links were last used. It is written in the background: no request waits for
it."""

import asyncio
import time
from collections.abc import Sequence
from contextvars import Context
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from db.engine import Database
from db.models import Credential, SimulationLink
from db.outages import Unavailable, tried_again
from db.types import later, now
from resolvers.identity.principal import Kind

log = structlog.get_logger("torana")

INTERVAL = 60.0
"""Seconds in which only one use of a credential is stored, however many there are."""
MOST = 10_000


class Uses:
    """Writes the noted uses, in one transaction for all that came meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[UUID, float] = {}
        self._pending: set[tuple[UUID, Any]] = set()
        self._writing: asyncio.Task[None] | None = None

    def note(self, credential: UUID, kind: Kind = Kind.USER) -> None:
        moment = time.monotonic()
        if (last := self._noted.get(credential)) is not None and moment - last < INTERVAL:
            return
        if len(self._noted) >= MOST:
            self._noted.clear()
        self._noted[credential] = moment
        self._pending.add((credential, SimulationLink if kind is Kind.LINK else Credential))
        if self._writing is None or self._writing.done():
            # In a context of its own, so that its statements do not count as the request's.
            self._writing = asyncio.create_task(self._write(), context=Context())

    async def settled(self) -> None:
        """Wait until all noted uses are written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._pending:
            pending, self._pending = sorted(self._pending, key=_place), set()
            try:
                await tried_again(partial(self._store, pending))
            except Unavailable:  # which the database has told
                log.debug("uses.not_written")
            except Exception as error:  # the next use is noted anew
                log.warning("uses.not_written", error=type(error).__name__)

    async def _store(self, pending: Sequence[tuple[UUID, Any]]) -> None:
        async with self._database.write(as_system="when credentials were last used") as session:
            for key, model in pending:
                await session.execute(_used(model, key))


def _place(use: tuple[UUID, Any]) -> tuple[str, UUID]:
    """The place in the order of all locks: credentials before links, each by its key."""
    return use[1].__name__, use[0]


def _used(model: Any, key: UUID) -> sa.Update:
    """Set the last use. The row's version stays, because clients that change the row did not change this."""
    stale = sa.or_(model.last_used_at.is_(None), model.last_used_at < later(-INTERVAL))
    noted = sa.update(model).where(model.id == key, stale)
    return noted.values(last_used_at=now(), updated_at=model.updated_at).execution_options(synchronize_session=False)
