"""Load on one server: some connections that each ask again as soon as they are answered."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


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


class Connection:
    """A keep-alive connection that does no more than a benchmark needs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Connection":
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer to a request made by `post`; raises Unanswered unless it is one without errors."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = head.lower()
        at = fields.find(b"\r\ncontent-length:")
        if at < 0:
            raise Unanswered(f"an answer without a content length: {head!r}")
        body = await self._reader.readexactly(int(fields[at + 17 : fields.index(b"\r\n", at + 17)]))
        if head[9:12] != b"200" or b'"errors":' in body:
            raise Unanswered(f"{head.splitlines()[0].decode()}: {body[:500].decode(errors='replace')}")
        return body

    def close(self) -> None:
        self._writer.close()


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
    """Ask for `warm_up` and then for `seconds`; what is answered in the latter counts."""
    coming = itertools.cycle(requests)
    latencies: list[float] = []
    begin = time.perf_counter() + warm_up
    end = begin + seconds

    async def keep_asking() -> None:
        connection = await Connection.open(url)
        try:
            asked = time.perf_counter()
            while asked < end:
                await connection.ask(next(coming))
                answered = time.perf_counter()
                if begin <= answered < end:
                    latencies.append(answered - asked)
                asked = answered
        finally:
            connection.close()

    async with asyncio.timeout(warm_up + seconds + 30), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(keep_asking())
    return Figures.of(latencies, seconds)
