"""The embedded engine: workers are processes of this machine, a bounded number at once. It needs no other service."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.engine import Batch, Held, Seen, State
from jobs.engines.launching import COMMAND, GRACE, environment, how_it_ended, signal_group
from jobs.engines.scratch import scratch

_Run = tuple[str, int]
"""A batch's name and the ordinal of a task."""


class EmbeddedEngine:
    """The engine of this machine, from `open` until `close`. It has a folder of its own below `runs`, and in that each
    run has one. At the end of a run its folder is removed, and `ended` is called."""

    personal = False

    def __init__(self, slots: int, runs: Path, ended: Callable[[], None]) -> None:
        self._slots = slots
        self._runs = runs
        self._folder = runs
        self._held = contextlib.ExitStack()
        self._ended = ended
        self._processes: dict[_Run, asyncio.subprocess.Process | None] = {}
        self._reasons: dict[_Run, str] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._closed = False

    def open(self) -> None:
        """Make the folder, and remove those of processes that are gone. It may wait for the disk. Raises NotOurs, and
        OSError."""
        self._folder = self._held.enter_context(scratch(self._runs))

    def room(self) -> int:
        return 0 if self._closed else self._slots - len(self._processes)

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        for ordinal, token in batch.tokens.items():
            run = (batch.held.name, ordinal)
            if run in self._processes or run in self._reasons:
                continue
            self._processes[run] = None
            following = asyncio.create_task(self._follow(run, batch.gateway, token))
            self._following.add(following)
            following.add_done_callback(self._following.discard)
        return {}

    async def _follow(self, run: _Run, gateway: str, token: str) -> None:
        try:
            await self._end_others(run)
            self._reasons[run] = await self._run(run, gateway, token)
        except OSError as error:
            self._reasons[run] = f"the worker could not be started: {error.strerror}"
        finally:
            del self._processes[run]
            self._ended()

    async def _end_others(self, run: _Run) -> None:
        """End earlier runs of the same task: its worker fell silent, but may still be there."""
        others = [one for one in self._processes if one != run and _task_of(one) == _task_of(run)]
        await asyncio.gather(*map(self._cancel, others))

    async def _run(self, run: _Run, gateway: str, token: str) -> str:
        name = f"{run[0]}-{run[1]}"
        folder = self._folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            cwd=folder,
            env=environment(name, gateway, token),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._processes[run] = process
        try:
            assert process.stderr is not None
            said = await process.stderr.read()
            return how_it_ended(await process.wait(), said)
        finally:
            signal_group(process.pid, signal.SIGKILL)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        await asyncio.gather(*(self._cancel((held.name, ordinal)) for ordinal in ordinals))

    async def _cancel(self, run: _Run) -> None:
        if (process := self._processes.get(run)) is None:
            return
        signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
        signal_group(process.pid, signal.SIGKILL)

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        """What the engine knows of these batches. The end of a run is reported once."""
        names = {one.name for one in held}
        found: dict[str, dict[int, Seen]] = {}
        for name, ordinal in self._processes:
            found.setdefault(name, {})[ordinal] = Seen(State.RUNNING)
        for (name, ordinal), reason in self._reasons.items():
            found.setdefault(name, {})[ordinal] = Seen(State.ENDED, reason)
        self._reasons.clear()
        return {name: seen for name, seen in found.items() if name in names}

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(self._cancel(run) for run in list(self._processes)))
        await asyncio.gather(*self._following, return_exceptions=True)
        await asyncio.to_thread(self._held.close)


def _task_of(run: _Run) -> _Run:
    """The task that is run: the name of a batch is that of its job and a number."""
    return run[0].rpartition("-")[0], run[1]
