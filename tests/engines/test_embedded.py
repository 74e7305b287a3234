"""The engine of this machine: its folders, and that no task runs beside itself."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.engine import Batch, Held
from jobs.engines import embedded
from jobs.engines.embedded import EmbeddedEngine
from jobs.engines.scratch import NotOurs


def engine(runs: Path) -> EmbeddedEngine:
    made = EmbeddedEngine(2, runs, lambda: None)
    made.open()
    return made


@contextmanager
def another_process(runs: Path) -> Iterator[multiprocessing.Process]:
    """A process with an engine that has begun."""
    here, there = multiprocessing.Pipe()

    def work() -> None:
        kept = engine(runs)
        there.send(None)
        signal.pause()
        del kept

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    here.recv()
    try:
        yield process  # type: ignore[misc]
    finally:
        process.kill()
        process.join()


def test_folders_of_dead_processes_are_removed_at_the_start(tmp_path: Path) -> None:
    with another_process(tmp_path):
        (left,) = tmp_path.iterdir()
        (left / "torana-1-1").mkdir()
    assert left.exists(), "a process that is killed leaves it"
    engine(tmp_path)
    assert not left.exists()


def test_folders_of_living_processes_stay(tmp_path: Path) -> None:
    with another_process(tmp_path):
        (theirs,) = tmp_path.iterdir()
        engine(tmp_path)
        assert theirs.exists()


async def test_the_folder_goes_with_its_engine(tmp_path: Path) -> None:
    made = engine(tmp_path)
    assert len(os.listdir(tmp_path)) == 1
    await made.close()
    assert os.listdir(tmp_path) == []


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: -1)
    with pytest.raises(NotOurs):
        engine(tmp_path)


async def test_a_task_that_is_handed_over_again_does_not_run_beside_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "COMMAND", (sys.executable, "-c", "import signal; signal.pause()"))
    made = engine(tmp_path)

    async def started(name: str, ordinal: int) -> asyncio.subprocess.Process:
        batch = Batch(held=Held(name), gateway="", tokens={ordinal: ""}, collector="", options={})
        await made.submit(batch)
        async with asyncio.timeout(20):
            while (process := made._processes[name, ordinal]) is None:
                await asyncio.sleep(0.01)
        return process

    first, other = await started("torana-a-1", 1), await started("torana-a-1", 2)
    again = await started("torana-a-2", 1)
    assert first.returncode == -signal.SIGTERM
    assert (other.returncode, again.returncode) == (None, None)
    await made.close()
