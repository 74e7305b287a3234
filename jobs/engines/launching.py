"""Start a worker as a process in a process group of its own, so that it ends with all that it started.

Its standard input is a pipe. The end of the pipe tells the worker that the process that started it is gone.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

GRACE = 3.0
"""Seconds between asking a worker to end and killing it."""
COMMAND = (sys.executable, "-m", "jobs.worker")


def environment(run: str, gateway: str, token: str) -> dict[str, str]:
    """The environment of a worker: only what it needs, and none of the gateway's secrets."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TORANA_GATEWAY": gateway,
        "TORANA_WORKER_TOKEN": token,
        "TORANA_RUN": run,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def how_it_ended(status: int, said: bytes) -> str:
    """How a worker ended, in words, with the last line that it printed."""
    if status == 0:
        return "the worker ended without a result"
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    lines = said.decode(errors="replace").strip().splitlines()
    return f"the worker ended with {how}" + (f": {lines[-1][:200]}" if lines else "")


def run(folder: Path, given: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a worker in a new folder and wait for its end; returns its status and what it said."""
    folder.mkdir(parents=True)
    process = subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=dict(given),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.read()
        return process.wait(), said
    finally:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
