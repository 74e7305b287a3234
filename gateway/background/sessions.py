"""Look after sessions: invitations that nobody answers, people who are free again, and what was forgotten at night."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from db.outages import finished
from gateway.settings.sessions import SessionSettings
from resolvers.context import Services
from resolvers.sessions import care
from resolvers.sessions.members import FREED
from resolvers.steps import guarded

log = structlog.get_logger("torana")

POLL = 2.0
"""Seconds between two looks at invitations that were not answered."""
NIGHTLY = 60.0
"""Seconds between two looks at the clock."""


class SessionCare:
    """Runs from `start` until `close`."""

    def __init__(self, services: Services, settings: SessionSettings) -> None:
        self._services = services
        self._settings = settings
        self._tidied: datetime | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        work: tuple[Callable[[], Awaitable[None]], ...] = (self._time_out, self._ask_again, self._at_night)
        self._tasks = [asyncio.create_task(one()) for one in work]  # type: ignore[arg-type]

    async def close(self) -> None:
        """Stop once the present steps have ended; another process goes on, or the next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _time_out(self) -> None:
        while True:
            await self._done(partial(care.time_out, self._services))
            await asyncio.sleep(POLL)

    async def _ask_again(self) -> None:
        with self._services.feed.subscription(FREED) as changes:
            while True:
                await self._done(partial(care.ask_again, self._services))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(NIGHTLY):
                        await changes.next()

    async def _at_night(self) -> None:
        while True:
            await self._done(self._tidy)
            await asyncio.sleep(NIGHTLY)

    async def _tidy(self) -> None:
        before = care.last_night(datetime.now(UTC), self._settings.tidied_at, self._settings.zone)
        if before != self._tidied:
            if ended := await care.tidy(self._services, before):
                log.info("sessions.tidied", sessions=ended)
            self._tidied = before

    async def _done(self, step: Callable[[], Awaitable[Any]]) -> None:
        await finished(guarded(step, "sessions", away=1.0, failed=1.0))
