"""Submitted programs that mean harm: each is ended, its reason says which bound it met, and nothing is left over."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.support.contests import contest, ended, entries, sent
from tests.support.leftovers import nothing_left
from tests.support.serving import Serve, Served

ON_SQLITE = True
pytestmark = pytest.mark.slow

SECRET = "id,label\n1,of-organisers-alone\n"
SCORE = """import json, sys
submission, reference, output = sys.argv[-3:]
right = open(f"{reference}/labels.csv").read() == open(f"{submission}/predictions.csv").read()
json.dump({"accuracy": float(right)}, open(f"{output}/scores.json", "w"))
"""
GOOD = """import sys
open(f"{sys.argv[2]}/predictions.csv", "w").write("id,label\\n1,x\\n")
"""
FORK = """import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
FORK_AND_GO = """import os, time
for _ in range(1000):
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
"""
WRITE = """import sys
with open(f"{sys.argv[2]}/predictions.csv", "wb") as file:
    for _ in range(10_240):
        file.write(bytes(1 << 20))
"""
WRITE_BESIDE = WRITE.replace('f"{sys.argv[2]}/predictions.csv"', '"/tmp/x"')
FILES = """import sys
for n in range(10**6):
    open(f"{sys.argv[2]}/{n}", "w").close()
"""
PRINT = """import sys
for _ in range(1024):
    sys.stdout.write("x" * (1 << 20))
"""
STAY = """import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
while True:
    time.sleep(600)
"""
MEMORY = """held = []
while True:
    held.append(bytearray(b"x" * (1 << 24)))
"""
TELL = (
    GOOD
    + """print('{"accuracy": 1.0}')
open(f"{sys.argv[2]}/scores.json", "w").write('{"accuracy": 1.0}')
sys.exit(1)
"""
)
SEARCH = """import os, stat, sys
found = []
for root in ("/", "/proc/1/root", f"/proc/{os.getppid()}/root", f"/proc/{os.getppid()}/cwd"):
    for folder, folders, files in os.walk(root):
        folders[:] = [one for one in folders if one not in ("proc", "sys", "usr", "lib", "lib64", "site-packages")]
        for name in files:
            path = os.path.join(folder, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode) and os.path.getsize(path) < 100_000:
                    if b"of-organisers-alone" in open(path, "rb").read():
                        found.append(path)
            except OSError:
                pass
own = os.path.realpath(sys.argv[0])
found = [path for path in found if os.path.realpath(path) != own and not path.endswith(own)]
sys.exit(f"found {found}" if found else "there are no reference data")
"""
CONNECT = """import socket
for address in (("127.0.0.1", PORT), ("::1", PORT)):
    try:
        socket.create_connection(address, 2).sendall(b"here I am")
        print("connected")
    except OSError as error:
        print(f"not connected: {error}")
socket.create_connection(("127.0.0.1", PORT), 2)
"""


@dataclass
class Stage:
    gateway: Served
    root: str
    tom: str

    async def run(self, program: str, evaluator: str = SCORE, **bounds: float) -> Any:
        """The submission of a program, after its end; nothing of it is left then."""
        mark = f"mark_{uuid4().hex}"
        given = {"entryPoint": f"{mark}.py", "scoresSchema": {"type": "object"}, "arguments": [],
                 "bounds": {"seconds": 30, "processes": 24, "memoryMegabytes": 256, "outputMegabytes": 16, "files": 64, "printedMegabytes": 1, **bounds}}  # fmt: skip
        of = await contest(self.gateway, self.root, label=mark, evaluator=given,
                           files={"score.py": evaluator, "labels.csv": SECRET})  # fmt: skip
        submission = await sent(self.gateway, self.tom, of, program.encode(), f"{mark}.py")
        found = await ended(self.gateway, self.tom, submission, 90)
        runs = self.gateway.app.state.runs
        await nothing_left(mark, runs)
        await nothing_left(str(runs), runs)
        assert not found["hasScores"] or found["status"] == "COMPLETED"
        assert bool(await entries(self.gateway, self.tom, of)) <= (found["status"] == "COMPLETED")
        return found


