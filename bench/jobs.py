"""What jobs cost: `python -m bench.jobs [fan-out|queue|idle|overhead ...]`.

fan-out: 200 tasks report twice a second while 500 subscribers, ten people, follow their job, beside others who query;
by one gateway process and by two. queue: 10,000 jobs, claimed and finished on SQLite. idle: what 1,000 idle
subscriptions hold, and whether coming and going leaves something behind. overhead: a job of four tasks beside its
program run by hand.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from bench import data
from bench.load import Connection, Unanswered, measure, percentile, post
from bench.servers import Running, Server, log_in, running
from bench.sockets import Subscriber
from db import models
from db.models import InputType, JobState, SimulationType
from db.types import uuid7
from gateway.app import create_app, make_services
from gateway.commands.demo import beam_files
from gateway.protocol.server import make_server, set_up_logs
from gateway.settings import Settings
from jobs.engine import Batch, Held, Seen
from resolvers.context import Context, Services
from resolvers.feed import WORK
from resolvers.identity.principal import Errand, Kind, Principal
from resolvers.queue import leases
from resolvers.simulations import simulations
from resolvers.work.dispatcher import Dispatcher, Post
from schema.fields.scalars import global_id
from tests.support.platforms import login_session
from tests.support.postgres import free_port, running_postgres
from tests.support.redis import running_redis
from tests.support.slurm import running_slurm

TASKS, SUBSCRIBERS, PEOPLE = 200, 500, 10
SECONDS = 20.0
"""For which tasks report."""
QUEUED = 10_000
IDLE = 1_000
REPORT = """mutation Report($n: Int, $d: BigInt) { workerReport(number: $n, done: $d, lines: []) { state } }"""
CLAIM = "mutation Claim($n: String!) { workerClaim(number: $n) { token requested } }"
RESULTS = "mutation Results($e: JSON!) { workerPutResults(estimators: $e) { state } }"
WATCH = "subscription Watch($i: ID!) { jobUpdated(id: $i) { state progress tasks(first: 1) { nodes { done } } } }"
QUERY = "{ jobs(first: 20) { nodes { id title state progress } } }"
DOSE = {"name": "DOSE", "unit": "Gy", "values": [1.0]}
PLAIN: list[dict[str, Any]] = [{
    "name": "z_", "file_name": "z.bdo", "metadata": {},
    "pages": [{"dimensions": 0, "metadata": {"page_number": "0"}, "data": DOSE}],
}]  # fmt: skip


def torana(keys: str, **settings: str) -> Server:
    variables = {
        "TORANA_DATABASE_URL": "{database}", "TORANA_SECRET_KEYS": keys, "TORANA_PORT": "{port}",
        "TORANA_TASK_SLOTS": "0", "TORANA_ACCESS_MINUTES": "600", "TORANA_LOG_FORMAT": "json", **settings,
    }  # fmt: skip
    return Server("Torana", (sys.executable, "-m", "gateway.cli", "serve"), variables, sign_in=log_in)


@contextlib.asynccontextmanager
async def bare(url: str, keys: str, folder: Path) -> AsyncIterator[Services]:
    """What a gateway has, without its doors: to fill its database and to make tokens."""
    key: Any = keys
    services = make_services(Settings(database_url=url, data_dir=folder, secret_keys=key, task_slots=0))
    services = replace(services, limits=replace(services.limits, lease=3_600.0))
    if services.database.dialect == "postgresql":
        await services.database.start()
    try:
        yield services
    finally:
        services.passwords.close()
        await services.database.dispose()


async def submit(services: Services, user: UUID, tasks: int, primaries: int) -> None:
    ctx = Context(services, Principal(kind=Kind.USER, id=user))
    await simulations.submit_simulation(
        ctx, title="bench", sim_type=SimulationType.SHIELDHIT, input_type=InputType.FILES,
        given=beam_files(primaries), tasks=tasks,
    )  # fmt: skip


def ask(url: str, token: str, query: str, **variables: Any) -> bytes:
    body = orjson.dumps({"query": query, "variables": variables})
    return post(url, body, {"Authorization": f"Bearer {token}"})


# Fan-out --------------------------------------------------------------------------------------------------------------


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
                errands = await leases.claim_waiting(session, TASKS, 3_600)
            try:
                medians[processes] = await _followed(services, gateways, errands)
            except Unanswered as error:
                raise Unanswered(f"{error}\n{gateways[0].tail()}") from None
    print(f"fan-out over two processes takes {medians[2] / medians[1]:.2f} times as long as over one")


async def _followed(services: Services, gateways: Sequence[Running], errands: Sequence[Errand]) -> float:
    """Print the figures; returns the median of the time to the slowest subscriber, in seconds."""
    url, job = gateways[0].url, global_id("Job", errands[0].job_id)
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
    tokens = [services.keys.worker_token(errand, services.limits.worker_lifetime) for errand in errands]
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
    return f"Bearer {services.keys.access_token(Kind.USER, key, family, timedelta(hours=1))}"


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


# Queue ----------------------------------------------------------------------------------------------------------------


class Instant:
    """An engine whose workers are tasks of this process: each claims its task and delivers at once, over HTTP."""

    sees = True
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
    settings = Settings(
        database_url=url, data_dir=folder, secret_keys=key, task_slots=0, dispatch=False, port=free_port()
    )
    set_up_logs("json", logging.WARNING)
    services = make_services(settings)
    server = make_server(create_app(settings, services), settings)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    for _ in range(jobs):
        await submit(services, user, 1, 10)
    engine = Instant(10, lambda: services.feed.publish([WORK]))
    dispatcher = Dispatcher(services, [Post(engine, None, 10.0, 60.0)], settings.reports_to, alone=True)
    began = time.perf_counter()
    dispatcher.start()
    while await _unfinished(services):
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


async def _unfinished(services: Services) -> int:
    ended = sa.select(sa.func.count().label("number")).where(models.Job.state.not_in(models.TERMINAL))
    (row,) = await services.database.rows(ended)
    return int(row.number)


# Idle -----------------------------------------------------------------------------------------------------------------


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


# Overhead -------------------------------------------------------------------------------------------------------------


async def overhead(folder: Path, primaries: int) -> None:
    """A job of four tasks by each engine, two at a time, and the same four programs run by hand two at a time."""
    inputs = folder / "input"
    inputs.mkdir()
    for name, text in beam_files(primaries).items():
        (inputs / name).write_text(text)
    with contextlib.ExitStack() as stack:
        for engine, table in _engines(stack, folder):
            by_hand = await _by_hand(inputs, folder, primaries // 4)
            spent = await _by_engine(folder / engine, primaries, table)
            print(
                f"overhead, {engine}: {spent:.2f} s for four tasks of {primaries // 4} primaries, {by_hand:.2f} s by "
                f"hand: {spent - by_hand:.2f} s more",
                flush=True,
            )


def _engines(stack: contextlib.ExitStack, folder: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each engine that can be had here, and the table of its cluster."""
    yield "embedded", None
    redis = stack.enter_context(running_redis())
    environment = {**os.environ, "TORANA_BROKER_URL": redis.url, "TORANA_RUNS": str(folder / "celery-runs")}
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "jobs.engines.celery_app",
        "worker",
        "-Q",
        "torana",
        "-c",
        "2",
        "-l",
        "INFO",
    ]
    with (folder / "celery.log").open("wb") as log:
        workers = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    stack.callback(workers.kill)
    while "ready." not in (folder / "celery.log").read_text():
        time.sleep(0.05)
    yield "celery", {"name": "bench", "platform": "CELERY", "broker": redis.url}
    workers.kill()
    try:
        slurm = stack.enter_context(running_slurm())
    except BaseException as skipped:  # a test would be skipped
        print(f"overhead, slurm: {skipped}")
        return
    yield "slurm", {
        "name": "bench", "platform": "SLURM", "work_dir": str(folder / "work"), "python": sys.executable,
        "environment": slurm.environment,
    }  # fmt: skip


