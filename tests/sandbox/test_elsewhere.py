"""The sandbox of other users, by other means, out of the zip application, and where there can be none."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs.sandbox import bubblewrap, calls, commands, root
from jobs.sandbox.commands import Unavailable, available
from jobs.worker.bundle import bundle
from tests.sandbox.running import BOUNDS, ROOT, Sandboxes, interpreter, python, with_mark

NOBODY = 65534 if os.geteuid() == 0 else None
"""Who tries what is not root's."""

DRIVER = """
import json, os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from jobs.sandbox import commands
from jobs.sandbox.bounds import Bounds
from jobs.sandbox.reports import ended
assert commands.__file__.startswith(sys.argv[1])
if sys.argv[2]:
    commands.available = lambda: sys.argv[2]
inputs = Path("private")
inputs.mkdir(mode=0o700)
(inputs / "file").write_text("content")
(inputs / "file").chmod(0o600)
for name, (words, bounds) in json.loads(sys.stdin.read()).items():
    output, report = Path(f"{name}.output"), Path(f"{name}.report")
    output.mkdir()
    command = commands.launch_command(
        Bounds.read(bounds), words, read_only={"/submission": inputs}, output=output, report=report
    )
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
    told = ended(report, done.returncode)
    files = {path.name: path.read_text() for path in sorted(output.iterdir()) if path.stat().st_size < 1000}
    print(json.dumps([name, told.status, told.code, told.why, done.stdout, done.stderr[-500:], files]), flush=True)
"""

