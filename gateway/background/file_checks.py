"""Check uploads in the background as they become whole."""

import asyncio
import contextlib
from functools import partial

from resolvers.context import Services
from resolvers.feed import UPLOADED
from resolvers.files.checking import check_next
from resolvers.files.leases import release_all
from resolvers.steps import guarded

SLOTS = 2
"""The most uploads that this process checks at once."""
POLL = 15.0
"""Seconds after which uploads of other processes are looked for, whatever was heard of them."""


class FileChecks:
    """Runs from `start` until `close`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; at the start of the only process nothing is held any more."""
        self._tasks = [asyncio.create_task(self._begin())]

    async def _begin(self) -> None:
        if self._services.database.dialect == "sqlite":
            await guarded(partial(release_all, self._services.database), "file checks")
        self._tasks += [asyncio.create_task(self._work()) for _ in range(SLOTS)]

    async def close(self) -> None:
        """Stop; another process goes on with what is not done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        with self._services.feed.subscription(UPLOADED) as changes:
            while True:
                check = partial(check_next, self._services)
                while await guarded(check, "file checks", away=1.0, failed=1.0):
                    pass
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await changes.next()
