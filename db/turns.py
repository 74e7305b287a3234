"""Run long Python work in a thread beside the event loop: one piece at a time, clients in turn.

Such work holds the interpreter. In a thread it is interrupted after each `sys.getswitchinterval()`, so requests are
answered meanwhile; with one thread it takes at most half of the time.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_ALL = object()


class Turns:
    """Takes the pieces of all lanes in turn: at most one piece of each lane stands in the common line, so a client with
    much work lets others pass."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def run(self, lane: Hashable, work: Callable[[], T]) -> T:
        """The result of `work`, run in a thread when it is the turn of the `lane`, which is a client."""
        async with self._lock(("lane", lane)), self._lock(_ALL):
            return await asyncio.to_thread(work)

    def _lock(self, key: Hashable) -> asyncio.Lock:
        if (lock := self._locks.get(key)) is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