MARK = str(uuid4())
PROGRAMS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "reads": (["bash", "-c", "cat /submission/file && cat /submission/file > copy"], {}),
    "writes": (
        ["bash", "-c", "for f in /submission/file /usr/a /a /etc/a /proc/a /dev/a; do echo > $f; done; true"],
        {},
    ),
    "imports": (["python3", "-S", "-c", "import jobs.sandbox.bounds as b; print(b.spelled(1024))"], {}),
    "sees": (
        ["bash", "-c", "echo /proc/[2-9]*; ls -d /home /root/.ssh /var /run $0 /tmp/* 2> /dev/null", str(ROOT / "db")],
        {},
    ),
    "forks": (["bash", "-c", ":(){ :|:& :; }; : " + MARK], {"seconds": 5}),
    "holds": (["bash", "-c", "head -c 500M /dev/zero | tail -n 1"], {}),
    "fills": (["bash", "-c", "head -c 5M /dev/zero > x; head -c 5M /dev/zero > /tmp/x; sleep 60"], {}),
    "counts": (["bash", "-c", "for n in {1..200}; do : > $n; done; sleep 60"], {}),
    "sleeps": (["bash", "-c", "trap '' TERM; sleep 60"], {"seconds": 0.3}),
    "leaves": (["bash", "-c", f"(setsid bash -c 'sleep 600; : {MARK}' &) ; true"], {}),
    "nests": (["bash", "-c", "unshare -Ur true || unshare -r true || exec kill -0 1"], {}),
    "connects": (["bash", "-c", "exec 3<> /dev/tcp/127.0.0.1/22"], {}),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder of the user, with the zip application."""
    made = Path(tempfile.mkdtemp())
    try:
        (made / "worker.pyz").write_bytes(bundle())
        (made / "worker.pyz").chmod(0o644)
        if NOBODY:
            os.chown(made, NOBODY, NOBODY)
        yield made
    finally:
        shutil.rmtree(made)


Results = dict[str, Any]


@pytest.fixture(scope="module", params=["namespaces", "bubblewrap", "root"])
def results(request: pytest.FixtureRequest, folder: Path, means: str) -> Results:
    """How each of the programs ended, started out of the zip application."""
    user = NOBODY
    if request.param == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("there is no Bubblewrap")
    if request.param == "root":
        if NOBODY is None:
            pytest.skip("this is not root")
        user = None
    path = interpreter(user)
    if path is None:
        pytest.skip("no Python that this user can run")
    here = folder / request.param
    here.mkdir()
    if user:
        os.chown(here, user, user)
    given = {name: (words, {**BOUNDS, **bounds}) for name, (words, bounds) in PROGRAMS.items()}
    done = subprocess.run(
        [path, "-I", "-c", DRIVER, str(folder / "worker.pyz"), "" if request.param == "root" else request.param],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd=here,
        check=False,
        timeout=100,
    )
    assert done.stderr == ""
    return {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}


def test_inputs_are_read_and_output_is_taken(results: Results) -> None:
    assert results["reads"] == [0, "", "", "content", "", {"copy": "content"}]


def test_nothing_else_is_written(results: Results) -> None:
    status, code, _, said, errors, files = results["writes"]
    assert (status, code, said, files) == (0, "", "", {})
    assert errors.count("Read-only file system") + errors.count("Permission denied") + errors.count("No such file") == 6


def test_modules_come_out_of_the_zip_application(results: Results) -> None:
    assert results["imports"][:4] == [0, "", "", "1 KiB\n"]


def test_neither_processes_nor_folders_of_the_machine_are_seen(results: Results) -> None:
    _, code, _, said, _, _ = results["sees"]
    assert code == ""
    first, *others = said.splitlines()
    assert first == "/proc/2"
    assert [one for one in others if not one.startswith("/tmp/")] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("forks", "PROCESSES"), ("holds", "MEMORY"), ("fills", "OUTPUT"), ("counts", "FILES"), ("sleeps", "TIME")],
)
def test_bounds_hold(results: Results, name: str, code: str) -> None:
    assert results[name][:2] == [-9, code]


def test_nothing_stays(results: Results) -> None:
    assert results["leaves"][:2] == [0, ""]
    assert with_mark(MARK) == []


def test_no_namespace_is_made_inside_and_no_network_reached(results: Results) -> None:
    assert results["nests"][0] != 0 or "not permitted" in results["nests"][4]
    assert results["connects"][0] == 1
    assert "Network is unreachable" in results["connects"][4] or "refused" in results["connects"][4]


def test_no_sandbox_can_be_had_in_a_sandbox(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        [
            "python",
            "-c",
            "from jobs.sandbox.commands import available\ntry: available()\nexcept Exception as why: print(why)",
        ]
    )
    assert ran.errors == ""
    assert ran.said.startswith("No program can be isolated on this machine.")
    assert "Operation not permitted" in ran.said
    assert "/" not in ran.said


def test_where_there_can_be_none_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "_tried", lambda means: "the machine does not let it")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    available.cache_clear()
    try:
        with pytest.raises(Unavailable, match=r"install Bubblewrap\. By namespaces: the machine does not let it\.$"):
            Sandboxes(tmp_path).command(["true"], {})
    finally:
        available.cache_clear()


def test_bubblewrap_is_used_where_namespaces_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_tried", lambda means: "" if means == "bubblewrap" else "no")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    available.cache_clear()
    try:
        assert available() == "bubblewrap"
    finally:
        available.cache_clear()


def test_machines_whose_calls_are_not_known_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "known", lambda: False)
    available.cache_clear()
    try:
        with pytest.raises(Unavailable, match="x86-64"):
            available()
    finally:
        available.cache_clear()


def test_files_are_opened_up_where_users_can_not_be_mapped(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    (inner / "run").touch(mode=0o700)
    (inner / "file").touch(mode=0o600)
    (inner / "link").symlink_to("/nowhere")
    root._open_up(str(inner))
    modes = {one.name: stat.S_IMODE(one.lstat().st_mode) for one in (inner, inner / "run", inner / "file")}
    assert modes == {"inner": 0o755, "run": 0o755, "file": 0o644}


def test_the_launcher_needs_no_environment(sandbox: Sandboxes) -> None:
    command, _, _ = sandbox.command(python("print(1)"), {})
    done = subprocess.run(command, env={}, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert bubblewrap.START.format("launcher") in command
