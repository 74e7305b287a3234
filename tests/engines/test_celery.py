"""Tasks on Celery's workers: real processes and a real redis, killed at bad moments."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import redis.asyncio

from jobs.engine import Away, Batch, Held
from jobs.engines.celery import CeleryEngine
from resolvers.work.dispatcher import Dispatcher, Post
from resolvers.work.finishing import merge_ready
from tests.support.inputs import files
from tests.support.postgres import free_port
from tests.support.redis import Redis, running_redis
from tests.support.serving import Serve, Served
from tests.work.test_archives import archived, content_of
from tests.work.test_running import LONG, ended, gone, running, submit
from tests.work.test_running import until as watched

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

QUEUE = "tests"


@dataclass(frozen=True)
class Run:
    """What a run that began wrote down."""

    name: str
    token: str
    worker: int
    program: int

    @property
    def alive(self) -> bool:
        return any(status(pid)[0] not in "ZX" for pid in (self.worker, self.program))

    @property
    def child(self) -> int:
        """The process of Celery's pool that started it."""
        return int(status(self.worker)[1])


def status(pid: int) -> list[str]:
    """State, parent and more of a process; `X` for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]


class Worker:
    """`celery worker` in a process of its own."""

    def __init__(self, folder: Path, url: str, slots: int, visibility: float, app: str) -> None:
        self.log = folder / "celery.log"
        self._environment = {
            **os.environ, "TORANA_BROKER_URL": url, "TORANA_QUEUE": QUEUE, "TORANA_VISIBILITY": str(visibility),
            "TORANA_RUNS": str(folder / "runs"), "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        self._slots = slots
        self._app = app
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        before = self.text.count("ready.")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "celery", "-A", self._app, "worker", "-Q", QUEUE, "-c", str(self._slots),
                "-l", "DEBUG", "--without-mingle", env=self._environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        await until(lambda: self.text.count("ready.") > before, 20)

    @property
    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process, and wait for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(20):
            await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.signal(signal.SIGKILL)


class Cluster:
    """An engine, its broker, and what ran on its workers."""

    def __init__(self, folder: Path, server: Redis) -> None:
        self.folder = folder
        self.redis = server
        self.engine = CeleryEngine(server.url, QUEUE)
        self._record = folder / "record"
        self._record.touch()
        self._workers: list[Worker] = []

    @property
    def runs(self) -> list[Run]:
        lines = [line.split() for line in self._record.read_text().splitlines()]
        return [Run(name, token, int(worker), int(program)) for name, token, worker, program in lines]

    @property
    def log(self) -> str:
        return self._workers[-1].text

    async def work(self, slots: int = 2, visibility: float = 300, app: str = "tests.support.celery_worker") -> Worker:
        self._workers.append(Worker(self.folder, self.redis.url, slots, visibility, app))
        await self._workers[-1].start()
        return self._workers[-1]

    def batch(self, *tokens: str, name: str = "torana-aa-1") -> Batch:
        return Batch(Held(name), str(self._record), dict(enumerate(tokens, 1)), "collector", {})

    async def submit(self, *tokens: str, name: str = "torana-aa-1") -> Held:
        batch = self.batch(*tokens, name=name)
        assert await self.engine.submit(batch) == {}
        return batch.held

    async def ran(self, number: int, seconds: float = 15) -> list[Run]:
        await until(lambda: len(self.runs) >= number, seconds)
        return self.runs

    async def unfinished(self) -> int:
        """Messages that wait, or that were taken and are not acknowledged."""
        client = redis.asyncio.Redis.from_url(self.redis.url)
        try:
            return await client.llen(QUEUE) + await client.hlen("unacked")  # type: ignore[no-any-return,misc]
        finally:
            await client.aclose()

    async def finished(self) -> None:
        async with asyncio.timeout(30):
            while await self.unfinished():
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for worker in self._workers:
            await worker.stop()
        for run in self.runs:
            await until(lambda run=run: not run.alive, 5)  # type: ignore[misc]


async def until(true: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def clustered(folder: Path) -> AsyncIterator[Cluster]:
    with running_redis() as server:
        made = Cluster(folder, server)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with clustered(tmp_path) as made:
        yield made


def processes() -> str:
    """What `ps` shows of every process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


