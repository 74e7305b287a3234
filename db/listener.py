"""Listen to what other processes committed, by PostgreSQL's NOTIFY."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
import structlog

from db.address import of_driver
from db.outages import Outage, passing

log = structlog.get_logger("torana")

CHANNEL = "torana"
LISTENING = 10.0
"""Seconds after which the listening connection is checked, and in which it must answer."""
_PAYLOAD = 7_900
"""Bytes of one NOTIFY; PostgreSQL refuses 8,000."""


class Listener:
    """Holds the LISTEN connection from `start` to `close`. `changed` is called with the topics of other processes'
    writes, `missed` when some were lost."""

    def __init__(
        self, url: sa.URL, outage: Outage, changed: Callable[[Iterable[str]], None], missed: Callable[[], None]
    ) -> None:
        self._url = url
        self._outage = outage
        self._changed = changed
        self._missed = missed
        self._sender = str(uuid4())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start listening; returns once it listens, or could not and will try again."""
        if self._task is None:
            ready = asyncio.Event()
            self._task = asyncio.create_task(self._work(ready))
            await ready.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def notifications(self, topics: Iterable[str]) -> Iterable[sa.Select[tuple[None]]]:
        """The statements that tell other processes of `topics` when their transaction commits."""
        for payload in _payloads(sorted(topics)):
            yield sa.select(sa.func.pg_notify(CHANNEL, f"{self._sender}\n{payload}"))

    async def _work(self, ready: asyncio.Event) -> None:
        """Reconnect when the connection breaks; what was missed meanwhile counts as changed."""
        pause = 0.1
        while True:
            try:
                await self._listen(ready)
                pause = 0.1
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if passing(error) is None:
                    log.warning("database.not_listening", error=type(error).__name__)
                else:
                    self._outage.failed(error)
                ready.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _listen(self, ready: asyncio.Event) -> None:
        """Publish notifications until the connection ends."""
        connection = await asyncpg.connect(of_driver(self._url))
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(CHANNEL, lambda *heard: self._heard(heard[3]))
            if ready.is_set():
                self._missed()
            ready.set()
            self._outage.answered()
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LISTENING):
                        await closed.wait()
                if not closed.is_set():
                    try:
                        await connection.execute("SELECT 1", timeout=LISTENING)
                        self._outage.answered()
                    except TimeoutError:
                        raise ConnectionError("the server no longer answers") from None
        finally:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)

    def _heard(self, payload: str) -> None:
        """Publish what another process changed; changes of this one were published at their commit."""
        sender, *topics = payload.split("\n")
        if sender != self._sender:
            self._changed(topics)


def _payloads(topics: list[str]) -> Iterable[str]:
    payload = ""
    for topic in topics:
        if payload and len(payload) + len(topic) >= _PAYLOAD:
            yield payload
            payload = ""
        payload += ("\n" if payload else "") + topic
    yield payload