@pytest.fixture(scope="module")
async def stage(serve_module: Serve) -> Stage:
    gateway: Served = await serve_module("sqlite", task_slots=1)
    return Stage(gateway, *[await gateway.log_in(name) for name in ("root", "tom")])


async def test_a_program_that_means_well_is_evaluated_on_what_it_wrote(stage: Stage) -> None:
    found = await stage.run(GOOD)
    assert (found["status"], found["reason"]) == ("COMPLETED", None)
    assert found["evaluation"]["scores"] == {"accuracy": 0.0}


@pytest.mark.parametrize(
    ("program", "bounds", "codes", "said"),
    [
        (FORK, {"seconds": 4}, {"PROCESSES", "TIME"}, "the submitted program"),
        (FORK_AND_GO, {}, {"PROCESSES", "PROGRAM_FAILED"}, "the submitted program"),
        (WRITE, {}, {"OUTPUT"}, "16 MiB"),
        (WRITE_BESIDE, {}, {"OUTPUT"}, "16 MiB"),
        (FILES, {}, {"FILES"}, "64"),
        (PRINT, {}, {"PRINTED"}, "the submitted program printed more than 1,000,000 bytes"),
        (STAY, {"seconds": 3}, {"TIME"}, "3"),
        (MEMORY, {}, {"MEMORY"}, "256 MiB"),
        (TELL, {}, {"PROGRAM_FAILED"}, "the submitted program ended with exit status 1"),
    ],
    ids=["forks without end", "leaves processes", "writes 10 GB", "writes 10 GB into tmp", "makes files without end",
         "prints a line of 1 GB", "ignores SIGTERM", "takes all memory", "prints scores and exits 1"],
)  # fmt: skip
async def test_a_program_that_goes_beyond_its_bounds_is_ended_and_its_reason_says_which(
    stage: Stage, program: str, bounds: dict[str, float], codes: set[str], said: str
) -> None:
    found = await stage.run(program, **bounds)
    assert found["status"] == "FAILED"
    assert found["reason"]["code"] in codes, found["reason"]
    assert said in found["reason"]["message"], found["reason"]
    assert (found["evaluation"], found["charged"]) == (None, True)


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


async def test_a_program_that_connects_reaches_nobody(stage: Stage) -> None:
    with listening() as listener:
        found = await stage.run(CONNECT.replace("PORT", str(listener.getsockname()[1])))
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (found["status"], found["reason"]["code"]) == ("FAILED", "PROGRAM_FAILED")
    assert "Network is unreachable" in found["reason"]["message"] or "refused" in found["reason"]["message"]


async def test_a_program_does_not_find_the_reference_data(stage: Stage) -> None:
    found = await stage.run(SEARCH)
    assert (found["status"], found["reason"]["code"]) == ("FAILED", "PROGRAM_FAILED")
    assert "there are no reference data" in found["reason"]["message"], found["reason"]
    found = await stage.run(GOOD, SEARCH)
    assert "/reference/labels.csv" in found["reason"]["message"], "an evaluator that searches the same way does"


async def test_an_evaluator_that_writes_scores_and_exits_1_gives_none(stage: Stage) -> None:
    found = await stage.run(GOOD, SCORE + "sys.exit(1)\n")
    assert (found["status"], found["reason"]["code"]) == ("FAILED", "PROGRAM_FAILED")
    assert "the evaluator ended with exit status 1" in found["reason"]["message"]
    assert (found["hasScores"], found["evaluation"]) == (False, None)


async def test_links_in_what_a_program_writes_lead_nowhere(stage: Stage) -> None:
    link = 'import os, sys\nos.symlink("/reference/labels.csv", f"{sys.argv[2]}/predictions.csv")\n'
    found = await stage.run(link)
    assert (found["status"], found["evaluation"]) == ("FAILED", None)


async def test_two_hostile_programs_do_not_keep_a_good_one_from_its_scores(stage: Stage) -> None:
    bad, other, good = await asyncio.gather(
        stage.run(STAY, seconds=3), stage.run(FORK, seconds=3), stage.run(GOOD, seconds=20)
    )
    assert [one["status"] for one in (bad, other, good)] == ["FAILED", "FAILED", "COMPLETED"]