async def test_each_task_runs_once_with_its_own_token_which_nobody_reads(cluster: Cluster) -> None:
    await cluster.work(3)
    await cluster.submit("stray-s3cret", "stray-s3cret-2", "long-s3cret-3")
    runs = await cluster.ran(3)
    assert "s3cret" not in processes()
    await until(lambda: cluster.log.count("succeeded") == 2, 10)
    assert "s3cret" not in cluster.log
    assert {(run.name, run.token) for run in cluster.runs} == {
        ("torana-aa-1-1", "stray-s3cret"), ("torana-aa-1-2", "stray-s3cret-2"), ("torana-aa-1-3", "long-s3cret-3"),
    }  # fmt: skip
    assert len(cluster.runs) == 3
    await until(lambda: sum(run.alive for run in runs) == 1, 5)  # what the others started ended with them
    assert len(list((cluster.folder / "runs").iterdir())) == 1


async def test_cancelling_ends_what_runs_and_drops_what_waits(cluster: Cluster) -> None:
    await cluster.work(1)
    held = await cluster.submit("long-1", "long-2", "quick-3")
    (first,) = await cluster.ran(1)
    await cluster.engine.cancel(held, [1, 2])
    await until(lambda: not first.alive, 5)
    runs = await cluster.ran(2)
    assert [run.token for run in runs] == ["long-1", "quick-3"]
    await cluster.finished()
    assert [run.token for run in cluster.runs] == ["long-1", "quick-3"]
    await cluster.engine.cancel(Held("torana-gone-1"), [1])


async def test_what_is_to_be_tried_again_is_delivered_again(cluster: Cluster) -> None:
    await cluster.work(1)
    await cluster.submit("again-1")
    assert [run.name for run in await cluster.ran(2)] == ["torana-aa-1-1"] * 2
    await cluster.finished()
    assert len(cluster.runs) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_lost_process_of_the_pool_ends_its_program_and_the_task_runs_again(
    cluster: Cluster, number: signal.Signals
) -> None:
    await cluster.work(1)
    await cluster.submit("long-1")
    (first,) = await cluster.ran(1)
    os.kill(first.child, number)
    await until(lambda: not first.alive, 5)
    await cluster.ran(2)
    assert len(list((cluster.folder / "runs").iterdir())) == 1, "the next run removes what the lost one left"


async def test_a_lost_worker_ends_its_programs_and_the_next_one_runs_them(cluster: Cluster) -> None:
    worker = await cluster.work(2, visibility=3)
    await cluster.submit("long-1", "long-2")
    before = await cluster.ran(2)
    await worker.signal(signal.SIGKILL)
    await until(lambda: not any(run.alive for run in before), 5)
    await cluster.work(2, visibility=3)
    runs = await cluster.ran(4, 10)
    assert {run.name for run in runs[2:]} == {"torana-aa-1-1", "torana-aa-1-2"}


async def test_a_worker_that_quits_gives_back_what_it_could_not_finish(cluster: Cluster) -> None:
    worker = await cluster.work(1)
    await cluster.submit("long-1", "quick-2")
    (first,) = await cluster.ran(1)
    await worker.signal(signal.SIGQUIT)
    assert not first.alive
    assert await cluster.unfinished() == 2
    await cluster.work(2)
    assert {run.token for run in (await cluster.ran(3))[1:]} == {"long-1", "quick-2"}


async def test_a_task_longer_than_redis_waits_is_delivered_once_more_and_goes_on(cluster: Cluster) -> None:
    await cluster.work(2, visibility=1)
    await cluster.submit("once-1")
    (first, second) = await cluster.ran(2)
    assert first.name == second.name
    await cluster.finished()
    assert first.alive
    assert len(cluster.runs) == 2, "no message is left that could be delivered a third time"


