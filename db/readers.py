"""The pool of connections for reads: kept open, borrowed one at a time, replaced when they break."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.outages import Unavailable, passing

log = structlog.get_logger("torana")

T = TypeVar("T")
Turn = Callable[[AsyncConnection, str], Awaitable[None]]

NARROW = 1.0
"""Seconds for which no new connection is tried after one was refused, while others exist."""

_GONE = (
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.InternalClientError,
    OSError,
)
"""Errors which say that a connection is unusable. InternalClientError: it ended just before a statement."""


class Readers:
    """A pool of at most `most` connections of `engine`, which run in AUTOCOMMIT and need no reset. A read that waits
    longer than `wait` seconds for one gets SQLAlchemy's TimeoutError, and Unavailable when none can be made and there
    is no other. A client (a `lane`) uses half of them at most; its further statements wait in a line of their own.

    A connection is in one of several modes, such as of planning: `turn` puts it into one. A read gets a connection of
    its `mode`, and one of another only when there can be no more.
    """

    def __init__(self, engine: AsyncEngine, most: int, wait: float, turn: Turn | None = None) -> None:
        self._engine = engine
        self._turned = turn
        self._modes: dict[AsyncConnection, str] = {}
        self._wait = wait
        self._most = most
        self._idle: list[AsyncConnection] = []
        self._places = asyncio.Semaphore(most)
        self._share = max(1, most // 2)
        self._held: dict[Hashable, int] = {}
        self._lines: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._lent = 0
        self._refused: deque[asyncio.Future[AsyncConnection]] = deque()
        """Reads whose new connection was refused; each gets one that comes back."""
        self._narrow = 0.0
        self._ended = False

    async def run(
        self, work: Callable[[AsyncConnection], Awaitable[T]], lane: Hashable = None, mode: str | None = None
    ) -> T:
        """The result of `work`, a read; run once more, on a new connection, when the first one turns out broken."""
        if lane is not None:
            if (held := self._held.get(lane, 0)) < self._share:
                self._held[lane] = held + 1
            else:
                await self._in_line(lane)
        try:
            again = False
            while True:
                try:
                    async with _Borrowed(self, mode) as connection:
                        return await work(connection)
                except Exception as error:
                    if again or not _broken(error) or isinstance(error, TimeoutError | Unavailable):
                        raise
                    log.debug("database.reconnecting", error=type(error).__name__)
                again = True
                await self._discard_idle()
        finally:
            if lane is not None:
                self._leave(lane)

    async def _in_line(self, lane: Hashable) -> None:
        """Wait until a statement of the lane has ended, and take its place."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(lane, deque()).append(waiting)
        try:
            async with asyncio.timeout(self._wait):
                await waiting
        except BaseException as error:
            if waiting.done() and not waiting.cancelled():
                self._leave(lane)
            waiting.cancel()
            if isinstance(error, TimeoutError):
                raise sa.exc.TimeoutError("no connection became free in time") from None
            raise

    def _leave(self, lane: Hashable) -> None:
        """Give the place to the next statement of the lane."""
        line = self._lines.get(lane)
        while line:
            waiting = line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        if line is not None:
            del self._lines[lane]
        if self._held[lane] == 1:
            del self._held[lane]
        else:
            self._held[lane] -= 1

    def borrowed(self, mode: str | None = None) -> "_Borrowed":
        """A connection for several reads, which are not repeated: `async with readers.borrowed() as connection`."""
        return _Borrowed(self, mode)

    def in_mode(self, connection: AsyncConnection, mode: str | None) -> bool:
        return mode is None or self._turned is None or self._modes.get(connection) == mode

    async def turn(self, connection: AsyncConnection, mode: str) -> None:
        """Put a borrowed connection into this mode."""
        assert self._turned is not None
        await self._turned(connection, mode)
        self._modes[connection] = mode

    async def take(self, mode: str | None = None) -> AsyncConnection:
        if self._places.locked():
            await self._turn()
        else:
            await self._places.acquire()
        try:
            while True:
                if (idle := self._fitting(mode)) is not None:
                    self._lent += 1
                    return idle
                if (connection := await self._another()) is not None:
                    return connection
        except BaseException:
            self._places.release()
            raise

    def _fitting(self, mode: str | None) -> AsyncConnection | None:
        """An idle connection of this mode, the one used last; any, where no further one can be made."""
        for place in range(len(self._idle) - 1, -1, -1):
            if self.in_mode(self._idle[place], mode):
                return self._idle.pop(place)
        full = self._lent + len(self._idle) >= self._most or time.monotonic() < self._narrow
        return self._idle.pop() if self._idle and full else None

    async def give_back(self, connection: AsyncConnection, error: BaseException | None) -> None:
        """Take the connection back if it is sound: not broken, not in the middle of a statement, not too late."""
        try:
            if error is not None and (not isinstance(error, Exception) or _broken(error)):
                self._modes.pop(connection, None)
                await asyncio.shield(_discard(connection))
            elif self._ended:
                self._modes.pop(connection, None)
                await _close(connection)
            else:
                self._keep(connection)
        finally:
            self._lent -= 1
            self._places.release()
            if not self._lent:  # nothing comes back any more
                for waiting in self._refused:
                    waiting.cancel()
                self._refused.clear()

    def _keep(self, connection: AsyncConnection) -> None:
        while self._refused:
            waiting = self._refused.popleft()
            if not waiting.done():
                self._lent += 1
                waiting.set_result(connection)
                return
        self._idle.append(connection)

    async def _another(self) -> AsyncConnection | None:
        """A new connection; when the server takes no more, one of the others as it comes back, or None when there are
        none."""
        if not self._lent or time.monotonic() >= self._narrow:
            self._lent += 1
            try:
                return await self._engine.connect()
            except BaseException as error:
                self._lent -= 1
                if (known := passing(error)) is None:
                    raise
                if not self._lent and not self._idle:
                    raise known from error
            self._narrow = time.monotonic() + NARROW
        return None if self._idle else await self._returned()

    async def _returned(self) -> AsyncConnection | None:
        waiting: asyncio.Future[AsyncConnection] = asyncio.get_running_loop().create_future()
        self._refused.append(waiting)
        try:
            async with asyncio.timeout(self._wait):
                await asyncio.wait({waiting})
        except BaseException as error:
            if waiting.done() and not waiting.cancelled():
                self._lent -= 1
                self._keep(waiting.result())
            waiting.cancel()
            if isinstance(error, TimeoutError):
                raise sa.exc.TimeoutError("no connection became free in time") from None
            raise
        return None if waiting.cancelled() else waiting.result()

    def begin(self) -> None:
        """Start keeping connections again, after `dispose`."""
        self._ended = False

    async def dispose(self) -> None:
        """Close idle connections now, and borrowed ones when they come back."""
        self._ended = True
        idle, self._idle = self._idle, []
        for connection in idle:
            self._modes.pop(connection, None)
            await _close(connection)
        await self._engine.dispose()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            raise sa.exc.TimeoutError("no connection became free in time") from None

    async def _discard_idle(self) -> None:
        """Close idle connections: when one turned out broken, idle ones usually are broken too."""
        idle, self._idle = self._idle, []
        for connection in idle:
            self._modes.pop(connection, None)
            await _discard(connection)


