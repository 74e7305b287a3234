"""One large page of two tasks: stored, merged, sliced and downloaded, and what memory the gateway takes for it."""

import asyncio
import hashlib
import json
import secrets
import sys
import threading
import time
import urllib.request
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import sqlalchemy as sa

from bench import data
from bench.jobs.gateway import ask, bare, submit, torana, unfinished
from bench.load import Connection
from bench.measuring import say
from bench.servers import Running, log_in, running
from db import models
from jobs.worker import results
from jobs.worker.gateway import Gateway
from resolvers.context import Services
from resolvers.queue import leases
from resolvers.spelling import global_id

SLICE = "query($id:ID!,$z:Bins){page(id:$id){data{values(axis3:$z) errors(axis3:$z)}}}"
EDGE = 100


def result(numbers: int, task: int) -> dict[str, Any]:
    """An estimator with one page of 100 x 100 x n values."""
    shape = (EDGE, EDGE, numbers // EDGE**2)
    values = np.random.default_rng(task).random(numbers)
    axes = {
        f"axis_dim{n}": {"name": "XYZ"[n - 1], "unit": "cm", "values": array("d", range(size))}
        for n, size in enumerate(shape, 1)
    }
    dose = {"name": "DOSE", "unit": "Gy", "values": array("d", values.tobytes())}
    page = {"dimensions": 3, "metadata": {"page_number": "0"}, "data": dose, **axes}
    return {"name": "mesh_", "file_name": "mesh.bdo", "metadata": {}, "pages": [page]}


class Memory:
    """The most memory of its own that a process had while something went on, more than when idle, in megabytes. What it
    maps of SQLite's file is the system's cache, and not counted."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.idle = self._own()

    def _own(self) -> float:
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024

    async def during(self, what: str, work: Callable[[], Any]) -> tuple[Any, float, float]:
        """What the work gave, its seconds, and the megabytes."""
        seen, over = [self._own()], threading.Event()

        def watch() -> None:
            while not over.wait(0.005):
                seen.append(self._own())

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.perf_counter()
        try:
            made = await asyncio.to_thread(work)
        finally:
            over.set()
            watching.join()
        spent, more = time.perf_counter() - began, max(seen) - self.idle
        say(f"{what}: {spent:.2f} s, {more:.0f} MB more than idle")
        return made, spent, more


async def pages(server: str, folder: Path, numbers: int) -> None:
    plain = await _plain(folder, numbers)
    print(f"| {numbers:,} numbers, two tasks | seconds | memory more than idle |", "|---|---:|---:|", sep="\n")
    print(
        f"| plain: both results read, merged and written whole | {plain['seconds']:.2f} | {plain['megabytes']:.0f} MB |"
    )
    for name in ("SQLite", "PostgreSQL"):
        place = folder / name
        place.mkdir()
        url = await data.create_file(place) if name == "SQLite" else await data.create(server)
        await _on(name, url, place, numbers)
    await data.drop(server)


async def _plain(folder: Path, numbers: int) -> Any:
    command = (sys.executable, "-m", "bench.jobs.plain_pages", str(numbers), str(folder))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return json.loads(told)


async def _on(name: str, url: str, folder: Path, numbers: int) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    user = await data.reader_of(url)
    gateway_of = torana(keys, TORANA_DATA_DIR=str(folder))
    async with bare(url, keys, folder) as services, running(gateway_of, url, folder) as gateway:
        token = (await log_in(gateway.url))["Authorization"].split()[1]
        small, large = _Run(services, user, gateway, token, 10_000), _Run(services, user, gateway, token, numbers)
        await small.steps(Memory(gateway.pid), f"{name}, warming up")
        told = await large.steps(Memory(gateway.pid), name)
    for what, (made, seconds, more) in told.items():
        rate = f" ({made / 1e6 / seconds:.0f} MB/s)" if "downloaded" in what else ""
        print(f"| {name}: {what} | {seconds:.2f}{rate} | {more:.0f} MB |", flush=True)


@dataclass
class _Run:
    """A simulation of two tasks with a page of so many numbers."""

    services: Services
    user: UUID
    gateway: Running
    token: str
    numbers: int

    async def steps(self, memory: Memory, name: str) -> dict[str, tuple[Any, float, float]]:
        await submit(self.services, self.user, 2, 1_000)
        async with self.services.database.write(as_system="bench") as session:
            claims = await leases.claim_waiting(session, 2, 3_600)
        address, keys = self.gateway.url.removesuffix("/graphql"), self.services.identity.keys
        tokens = [keys.worker_token(claim, self.services.limits.worker_lifetime) for claim in claims]

        def deliver() -> None:
            for task, token in enumerate(tokens, 1):
                results.send(
                    Gateway(address, token), [result(self.numbers, task)], results.Room(self.numbers, 2 * self.numbers)
                )  # type: ignore[list-item]

        told = {"stored": await memory.during(f"{name}: stored", deliver)}
        merging = asyncio.create_task(_merged(self.services))
        told["merged"] = await memory.during(f"{name}: merged", lambda: _wait(merging))
        newest = sa.select(models.Page.id, models.Estimator.simulation_id).join(models.Page.estimator)
        row = (await self.services.database.rows(newest.order_by(models.Page.id.desc()).limit(1)))[0]
        id = global_id("Page", row.id)
        told["a slice of axis 3"] = await memory.during(
            f"{name}: sliced", lambda: _sliced(self.gateway, self.token, id, self.numbers)
        )
        whole = f"{address}/downloads/simulations/{global_id('Simulation', row.simulation_id)}/results.json"
        for kind, url in (("CSV", f"{address}/downloads/pages/{id}/0.csv"), ("JSON", whole)):
            told[f"downloaded as {kind}"] = await memory.during(
                f"{name}: {kind}", lambda url=url: _fetched(url, self.token)
            )
        return told


async def _merged(services: Any) -> None:
    while await unfinished(services):
        await asyncio.sleep(0.05)


def _wait(task: "asyncio.Task[None]") -> None:
    while not task.done():
        time.sleep(0.01)
    task.result()


def _sliced(gateway: Running, token: str, id: str, numbers: int) -> int:
    async def sliced() -> bytes:
        connection = await Connection.open(gateway.url)
        return await connection.ask(ask(gateway.url, token, SLICE, id=id, z=numbers // EDGE**2 // 2))

    found = orjson.loads(asyncio.run(sliced()))["data"]["page"]["data"]
    place = numbers // EDGE**2 // 2 * EDGE**2
    parts = [np.random.default_rng(task).random(numbers)[place : place + EDGE**2] for task in (1, 2)]
    np.testing.assert_allclose(found["values"], np.mean(parts, 0), rtol=1e-12)
    np.testing.assert_allclose(found["errors"], np.std(parts, 0, ddof=1) / np.sqrt(2), rtol=1e-9)
    return len(found["values"])


def _fetched(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    size, hashed = 0, hashlib.sha256()
    with urllib.request.urlopen(request, timeout=600) as answer:
        while piece := answer.read(1 << 20):
            size += len(piece)
            hashed.update(piece)
    return size
