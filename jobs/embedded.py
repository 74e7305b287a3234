"""The engine that needs nothing: workers are subprocesses of this machine, so many at once."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from jobs.engine import Run

GRACE = 3.0
"""Seconds between asking a worker to end and making it."""


class EmbeddedEngine:
    """Each run has a working folder below `folder`, removed at its end."""

    def __init__(self, slots: int, folder: Path) -> None:
        self.slots = slots
        self._folder = folder
        self._processes: dict[Run, asyncio.subprocess.Process] = {}
        self._closed = False

    async def run(self, run: Run) -> str:
        if self._closed:
            return "the engine is closed"
        folder = self._folder / run.name
        folder.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "jobs.worker"),
            cwd=folder,
            env=_environment(run),
            stdin=asyncio.subprocess.PIPE,  # closed by our death, however we die: the worker then ends itself
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._processes[run] = process
        try:
            assert process.stderr is not None
            said = (await process.stderr.read()).decode(errors="replace").strip()
            status = await process.wait()
        finally:
            _signal_group(process, signal.SIGKILL)
            del self._processes[run]
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if status == 0:
            return "the worker ended without a result"
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"the worker ended with {how}" + (f": {said.splitlines()[-1][:200]}" if said else "")

    def clear(self) -> None:
        """Remove what the runs of an earlier process left, when no other process uses the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def cancel(self, run: Run) -> None:
        if (process := self._processes.get(run)) is None:
            return
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
        _signal_group(process, signal.SIGKILL)

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(self.cancel(run) for run in list(self._processes)))


def _environment(run: Run) -> dict[str, str]:
    """Only what a worker needs: none of the gateway's secrets."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TORANA_GATEWAY": run.gateway,
        "TORANA_WORKER_TOKEN": run.token,
        "TORANA_RUN": run.name,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
