"""The body of a request as it comes, of any length. The connection ends those that stall."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive


class Broken(Exception):
    """The client is gone."""


class Body:
    """The pieces of a body; `stop` ends the reading before its end."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Timeout | None = None
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def pieces(self) -> AsyncIterator[bytes]:
        """Pieces until the end, or until it is stopped. Raises Broken."""
        while not self.stopped:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    message = await self._receive()
            except TimeoutError:
                return
            finally:
                self._waiting = None
            if message["type"] == "http.disconnect":
                raise Broken
            if piece := message.get("body", b""):
                yield piece
            if not message.get("more_body"):
                return
