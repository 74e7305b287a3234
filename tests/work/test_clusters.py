"""Jobs on real clusters: Slurm's daemons and Celery's workers with a redis, killed at bad moments, and cut off."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Job, Task
from gateway.commands.demo.beam import beam_files
from tests.support.postgres import free_port
from tests.support.redis import Redis, running_redis
from tests.support.serving import Serve, Served
from tests.support.slurm import Slurm, running_slurm
from tests.work.test_running import JOB, LONG, ended, files, gone, program, running, until, workers

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

SUBMIT = """mutation($i:NewSimulation!){submitSimulation(input:$i){
  ... on Simulation{id job{id key platform cluster{name}}} ... on Problem{code message field}}}"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with running_slurm() as made:
        yield made


@pytest.fixture
def own_slurm() -> Iterator[Slurm]:
    """One whose controller may be killed: what it forgets then, such as that a task of another test has ended, would
    keep its node from others."""
    with running_slurm() as made:
        yield made


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with running_redis() as made:
        yield made


class Workers:
    """`celery worker`, as an operator starts it."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self.folder = folder / "runs"
        self._log = folder / "celery.log"
        self._environment = {
            **os.environ, "TORANA_BROKER_URL": redis.url, "TORANA_QUEUE": "torana", "TORANA_RUNS": str(self.folder),
            "TORANA_VISIBILITY": "300", "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "celery", "-A", "jobs.engines.celery_app", "worker", "-Q", "torana", "-c", "2"),
                *("-l", "INFO", "--without-mingle"), env=self._environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(30):
            while "ready." not in self._log.read_text():
                await asyncio.sleep(0.02)

    def kill_children(self) -> None:
        assert self.process is not None
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()


@pytest.fixture
async def celery(redis: Redis, tmp_path: Path) -> AsyncIterator[Workers]:
    made = Workers(redis, tmp_path)
    await made.start()
    yield made
    await made.end()


@dataclass(frozen=True)
class Placed:
    """A gateway with a cluster, and Tom, who uses it."""

    gateway: Served
    tom: str
    cluster: str

    async def submit(self, inputs: dict[str, str], tasks: int = 1, **more: Any) -> Any:
        given = {"simType": "SHIELDHIT", "inputFiles": inputs, "tasks": tasks, "cluster": self.cluster, **more}
        return (await self.gateway.ask(SUBMIT, self.tom, i=given))["submitSimulation"]

    async def end_of(self, submitted: Any) -> Any:
        """The job once it has ended."""
        await until(self.gateway, self.tom, submitted["job"]["id"], ended)
        return (await self.gateway.ask(JOB, self.tom, i=submitted["job"]["id"]))["job"]

    @contextlib.asynccontextmanager
    async def switched_off(self) -> AsyncIterator[None]:
        """The cluster takes no jobs."""
        root = await self.gateway.log_in("root")
        found = await self.gateway.ask("query($i:ID!){node(id:$i){version}}", root, i=self.cluster)
        given = {"i": self.cluster, "v": found["node"]["version"]}
        changed = (await self.gateway.ask(SWITCH, root, **given, e=False))["updateCluster"]
        yield
        await self.gateway.ask(SWITCH, root, i=self.cluster, v=changed["version"], e=True)


async def placed(serve: Serve, table: dict[str, Any], **settings: Any) -> Placed:
    gateway: Served = await serve(task_slots=0, dispatch=True, clusters=[{"look": 0.3, **table}], **settings)
    tom = await gateway.log_in("tom")
    (cluster,) = (await gateway.ask("{clusters(first:9){nodes{id name}}}", tom))["clusters"]["nodes"]
    return Placed(gateway, tom, cluster["id"])


def on_slurm(slurm: Slurm, folder: Path) -> dict[str, Any]:
    return {
        "name": "ares", "platform": "SLURM", "work_dir": str(folder / "work"), "python": sys.executable,
        "environment": slurm.environment,
    }  # fmt: skip


def on_celery(redis: Redis) -> dict[str, Any]:
    return {"name": "boxes", "platform": "CELERY", "broker": redis.url}


def check_beam(job: Any, tasks: int = 4) -> None:
    assert (job["state"], job["progress"]) == ("COMPLETED", 1.0), job["error"]
    assert [(t["requested"], t["done"]) for t in job["tasks"]["nodes"]] == [("200", "200")] * tasks
    depth = next(e for e in job["simulation"]["estimators"]["nodes"] if e["name"] == "depth_")
    assert depth["metadata"]["number_of_primaries"] == str(200 * tasks)
    dose = depth["pages"]["nodes"][0]
    values = dose["data"]["values"]
    assert dose["axis1"]["values"][values.index(max(values))] == pytest.approx(15.375, abs=0.25)


async def test_a_proton_beam_on_slurm_has_its_bragg_peak(serve: Serve, slurm: Slurm, tmp_path: Path) -> None:
    place = await placed(serve, on_slurm(slurm, tmp_path))
    submitted = await place.submit(beam_files(800), 4, options={"cores": 1, "minutes": 5, "partition": "batch"})
    assert submitted["job"]["platform"] == "SLURM"
    assert submitted["job"]["cluster"]["name"] == "ares"
    assert submitted["job"]["key"].endswith("-BATCH")
    check_beam(await place.end_of(submitted))
    root = await place.gateway.log_in("root")
    external = (await place.gateway.ask("query($i:ID!){job(id:$i){external}}", root, i=submitted["job"]["id"]))["job"]
    (batch,) = external["external"].values()
    assert set(batch) == {"array", "collector"}


async def test_a_proton_beam_on_celery_has_its_bragg_peak(serve: Serve, redis: Redis, celery: Workers) -> None:
    place = await placed(serve, on_celery(redis))
    submitted = await place.submit(beam_files(800), 4)
    assert submitted["job"]["platform"] == "CELERY"
    check_beam(await place.end_of(submitted))
    await gone(celery.folder)


async def test_an_unknown_partition_fails_the_job_with_the_schedulers_words(
    serve: Serve, slurm: Slurm, tmp_path: Path
) -> None:
    place = await placed(serve, on_slurm(slurm, tmp_path))
    job = await place.end_of(await place.submit(beam_files(800), 2, options={"partition": "nowhere"}))
    assert (job["state"], job["error"]["code"]) == ("FAILED", "SUBMIT_FAILED")
    assert "partition" in job["error"]["message"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"partition": "x; rm -rf /"}, "input.options.partition"),
        ({"account": "$(id)"}, "input.options.account"),
        ({"account": "-A"}, "input.options.account"),
        ({"partition": ""}, "input.options.partition"),
        ({"cores": 0}, "input.options.cores"),
        ({"minutes": 10**9}, "input.options.minutes"),
        ({"megabytes": -1}, "input.options.megabytes"),
    ],
)
async def test_options_are_words_and_numbers(nowhere: Placed, options: dict[str, Any], field: str) -> None:
    problem = await nowhere.submit(beam_files(800), options=options)
    assert (problem["code"], problem["field"]) == ("INVALID", field)


@pytest.fixture(scope="module")
async def nowhere(serve_module: Serve) -> Placed:
    """A cluster whose broker is not there."""
    return await placed(serve_module, {"name": "boxes", "platform": "CELERY", "broker": "redis://127.0.0.1:1/0"})


async def test_a_cluster_that_is_switched_off_takes_no_job(nowhere: Placed) -> None:
    async with nowhere.switched_off():
        problem = await nowhere.submit(beam_files(800))
    assert (problem["code"], problem["field"]) == ("FORBIDDEN", "input.cluster")


RETRY = """mutation($i:ID!,$c:ID,$o:ClusterOptions){retryJob(id:$i,cluster:$c,options:$o){
  ... on Job{id platform attempt options cluster{name}} ... on Problem{code field}}}"""
SWITCH = """mutation($i:ID!,$v:Int!,$e:Boolean!){updateCluster(id:$i,expectedVersion:$v,input:{enabled:$e}){
  ... on Cluster{version}}}"""


async def test_a_job_is_retried_where_it_ran_or_elsewhere(nowhere: Placed) -> None:
    async def retry(job: str, **given: Any) -> Any:
        await nowhere.gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", nowhere.tom, i=job)
        return (await nowhere.gateway.ask(RETRY, nowhere.tom, i=job, **given))["retryJob"]

    submitted = await nowhere.submit(beam_files(800), options={"cores": 2})
    same = await retry(submitted["job"]["id"])
    assert (same["platform"], same["attempt"], same["options"]) == ("CELERY", 2, {"cores": 2})
    here = await retry(same["id"], c=None)
    assert (here["platform"], here["attempt"], here["options"], here["cluster"]) == ("IN_PROCESS", 3, {}, None)
    there = await retry(here["id"], c=nowhere.cluster, o={"minutes": 9})
    assert (there["cluster"]["name"], there["attempt"], there["options"]) == ("boxes", 4, {"minutes": 9})
    for given in ({"c": None}, {}):
        assert await retry(there["id"], o={"minutes": 9}, **given) == {"code": "INVALID", "field": "options"}


async def test_a_job_is_not_retried_on_a_cluster_that_is_switched_off(nowhere: Placed) -> None:
    submitted = await nowhere.submit(beam_files(800))
    await nowhere.gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", nowhere.tom, i=submitted["job"]["id"])
    async with nowhere.switched_off():
        problem = (await nowhere.gateway.ask(RETRY, nowhere.tom, i=submitted["job"]["id"]))["retryJob"]
    assert problem == {"code": "FORBIDDEN", "field": "cluster"}


async def test_a_job_waits_for_a_broker_that_is_away(serve: Serve, tmp_path: Path) -> None:
    broker = Redis(tmp_path)
    place = await placed(serve, on_celery(broker))
    submitted = await place.submit(beam_files(200))
    broker.start()
    made = Workers(broker, tmp_path)
    await made.start()
    try:
        check_beam(await place.end_of(submitted), 1)
    finally:
        await made.end()
        broker.kill()


async def _handed(gateway: Served) -> int:
    """How many batches were handed over."""
    rows = await gateway.services.database.rows(sa.select(sa.func.sum(Job.batches).label("number")))
    return int(rows[0].number or 0)


# Faults ---------------------------------------------------------------------------------------------------------------


async def test_cancelling_ends_what_runs_on_slurm(serve: Serve, slurm: Slurm, tmp_path: Path) -> None:
    place = await placed(serve, on_slurm(slurm, tmp_path))
    submitted = await place.submit(files(LONG), 2)
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    batch = await _batch(place.gateway)
    assert slurm.processes(batch)
    await place.gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", place.tom, i=submitted["job"]["id"])
    async with asyncio.timeout(20):
        while slurm.processes(batch):
            await asyncio.sleep(0.05)


async def _batch(gateway: Served) -> str:
    rows = await gateway.services.database.rows(sa.select(Task.holder).where(Task.holder.is_not(None)))
    return str(rows[0].holder)


async def test_cancelling_ends_what_runs_on_celery(serve: Serve, redis: Redis, celery: Workers) -> None:
    place = await placed(serve, on_celery(redis))
    submitted = await place.submit(files(LONG), 2)
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    await program(celery.folder)
    await place.gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", place.tom, i=submitted["job"]["id"])
    await gone(celery.folder)


async def test_a_celery_worker_killed_with_its_children_loses_no_job(
    serve: Serve, redis: Redis, celery: Workers
) -> None:
    place = await placed(serve, {**on_celery(redis), "patience": 4.0}, cluster_lease=3.0)
    submitted = await place.submit(files(8_000), 2)
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    await program(celery.folder)
    await celery.end(signal.SIGKILL)
    await gone(celery.folder)
    await celery.start()
    check_primaries(await place.end_of(submitted), 8_000)
    await gone(celery.folder)


def check_primaries(job: Any, primaries: int) -> None:
    """The job's results are of so many primaries: nothing is missing, and nothing counted twice."""
    assert (job["state"], job["progress"], job["error"]) == ("COMPLETED", 1.0, None)
    depth = next(e for e in job["simulation"]["estimators"]["nodes"] if e["name"] == "depth_")
    assert depth["metadata"]["number_of_primaries"] == str(primaries)


