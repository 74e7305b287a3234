"""Subscriptions that hear of nothing: what they hold, and what their coming and going leaves behind."""

import asyncio
import os
import secrets
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import data
from bench.jobs.gateway import WATCH, bare, submit, torana
from bench.servers import log_in, running
from bench.sockets import Subscriber
from db import models
from resolvers.spelling import global_id

IDLE = 1_000


async def idle(server: str, folder: Path, minutes: float) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    url = await data.create(server)
    user = await data.reader_of(url)
    async with bare(url, keys, folder) as services, running(torana(keys), url, folder) as gateway:
        await submit(services, user, 1, 10)
        (row,) = await services.database.rows(sa.select(models.Job.id))
        given: Any = (gateway.url, (await log_in(gateway.url))["Authorization"], WATCH, {"i": global_id("Job", row.id)})

        async def opened(number: int) -> list[Subscriber]:
            return [await Subscriber.ask(*given, lambda _: None) for _ in range(number)]

        for subscriber in await opened(50):
            subscriber.close()
        await asyncio.sleep(1)
        before = _resident(gateway.pid)
        held = await opened(IDLE)
        await asyncio.sleep(1)
        each = (_resident(gateway.pid) - before) / IDLE
        for subscriber in held:
            subscriber.close()
        await asyncio.sleep(1)
        seen = [_resident(gateway.pid)]
        until = time.monotonic() + minutes * 60
        churned = 0
        while time.monotonic() < until:
            for subscriber in await opened(100):
                subscriber.close()
            churned += 100
            seen.append(_resident(gateway.pid))
        tenth = max(1, len(seen) // 10)
        early, late = max(seen[tenth : 2 * tenth]), max(seen[-tenth:])
    print(
        f"idle: {each / 1024:.1f} KiB for each of {IDLE} subscriptions; {churned} came and went in {minutes:g} min: "
        f"{early / 2**20:.1f} MiB early, {late / 2**20:.1f} MiB at the end",
        flush=True,
    )


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
