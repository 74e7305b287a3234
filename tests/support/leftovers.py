"""What a program may leave behind: processes that carry a mark in their command line, folders of tasks, and mounts."""

import asyncio
import os
import signal
from pathlib import Path


def marked(mark: str) -> dict[int, str]:
    """The live processes with a text in their command line: pid and command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark in command and state != "Z":
                found[int(entry.name)] = command
    return found


async def present(mark: str) -> int:
    """The pid of a process with the mark, as soon as there is one."""
    async with asyncio.timeout(30):
        while not (found := marked(mark)):
            await asyncio.sleep(0.02)
    return next(iter(found))


def worker_above(pid: int) -> int | None:
    """The worker that started a process, perhaps through others; None for one that outlived it."""
    try:
        while "jobs.worker" not in Path("/proc", str(pid), "cmdline").read_text():
            pid = int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
            if pid <= 1:
                return None
    except OSError:
        return None
    return pid


async def killed(mark: str) -> None:
    """Kill the worker of the program with the mark, as soon as there is one."""
    async with asyncio.timeout(30):
        while not (above := [pid for pid in map(worker_above, marked(mark)) if pid is not None]):
            await asyncio.sleep(0.02)
    os.kill(above[0], signal.SIGKILL)


async def nothing_left(mark: str, runs: Path) -> None:
    """Wait until there are no processes with the mark, and no folders of tasks; there must be no mounts then."""
    async with asyncio.timeout(30):
        while marked(mark) or _within(runs):
            await asyncio.sleep(0.02)
    assert str(runs) not in _mounts()


def _within(runs: Path) -> list[Path]:
    return list(runs.glob("*/*"))


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()