async def test_a_killed_process_of_a_celery_worker_loses_no_job(serve: Serve, redis: Redis, celery: Workers) -> None:
    place = await placed(serve, {**on_celery(redis), "patience": 4.0}, cluster_lease=3.0)
    submitted = await place.submit(files(8_000), 2)
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    await program(celery.folder)
    celery.kill_children()
    check_primaries(await place.end_of(submitted), 8_000)
    await gone(celery.folder)


@pytest.mark.parametrize("emptied", [False, True], ids=["with its data", "without"])
async def test_a_redis_killed_during_the_run_loses_no_job(serve: Serve, tmp_path: Path, emptied: bool) -> None:
    with running_redis(keep=True) as server:
        made = Workers(server, tmp_path)
        await made.start()
        place = await placed(serve, {**on_celery(server), "patience": 2.0}, cluster_lease=5.0)
        submitted = await place.submit(files(12_000), 3)  # of which two run at once
        await until(place.gateway, place.tom, submitted["job"]["id"], running)
        server.kill()
        server.restart(emptied=emptied)
        try:
            check_primaries(await place.end_of(submitted), 12_000)
        finally:
            await made.end()
        await gone(made.folder)


async def test_what_an_emptied_redis_forgot_is_handed_over_again(serve: Serve, tmp_path: Path) -> None:
    with running_redis() as server:
        place = await placed(serve, {**on_celery(server), "patience": 1.0})
        submitted = await place.submit(beam_files(400), 2)
        async with asyncio.timeout(20):
            while await _handed(place.gateway) < 1:
                await asyncio.sleep(0.05)
        server.kill()
        server.restart(emptied=True)
        made = Workers(server, tmp_path)
        await made.start()
        try:
            check_beam(await place.end_of(submitted), 2)
        finally:
            await made.end()


