"""Logs of programs that really run: what is stored of them, and of what file each line is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.platforms import Platform
from tests.support.serving import Serve, Served
from tests.support.work import REPORT, claim, submit
from tests.work.test_running import SUBMIT, ended, until

LOG = """query($i: ID!, $f: LogEntryFilter) { job(id: $i) { state error { code message } warnings tasks(first: 9) { nodes { attempt done } }
  log(first: 1000, filter: $f) { nodes { text file task { ordinal } } } } }"""
RESULTS = """
import json, pathlib, sys, time
page = {"dimensions": 0, "data": {"name": "DOSE", "unit": "Gy", "values": [2.0]}, "metadata": {"page_number": "0"}}
told = [{"name": "z_", "file_name": "z.bdo", "metadata": {}, "pages": [page]}]
pathlib.Path("results.json").write_text(json.dumps({"estimators": told}))
"""


async def run(serve: Serve, folder: Path, script: str, **settings: Any) -> tuple[Served, str, str]:
    """A job of this program, which has ended: the gateway, its owner and the job."""
    (folder / "run.py").write_text(RESULTS + script)
    described = {
        "name": "DUMMY", "command": ["{python}", str(folder / "run.py"), "{primaries}"], "files": ["run.cfg"],
        "primaries": {"run.cfg": r"^histories\s*=\s*(\d+)"}, "progress": r"^done (?P<done>\d+)", "log": "*.log",
        "results": "yaptide-json",
    }  # fmt: skip
    gateway: Served = await serve(task_slots=2, programs=[described], **settings)
    tom = await gateway.log_in("tom")
    given = {"simType": "DUMMY", "inputFiles": {"run.cfg": "histories = 100\n"}, "tasks": 2}
    submitted = (await gateway.ask(SUBMIT, tom, i=given))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    return gateway, tom, submitted["job"]["id"]


@pytest.mark.slow
async def test_a_log_line_knows_its_task_and_file(serve: Serve, tmp_path: Path) -> None:
    script = """
pathlib.Path("run.log").write_text("from the log\\n")
print("from stdout")
print("from stderr", file=sys.stderr)
"""
    gateway, tom, job = await run(serve, tmp_path, script)
    lines = (await gateway.ask(LOG, tom, i=job))["job"]["log"]["nodes"]
    told = {(line["text"], line["file"], line["task"]["ordinal"]) for line in lines}
    assert told == {
        (f"from {name}", file, ordinal)
        for name, file in (("stdout", "stdout"), ("stderr", "stderr"), ("the log", "run.log"))
        for ordinal in (1, 2)
    }
    found = await gateway.ask(LOG, tom, i=job, f={"file": {"in": ["run.log"]}, "task": {"ordinal": {"in": [2]}}})
    assert [line["text"] for line in found["job"]["log"]["nodes"]] == ["from the log"]


@pytest.mark.slow
async def test_a_program_that_tells_progress_with_cr_and_no_line_end_is_alive(serve: Serve, tmp_path: Path) -> None:
    script = """
for n in range(1, 26):
    sys.stdout.write(f"\\rdone {n}")
    sys.stdout.flush()
    time.sleep(0.1)
"""
    gateway, tom, job = await run(serve, tmp_path, script, task_silence=1.0)
    told = (await gateway.ask(LOG, tom, i=job))["job"]
    assert (told["state"], told["error"], told["log"]["nodes"]) == ("COMPLETED", None, [])


@pytest.mark.slow
async def test_a_number_over_64_bits_in_a_log_line_is_told_with_its_place_and_the_run_goes_on(
    serve: Serve, tmp_path: Path
) -> None:
    script = """
print("begin")
print("done 99999999999999999999999", flush=True)
print("done 40", flush=True)
"""
    async with asyncio.timeout(20):
        gateway, tom, job = await run(serve, tmp_path, script)
    told = (await gateway.ask(LOG, tom, i=job))["job"]
    assert (told["state"], [task["attempt"] for task in told["tasks"]["nodes"]]) == ("COMPLETED", [1, 1])
    words = (
        "stdout, line 2: 99999999999999999999999 is no number of primaries: it is to be from 0 to 9223372036854775807"
    )
    assert {line["text"] for line in told["log"]["nodes"] if line["file"] is None} == {words}
    assert "done 99999999999999999999999" in {line["text"] for line in told["log"]["nodes"] if line["file"]}


@pytest.mark.slow
async def test_a_log_of_many_long_lines_is_sent_in_reports_that_the_gateway_takes(serve: Serve, tmp_path: Path) -> None:
    script = """
for n in range(1_000):
    print("\\u00e9" * 4_000)
"""
    gateway, tom, job = await run(serve, tmp_path, script, worker_body_limit=2_000_000)
    told = (await gateway.ask(LOG, tom, i=job))["job"]
    assert (told["state"], told["error"]) == ("COMPLETED", None)


async def test_a_report_names_the_files_of_its_lines(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    lines = [{"number": n, "text": "x", "file": name} for n, name in enumerate(("", "x" * 256), 1)]
    for number, line in enumerate(lines):
        answer = await platform.answer(REPORT, worker, l=[{"number": 9, "text": "good"}, line])
        assert answer.codes == ["INVALID"], number
        assert "the name of a file has 1 to 255 characters" in answer.body["errors"][0]["message"]


async def test_a_line_that_the_gateway_cut_says_so(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await platform.ask(REPORT, worker, l=[{"number": 1, "text": "x" * 5_000, "file": "stdout"}])
    (line,) = (await platform.ask(LOG, "tom", i=submitted["job"]["id"]))["job"]["log"]["nodes"]
    assert len(line["text"]) == 4_000
    assert line["text"].endswith("xx [cut: the line has 5000 bytes]")
