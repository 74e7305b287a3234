"""How a program in the sandbox ends, and that nothing of it stays."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from jobs.sandbox import launcher, namespaces, reports, talk
from jobs.sandbox.order import Order
from jobs.sandbox.reports import Ended, ended
from tests.sandbox.running import Launched, Sandboxes, python, with_mark
from tests.sandbox.test_bounds import order

LEFT = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print("left", flush=True)
            time.sleep(600)
        os._exit(0)
while sys.argv[2:]:
    time.sleep(600)
time.sleep(0.1)
open("done", "w").close()
"""


def ready(launched: Launched) -> None:
    """Wait until the program and what it leaves behind are at work."""
    assert launched.process.stdout is not None
    for _ in range(3):
        assert launched.process.stdout.readline() == "left\n"


def test_what_it_leaves_behind_ends_with_it(sandbox: Sandboxes) -> None:
    mark = str(uuid4())
    ran = sandbox.run(python(LEFT, mark))
    assert (ran.ended.good, ran.files()) == (True, {"done": b""})
    assert with_mark(mark) == []


def test_a_killed_launcher_leaves_nothing(sandbox: Sandboxes) -> None:
    mark = str(uuid4())
    with sandbox.started(python(LEFT, mark, "stay")) as launched:
        ready(launched)
        launched.process.kill()
        ran = launched.wait()  # its output ends when nobody has it any more
    assert with_mark(mark) == []
    assert ran.ended == Ended(
        -9, "the launcher of the sandbox ended with signal 9 (SIGKILL) and left no report", reports.LOST
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_launcher_that_is_told_to_end_leaves_nothing(sandbox: Sandboxes, number: signal.Signals) -> None:
    mark = str(uuid4())
    with sandbox.started(python(LEFT, mark, "stay")) as launched:
        ready(launched)
        launched.process.send_signal(number)
        launched.process.wait(timeout=60)
        assert with_mark(mark) == []
        ran = launched.wait()
    assert ran.ended == Ended(-9, f"the launcher was stopped by signal {number}", reports.STOPPED)
    assert ran.files() == {}


def test_a_launcher_that_ends_while_it_begins_leaves_nothing(sandbox: Sandboxes) -> None:
    mark = str(uuid4())
    for _ in range(3):
        with sandbox.started(python(LEFT, mark, "stay")) as launched:
            launched.process.send_signal(signal.SIGTERM)
            launched.process.communicate(timeout=60)
    assert with_mark(mark) == []


def test_a_signal_that_ended_it_is_told(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "kill -SEGV $$"])
    assert ran.ended == Ended(-11, "the program was ended by signal 11 (SIGSEGV)")


def test_signals_have_their_usual_meaning(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "trap; grep -E 'Sig(Blk|Ign)' /proc/self/status"])
    found = dict(line.split() for line in ran.said.splitlines())
    of_the_library = 0b11 << 31  # signals 32 and 33: no program can say what they do, and make ignores them
    assert {name: int(bits, 16) & ~of_the_library for name, bits in found.items()} == {"SigBlk:": 0, "SigIgn:": 0}


def test_a_program_that_is_not_there_is_told(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["nothing-of-this-name"])
    assert ran.ended.code == reports.REFUSED
    assert ran.ended.why == "the program could not be started: No such file or directory"


def test_a_program_that_can_not_be_executed_is_told(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["/etc/passwd"])
    assert (ran.ended.code, ran.ended.why) == (reports.REFUSED, "the program could not be started: Permission denied")


def test_output_goes_into_an_empty_folder_alone(sandbox: Sandboxes) -> None:
    command, output, report = sandbox.command(["true"], {})
    (output / "old").touch()
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == reports.NOT_GOOD
    assert ended(report, done.returncode).why == "the folder for the output is not empty"


def test_an_earlier_report_is_not_read_again(sandbox: Sandboxes) -> None:
    command, _, report = sandbox.command(["bash", "-c", "kill -9 $PPID; sleep 60"], {}, seconds=0.3)
    reports.write(str(report), Ended(0))
    done = subprocess.run(command, check=False, capture_output=True)
    assert ended(report, done.returncode).code == reports.TIME


def test_the_launcher_ends_as_its_program_does(sandbox: Sandboxes) -> None:
    statuses = []
    for words in (["true"], ["bash", "-c", "exit 3"], ["bash", "-c", "kill -9 $$"], ["nothing-of-this-name"]):
        with sandbox.started(words) as launched:
            launched.wait()
            statuses.append(launched.process.returncode)
    assert statuses == [0, 3, 137, reports.NOT_GOOD]


def test_errors_and_output_come_as_they_are(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "echo one; echo two >&2"])
    assert (ran.said, ran.errors) == ("one\n", "two\n")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"status": 0, "left_out": [], "more": 1})])
def test_a_broken_report_is_none(tmp_path: Path, text: str) -> None:
    report = tmp_path / "report"
    report.write_text(text)
    assert ended(report, 1).code == reports.LOST


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    told = Ended(-9, "it used more", reports.MEMORY, ("a is not taken: it is a link",))
    reports.write(str(tmp_path / "report"), told)
    assert ended(tmp_path / "report", reports.NOT_GOOD) == told
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_bounds_that_the_kernel_holds_are_told_by_their_signal() -> None:
    assert reports.by_itself(-signal.SIGXCPU).code == reports.TIME
    assert reports.by_itself(-signal.SIGXFSZ).code == reports.OUTPUT


def test_the_sandbox_may_be_ready_before_the_number_of_its_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_order: Order, inside: socket.socket, _launcher: socket.socket) -> int:
        maker = os.fork()
        if maker == 0:
            talk.say(inside, "ready", folders=[os.open(path, os.O_RDONLY) for path in (tmp_path, tmp_path, "/proc")])
            talk.say(inside, "pid", 7)
            os._exit(0)
        return maker

    monkeypatch.setattr(namespaces, "start", start)
    made = launcher._Inside(order(tmp_path))
    made.make()
    assert (made._process, len(made.folders)) == (7, 3)
    for one in made.folders:
        os.close(one)
    made._other.close()
