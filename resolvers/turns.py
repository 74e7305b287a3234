"""Turns for work of which thousands may come at once: one piece at a time, and where many wait, a rest after each."""

import asyncio
import time

FEW = 8
"""So many may wait without a rest."""
REST = 1.0
"""The rest, as a part of the time that the piece took: others have that much for themselves."""


class Turns:
    """`async with` it: the pieces come one after the other, in the order in which they asked."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._began = 0.0

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        self._began = time.monotonic()

    async def __aexit__(self, *_: object) -> None:
        if self._waiting <= FEW:
            self._lock.release()
            return
        rest = REST * (time.monotonic() - self._began)
        asyncio.get_running_loop().call_later(rest, self._lock.release)
