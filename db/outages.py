"""Failures of a database that pass by themselves: it is away, or transactions got in each other's way."""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
import structlog

log = structlog.get_logger("torana")

T = TypeVar("T")

TRIES = 5
"""How often a write is run when other transactions get in its way."""
PAUSE = 0.02
"""The most seconds before the second try; doubled for each further one."""
_QUIET = 1.0
"""Seconds without a failure after which an outage has ended."""

_AWAY = ("08", "28", "53", "57P", "3D000", "25006", "25P03")
"""Prefixes of PostgreSQL's error codes (appendix A of its manual) that mean: no connection or none that may write, as
after a failover, no room, and a server that starts or stops."""
_CONTENDED = ("40001", "40P01")
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Unavailable(ConnectionError):
    """The database is out of reach, or has no room. Nothing was written."""


class Unconfirmed(ConnectionError):
    """The connection was lost during a commit: whether it was done can't be known."""


class Contended(Exception):
    """Other transactions got in the way of this one, which was rolled back."""


Passing = Unavailable | Unconfirmed | Contended


def passing(error: BaseException, *, committing: bool = False) -> Passing | None:
    """The exception to raise for a database failure that passes by itself; None for any other failure."""
    if isinstance(error, Unavailable | Unconfirmed | Contended):
        return error
    raised = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    origin = (raised.__cause__ if isinstance(error, sa.exc.DBAPIError) and raised is not None else None) or raised
    state = str(getattr(origin, "sqlstate", None) or getattr(raised, "sqlstate", None) or "")
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    why = f"{type(origin).__name__}: {str(origin)[:100]}"
    if state in _CONTENDED or code in _BUSY:
        return Contended(why)
    if code in _NO_ROOM or state.startswith("53"):
        return Unavailable(why)
    lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    lost = lost or isinstance(origin, OSError | asyncpg.InternalClientError) or state.startswith(_AWAY)
    lost = lost or (isinstance(origin, asyncpg.InterfaceError) and not isinstance(origin, ValueError))
    if not lost:
        return None
    return Unconfirmed(why) if committing else Unavailable(why)


class Outage:
    """Logs once that a database is away, however many requests notice it, and once that it is back. Every call of the
    database runs `with` it, which raises failures that pass by themselves as what they mean."""

    def __init__(self) -> None:
        self._began = self._last = 0.0
        self._failures = 0
        self.lasts = False

    def __enter__(self) -> None:
        """A class and not a generator, because every read enters it."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            if self.lasts:
                self.answered()
        elif isinstance(error, Exception):
            self.note(error)

    def note(self, error: Exception, *, committing: bool = False) -> None:
        """Note a failure that passes by itself, and raise what it means."""
        if (known := passing(error, committing=committing)) is None:
            return
        if not isinstance(known, Contended):
            self.failed(known)
        if known is not error:
            raise known from error

    def failed(self, error: BaseException) -> None:
        self._last = time.monotonic()
        self._failures += 1
        if not self.lasts:
            self.lasts, self._began, self._failures = True, self._last, 1
            log.error("database.away", error=str(error) or type(error).__name__)

    def answered(self) -> None:
        """The database answered. While other requests are still refused, the outage goes on."""
        moment = time.monotonic()
        if self.lasts and moment - self._last >= _QUIET:
            self.lasts = False
            log.warning("database.back", seconds=round(moment - self._began, 1), failures=self._failures)


async def tried_again(work: Callable[[], Awaitable[T]], may: Callable[[], bool] = lambda: True) -> T:
    """The result of `work`. When other transactions get in its way and `may` allows it (nothing was committed), it is
    run again from its beginning after a random pause. The last try raises Contended."""
    for n in range(TRIES - 1):
        try:
            return await work()
        except Contended:
            if not may():
                raise
        await asyncio.sleep(PAUSE * 2**n * random.random())  # noqa: S311
    return await work()


async def finished(work: Awaitable[T]) -> T:
    """The result of `work`, which runs to its end: a cancellation meanwhile takes effect afterwards."""
    doing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        while not doing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({doing})
        if not doing.cancelled():
            doing.exception()  # which nobody waits for
        raise
