"""The Slurm engine, alone, against a real Slurm; a script stands in for the worker."""

import asyncio
import getpass
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import SimulationSetup
from jobs.engine import Away, Batch, Ending, Engine, Held, Login, Refused, Seen, State
from jobs.engines.shell import LocalShell, LoginRefused, Ssh
from jobs.engines.slurm.config import SlurmConfig
from jobs.engines.slurm.engine import SlurmEngine
from jobs.engines.slurm.squeue import compressed, expanded, read_row, see
from jobs.worker.bundle import bundle
from resolvers.work.dispatcher import Dispatcher, Post
from resolvers.work.finishing import merge_ready
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served
from tests.support.slurm import Slurm, running_slurm
from tests.work.test_archives import archived, content_of

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

WORKER = """
import json, os, subprocess, sys, time
folder, run = sys.argv[1], os.environ["TORANA_RUN"]
plan = json.load(open(folder + "/plan")).get(run.rpartition("-")[2], "end")
child = subprocess.Popen(["sleep", "60"]) if plan == "wait" else None
told = {"argv": sys.argv[2:], "cwd": os.getcwd(), "pid": os.getpid(), "environment": dict(os.environ)}
with open(f"{folder}/{run}.part", "w") as file:
    json.dump(told, file)
os.rename(f"{folder}/{run}.part", f"{folder}/{run}")
while plan == "wait" and not os.path.exists(folder + "/go"):
    time.sleep(0.05)
if child:
    child.kill()
if plan == "fail":
    sys.exit("it failed: /home/someone/place/file.dat is missing")
"""
NUMBERS = count(1)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with running_slurm() as running:
        yield running