async def _by_engine(folder: Path, primaries: int, table: dict[str, Any] | None) -> float:
    """Seconds from the submission to the job's end."""
    folder.mkdir()
    keys = f"bench:{secrets.token_urlsafe(48)}"
    url = await data.create_file(folder)
    user = await data.reader_of(url)
    clusters = orjson.dumps([table] if table else []).decode().replace("{", "{{").replace("}", "}}")
    slots = "0" if table else "2"
    server = torana(keys, TORANA_TASK_SLOTS=slots, TORANA_DATA_DIR=str(folder), TORANA_CLUSTERS=clusters)
    async with bare(url, keys, folder) as services, running(server, url, folder) as gateway:
        token = (await log_in(gateway.url))["Authorization"].split()[1]
        given: dict[str, Any] = {"simType": "SHIELDHIT", "inputFiles": beam_files(primaries), "tasks": 4}
        if table:
            (row,) = await services.database.rows(sa.select(models.Cluster.id))
            given["cluster"] = global_id("Cluster", row.id)
        query = "mutation($i:NewSimulation!){submitSimulation(input:$i){...on Simulation{job{id}}}}"
        connection = await Connection.open(gateway.url)
        began = time.perf_counter()
        await connection.ask(ask(gateway.url, token, query, i=given))
        while await _unfinished(services):
            await asyncio.sleep(0.02)
        spent = time.perf_counter() - began
        (row,) = await services.database.rows(sa.select(models.Job.state).where(models.Job.owner_user_id == user))
        assert row.state is JobState.COMPLETED, row.state
    return spent


async def _by_hand(inputs: Path, folder: Path, primaries: int) -> float:
    async def one(task: int) -> None:
        command = [
            sys.executable,
            "-m",
            "jobs.programs.proton_beam",
            "--input",
            str(inputs),
            "--task",
            str(task),
        ]
        command += ["--output", str(folder / f"{task}.json"), "--primaries", str(primaries)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0

    began = time.perf_counter()
    slots = asyncio.Semaphore(2)

    async def in_turn(task: int) -> None:
        async with slots:
            await one(task)

    await asyncio.gather(*(in_turn(task) for task in range(1, 5)))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=[], help="fan-out, queue, idle, overhead; by default all")
    parser.add_argument("--jobs", type=int, default=QUEUED, help="of the queue")
    parser.add_argument("--minutes", type=float, default=5.0, help="of coming and going")
    parser.add_argument("--primaries", type=int, default=20_000, help="of the job beside its program")
    given = parser.parse_args()
    wanted = given.only or ["fan-out", "queue", "idle", "overhead"]
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        folder = Path(name)
        for what in wanted:
            place = folder / what
            place.mkdir()
            match what:
                case "fan-out":
                    asyncio.run(fan_out(server, place))
                case "queue":
                    asyncio.run(queue(place, given.jobs))
                case "idle":
                    asyncio.run(idle(server, place, given.minutes))
                case "overhead":
                    asyncio.run(overhead(place, given.primaries))
                case _:
                    parser.error(f"{what}: there are fan-out, queue, idle, overhead")


if __name__ == "__main__":
    main()
