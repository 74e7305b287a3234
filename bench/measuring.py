"""Rounds of measurements: one server is asked at a time, while the others idle."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.comparing import answers, check_equal
from bench.load import Figures, Unanswered, measure, post, scheduled
from bench.operations import Operation
from bench.servers import MERCURIUS, TORANA, Headers, Running, Server, running

CONNECTIONS = 16
SCHEDULED = "page"
"""The operation whose latency is measured at half of the peak rate, on two of the servers."""
LONGER = 2.5
"""How many times longer than the others that measurement takes."""


@dataclass(frozen=True)
class Trial:
    """Servers that are asked the same operations of the same data."""

    title: str
    urls: Mapping[Server, str]
    """The database of each server."""
    operations: Sequence[Operation]
    node: Path | None = None

    @property
    def servers(self) -> Sequence[Server]:
        return list(self.urls)

    def pairs(self) -> Iterable[tuple[Operation, Server]]:
        """By operation: the servers."""
        return ((operation, server) for operation in self.operations for server in self.urls)


@dataclass(frozen=True)
class Pace:
    """How often and how long, in seconds."""

    rounds: int
    seconds: float
    warm_up: float


@dataclass
class Measured:
    """The figures of every round, by operation and server."""

    rounds: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)
    at_half: dict[str, list[tuple[float, Figures]]] = field(default_factory=dict)
    """By server: the rate that was sent, in requests per second, and the figures at it."""

    @property
    def middle(self) -> Mapping[tuple[str, str], Figures]:
        return {key: Figures.middle(rounds) for key, rounds in self.rounds.items()}


async def measured(trial: Trial, folder: Path, pace: Pace) -> Measured:
    """The figures, once all servers gave equal answers; raises Unequal otherwise."""
    found = Measured()
    async with AsyncExitStack() as stack:
        ready = []
        for server, url in trial.urls.items():
            started = await stack.enter_async_context(running(server, url, folder, trial.node))
            ready.append((started, await started.headers()))
        for operation in trial.operations:
            await _compare(ready, operation)
        for turn in range(1, pace.rounds + 1):
            say(f"{trial.title}, round {turn} of {pace.rounds}")
            for operation in trial.operations:
                for started, headers in ready:
                    await _measure(found, started, headers, operation, pace)
    return found


async def _compare(ready: Sequence[tuple[Running, Headers]], operation: Operation) -> None:
    said = []
    for started, headers in ready:
        try:
            said.append((started.server, await answers(started, headers, operation)))
        except Unanswered as error:
            raise _named(error, started, operation) from None
    check_equal(operation, said)
    say(f"{operation.name}: equal answers of {', '.join(server.name for server, _ in said)}")


async def _measure(found: Measured, started: Running, headers: Headers, operation: Operation, pace: Pace) -> None:
    name = started.server.name
    requests = [post(started.url, body, headers) for body in started.server.asked(operation).bodies]
    try:
        figures = await measure(
            started.url, requests, connections=CONNECTIONS, seconds=pace.seconds, warm_up=pace.warm_up
        )
        found.rounds.setdefault((operation.name, name), []).append(figures)
        say(f"{operation.name}, {name}: {_words(figures)}")
        if operation.name == SCHEDULED and started.server in (TORANA, MERCURIUS):
            rate = figures.per_second / 2
            figures = await scheduled(started.url, requests, per_second=rate, seconds=LONGER * pace.seconds)
            found.at_half.setdefault(name, []).append((rate, figures))
            say(f"{operation.name}, {name}, sent at half of the rate: {_words(figures)}")
    except (ExceptionGroup, Unanswered, TimeoutError) as error:
        raise _named(error, started, operation) from None


def _named(error: Exception, started: Running, operation: Operation) -> Unanswered:
    first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return Unanswered(f"{started.server.name}, {operation.name}: {first!r}; its log:\n{started.tail()}")


def _words(figures: Figures) -> str:
    return f"{figures.per_second:.1f} requests/s, median {figures.median:.1f} ms, p99 {figures.p99:.1f} ms"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
