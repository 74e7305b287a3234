"""How much memory Torana holds while it is asked everything, minute after minute."""

import asyncio
import itertools
import time
from pathlib import Path

from bench.data import Filled
from bench.load import Connection, post
from bench.measuring import CONNECTIONS, say
from bench.operations import operations
from bench.servers import TORANA, Running, running

EVERY = 5.0
"""Seconds from one look at the process to the next."""


async def watch(filled: Filled, folder: Path, *, minutes: float) -> str:
    """Ask all operations in turn on all connections; returns what the process held after a minute, last and at most."""
    async with running(TORANA, filled.url, folder) as found:
        headers = await found.headers()
        bodies = [itertools.cycle(operation.bodies) for operation in operations(filled)]
        requests = (post(found.url, next(each), headers) for each in itertools.cycle(bodies))
        end = time.monotonic() + 60 * minutes
        answered = 0

        async def keep_asking() -> None:
            nonlocal answered
            connection = await Connection.open(found.url)
            try:
                while time.monotonic() < end:
                    await connection.ask(next(requests))
                    answered += 1
            finally:
                connection.close()

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(_look(found, end))
            for _ in range(CONNECTIONS):
                group.create_task(keep_asking())
        sizes = looking.result()
    first = sizes[min(len(sizes) - 1, int(60 / EVERY))]
    return (
        f"Torana, {minutes:g} minutes of all operations in turn, {CONNECTIONS} connections, {answered:,} answers: "
        f"resident memory {first:.0f} MiB after the first minute, {sizes[-1]:.0f} MiB at the end, "
        f"{max(sizes):.0f} MiB at most."
    )


async def _look(found: Running, end: float) -> list[float]:
    """MiB, every few seconds."""
    sizes = [_resident(found.pid)]
    while time.monotonic() < end:
        await asyncio.sleep(min(EVERY, max(0.0, end - time.monotonic())))
        sizes.append(_resident(found.pid))
        if len(sizes) % 12 == 1:
            say(f"{(len(sizes) - 1) * EVERY / 60:g} min: {sizes[-1]:.0f} MiB")
    return sizes


def _resident(pid: int) -> float:
    """MiB of the process that are in memory, as Linux says."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