async def test_a_controller_killed_after_the_submission_loses_no_job(
    serve: Serve, own_slurm: Slurm, tmp_path: Path
) -> None:
    """Slurm forgets a job when its controller is killed before the state is saved, but the job runs to its end."""
    place = await placed(serve, {**on_slurm(own_slurm, tmp_path), "patience": 3.0}, cluster_lease=5.0)
    submitted = await place.submit(beam_files(400), 2)
    async with asyncio.timeout(20):
        while not (batches := await _external(place.gateway)):
            await asyncio.sleep(0.02)
    assert len(own_slurm.run("squeue", "-h", "-r").splitlines()) == 3, "two tasks, and what tells of their end"
    own_slurm.kill_controller()
    own_slurm.start_controller()
    check_beam(await place.end_of(submitted), 2)
    await _left(own_slurm, batches)


async def test_a_controller_killed_during_the_run_loses_no_job(serve: Serve, own_slurm: Slurm, tmp_path: Path) -> None:
    place = await placed(serve, on_slurm(own_slurm, tmp_path), cluster_lease=5.0)
    submitted = await place.submit(files(6_000), 2)
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    batch = await _batch(place.gateway)
    own_slurm.kill_controller()
    await until(place.gateway, place.tom, submitted["job"]["id"], lambda step: step["progress"] > 0.1)
    own_slurm.start_controller()
    check_primaries(await place.end_of(submitted), 6_000)
    await _left(own_slurm, [batch])


