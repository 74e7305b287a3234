"""Jobs that really run: processes of this machine, killed at bad moments."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.commands.demo.beam import beam_files
from tests.support.databases import BACKENDS, Prepared
from tests.support.editor import PROJECT, changed
from tests.support.inputs import files
from tests.support.platforms import KEY
from tests.support.postgres import free_port
from tests.support.programs import INPUTS, stand_in
from tests.support.serving import Serve, Served

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

SUBMIT = (
    "mutation($i:NewSimulation!){submitSimulation(input:$i){... on Simulation{id job{id}} ... on Problem{message}}}"
)
JOB = """query($i: ID!) { job(id: $i) { state progress error { code message } tasks(first: 9) { nodes { ordinal state done requested attempt } }
  log(first: 1000) { nodes { sequence text } } simulation { estimators(first: 9) { nodes { name metadata pages(first: 9) { nodes {
  number name dimension axis1 { name unit values } data { name unit values } } } } } } } }"""
ENDED = ("COMPLETED", "FAILED", "CANCELED")
LONG = 400_000
"""Primaries of a task that runs for minutes unless it is ended."""


async def submit(gateway: Any, authorization: str, inputs: dict[str, str], tasks: int = 1) -> Any:
    given = {"title": "beam", "simType": "SHIELDHIT", "inputFiles": inputs, "tasks": tasks}
    return (await gateway.ask(SUBMIT, authorization, i=given))["submitSimulation"]


@asynccontextmanager
async def watching(gateway: Any, authorization: str, job: str, query: str = "") -> AsyncIterator[AsyncIterator[Any]]:
    """The job, as server-sent events tell of it."""
    query = query or "subscription($i:ID!){jobUpdated(id:$i){state progress tasks(first:9){nodes{state attempt done}}}}"
    headers = {"Accept": "text/event-stream", "Authorization": authorization}
    body = {"query": query, "variables": {"i": job}}
    async with gateway.client.stream("POST", "/graphql", json=body, headers=headers, timeout=60) as stream:

        async def steps() -> AsyncIterator[Any]:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    answer = json.loads(line.removeprefix("data: "))
                    assert "errors" not in answer, answer
                    yield next(iter(answer["data"].values()))

        yield steps()


async def until(gateway: Any, authorization: str, job: str, state: Callable[[Any], bool]) -> list[Any]:
    seen: list[Any] = []
    async with asyncio.timeout(60), watching(gateway, authorization, job) as steps:
        async for step in steps:
            seen.append(step)
            if state(step):
                break
    return seen


def ended(step: Any) -> bool:
    return step["state"] in ENDED


def running(step: Any) -> bool:
    return any(task["state"] == "RUNNING" for task in step["tasks"]["nodes"])


def workers(folder: Path) -> dict[int, str]:
    """The processes that have the folder, or one below, as working folder: pid and command line. One that has none any
    more has ended."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(folder) in os.readlink(entry / "cwd"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return {pid: command for pid, command in found.items() if command}


async def gone(folder: Path) -> None:
    async with asyncio.timeout(20):
        while workers(folder):
            await asyncio.sleep(0.02)


async def program(folder: Path) -> int:
    """The pid of the running simulation program."""
    async with asyncio.timeout(20):
        while True:
            for pid, command in workers(folder).items():
                if "proton_beam" in command:
                    return pid
            await asyncio.sleep(0.02)