@dataclass
class Bench:
    """A cluster of one test: its engine, and what its workers told."""

    slurm: Slurm
    folder: Path
    config: SlurmConfig
    engine: SlurmEngine
    login: Login | None = None
    names: list[str] = field(default_factory=list)

    def batch(self, *ordinals: int, plan: Mapping[int, str] | None = None, **options: Any) -> Batch:
        name = f"torana-{os.getpid():08x}{next(NUMBERS):08x}-1"
        self.names.append(name)
        (self.folder / "plan").write_text(json.dumps(plan or {}))
        tokens = {ordinal: f"secret-{name}-{ordinal}" for ordinal in ordinals}
        return Batch(Held(name, self.login), "http://gateway.test/'$(x)", tokens, f"secret-{name}-collector", options)

    def told(self, batch: Batch, what: int | str) -> Any:
        path = self.folder / f"{batch.held.name}-{what}"
        return json.loads(path.read_text()) if path.exists() else None

    async def seen(self, batch: Batch) -> dict[int, State]:
        found = await self.engine.poll([batch.held])
        return {ordinal: one.state for ordinal, one in found.get(batch.held.name, {}).items()}

    async def until(self, true: Callable[[], Any], seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            found = true()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            assert time.monotonic() < deadline, f"nothing after {seconds} s; {self.slurm.run('squeue', '-r')}"
            await asyncio.sleep(0.05)

    async def told_by(self, batch: Batch, *whats: int | str) -> list[Any]:
        await self.until(lambda: all(self.told(batch, what) for what in whats))
        return [self.told(batch, what) for what in whats]

    async def rest(self, batch: Batch) -> None:
        """Nothing of a batch stays: no job, process or file."""
        name = batch.held.name
        await self.until(lambda: not self.queued(name) and not self.slurm.processes(name))
        await self.until(lambda: not (self.work / name).exists())
        assert [path.name for path in self.temporary.iterdir()] == []

    def queued(self, name: str) -> str:
        return self.slurm.run("squeue", "-h", "-r", f"--name={name},{name}-collect", "-o", "%j %K %T")

    @property
    def work(self) -> Path:
        return Path(self.config.work_dir.replace("{user}", getpass.getuser()))

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"


def bench_of(slurm: Slurm, folder: Path, **changes: Any) -> Bench:
    (folder / "worker.py").write_text(WORKER)
    (folder / "tmp").mkdir()
    config = SlurmConfig(
        name="test",
        work_dir=str(folder / "work"),
        client=(sys.executable, "-I", "-S", str(folder / "worker.py"), str(folder)),
        prologue=(f"export TMPDIR={folder / 'tmp'}",),
        environment=slurm.environment,
        timeout=10.0,
    )
    config = replace(config, **changes)
    return Bench(slurm, folder, config, SlurmEngine.of(config))


@pytest.fixture
async def bench(slurm: Slurm, tmp_path: Path) -> AsyncIterator[Bench]:
    made = bench_of(slurm, tmp_path)
    yield made
    (tmp_path / "go").touch()
    slurm.run("scancel", "--me", "--state=PENDING")
    slurm.run("scancel", "--me")
    await made.engine.close()


async def test_each_ordinal_runs_with_its_token_and_the_collector_after_the_last(bench: Bench) -> None:
    engine: Engine = bench.engine
    batch = bench.batch(1, 2, 5, plan={5: "wait"}, minutes=5, cores=1, megabytes=50, partition="batch", account="lab.1")
    external = await engine.submit(batch)
    assert set(external) == {"array", "collector"}
    tasks = await bench.told_by(batch, 1, 2, 5)
    assert bench.told(batch, "collect") is None
    for ordinal, told in zip((1, 2, 5), tasks, strict=True):
        environment = told["environment"]
        assert environment["TORANA_WORKER_TOKEN"] == batch.tokens[ordinal]
        assert environment["TORANA_GATEWAY"] == batch.gateway
        assert environment["TORANA_WORKER_STAYS"] == "1"
        assert environment["SLURM_JOB_ACCOUNT"] == "lab.1"
        assert told["argv"] == []
        assert Path(told["cwd"]).parent == bench.temporary
    assert len({told["cwd"] for told in tasks}) == 3
    asked = bench.slurm.run("squeue", "-h", f"--name={batch.held.name}", "-o", "%l %C %m %P")
    assert set(asked.splitlines()) == {"5:00 1 50M batch"}
    (bench.folder / "go").touch()
    (collected,) = await bench.told_by(batch, "collect")
    assert collected["environment"]["TORANA_WORKER_TOKEN"] == batch.collector
    assert collected["argv"] == ["collect", "Slurm ended it"]
    await bench.rest(batch)
    assert await bench.seen(batch) == {1: State.ENDED, 2: State.ENDED, 5: State.ENDED}


async def test_the_collector_runs_when_a_task_failed_and_tells_why(bench: Bench) -> None:
    batch = bench.batch(1, 2, plan={2: "fail"})
    await bench.engine.submit(batch)
    (collected,) = await bench.told_by(batch, "collect")
    assert collected["argv"] == ["collect", "Slurm ended it: it failed: file.dat is missing"]
    await bench.rest(batch)
    seen = (await bench.engine.poll([batch.held]))[batch.held.name]
    assert seen[1].reason == "Slurm ended it: COMPLETED"
    assert seen[2].reason == "Slurm ended it: FAILED, exit status 1"


async def test_cancelling_one_task_leaves_the_others(bench: Bench) -> None:
    batch = bench.batch(1, 2, 3, plan={1: "wait", 2: "wait", 3: "wait"})
    await bench.engine.submit(batch)
    await bench.told_by(batch, 1, 2, 3)
    await bench.engine.cancel(batch.held, [2, 77])
    await bench.until(lambda: not bench.slurm.processes(batch.held.name, 2))
    assert bench.slurm.processes(batch.held.name, 1)
    states = await bench.seen(batch)
    assert states[1] is states[3] is State.RUNNING
    (bench.folder / "go").touch()
    await bench.told_by(batch, "collect")
    await bench.rest(batch)
    assert (await bench.seen(batch))[2] is State.ENDED
    await bench.engine.cancel(batch.held, [1, 2, 3])
    await bench.engine.cancel(Held("torana-unknown-1"), [1])


async def test_cancelling_one_task_that_waits_leaves_those_that_wait(bench: Bench) -> None:
    many = range(1, 400, 2)
    batch = bench.batch(*many, minutes=90, partition="batch")
    await bench.engine.submit(batch)
    assert await bench.seen(batch) == dict.fromkeys(many, State.QUEUED)
    await bench.engine.cancel(batch.held, [each for each in many if each not in (3, 399)])
    assert await bench.seen(batch) == {3: State.QUEUED, 399: State.QUEUED}
    await bench.engine.cancel(batch.held, [3, 399])
    await bench.rest(batch)
    assert bench.told(batch, "collect") is None


async def test_cancelling_all_leaves_nothing(bench: Bench) -> None:
    """Some run and some wait: a task takes two of the four cores."""
    batch = bench.batch(1, 2, 3, 4, plan=dict.fromkeys((1, 2, 3, 4), "wait"), cores=2)
    await bench.engine.submit(batch)
    await bench.told_by(batch, 1, 2)
    assert sorted((await bench.seen(batch)).values(), key=str) == [State.QUEUED] * 2 + [State.RUNNING] * 2
    await bench.engine.cancel(batch.held, [1, 2, 3, 4])
    await bench.rest(batch)
    assert bench.told(batch, "collect") is None


async def test_what_waits_is_queued_and_says_when_it_starts(bench: Bench) -> None:
    never = bench.batch(1, minutes=90, partition="batch")
    await bench.engine.submit(never)
    first = bench.batch(1, plan={1: "wait"}, cores=4, minutes=20)
    await bench.engine.submit(first)
    await bench.told_by(first, 1)
    second = bench.batch(1, cores=4, minutes=20)
    await bench.engine.submit(second)
    held = [never.held, first.held, second.held, Held("torana-unknown-1")]

    async def estimated() -> Any:
        seen = await bench.engine.poll(held)
        return seen if seen[second.held.name][1].starts_at else None

    seen = await bench.until(estimated)
    assert set(seen) == {one.name for one in held[:3]}
    assert seen[never.held.name][1].state is State.QUEUED
    assert seen[never.held.name][1].reason == "PartitionTimeLimit"
    assert seen[first.held.name][1].state is State.RUNNING
    assert seen[second.held.name][1].state is State.QUEUED
    wait = seen[second.held.name][1].starts_at - datetime.now(UTC)
    assert timedelta(minutes=15) < wait < timedelta(minutes=25)


async def test_a_name_is_run_once(bench: Bench) -> None:
    batch = bench.batch(1, 2)
    external = await bench.engine.submit(batch)
    assert await bench.engine.submit(batch) == external
    await bench.told_by(batch, "collect")
    assert await bench.engine.submit(batch) == external
    assert len(bench.slurm.run("squeue", "-h", "-r", "-t", "all", f"--name={batch.held.name}").splitlines()) == 2


async def test_a_controller_that_crashes_is_away_and_what_it_forgot_is_not_named(bench: Bench) -> None:
    old = bench.batch(1, plan={1: "wait"})
    external = await bench.engine.submit(old)
    await bench.told_by(old, 1)
    bench.slurm.kill_controller()
    hasty = SlurmEngine.of(replace(bench.config, timeout=0.5))
    new = bench.batch(1, plan={1: "wait"})
    for asking in (hasty.poll([old.held]), hasty.cancel(old.held, [1]), hasty.submit(new)):
        with pytest.raises(Away):
            await asking
    bench.slurm.start_controller(forgetful=True, first=int(external["array"]))
    assert await bench.engine.poll([old.held]) == {}
    # Waiting, as a node that still has a job of this number would be drained.
    new = bench.batch(1, minutes=90, partition="batch")
    assert (await bench.engine.submit(new))["array"] == external["array"]
    await bench.engine.cancel(old.held, [1])
    assert await bench.seen(new) == {1: State.QUEUED}
    assert await bench.seen(old) == {}
    await bench.engine.cancel(new.held, [1])
    await bench.until(lambda: not bench.queued(new.held.name))
    (bench.folder / "go").touch()
    await bench.until(lambda: not bench.slurm.processes(old.held.name))


async def test_a_step_that_died_still_counts_as_running(bench: Bench) -> None:
    batch = bench.batch(1, plan={1: "wait"})
    await bench.engine.submit(batch)
    await bench.told_by(batch, 1)
    bench.slurm.kill_step(batch.held.name, 1)
    assert await bench.seen(batch) == {1: State.RUNNING}
    await bench.engine.cancel(batch.held, [1])
    await bench.until(lambda: not bench.queued(batch.held.name))


@pytest.mark.parametrize(
    "options",
    [
        {"partition": "batch;touch /tmp/x"},
        {"partition": "--wrap=id"},
        {"account": "$(id)"},
        {"account": "a b"},
        {"minutes": "5"},
        {"minutes": True},
        {"megabytes": 0},
        {"cores": 5000},
        {"wrap": "id"},
    ],
)
async def test_options_that_are_no_words_are_refused_before_any_command(bench: Bench, options: Any) -> None:
    engine = SlurmEngine(bench.config, lambda _: pytest.fail("a command ran"), personal=False)
    with pytest.raises(Refused):
        await engine.submit(bench.batch(1, **options))


async def test_what_slurm_refuses_is_refused_in_its_words_and_leaves_nothing(bench: Bench) -> None:
    batch = bench.batch(1, partition="nowhere")
    with pytest.raises(Refused, match="invalid partition specified: nowhere"):
        await bench.engine.submit(batch)
    await bench.rest(batch)
    with pytest.raises(Refused, match="numbered up to 1000"):
        await bench.engine.submit(bench.batch(1001))
    with pytest.raises(Refused, match="Invalid job array"):
        await SlurmEngine.of(replace(bench.config, max_array=5000)).submit(bench.batch(2000))


async def test_a_refused_collector_takes_the_array_back(bench: Bench) -> None:
    script = bench.folder / "sbatch"
    script.write_text(f"""#!/bin/sh
case "$*" in *--dependency*) echo "sbatch: error: no: see {bench.folder}/x" >&2; exit 1;; esac
exec {shutil.which("sbatch")} "$@"
""")
    script.chmod(0o755)
    batch = bench.batch(1, plan={1: "wait"})
    with pytest.raises(Refused, match=r"no: see \.\.\.$"):
        await SlurmEngine.of(replace(bench.config, sbatch=str(script))).submit(batch)
    await bench.rest(batch)


async def test_a_command_that_hangs_is_ended(bench: Bench) -> None:
    script = bench.folder / "squeue"
    script.write_text(f"#!/bin/sh\necho $$ >>{bench.folder}/hung\nsleep 61 & echo $! >>{bench.folder}/hung\nwait\n")
    script.chmod(0o755)
    engine = SlurmEngine.of(replace(bench.config, squeue=str(script), timeout=0.5))
    began = time.monotonic()
    with pytest.raises(Away, match="squeue did not end within"):
        await engine.poll([Held("torana-x-1")])
    assert time.monotonic() - began < 2
    pids = (bench.folder / "hung").read_text().split()
    assert len(pids) == 2
    await bench.until(lambda: not any(running(int(pid)) for pid in pids))
    for missing in (replace(bench.config, squeue="/nowhere/squeue"), replace(bench.config, squeue=str(bench.folder))):
        with pytest.raises(Away, match="is not there"):
            await SlurmEngine.of(missing).poll([Held("torana-x-1")])


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


async def test_tokens_are_in_no_command_line_and_no_readable_file(bench: Bench) -> None:
    with watched() as lines:
        batch = bench.batch(1, 2, plan={1: "wait", 2: "wait"})
        await bench.engine.submit(batch)
        await bench.told_by(batch, 1, 2)
        await bench.seen(batch)
        folder = bench.work / batch.held.name
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
        scripts = [
            bench.slurm.run("scontrol", "write", "batch_script", number, "-")
            for number in bench.slurm.run("squeue", "-h", "-o", "%A").split()
        ]
        described = bench.slurm.run("scontrol", "show", "job")
        await bench.engine.cancel(batch.held, [1, 2])
        await bench.rest(batch)
    assert modes[batch.held.name] == 0o700
    assert modes["1"] == modes["2"] == modes["collector"] == 0o600
    assert any("SLURM_ARRAY_TASK_ID" in script for script in scripts)
    assert lines
    assert "secret-" not in "".join((*scripts, described, *lines))


@contextmanager
def watched() -> Iterator[set[str]]:
    """The command lines of all processes, looked at as often as can be."""
    looking = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert looking.stdout is not None
    looking.stdout.readline()
    lines: set[str] = set()
    try:
        yield lines
    finally:
        out, _ = looking.communicate()
        lines |= set(out.splitlines())


LOOK = """
import os, select, sys
print(flush=True)
seen = set()
while not select.select([sys.stdin], [], [], 0.002)[0]:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            seen.add(open(f"/proc/{pid}/cmdline", "rb").read())
        except OSError:
            pass
for line in seen:
    print(ascii(line))
"""


async def test_the_worker_is_sent_and_runs(bench: Bench) -> None:
    """The gateway refuses whatever it asks for; a client that was damaged meanwhile is sent again."""
    asked: list[tuple[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].split()[0])
        query = json.loads(await reader.readexactly(length))["query"].split()[1].partition("(")[0]
        asked.append((head.partition("Authorization: Bearer ")[2].split()[0], query))
        body = b'{"errors": [{"message": "not now"}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    gateway = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    engine = SlurmEngine.of(replace(bench.config, client=(), python=sys.executable))
    for _ in range(2):
        batch = replace(bench.batch(1), gateway=gateway)
        await engine.submit(batch)
        (client,) = bench.work.glob("torana-worker-????????????.pyz")
        assert client.read_bytes() == bundle()
        assert stat.S_IMODE(client.stat().st_mode) == 0o600
        await bench.until(lambda: len(asked) == 2)
        assert asked == [(batch.tokens[1], "Claim"), (batch.collector, "Collect")]
        await bench.rest(batch)
        asked.clear()
        client.write_bytes(b"half")
    server.close()
    await server.wait_closed()


async def test_an_archive_larger_than_a_workers_body_comes_from_slurm(bench: Bench, serve: Serve) -> None:
    """Files are uploaded, so no bound on what one request holds is theirs."""
    gateway: Served = await serve("sqlite", worker_body_limit=2_000_000)
    noise = random.Random(20).randbytes(2_200_000).hex()
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(SimulationSetup).values(files={"noise.dat": noise}))
    engine = SlurmEngine.of(replace(bench.config, client=(), python=sys.executable))
    post = Post(engine, None, interval=1, patience=600)
    dispatcher = Dispatcher(
        gateway.services, [post], gateway.url, merge=partial(merge_ready, gateway.services), alone=False
    )
    dispatcher.start()
    try:
        tom = await gateway.log_in("tom")
        archive = await archived(gateway, tom, gateway.world.id("Simulation", "simulation"))
        assert int(archive["file"]["size"]) > 2_000_000
        assert (await content_of(gateway, archive)).read("inputs/noise.dat").decode() == noise
        await bench.until(lambda: not bench.slurm.run("squeue", "-h"))
    finally:
        await dispatcher.close()


