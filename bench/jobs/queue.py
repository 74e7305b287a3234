"""Many jobs in the queue: claimed and finished on SQLite."""

import asyncio
import logging
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from bench import data
from bench.jobs.gateway import PLAIN, RESULTS, ask, submit, unfinished
from bench.load import Connection, Unanswered
from db import models
from gateway.app import create_app, make_services
from gateway.protocol.server import make_server, set_up_logs
from gateway.settings import load
from jobs.engine import Batch, Held, Seen
from resolvers.feed import WORK
from resolvers.work.dispatcher import Dispatcher, Post
from resolvers.work.finishing import merge_ready
from tests.support.postgres import free_port

CLAIM = "mutation Claim($n: String!) { workerClaim(number: $n) { token requested } }"


class Instant:
    """An engine whose workers are tasks of this process: each claims its task and delivers at once, over HTTP."""

    personal = False

    def __init__(self, slots: int, ended: Callable[[], None]) -> None:
        self.spent: list[float] = []
        self.delivered: list[float] = []
        self._free = slots
        self._ended = ended
        self._under_way: set[asyncio.Task[None]] = set()
        self._connections: list[Connection] = []

    def room(self) -> int:
        return self._free

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        for token in batch.tokens.values():
            self._free -= 1
            task = asyncio.create_task(self._work(batch.gateway, token))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return {}

    async def _work(self, gateway: str, token: str) -> None:
        url = f"{gateway}/graphql"
        began = time.perf_counter()
        answer = orjson.loads(await self._ask(url, ask(url, token, CLAIM, n="bench-bench")))
        self.spent.append(time.perf_counter() - began)
        await self._ask(url, ask(url, answer["data"]["workerClaim"]["token"], RESULTS, e=PLAIN))
        self.delivered.append(time.perf_counter())
        self._free += 1
        self._ended()

    async def _ask(self, url: str, request: bytes) -> bytes:
        """On a connection that is kept; once more, as workers do, where the server had closed that one."""
        while True:
            kept = bool(self._connections)
            connection = self._connections.pop() if kept else await Connection.open(url)
            try:
                answer = await connection.ask(request)
            except (OSError, Unanswered):
                if kept and connection.lost:
                    continue
                raise
            self._connections.append(connection)
            return answer

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        pass

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        return {one.name: {} for one in held}

    async def close(self) -> None:
        await asyncio.gather(*self._under_way)


async def queue(folder: Path, jobs: int) -> None:
    """Jobs of one task on SQLite: handed over by the dispatcher, claimed and finished as workers do, merged."""
    url = await data.create_file(folder)
    user = await data.reader_of(url)
    key: Any = f"bench:{secrets.token_urlsafe(48)}"
    settings = load(database_url=url, data_dir=folder, secret_keys=key, task_slots=0, dispatch=False, port=free_port())
    set_up_logs("json", logging.WARNING)
    services = make_services(settings)
    server = make_server(create_app(settings, services), settings.server)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    for _ in range(jobs):
        await submit(services, user, 1, 10)
    engine = Instant(10, lambda: services.feed.publish([WORK]))
    post, merge = Post(engine, None, 10.0, 60.0), partial(merge_ready, services)
    dispatcher = Dispatcher(services, [post], settings.server.reports_to, merge=merge, alone=True)
    began = time.perf_counter()
    dispatcher.start()
    while await unfinished(services):
        await asyncio.sleep(0.5)
    every = time.perf_counter() - began
    totals = await services.database.rows(
        sa.select(models.Job.state, sa.func.count().label("number")).group_by(models.Job.state)
    )
    await dispatcher.close()
    server.should_exit = True
    await serving
    first, last = statistics.median(engine.spent[:1_000]), statistics.median(engine.spent[-1_000:])
    thousands = [engine.delivered[n] for n in range(0, jobs, 1_000)] + engine.delivered[-1:]
    each = [after - before for before, after in pairwise(thousands)]
    print(
        f"queue: {jobs} jobs in {every:.0f} s ({jobs / every:.0f}/s), ended as "
        f"{ {row.state.name: row.number for row in totals} }; a thousand took {each[0]:.1f} s at first, {each[-1]:.1f} "
        f"s at last, ratio {each[-1] / each[0]:.2f}; claiming one {first * 1000:.1f} ms among the first thousand, "
        f"{last * 1000:.1f} ms among the last, ratio {last / first:.2f}",
        flush=True,
    )
