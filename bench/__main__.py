"""The run: a database, the servers, the same questions to each, and a table."""

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import orjson
import uvloop

from bench import data
from bench.load import Figures, Unanswered, measure, post
from bench.operations import Operation, operations
from bench.servers import PLAIN, SERVERS, NotStarted, Running, answers, running
from tests.postgres import running_postgres

CONNECTIONS = 16
COMPARED = 20
"""Requests of an operation whose answers are compared."""

Measured = dict[tuple[str, str], list[Figures]]
Requests = dict[str, dict[str, list[bytes]]]
"""By server and operation."""


class Unequal(Exception):
    """Two servers answered the same request with different data."""


async def run(server: str, given: argparse.Namespace) -> str:
    """The report, after everything was measured."""
    try:
        say(f"fill the database with {given.simulations:,} simulations")
        began = time.monotonic()
        database = await data.create(server)
        asked = operations(await data.fill(database, given.simulations))
        say(f"filled in {time.monotonic() - began:.1f} s")
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torana-bench-")))
            started = [await stack.enter_async_context(running(each, database, folder)) for each in SERVERS]
            measured = await compare(started, asked, given)
        return f"{table(measured, asked)}\n\n{await machine(database, given)}"
    finally:
        await data.drop(server)


async def compare(started: Sequence[Running], asked: Sequence[Operation], given: argparse.Namespace) -> Measured:
    """The figures of every server, operation and round, once the answers are known to be equal."""
    requests: Requests = {}
    for found in started:
        headers = await found.headers()
        requests[found.server.name] = {o.name: [post(found.url, b, headers) for b in o.bodies] for o in asked}
    await check_equal(started, asked, requests)
    measured: Measured = {}
    for turn in range(given.rounds):
        for operation in asked:
            for found in started:
                name = found.server.name
                try:
                    figures = await measure(
                        found.url,
                        requests[name][operation.name],
                        connections=CONNECTIONS,
                        seconds=given.seconds,
                    )
                except (ExceptionGroup, Unanswered, TimeoutError) as error:
                    first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
                    raise Unanswered(f"{name}, {operation.name}: {first!r}; its log:\n{found.tail()}") from None
                measured.setdefault((operation.name, name), []).append(figures)
                say(
                    f"round {turn + 1} of {given.rounds}, {operation.name}, {name}: {figures.per_second:.1f} requests/s"
                    f", median {figures.median:.1f} ms, p99 {figures.p99:.1f} ms"
                )
    return measured


async def check_equal(started: Sequence[Running], asked: Sequence[Operation], requests: Requests) -> None:
    """Raises Unequal with the first difference between the first server and another."""
    for operation in asked:
        found = [
            [orjson.loads(body) for body in await answers(each, requests[each.server.name][operation.name][:COMPARED])]
            for each in started
        ]
        for other, said in zip(started[1:], found[1:], strict=True):
            if (where := difference(found[0], said)) is not None:
                raise Unequal(f"{operation.name}: {started[0].server.name} and {other.server.name} differ at {where}")
        say(f"{operation.name}: all servers give equal answers")


def difference(one: Any, other: Any, path: str = "answers") -> str | None:
    """Where two JSON values differ first, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(f"{path}.{key}", value, other[key]) for key, value in one.items()]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{path}[{n}]", *both) for n, both in enumerate(zip(one, other, strict=True))]
    elif type(one) is type(other) and one == other:
        return None
    else:
        return f"{path}: {str(one)[:200]!r} and {str(other)[:200]!r}"
    return next((where for name, a, b in pairs if (where := difference(a, b, name)) is not None), None)


def table(measured: Measured, asked: Sequence[Operation]) -> str:
    """The medians over the rounds, as Markdown."""
    middle = {key: Figures.middle(rounds) for key, rounds in measured.items()}
    lines = [
        f"| operation | server | requests/s | median ms | p99 ms | ratio to {PLAIN.name} |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for operation in asked:
        base = middle[operation.name, PLAIN.name].per_second
        for server in SERVERS:
            f = middle[operation.name, server.name]
            lines.append(
                f"| {operation.name} | {server.name} | {f.per_second:.1f} | {f.median:.1f} | {f.p99:.1f} "
                f"| {f.per_second / base:.2f} |"
            )
    return "\n".join(lines)


async def machine(database: str, given: argparse.Namespace) -> str:
    connection = await asyncpg.connect(database)
    try:
        version = (await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()
    return (
        f"{os.cpu_count()} cores, shared by the server, PostgreSQL and the load; Python {platform.python_version()}, "
        f"PostgreSQL {version}; {given.simulations:,} simulations; {CONNECTIONS} connections, one process of each "
        f"server; medians of {given.rounds} rounds of {given.seconds:g} s."
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--simulations", type=int, default=20_000, help="simulations, of 10 tasks each (default 20000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of one measurement (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each pair, of which the median counts")
    given = parser.parse_args()
    if given.simulations < 1 or given.seconds <= 0 or given.rounds < 1:
        parser.error("simulations, seconds and rounds are above 0")
    return given


def main() -> None:
    def end(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    given = options()
    signal.signal(signal.SIGTERM, end)
    try:
        with running_postgres() as server:
            print(uvloop.run(run(server, given)))
    except (NotStarted, Unanswered, Unequal) as error:
        sys.exit(f"bench: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("bench: stopped")


if __name__ == "__main__":
    main()