async def test_a_step_that_nobody_looks_after_ends_in_the_state_that_is_true(
    serve: Serve, slurm: Slurm, tmp_path: Path
) -> None:
    place = await placed(serve, on_slurm(slurm, tmp_path), cluster_lease=4.0)
    submitted = await place.submit(files(6_000))
    await until(place.gateway, place.tom, submitted["job"]["id"], running)
    slurm.kill_step(await _batch(place.gateway), 1)
    check_primaries(await place.end_of(submitted), 6_000)


async def _external(gateway: Served) -> list[str]:
    """The names of the batches that an engine has taken."""
    rows = await gateway.services.database.rows(sa.select(Job.external))
    return [name for row in rows for name in row.external]


async def _left(slurm: Slurm, batches: list[str]) -> None:
    """Wait until no process of these batches is left."""
    async with asyncio.timeout(20):
        while any(slurm.processes(batch) for batch in batches):
            await asyncio.sleep(0.05)


class Cut:
    """A way to the gateway that can be cut: connections end, or nothing comes through any more."""

    def __init__(self, to: str) -> None:
        self._host, _, port = to.removeprefix("http://").partition(":")
        self._port = int(port)
        self.port = free_port()
        self._open = asyncio.Event()
        self._open.set()
        self._silent = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open.is_set() and not self._silent:
            writer.transport.abort()
            return
        self._writers.add(writer)
        await self._open.wait()
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers.add(back)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    def cut(self, *, silent: bool = False) -> None:
        self._open.clear()
        self._silent = silent
        for writer in () if silent else self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._open.set()

    async def close(self) -> None:
        self.mend()
        for writer in self._writers:
            writer.transport.abort()
        if self._server is not None:
            self._server.close()