class _Borrowed:
    """A class and not a generator, because every read enters it."""

    __slots__ = ("_connection", "_mode", "_readers")

    def __init__(self, readers: Readers, mode: str | None = None) -> None:
        self._readers = readers
        self._mode = mode

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._readers.take(self._mode)
        if not self._readers.in_mode(self._connection, self._mode):
            assert self._mode is not None
            try:
                await self._readers.turn(self._connection, self._mode)
            except BaseException as error:
                await self._readers.give_back(self._connection, error)
                raise
        return self._connection

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        await self._readers.give_back(self._connection, error)


def _broken(error: BaseException) -> bool:
    if isinstance(error, sa.exc.DBAPIError):
        return error.connection_invalidated
    return isinstance(error, _GONE) and not isinstance(error, ValueError)  # asyncpg's word for a bad argument


async def _discard(connection: AsyncConnection) -> None:
    with contextlib.suppress(Exception):
        if not connection.invalidated:
            await connection.invalidate()
        await connection.close()


async def _close(connection: AsyncConnection) -> None:
    with contextlib.suppress(Exception):
        await connection.close()


def driver(connection: AsyncConnection) -> Any:
    """The driver's own connection: asyncpg's or aiosqlite's."""
    adapted: Any = connection.sync_connection and connection.sync_connection.connection.dbapi_connection
    return adapted.driver_connection
