"""Many subscribers who follow a job whose tasks report, beside others who query."""

import asyncio
import contextlib
import secrets
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from bench import data
from bench.jobs.gateway import PLAIN, RESULTS, WATCH, ask, bare, submit, torana
from bench.load import Connection, Unanswered, measure, percentile, post
from bench.servers import Running, log_in, running
from bench.sockets import Subscriber
from db import models
from db.types import uuid7
from resolvers.context import Services
from resolvers.identity.principal import Kind, TaskClaim
from resolvers.queue import leases
from resolvers.spelling import global_id
from tests.support.platforms import login_session

TASKS, SUBSCRIBERS, PEOPLE = 200, 500, 10
SECONDS = 20.0
"""For which tasks report."""
REPORT = """mutation Report($n: Int, $d: BigInt) { workerReport(number: $n, done: $d, lines: []) { state } }"""
QUERY = "{ jobs(first: 20) { nodes { id title state progress } } }"


async def fan_out(server: str, folder: Path) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    medians = {}
    for processes in (1, 2):
        url = await data.create(server)
        user = await data.reader_of(url)
        async with bare(url, keys, folder) as services, contextlib.AsyncExitStack() as stack:
            gateways = [
                await stack.enter_async_context(
                    running(torana(keys, TORANA_DISPATCH="off" if n else "on"), url, folder)
                )
                for n in range(processes)
            ]
            await submit(services, user, TASKS, 1_000_000)
            async with services.database.write(as_system="bench") as session:
                task_claims = await leases.claim_waiting(session, TASKS, 3_600)
            try:
                medians[processes] = await _followed(services, gateways, task_claims)
            except Unanswered as error:
                raise Unanswered(f"{error}\n{gateways[0].tail()}") from None
    print(f"fan-out over two processes takes {medians[2] / medians[1]:.2f} times as long as over one")


async def _followed(services: Services, gateways: Sequence[Running], task_claims: Sequence[TaskClaim]) -> float:
    """Print the figures; returns the median of the time to the slowest subscriber, in seconds."""
    url, job = gateways[0].url, global_id("Job", task_claims[0].job_id)
    headers = dict(await log_in(url))
    question = [post(url, orjson.dumps({"query": QUERY}), headers)]
    alone = await measure(url, question, connections=2, seconds=5)
    latest, reached = [0] * SUBSCRIBERS, asyncio.Event()
    wanted, states = [0], [set[str]() for _ in range(SUBSCRIBERS)]
    behind = [SUBSCRIBERS]

    def hears(n: int) -> Any:
        def heard(text: bytes) -> None:
            if (told := _told(text)) is None:
                return
            state, done = told
            states[n].add(state)
            if latest[n] < wanted[0] <= done:
                behind[0] -= 1
                if not behind[0]:
                    reached.set()
            latest[n] = max(latest[n], done)

        return heard

    people = [await _person(services, n) for n in range(PEOPLE)]
    subscribers = [
        await Subscriber.ask(gateways[n % len(gateways)].url, people[n % PEOPLE], WATCH, {"i": job}, hears(n))
        for n in range(SUBSCRIBERS)
    ]
    tokens = [
        services.identity.keys.worker_token(task_claim, services.limits.worker_lifetime) for task_claim in task_claims
    ]
    stopping = asyncio.Event()
    others = [asyncio.create_task(_report(url, token, n, stopping)) for n, token in enumerate(tokens[1:])]
    loaded = asyncio.create_task(measure(url, question, connections=2, seconds=SECONDS))
    taken, probe = [], await Connection.open(url)
    for number in range(1, int(SECONDS / 2.1) + 1):
        reached.clear()
        wanted[0], behind[0] = number * 10, SUBSCRIBERS
        posted = time.perf_counter()
        await probe.ask(ask(url, tokens[0], REPORT, n=number, d=str(number * 10)))
        async with asyncio.timeout(30):
            await reached.wait()
        taken.append(time.perf_counter() - posted)
        await asyncio.sleep(max(0.0, 2.1 - taken[-1]))
    beside = await loaded
    stopping.set()
    await asyncio.gather(*others)
    await _end(url, tokens, probe)
    async with asyncio.timeout(60):
        while not all("COMPLETED" in seen for seen in states):
            await asyncio.sleep(0.05)
    for subscriber in subscribers:
        subscriber.close()
    every = {"RUNNING", "MERGING_QUEUED", "MERGING_RUNNING", "COMPLETED"}
    taken.sort()
    middle = statistics.median(taken)
    print(
        f"fan-out over {len(gateways)} process(es): to the slowest of {SUBSCRIBERS} subscribers, {PEOPLE} people, "
        f"{middle * 1000:.0f} ms at the median, {percentile(taken, 99) * 1000:.0f} ms at the 99th percentile of "
        f"{len(taken)}; "
        f"{sum(seen == every for seen in states)} saw every state and the last progress; "
        f"queries {beside.per_second:.0f}/s beside it, {alone.per_second:.0f}/s alone, "
        f"ratio {beside.per_second / alone.per_second:.2f}",
        flush=True,
    )
    return middle


@lru_cache(maxsize=16)
def _told(text: bytes) -> tuple[str, int] | None:
    """The state, and what the first task has done; read once for all who hear the same."""
    if (payload := orjson.loads(text).get("payload")) is None:
        return None
    job = payload["data"]["jobUpdated"]
    return job["state"], int(job["tasks"]["nodes"][0]["done"])


async def _person(services: Services, number: int) -> str:
    """The Authorization header of somebody who may follow every job."""
    key = uuid7()
    async with services.database.write(as_system="bench") as session:
        session.add(models.User(id=key, username=f"person{number}", superadmin=True, email_verified=True))
    family = await login_session(services, key, seconds=3_600)
    return f"Bearer {services.identity.keys.access_token(Kind.USER, key, family, timedelta(hours=1))}"


async def _report(url: str, token: str, number: int, stopping: asyncio.Event) -> None:
    """As a worker does: progress twice a second."""
    connection = await Connection.open(url)
    await asyncio.sleep(number / TASKS / 2)
    count = 0
    while not stopping.is_set():
        count += 1
        due = time.monotonic() + 0.5
        await connection.ask(ask(url, token, REPORT, n=count, d=str(count * 10)))
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    connection.close()


async def _end(url: str, tokens: Sequence[str], connection: Connection) -> None:
    for token in tokens:
        await connection.ask(ask(url, token, RESULTS, e=PLAIN))