async def test_a_proton_beam_runs_from_submission_to_its_bragg_peak(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=2)
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, beam_files(800), 4)
    seen = await until(gateway, tom, submitted["job"]["id"], ended)
    assert seen[-1]["state"] == "COMPLETED"
    assert [step["progress"] for step in seen] == sorted(step["progress"] for step in seen)
    job = (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert job["progress"] == 1.0
    assert [(t["requested"], t["done"], t["attempt"]) for t in job["tasks"]["nodes"]] == [("200", "200", 1)] * 4
    assert [line["sequence"] for line in job["log"]["nodes"]] == list(range(1, len(job["log"]["nodes"]) + 1))
    assert any("Vavilov" in line["text"] for line in job["log"]["nodes"]), "what is approximated is named"
    depth = next(e for e in job["simulation"]["estimators"]["nodes"] if e["name"] == "depth_")
    assert depth["metadata"]["number_of_primaries"] == "800"
    dose = depth["pages"]["nodes"][0]
    assert (dose["name"], dose["dimension"], dose["data"]["unit"]) == ("DOSE", 1, "MeV/g")
    assert (dose["axis1"]["name"], dose["axis1"]["unit"]) == ("Position (Z)", "cm")
    values = dose["data"]["values"]
    assert len(values) == len(dose["axis1"]["values"]) == 400
    assert dose["axis1"]["values"][values.index(max(values))] == pytest.approx(15.375, abs=0.25)


PAYLOAD = Path(__file__).parents[3] / "shared" / "data" / "yaptide" / "shieldhit_json_payload_files.json"


@pytest.mark.skipif(not PAYLOAD.exists(), reason="YAPTIDE's own input is not beside the project")
async def test_yaptides_own_input_gives_the_depth_dose_of_shield_hit(serve: Serve) -> None:
    """Peak at 15.375 cm, distal 80 % at 15.725 cm, peak to entrance 4.2, in SHIELD-HIT12A's result of this input."""
    gateway: Served = await serve(task_slots=2)
    tom = await gateway.log_in("tom")
    payload = json.loads(PAYLOAD.read_text())
    submitted = await submit(gateway, tom, payload["input_files"], payload["ntasks"])
    await until(gateway, tom, submitted["job"]["id"], ended)
    query = """query($i: ID!) { simulation(id: $i) { job { state log(first: 1000) { nodes { text } } } estimators(first: 9) { nodes {
      name pages(first: 9) { nodes { name axis1 { values } data { values } } } } } } }"""
    simulation = (await gateway.ask(query, tom, i=submitted["id"]))["simulation"]
    assert simulation["job"]["state"] == "COMPLETED"
    assert [e["name"] for e in simulation["estimators"]["nodes"]] == ["entrance_", "peak_", "yz_profile_", "z_profile_"]
    dose = simulation["estimators"]["nodes"][3]["pages"]["nodes"][0]
    depth, values = dose["axis1"]["values"], dose["data"]["values"]
    peak = max(range(len(values)), key=values.__getitem__)
    distal = next(n for n in range(peak, len(values)) if values[n] < 0.8 * values[peak])
    assert depth[peak] == pytest.approx(15.375, abs=0.21)  # of 2,000 protons, one of the highest bins
    assert depth[distal] == pytest.approx(15.725, abs=0.15)
    assert values[peak] / (sum(values[:20]) / 20) == pytest.approx(4.2, rel=0.15)


async def test_no_more_tasks_run_at_once_than_there_are_slots(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=2)
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, files(200), 5)
    seen = await until(gateway, tom, submitted["job"]["id"], ended)
    most = max(sum(task["state"] == "RUNNING" for task in step["tasks"]["nodes"]) for step in seen)
    assert most == 2


async def test_a_log_is_followed_while_it_is_written(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1)
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, files(100))
    query = "subscription($i:ID!){jobLog(id:$i){sequence text}}"
    async with asyncio.timeout(60), watching(gateway, tom, submitted["job"]["id"], query) as lines:
        numbers = [line["sequence"] async for line in lines]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


