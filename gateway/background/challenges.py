"""Follow submissions and build leaderboards in the background."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from db.outages import finished
from resolvers.challenges.boards import build_wanted
from resolvers.challenges.settling import settle
from resolvers.context import Services
from resolvers.feed import BOARDS, WORK
from resolvers.steps import guarded

Step = Callable[[], Awaitable[Any]]
POLL = 5.0
"""Seconds after which it looks without having heard anything: moments come, and other processes may end."""
TOGETHER = 0.05
"""Seconds for which it waits for more of the same."""


class Challenges:
    """Runs from `start` until `close`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        steps: tuple[tuple[str, Step], ...] = (
            (WORK, partial(settle, self._services)),
            (BOARDS, partial(build_wanted, self._services)),
        )
        self._tasks = [asyncio.create_task(self._work(topic, step)) for topic, step in steps]

    async def close(self) -> None:
        """Stop once the present steps have ended; another process goes on, or the next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, topic: str, step: Step) -> None:
        with self._services.feed.subscription(topic) as changes:
            while True:
                await finished(guarded(step, "challenges", away=1.0, failed=1.0))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await changes.next()
                await asyncio.sleep(TOGETHER)