async def test_a_task_whose_folder_went_ends(bench: Bench) -> None:
    first = bench.batch(1, plan={1: "wait"}, cores=4)
    await bench.engine.submit(first)
    await bench.told_by(first, 1)
    batch = bench.batch(1, cores=4)
    await bench.engine.submit(batch)
    shutil.rmtree(bench.work / batch.held.name)
    (bench.folder / "go").touch()
    await bench.rest(batch)
    assert bench.told(batch, 1) is None
    assert (await bench.engine.poll([batch.held]))[batch.held.name][1].reason.endswith("its folder was gone")


def test_the_bundle_is_the_same_every_time_and_runs_by_itself(tmp_path: Path) -> None:
    first = bundle()
    bundle.cache_clear()
    assert bundle() == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert {"__main__.py", "jobs/worker/main.py", "jobs/programs/proton_beam/simulation.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    client = tmp_path / "client.pyz"
    client.write_bytes(first)
    started = subprocess.run([sys.executable, client], env={}, cwd="/", capture_output=True, text=True)
    assert "TORANA_GATEWAY" in started.stderr
    command = [sys.executable, "-m", "jobs.programs.proton_beam", "--help"]
    helped = subprocess.run(command, env={"PYTHONPATH": str(client)}, cwd="/", capture_output=True, text=True)
    assert "--primaries" in helped.stdout
    # What the worker starts finds the programs in the same file.
    shutil.copy(client, tmp_path / "changed.pyz")
    with zipfile.ZipFile(tmp_path / "changed.pyz", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("jobs/worker/main.py", "import os\n\ndef main():\n    print(os.environ['PYTHONPATH'])\n")
    started = subprocess.run([sys.executable, "changed.pyz"], env={}, cwd=tmp_path, capture_output=True, text=True)
    assert started.stdout.strip() == str(tmp_path / "changed.pyz")


async def test_leftovers_of_long_ago_go(bench: Bench) -> None:
    work = bench.work
    for name, days in (("torana-old-1", 20), ("torana-young-1", 2), ("other", 20)):
        (work / name).mkdir(parents=True)
        then = time.time() - days * 86_400
        os.utime(work / name, (then, then))
    await bench.engine.submit(bench.batch(1))
    left = {path.name for path in work.iterdir()}
    assert "torana-old-1" not in left
    assert {"torana-young-1", "other"} <= left


def test_sets_of_indices() -> None:
    assert compressed([7, 1, 2, 4, 3, 9, 10]) == "1-4,7,9-10"
    assert compressed([3]) == "3"
    assert expanded("1-4,7,9-10") == (1, 2, 3, 4, 7, 9, 10)
    assert expanded("1-7:3,12%2") == (1, 4, 7, 12)
    assert expanded("N/A") == ()


@pytest.mark.parametrize(
    ("state", "ending"),
    [
        ("NODE_FAIL", Ending.INTERRUPTED),
        ("PREEMPTED", Ending.INTERRUPTED),
        ("FAILED", Ending.LOST),
        ("OUT_OF_MEMORY", Ending.FAILED),
        ("CANCELLED by 0", Ending.CANCELED),
    ],
)
def test_the_end_of_a_node_is_no_loss_of_its_task(state: str, ending: Ending) -> None:
    found: dict[str, dict[int, Seen]] = {}
    see([read_row(f"7|1|{state}|N/A|0|torana-a-1|None")], found)
    assert found["torana-a-1"][1].ending is ending


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"partition": "a b"}, "partition"),
        ({"account": "-x"}, "account"),
        ({"environment": {"A=B": "x"}}, "environment"),
        ({"work_dir": ""}, "work_dir"),
        ({"max_array": 0}, "max_array"),
        ({"timeout": 0}, "timeout"),
        ({"host": "cluster.test"}, "known_hosts"),
        ({"host": "-oProxyCommand=id", "known_hosts": "x"}, "host"),
        ({"host": "cluster.test", "known_hosts": "x", "user": "-l"}, "user"),
    ],
)
def test_a_configuration_that_can_not_be_is_a_value_error(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place}:"):
        SlurmEngine.of(SlurmConfig(**{"name": "test", "work_dir": "/scratch", **changes}))