async def test_cancelling_ends_the_processes(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=2)
    folder = gateway.app.state.runs
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, files(LONG), 2)
    await program(folder)
    await gateway.ask("mutation($i:ID!){cancelJob(id:$i){... on Job{state}}}", tom, i=submitted["job"]["id"])
    await gone(folder)
    job = (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert job["state"] == "CANCELED"
    assert list(folder.glob("*/*")) == [], "their working folders are removed"


@pytest.mark.parametrize("like", ["shieldhit12a", "fluka", "topas"])
async def test_programs_of_the_settings_run_from_submission_to_results(serve: Serve, like: str) -> None:
    """With stand-ins that write the formats of SHIELD-HIT12A, FLUKA and TOPAS."""
    program = stand_in(like)
    described = {"name": program.name, "like": like, "command": list(program.command)}
    gateway: Served = await serve(task_slots=2, programs=[described])
    tom = await gateway.log_in("tom")
    given = {"simType": program.name, "inputFiles": INPUTS[program.name], "tasks": 2}
    submitted = (await gateway.ask(SUBMIT, tom, i=given))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    job = (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert (job["state"], job["progress"], job["error"]) == ("COMPLETED", 1.0, None)
    primaries = sum(int(task["done"]) for task in job["tasks"]["nodes"])
    estimators = job["simulation"]["estimators"]["nodes"]
    assert {one["metadata"]["number_of_primaries"] for one in estimators} == {str(primaries)}
    assert all(page["data"]["values"] for one in estimators for page in one["pages"]["nodes"])


@pytest.mark.parametrize("like", ["shieldhit12a", "fluka"])
async def test_an_editors_project_runs_on_a_configured_program_whatever_its_beam(serve: Serve, like: str) -> None:
    program = stand_in(like)
    described = {"name": program.name, "like": like, "command": list(program.command)}
    gateway: Served = await serve(task_slots=2, programs=[described])
    tom = await gateway.log_in("tom")
    project = changed({"beam.particle": {"id": 24}, "physic": {}}, PROJECT)
    given = {"simType": program.name, "inputType": "EDITOR", "inputJson": project, "tasks": 2}
    submitted = (await gateway.ask(SUBMIT, tom, i=given))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    job = (await gateway.ask("query($i: ID!) { job(id: $i) { state warnings } }", tom, i=submitted["job"]["id"]))["job"]
    assert job["state"] == "COMPLETED"
    left_out = [text.split(" is left out")[0] for text in job["warnings"] if " is left out: " in text]
    assert left_out == ([] if like == "shieldhit12a" else ["'b' of 'z profile'", "'c' of 'z profile'"])


PARTIAL = """
import json, pathlib, sys, time
out, orders = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
for done, text in orders:
    (out / "new").write_text(text)
    (out / "new").rename(out / "partial.json")
    print("done", done, flush=True)
    time.sleep(float(sys.argv[3]))
page = {"dimensions": 0, "data": {"name": "DOSE", "unit": "Gy", "values": [2.0]}, "metadata": {"page_number": "0"}}
told = [{"name": "z_", "file_name": "z.bdo", "metadata": {}, "pages": [page]}]
(out / "results.json").write_text(json.dumps({"estimators": told}))
"""


def _part(primaries: int, value: str) -> str:
    return (
        f'{{"primaries": {primaries}, "estimators": [{{"name": "z_", "file_name": "z.bdo", "metadata": {{}}, "pages": '
        f'[{{"dimensions": 0, "data": {{"name": "DOSE", "unit": "Gy", "values": [{value}]}}, '
        f'"metadata": {{"page_number": "0"}}}}]}}]}}'
    )


@pytest.mark.parametrize(
    ("parts", "first", "said"),
    [
        ([_part(10, "1.0"), _part(20, "1.5")], 1.0, None),
        ([_part(10, "NaN")], None, None),
        ([_part(10, "1.0").replace("pages", "sheets")], ..., "are not taken"),
        ([_part(10**6, "1.0")], ..., "are not taken"),
        (['{"primaries": "x"}'], ..., "primaries must be a number from 1 to 100"),
        ([_part(10**30, "1.0")], ..., "primaries must be a number from 1 to 100"),
        ([_part(10, "1.0").replace("z_", "\\ud800")], 1.0, None),
        ([_part(10, "1.0").replace('"pages": [', '"pages": null, "sheets": [')], ..., "are not taken"),
    ],
    ids=[
        "two parts",
        "not a number",
        "of another shape",
        "of too many primaries",
        "no results at all",
        "of absurdly many primaries",
        "half a character",
        "null pages",
    ],
)
async def test_results_that_come_before_the_end_are_stored_or_left_out_and_the_program_goes_on(
    serve: Serve, tmp_path: Path, parts: list[str], first: Any, said: str | None
) -> None:
    """`first` is the value that is stored before the end; `...`: none is."""
    (tmp_path / "run.py").write_text(PARTIAL)
    orders = [[10 * n, text] for n, text in enumerate(parts, 1)]
    command = [
        "{python}",
        str(tmp_path / "run.py"),
        "{output}",
        json.dumps(orders).replace("{", "{{").replace("}", "}}"),
    ]
    described = {
        "name": "DUMMY", "command": [*command, "1.5"], "files": ["run.cfg"], "partial": True,
        "primaries": {"run.cfg": r"^histories\s*=\s*(\d+)"}, "progress": r"^done (?P<done>\d+)",
        "results": "yaptide-json",
    }  # fmt: skip
    gateway: Served = await serve(task_slots=1, programs=[described])
    tom = await gateway.log_in("tom")
    given = {"simType": "DUMMY", "inputFiles": {"run.cfg": "histories = 100\n"}, "tasks": 1}
    submitted = (await gateway.ask(SUBMIT, tom, i=given))["submitSimulation"]
    query = "subscription($i:ID!){partialResults(id:$i){job{state} estimators(first:1){nodes{pages(first:1){nodes{data{values}}}}}}}"
    seen = []
    async with asyncio.timeout(60), watching(gateway, tom, submitted["id"], query) as steps:
        async for step in steps:
            if step["job"]["state"] == "RUNNING" and step["estimators"]["nodes"]:
                seen.append(step["estimators"]["nodes"][0]["pages"]["nodes"][0]["data"]["values"][0])
    job = (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    assert job["simulation"]["estimators"]["nodes"][0]["pages"]["nodes"][0]["data"]["values"] == [2.0]
    assert [task["attempt"] for task in job["tasks"]["nodes"]] == [1]
    assert seen[:1] == ([] if first is ... else [first])
    told = [line["text"] for line in job["log"]["nodes"] if "partial.json" in line["text"]]
    assert (len(told), said is None or said in told[0]) == (0 if said is None else 1, True)


async def test_a_killed_program_is_run_again_and_a_killed_worker_too(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1, task_attempts=3)
    folder = gateway.app.state.runs
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, files(LONG))
    first = await program(folder)
    os.kill(first, signal.SIGKILL)
    await until(gateway, tom, submitted["job"]["id"], lambda step: step["tasks"]["nodes"][0]["attempt"] == 2)
    second = await program(folder)
    assert second != first
    worker = next(pid for pid, command in workers(folder).items() if "jobs.worker" in command)
    os.kill(worker, signal.SIGKILL)
    await until(gateway, tom, submitted["job"]["id"], lambda step: step["tasks"]["nodes"][0]["attempt"] == 3)
    os.kill(await program(folder), signal.SIGKILL)
    seen = await until(gateway, tom, submitted["job"]["id"], ended)
    assert seen[-1]["state"] == "FAILED"
    job = (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert job["error"]["code"] == "TASK_LOST"
    assert "it was lost 3 times" in job["error"]["message"]
    await gone(folder)


async def test_stopping_the_gateway_leaves_no_process_and_its_tasks_wait_again(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1)
    folder = gateway.app.state.runs
    tom = await gateway.log_in("tom")
    submitted = await submit(gateway, tom, files(LONG))
    await program(folder)
    await gateway.stop()
    assert workers(folder) == {}
    again: Served = await serve(database=gateway.services.database.url.render_as_string(False))
    job = (await again.ask(JOB, tom, i=submitted["job"]["id"]))["job"]
    assert [task["state"] for task in job["tasks"]["nodes"]] == ["PENDING"]


# A gateway of its own process, to be killed -------------------------------------------------------------------------


class Process:
    """`torana serve` as users start it."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.url = url
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self.client: httpx2.AsyncClient

    async def start(self) -> None:
        port = free_port()
        environment = {
            **os.environ, "TORANA_DATABASE_URL": self.url, "TORANA_DATA_DIR": str(self.folder),
            "TORANA_SECRET_KEYS": KEY, "TORANA_PORT": str(port), **self._settings,
        }  # fmt: skip
        log = (self.folder / "log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "serve", env=environment, stdout=log, stderr=log
        )
        log.close()
        self.client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30)
        async with asyncio.timeout(30):
            while True:
                try:
                    assert (await self.client.get("/readyz")).status_code == 200
                    return
                except httpx2.TransportError:
                    assert self._process.returncode is None, (self.folder / "log").read_text()
                    await asyncio.sleep(0.05)

    async def signal(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(30):
            status = await self._process.wait()
        await self.client.aclose()
        return status

    ask = Served.ask
    log_in = Served.log_in


@pytest.fixture(params=BACKENDS)
async def process(request: pytest.FixtureRequest, prepared: Prepared, tmp_path: Path) -> AsyncIterator[Process]:
    url, _ = await prepared.copy(request.param)
    made = Process(url, tmp_path, TORANA_TASK_SLOTS="1", TORANA_TASK_LEASE="3")
    await made.start()
    yield made
    if made._process is not None and made._process.returncode is None:
        await made.signal(signal.SIGKILL)
    await gone(tmp_path)


async def test_a_gateway_killed_during_a_run_finds_the_job_again_and_keeps_what_was_stored(process: Process) -> None:
    tom = await process.log_in("tom")  # type: ignore[arg-type]
    submitted = await submit(process, tom, files(16_000), 2)
    job = submitted["job"]["id"]
    await until(process, tom, job, lambda step: step["tasks"]["nodes"][0]["state"] == "COMPLETED")
    await program(process.folder)
    await process.signal(signal.SIGKILL)
    await gone(process.folder)
    await process.start()
    seen = await until(process, tom, job, ended)
    assert seen[-1]["state"] == "COMPLETED"
    told = (await process.ask(JOB, tom, i=job))["job"]  # type: ignore[arg-type]
    assert [task["attempt"] for task in told["tasks"]["nodes"]] == [1, 2], "only the task that was lost ran again"
    (depth,) = told["simulation"]["estimators"]["nodes"]
    assert depth["metadata"]["number_of_primaries"] == "16000"


async def test_ctrl_c_stops_the_gateway_and_its_children(process: Process) -> None:
    tom = await process.log_in("tom")  # type: ignore[arg-type]
    await submit(process, tom, files(LONG))
    await program(process.folder)
    assert await process.signal(signal.SIGINT) in (0, 130, -signal.SIGINT)
    assert workers(process.folder) == {}
    assert "Traceback" not in (process.folder / "log").read_text()
