"""For how long nothing else is answered: `python -m bench.stalls [--only PART] [--rounds 3]`.

Each request of `tests/support/hostile.py` is sent to a gateway of its own process on PostgreSQL, while /healthz is
asked over and over on a connection of its own. What is told is the longest time in which no answer to that came, the
median of the rounds, beside what it is with nothing else to do.
"""

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import uvloop

from bench import data, results
from bench.jobs.gateway import bare, torana
from bench.measuring import say
from bench.servers import running
from resolvers.context import Services
from tests.support.databases import quick_passwords
from tests.support.hostile import HOSTILE, Hostile, authorizations, on_socket
from tests.support.postgres import running_postgres
from tests.support.world import PASSWORD, World, populate

AIM = 100.0
"""Milliseconds."""
SIMULATIONS = 2_000
PAUSE = 0.002
"""Seconds between two polls."""


class Poller:
    """Asks /healthz over and over in a thread of its own; `longest` is the longest time without an answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.longest = 0.0
        self.wrong = 0

    def __enter__(self) -> "Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._connection.close()

    def _poll(self) -> None:
        last = time.perf_counter()
        while not self._stopping.is_set():
            self._connection.request("GET", "/healthz")
            answer = self._connection.getresponse()
            answer.read()
            self.wrong += answer.status != 200
            self.longest, last = max(self.longest, time.perf_counter() - last), time.perf_counter()
            time.sleep(PAUSE)


async def send(base: str, hostile: Hostile, authorization: str | None, world: World) -> list[str]:
    """Send it all at once; what came back, shortly."""
    bodies = hostile.bodies(world)
    if hostile.socket:
        heard = await on_socket(f"ws{base.removeprefix('http')}/graphql", authorization, bodies)
        return sorted(set(heard))
    headers = {"Content-Type": "application/json", **dict(hostile.headers)}
    if authorization is not None:
        headers["Authorization"] = authorization
    async with httpx2.AsyncClient(base_url=base, timeout=120) as client:
        if hostile.url:
            answers = [await client.get(f"/graphql?{hostile.url}", headers=headers)]
        else:
            answers = await asyncio.gather(
                *(client.post("/graphql", content=body, headers=headers) for body in bodies), return_exceptions=True
            )
    return sorted({_told(answer) for answer in answers})


def _told(answer: httpx2.Response | BaseException) -> str:
    if isinstance(answer, BaseException):
        return type(answer).__name__
    for start in ('"code":"', '"__typename":"'):
        if start in answer.text:
            return answer.text.partition(start)[2].partition('"')[0]
    return str(answer.status_code)


async def measured(
    url: str, hostile: Hostile, authorization: str | None, world: World
) -> tuple[float, float, list[str]]:
    """The longest time in which nothing else was answered and how long the whole took, in milliseconds."""
    base = url.removesuffix("/graphql")
    with Poller(base) as poller:
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        told = await send(base, hostile, authorization, world)
        took = time.perf_counter() - began
        await asyncio.sleep(0.1)
    assert not poller.wrong, f"/healthz was not answered as ever while this went on: {hostile.name}"
    return poller.longest * 1000, took * 1000, told


async def populated(services: Services) -> World:
    passwords = quick_passwords()
    hashed = await passwords.hash(PASSWORD)
    passwords.close()
    async with services.database.write(as_system="bench") as session:
        world = await populate(session, hashed)
    await results.keep(services.database, world.simulation, results.estimators())
    return world


async def run(server: str, folder: Path, chosen: Sequence[Hostile], rounds: int) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    url = await data.create(server)
    await data.fill(url, SIMULATIONS)
    nothing = Hostile("nothing", None, lambda _: [])
    async with bare(url, keys, folder) as services:
        world = await populated(services)
        headers = await authorizations(services, world)
        async with running(torana(keys, TORANA_DISPATCH="off", TORANA_SIGN_UP="true"), url, folder) as gateway:
            print("| sent | by | longest ms | whole ms | answered |", "|---|---|---:|---:|---|", sep="\n", flush=True)
            for hostile in (nothing, *chosen):
                found = [await measured(gateway.url, hostile, headers.get(hostile.who), world) for _ in range(rounds)]
                longest, took = (statistics.median(times) for times in list(zip(*found, strict=True))[:2])
                told = ", ".join(found[-1][2])
                mark = " **over**" if longest > AIM else ""
                print(
                    f"| {hostile.name} | {hostile.who or 'anyone'} | {longest:.0f}{mark} | {took:.0f} | {told} |",
                    flush=True,
                )
    await data.drop(server)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stalls", description=__doc__)
    parser.add_argument("--only", default="", help="those whose names have this part")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default 3)")
    given = parser.parse_args()
    chosen = [hostile for hostile in HOSTILE if given.only in hostile.name]
    if not chosen:
        sys.exit("bench: nothing is named so")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torana-stalls-")))
        server = stack.enter_context(running_postgres())
        say(f"{len(chosen)} kinds of requests")
        uvloop.run(run(server, folder, chosen, given.rounds))


if __name__ == "__main__":
    main()
