"""The process of a program: start it, and follow it to its end."""

import contextlib
import ctypes
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.program import Program
from jobs.programs.program_log import Logs
from jobs.worker.reports import Parts, Reporter

PIECE = 1 << 16
"""The most bytes that are read of a program's output at once."""
BACKLOG = 100
"""The most pieces that wait to be sent; a program that prints more must wait."""
LAST_WORDS = 2.0
"""Seconds in which the last output of a program is read after its end, while something that it started may still
print."""


def start(command: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Start the program. It ends when this process does, in whatever way."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORANA_")}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_end_with_parent if _LIBC else None,  # noqa: PLW1509
    )


def follow(
    process: "subprocess.Popen[bytes]",
    reporter: Reporter,
    task: Any,
    parts: Parts | None,
    program: Program,
    outputs: Outputs,
) -> int | None:
    """Report the program's output until it ends; returns its exit status, or None when it printed nothing for too
    long."""
    said: queue.Queue[tuple[str, bytes] | None] = queue.Queue(BACKLOG)
    logs = Logs(outputs, program.log) if program.log else None

    def read_logs() -> None:
        for name, data in logs.added() if logs else ():
            reporter.take(name, data)

    def end() -> int:
        read_logs()
        reporter.end()
        reporter.warnings += [*logs.warnings, *outputs.warnings] if logs else []
        return process.wait()

    threading.Thread(target=_listen, args=(process, said), daemon=True).start()
    interval, silence = float(task["reportSeconds"]), float(task["silenceSeconds"])
    due = time.monotonic() + min(0.5, interval)
    ended: float | None = None
    while True:
        with contextlib.suppress(queue.Empty):
            piece = said.get(timeout=max(0.0, min(due - time.monotonic(), LAST_WORDS)))
            if piece is None:
                return end()
            reporter.take(*piece)
        now = time.monotonic()
        if process.poll() is not None and said.empty():
            # Something that it started and left behind may hold its output open for ever.
            ended = ended or now
            if now - ended > LAST_WORDS:
                return end()
        if now < due:
            continue
        read_logs()
        if now - reporter.heard > silence:
            reporter.end()
            return None
        reporter.send()
        if parts is not None:
            parts.send()
        due = time.monotonic() + interval


def _listen(process: "subprocess.Popen[bytes]", said: "queue.Queue[tuple[str, bytes] | None]") -> None:
    """Put what a program prints, as it comes, with the name of the stream; None when both have ended."""
    with selectors.DefaultSelector() as streams:
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert stream is not None
            streams.register(stream, selectors.EVENT_READ, name)
        while streams.get_map():  # until both have ended
            for ready, _ in streams.select():
                if data := os.read(ready.fd, PIECE):
                    said.put((ready.data, data))
                else:
                    streams.unregister(ready.fileobj)
    said.put(None)


def _libc() -> Any:
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            return ctypes.CDLL(None, use_errno=True)
    return None


_LIBC = _libc()
_SET_SIGNAL_AT_PARENTS_END = 1
_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37


def adopt() -> None:
    """Let what a program leaves behind become a child of this process, where the system can do so (Linux)."""
    if _LIBC:
        _LIBC.prctl(_SET_CHILD_SUBREAPER, 1)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a program, and what it started and left behind where this process adopts that."""
    process.kill()
    process.wait()
    while left := _adopted():
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in left:  # what it started in turn is then adopted
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _adopted() -> list[int]:
    """The children of this process, where it adopts any."""
    adopts = ctypes.c_int(0)
    if not _LIBC or _LIBC.prctl(_GET_CHILD_SUBREAPER, ctypes.byref(adopts)) or not adopts.value:
        return []
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == os.getpid()]


def _parent(path: Path) -> int | None:
    """The parent of a process by its /proc/.../stat: the second field after the name, which is in parentheses."""
    try:
        return int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, LookupError, ValueError):  # it has ended
        return None


def _end_with_parent() -> None:
    _LIBC.prctl(_SET_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
