"""Work of Python that takes long, beside the event loop: one piece at a time, and clients take turns.

Such work holds the interpreter; in a thread it is interrupted after each `sys.getswitchinterval()`, so that requests
are answered meanwhile. With one thread at most half of the time goes to it.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_ALL = object()


class Turns:
    """Whoever asks for much waits for others in between: of each lane one piece at most stands in the common line."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def run(self, lane: Hashable, work: Callable[[], T]) -> T:
        """The result of `work`, done in a thread when it is the turn of the `lane`: a client."""
        async with self._lock(("lane", lane)), self._lock(_ALL):
            return await asyncio.to_thread(work)

    def _lock(self, key: Hashable) -> asyncio.Lock:
        if (lock := self._locks.get(key)) is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
