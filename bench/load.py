"""Load on one server: connections that each ask again as soon as they are answered, or requests sent on schedule."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

PATIENCE = 120.0
"""Seconds beyond the time of a measurement that a slow server may take for the answers that count."""
SEARCHED = 64 * 1024
"""Bytes of an answer in which errors are looked for everywhere."""


class Unanswered(Exception):
    """A server answered with an error, or not as HTTP says; the message shows how."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in milliseconds."""

    per_second: float
    median: float
    p99: float

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> "Figures":
        ordered = sorted(latencies)
        return cls(len(ordered) / seconds, percentile(ordered, 50) * 1000, percentile(ordered, 99) * 1000)

    @classmethod
    def middle(cls, rounds: Sequence["Figures"]) -> "Figures":
        """The median of each figure over the rounds."""
        middle = statistics.median
        return cls(
            middle(f.per_second for f in rounds), middle(f.median for f in rounds), middle(f.p99 for f in rounds)
        )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """By the nearest rank."""
    if not ordered:
        raise Unanswered("nothing was answered within the time")
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


class Connection(asyncio.BufferedProtocol):
    """A keep-alive connection that does no more than a benchmark needs."""

    def __init__(self) -> None:
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(SEARCHED)
        self._answered: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._clear()

    @classmethod
    async def open(cls, url: str) -> "Connection":
        host, _, port = urlsplit(url).netloc.partition(":")
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return connection

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer to a request made by `post`; raises Unanswered unless it is one without errors."""
        assert self._transport is not None
        if self.lost:
            raise Unanswered("the connection has ended")
        self._clear()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        head, body = await self._answered
        if head[9:12] != b"200" or _wrong(body):
            raise Unanswered(f"{head.splitlines()[0].decode()}: {body[:500].decode(errors='replace')}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _clear(self) -> None:
        self._filled = self._head = self._whole = 0
        self._answered = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._filled == len(self._buffer):
            self._grow(2 * len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if not self._whole and (end := self._buffer.find(b"\r\n\r\n", 0, self._filled)) >= 0:
            self._head = end + 4
            length = _length(bytes(self._buffer[: self._head]))
            if length is None:
                self._fail(f"an answer without a content length: {bytes(self._buffer[: self._head])!r}")
                return
            self._whole = self._head + length
            if self._whole > len(self._buffer):
                self._grow(self._whole)
        if self._whole and self._filled >= self._whole and self._answered is not None:
            view = memoryview(self._buffer)
            if not self._answered.done():
                self._answered.set_result((bytes(view[: self._head]), bytes(view[self._head : self._whole])))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._fail(f"the connection ended: {exc!r}")

    def _grow(self, size: int) -> None:
        larger = bytearray(size)
        larger[: self._filled] = self._buffer[: self._filled]
        self._buffer = larger

    def _fail(self, message: str) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(Unanswered(message))


def _length(head: bytes) -> int | None:
    fields = head.lower()
    at = fields.find(b"\r\ncontent-length:")
    return None if at < 0 else int(fields[at + 17 : fields.index(b"\r\n", at + 17)])


def _wrong(body: bytes) -> bool:
    """Whether an answer has errors. One of millions of bytes isn't searched, so that the load stays light."""
    if not body.startswith(b'{"data"') or not body.rstrip().endswith(b"}}"):
        return True
    return len(body) < SEARCHED and b'"errors"' in body


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A request, ready to be written."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        "Accept: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def measure(
    url: str, requests: Sequence[bytes], *, connections: int, seconds: float, warm_up: float = 1.0
) -> Figures:
    """Ask until `warm_up` seconds are over and every connection was answered, and then for `seconds`.

    What is answered in the latter counts; a slow server gets the time for as many answers as there are connections.
    """
    coming = itertools.cycle(requests)
    latencies: list[float] = []
    start = time.perf_counter()
    begin = end = 0.0
    cold = connections

    async def keep_asking() -> None:
        nonlocal begin, end, cold
        connection = await Connection.open(url)
        warm = False
        try:
            asked = time.perf_counter()
            while not end:
                await connection.ask(next(coming))
                answered = time.perf_counter()
                cold, warm = cold - (not warm), True
                if begin and not end:
                    latencies.append(answered - asked)
                    if answered >= begin + seconds and len(latencies) >= connections:
                        end = answered
                elif not cold and not begin and answered >= start + warm_up:
                    begin = answered
                asked = answered
        finally:
            connection.close()

    async with asyncio.timeout(warm_up + seconds + PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(keep_asking())
    return Figures.of(latencies, end - begin)


async def scheduled(
    url: str, requests: Sequence[bytes], *, per_second: float, seconds: float, warm_up: float = 1.0
) -> Figures:
    """Send on schedule, whether or not the server keeps up; a latency counts from the moment of the schedule.

    Each request has a connection to itself: one that is free, or a new one.
    """
    coming = itertools.cycle(requests)
    free: list[Connection] = []
    opened: list[Connection] = []
    latencies: list[float] = []
    start = time.perf_counter() + 0.05

    async def ask(request: bytes, due: float) -> None:
        connection = None
        while free and (connection is None or connection.lost):  # servers close what is idle for some seconds
            connection = free.pop()
        if connection is None or connection.lost:
            connection = await Connection.open(url)
            opened.append(connection)
        await connection.ask(request)
        if due >= start + warm_up:
            latencies.append(time.perf_counter() - due)
        free.append(connection)

    try:
        async with asyncio.timeout(warm_up + seconds + PATIENCE), asyncio.TaskGroup() as group:
            for n in range(int((warm_up + seconds) * per_second)):
                due = start + n / per_second
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(ask(next(coming), due))
    finally:
        for connection in opened:
            connection.close()
    return Figures.of(latencies, seconds)
