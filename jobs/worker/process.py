"""The process of a program: start it, and follow it to its end."""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from jobs.programs.program import Program
from jobs.programs.program_log import Log
from jobs.worker.reports import LINE, Parts, Reporter

BACKLOG = 10_000
"""The most lines that wait to be sent; a program that prints more must wait."""
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
        stderr=subprocess.STDOUT,
        preexec_fn=_end_with_parent if _LIBC else None,  # noqa: PLW1509
    )


def follow(
    process: "subprocess.Popen[bytes]",
    reporter: Reporter,
    task: Any,
    parts: Parts | None,
    program: Program,
    output: Path,
) -> int | None:
    """Report the program's output until it ends; returns its exit status, or None when it printed nothing for too
    long."""
    said: queue.Queue[str | None] = queue.Queue(BACKLOG)
    log = Log(output, program.log) if program.log else None

    def listen() -> None:
        assert process.stdout is not None
        begun = True  # a line; of a long one only the beginning is kept
        for piece in iter(lambda: process.stdout.readline(4 * LINE) if process.stdout else b"", b""):
            if begun:
                said.put(piece.decode(errors="replace").rstrip("\r\n"))
            begun = piece.endswith(b"\n")
        said.put(None)

    def read_log() -> None:
        for line in log.lines() if log else ():
            reporter.take(line)

    threading.Thread(target=listen, daemon=True).start()
    interval, silence = float(task["reportSeconds"]), float(task["silenceSeconds"])
    due = time.monotonic() + min(0.5, interval)
    ended: float | None = None
    while True:
        with contextlib.suppress(queue.Empty):
            line = said.get(timeout=max(0.0, min(due - time.monotonic(), LAST_WORDS)))
            if line is None:
                read_log()
                return process.wait()
            reporter.take(line)
        now = time.monotonic()
        if process.poll() is not None and said.empty():
            # Something that it started and left behind may hold its output open for ever.
            ended = ended or now
            if now - ended > LAST_WORDS:
                read_log()
                return process.wait()
        if now < due:
            continue
        read_log()
        if now - reporter.heard > silence:
            return None
        reporter.send()
        if parts is not None:
            parts.send()
        due = time.monotonic() + interval


def _libc() -> Any:
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            return ctypes.CDLL(None, use_errno=True)
    return None


_LIBC = _libc()
_SET_SIGNAL_AT_PARENTS_END = 1


def _end_with_parent() -> None:
    _LIBC.prctl(_SET_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