CUT = float(os.environ.get("TORANA_TEST_CUT", "1"))
"""Seconds of a cut that ends within the lease; with 30, as long as the specification wants it."""


@dataclass(frozen=True)
class Remote:
    """A gateway whose workers reach it by a way that can be cut."""

    place: Placed
    way: Cut

    @classmethod
    async def of(cls, serve: Serve, redis: Redis, **settings: Any) -> "Remote":
        port = free_port()
        way = Cut(f"http://127.0.0.1:{port}")
        await way.start()
        given = {"port": port, "worker_url": f"http://127.0.0.1:{way.port}", **settings}
        return cls(await placed(serve, on_celery(redis), **given), way)

    async def end(self, submitted: Any, primaries: int, celery: Workers) -> Any:
        job = await self.place.end_of(submitted)
        await gone(celery.folder)
        await self.way.close()
        check_primaries(job, primaries)
        return job


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
async def test_a_worker_that_was_cut_off_goes_on(serve: Serve, redis: Redis, celery: Workers, silent: bool) -> None:
    """With the settings that a gateway has by default."""
    remote = await Remote.of(serve, redis)
    submitted = await remote.place.submit(files(12_000))
    await until(remote.place.gateway, remote.place.tom, submitted["job"]["id"], running)
    remote.way.cut(silent=silent)
    await asyncio.sleep(CUT)  # the cut itself: nothing tells of its end
    remote.way.mend()
    (task,) = (await remote.end(submitted, 12_000, celery))["tasks"]["nodes"]
    assert task["attempt"] == 1


async def test_another_takes_the_task_of_a_worker_that_was_cut_off_for_long(
    serve: Serve, redis: Redis, celery: Workers
) -> None:
    remote = await Remote.of(serve, redis, cluster_lease=3)
    submitted = await remote.place.submit(files(12_000))
    await until(remote.place.gateway, remote.place.tom, submitted["job"]["id"], running)
    remote.way.cut()
    await until(remote.place.gateway, remote.place.tom, submitted["job"]["id"], lambda step: not running(step))
    remote.way.mend()
    (task,) = (await remote.end(submitted, 12_000, celery))["tasks"]["nodes"]
    assert task["attempt"] > 1


def test_what_is_left_of_a_run_is_looked_for_where_it_was() -> None:
    """So that `gone` above could fail."""
    with tempfile.TemporaryDirectory() as name:
        assert workers(Path(name)) == {}
    assert workers(Path("/")) != {}