class Sshd:
    """An SSH server that takes certificates of its own authority, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.known_hosts = folder / "known_hosts"
        for name in ("host", "authority", "other"):
            self.make("-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
        self.know("host")
        (folder / "sshd_config").write_text(f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/pid
TrustedUserCAKeys {folder}/authority.pub
AuthorizedKeysFile none
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
StrictModes no
UsePAM no
PrintMotd no
LogLevel VERBOSE
""")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [shutil.which("sshd", path="/usr/sbin:/usr/bin") or "", "-D", "-e", "-f", str(folder / "sshd_config")]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while "Server listening" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def make(self, *words: str) -> None:
        subprocess.run(["ssh-keygen", "-q", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def know(self, key: str) -> None:
        kind, text, *_ = (self.folder / f"{key}.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")

    def login(self, name: str, authority: str = "authority", validity: str = "-5m:+1h", principal: str = "") -> Login:
        path = self.folder / name
        self.make("-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
        signing = ("-s", str(self.folder / authority), "-I", name, "-n", principal or getpass.getuser())
        self.make(*signing, "-V", validity, f"{path}.pub")
        return Login(path.read_text(), (self.folder / f"{name}-cert.pub").read_text())

    @property
    def connections(self) -> int:
        return self.log.read_text().count("Accepted publickey")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    if not shutil.which("ssh") or not shutil.which("sshd", path="/usr/sbin:/usr/bin"):
        pytest.skip("OpenSSH is not installed")
    (tmp_path / "sshd").mkdir()
    server = Sshd(tmp_path / "sshd")
    yield server
    server.close()


@pytest.fixture
async def remote(slurm: Slurm, sshd: Sshd, tmp_path: Path) -> AsyncIterator[Bench]:
    made = bench_of(
        slurm,
        tmp_path,
        host="127.0.0.1",
        port=sshd.port,
        known_hosts=str(sshd.known_hosts),
        work_dir=str(tmp_path / "{user}" / "work"),
    )
    made.login = sshd.login("tom")
    yield made
    (tmp_path / "go").touch()
    slurm.run("scancel", "--me", "--state=PENDING")
    slurm.run("scancel", "--me")
    await made.engine.close()


async def test_over_ssh_with_the_certificate_of_the_owner(remote: Bench, sshd: Sshd) -> None:
    engine, secrets = remote.engine, (sshd.folder / "tom").read_text().splitlines()[1:-1]
    assert engine.personal
    with watched() as lines:
        batch = remote.batch(1, 2, plan={1: "wait", 2: "wait"})
        await engine.submit(batch)
        (told, _) = await remote.told_by(batch, 1, 2)
        assert (remote.work / batch.held.name).is_dir()
        assert told["environment"]["TORANA_WORKER_TOKEN"] == batch.tokens[1]
        assert await remote.seen(batch) == {1: State.RUNNING, 2: State.RUNNING}
        await engine.cancel(batch.held, [1])
        await remote.until(lambda: not remote.slurm.processes(batch.held.name, 1))
        await engine.cancel(batch.held, [2])
        await remote.rest(batch)
        await asyncio.gather(*(remote.seen(batch) for _ in range(10)))
    assert sshd.connections == 1
    assert not [line for line in lines if "secret-" in line or any(secret in line for secret in secrets)]
    assert [line for line in lines if "IdentityFile" in line]
    (kept,) = own_folders({line for line in lines if str(sshd.port) in line})
    assert not [path for path in kept.iterdir() if path.is_dir()]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    await engine.close()
    assert not kept.exists()
    await remote.until(lambda: "Disconnected from user" in sshd.log.read_text())


def own_folders(lines: set[str]) -> set[Path]:
    """Where the connections are kept, by what ssh was told."""
    parts = [line.partition('ControlPath="')[2].partition('"')[0] for line in lines if 'ControlPath="' in line]
    return {Path(part).parent for part in parts}


async def test_a_login_that_does_not_hold_is_refused_and_stops_nobody_else(remote: Bench, sshd: Sshd) -> None:
    good = remote.batch(1, plan={1: "wait"})
    await remote.engine.submit(good)
    await remote.told_by(good, 1)
    bad = {
        "your SSH certificate ended at": sshd.login("late", validity="-2h:-1h"),
        "the cluster does not take your SSH certificate": sshd.login("foreign", authority="other"),
        "can't be read": Login("key", "certificate"),
        "names no user": sshd.login("odd", principal="-oProxyCommand=id"),
        "store one": None,
    }
    for sentence, login in bad.items():
        batch = remote.batch(1)
        held = Held(batch.held.name, login)
        with pytest.raises(LoginRefused, match=sentence) as refusal:
            await remote.engine.submit(replace(batch, held=held))
        assert "/" not in str(refusal.value)
        assert await remote.engine.poll([held]) == {}
        assert set(await remote.engine.poll([held, good.held])) == {good.held.name}
        await remote.engine.cancel(held, [1])


async def test_a_host_with_another_key_or_none_at_all_is_away(remote: Bench, sshd: Sshd) -> None:
    held = Held("torana-x-1", remote.login)
    sshd.know("other")
    with pytest.raises(Away, match=r"^the cluster's host key is not the one that is known$"):
        await remote.engine.poll([held])
    sshd.known_hosts.write_text("")
    with pytest.raises(Away, match=r"^the cluster's host key is not the one that is known$"):
        await remote.engine.submit(remote.batch(1))
    for changes, sentence in (
        ({"port": free_port()}, "^the cluster refused the connection$"),
        ({"ssh": "/nowhere"}, "^nowhere could not be started"),
    ):
        engine = SlurmEngine.of(replace(remote.config, **changes))
        with pytest.raises(Away, match=sentence):
            await engine.poll([held])
        await engine.close()


async def test_what_hangs_over_ssh_ends_there(remote: Bench, sshd: Sshd) -> None:
    ssh = Ssh("127.0.0.1", str(sshd.known_hosts), port=sshd.port)
    shell = ssh(remote.login)
    command = ("sh", "-c", 'echo $$ >"$1"; sleep 61', "sh", str(remote.folder / "it's hung"))
    with pytest.raises(Away, match=r"sh did not end within 0.5 s"):
        await shell.run(command, within=0.5)
    pid = int((remote.folder / "it's hung").read_text())
    await remote.until(lambda: not running(pid))
    await ssh.close()


async def test_a_command_gets_none_of_the_gateways_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORANA_SECRET_KEY", "s3cret")
    result = await LocalShell().run(("env",), within=5)
    assert "PATH=" in result.out
    assert "s3cret" not in result.out
