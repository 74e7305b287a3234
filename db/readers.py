"""The connections that read: kept open, borrowed one at a time, and replaced when they break."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = structlog.get_logger("torana")

T = TypeVar("T")

_GONE = (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, asyncpg.AdminShutdownError, OSError)


class Readers:
    """At most `most` connections of `engine`, which run in AUTOCOMMIT and need no reset. Who waits longer than
    `wait` seconds for one gets SQLAlchemy's TimeoutError.
    """

    def __init__(self, engine: AsyncEngine, most: int, wait: float) -> None:
        self._engine = engine
        self._wait = wait
        self._idle: list[AsyncConnection] = []
        self._places = asyncio.Semaphore(most)
        self._ended = False

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work`, a read; done once more, on a new connection, when the first one turns out broken."""
        try:
            return await self._once(work)
        except Exception as error:
            if not _broken(error) or isinstance(error, TimeoutError):
                raise
            log.info("database.reconnecting", error=type(error).__name__)
            await self._discard_idle()
        return await self._once(work)

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[AsyncConnection]:
        """A connection for several reads, which are not done again."""
        await self._turn()
        try:
            connection = self._idle.pop() if self._idle else await self._engine.connect()
            try:
                yield connection
            except BaseException as error:
                await self._settle(connection, error)
                raise
            await self._return(connection)
        finally:
            self._places.release()

    # The same once more, without a generator between: most reads of a gateway go this way.
    async def _once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        await self._turn()
        try:
            connection = self._idle.pop() if self._idle else await self._engine.connect()
            try:
                result = await work(connection)
            except BaseException as error:
                await self._settle(connection, error)
                raise
            await self._return(connection)
            return result
        finally:
            self._places.release()

    async def dispose(self) -> None:
        """Close what is idle now, and what is borrowed when it comes back."""
        self._ended = True
        idle, self._idle = self._idle, []
        for connection in idle:
            await _close(connection)
        await self._engine.dispose()

    async def _turn(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            raise sa.exc.TimeoutError("no connection became free in time") from None

    async def _return(self, connection: AsyncConnection) -> None:
        if self._ended:
            await _close(connection)
        else:
            self._idle.append(connection)

    async def _settle(self, connection: AsyncConnection, error: BaseException) -> None:
        """Keep a connection whose statement failed; not one that is broken or was left in the middle of a statement."""
        if isinstance(error, Exception) and not _broken(error):
            await self._return(connection)
        else:
            await asyncio.shield(_discard(connection))

    async def _discard_idle(self) -> None:
        """What is idle while another turned out broken is broken too, more often than not."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await _discard(connection)


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