async def test_a_broker_that_lost_everything_is_used_again(cluster: Cluster) -> None:
    await cluster.work(2)
    await cluster.submit("long-1")
    (first,) = await cluster.ran(1)
    cluster.redis.kill()
    with pytest.raises(Away, match="Connection refused"):
        await cluster.submit("quick-2", name="torana-aa-2")
    with pytest.raises(Away):
        await cluster.engine.cancel(Held("torana-aa-1"), [1])
    with pytest.raises(Away):
        await cluster.engine.poll([])
    cluster.redis.start()
    held = await cluster.submit("long-3", name="torana-aa-3")
    runs = await cluster.ran(2)
    assert [run.token for run in runs] == ["long-1", "long-3"]
    assert first.alive, "a task reports to the gateway, and does not mind"
    await cluster.engine.cancel(held, [1])
    await until(lambda: not runs[1].alive, 5)
    await cluster.engine.cancel(Held("torana-aa-1"), [1])
    await until(lambda: not first.alive, 5)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
async def test_a_broker_out_of_reach_is_away_soon_and_its_password_stays_here(silent: int, scheme: str) -> None:
    batch = Batch(Held("torana-aa-1"), "http://127.0.0.1:1", {1: "token"}, "collector", {})
    for port in (silent, free_port()):
        engine = CeleryEngine(f"{scheme}://user:pa55word@127.0.0.1:{port}/0")
        began = time.monotonic()
        calls = engine.submit(batch), engine.cancel(batch.held, [1]), engine.poll([batch.held])
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < 6
        assert [type(answer) for answer in answers] == [Away] * 3
        assert "pa55word" not in str(answers)


async def test_no_more_is_handed_over_than_may_wait_in_the_broker(cluster: Cluster) -> None:
    engine = CeleryEngine(cluster.redis.url, QUEUE, backlog=3)
    assert await engine.poll([]) == {}
    assert engine.room() == 3
    batch = cluster.batch("quick-1", "quick-2")
    await engine.submit(batch)
    assert engine.room() == 1
    await engine.submit(replace(batch, held=Held("torana-aa-2")))
    assert engine.room() <= 0
    await cluster.work(1)
    await cluster.finished()
    await engine.poll([batch.held])
    assert engine.room() == 3


async def test_a_job_of_the_gateway_runs_and_another_is_cancelled(serve: Serve, cluster: Cluster) -> None:
    gateway: Served = await serve("sqlite")
    post = Post(cluster.engine, None, interval=5, patience=600)
    dispatcher = Dispatcher(
        gateway.services, [post], gateway.url, merge=partial(merge_ready, gateway.services), alone=False
    )
    dispatcher.start()
    try:
        await cluster.work(2, app="jobs.engines.celery_app")
        tom = await gateway.log_in("tom")
        job = (await submit(gateway, tom, files(400), 2))["job"]["id"]
        assert (await watched(gateway, tom, job, ended))[-1]["state"] == "COMPLETED"
        job = (await submit(gateway, tom, files(LONG)))["job"]["id"]
        await watched(gateway, tom, job, running)
        await gateway.ask("mutation($i:ID!){cancelJob(id:$i){... on Job{state}}}", tom, i=job)
        await gone(cluster.folder / "runs")
        await cluster.finished()
    finally:
        await dispatcher.close()


async def test_an_archive_is_made_by_celerys_workers(serve: Serve, cluster: Cluster) -> None:
    gateway: Served = await serve("sqlite")
    post = Post(cluster.engine, None, interval=5, patience=600)
    dispatcher = Dispatcher(
        gateway.services, [post], gateway.url, merge=partial(merge_ready, gateway.services), alone=False
    )
    dispatcher.start()
    try:
        await cluster.work(1, app="jobs.engines.celery_app")
        tom = await gateway.log_in("tom")
        archive = await archived(gateway, tom, gateway.world.id("Simulation", "simulation"))
        assert "results.json" in (await content_of(gateway, archive)).namelist()
        await cluster.finished()
    finally:
        await dispatcher.close()
