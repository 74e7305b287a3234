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


def worker_above(pid: int) -> int:
    """The worker that started a process, perhaps through others."""
    while "jobs.worker" not in (command := Path("/proc", str(pid), "cmdline").read_text()):
        assert pid > 1, command
        pid = int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    return pid


async def killed(mark: str) -> None:
    """Kill the worker of the program with the mark."""
    os.kill(worker_above(await present(mark)), signal.SIGKILL)


async def nothing_left(mark: str, runs: Path) -> None:
    """Wait until there are no processes with the mark, and no folders of tasks; there must be no mounts then."""
    async with asyncio.timeout(30):
        while marked(mark) or [one for one in runs.glob("*/*") if one.exists()]:
            await asyncio.sleep(0.02)
    assert str(runs) not in Path("/proc/self/mountinfo").read_text()
    assert [one.name for one in Path("/sys/fs/cgroup").rglob(f"*{mark}*")] == []
