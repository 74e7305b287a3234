"""What a worker sends while its task runs: log lines, progress, and the results so far."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.programs.program import Program
from jobs.programs.readers import OutputError
from jobs.programs.readers.yaptide_json import decoded
from jobs.worker.gateway import Gateway, Refused, Unreachable

LINE = 4_000
"""The most characters of a line that are kept."""
LINES = 2_000
"""The most log lines of one report."""
PARTIAL = "partial.json"
"""The file in its output folder where a program writes its results so far: {"primaries": ..., "estimators": [...]}."""


REPORT = """
mutation Report($number: Int, $done: BigInt, $seconds: Int, $lines: [LineInput!]!, $error: String) {
  workerReport(number: $number, done: $done, estimatedSeconds: $seconds, lines: $lines, error: $error) { state }
}"""
RESULTS = """
mutation Results($estimators: JSON!, $done: BigInt) { workerPutResults(estimators: $estimators, done: $done) { state } }
"""


class Reporter:
    """Collects the program's output and sends it every few seconds. Reports are numbered, so that nothing counts
    twice."""

    def __init__(self, gateway: Gateway, program: Program, requested: int) -> None:
        self._gateway = gateway
        self._program = program
        self._requested = requested
        self._waiting: list[dict[str, Any]] = []
        self._lines = 0
        self._number = 0
        self._done: int | None = None
        self._seconds: int | None = None
        self._began = self.heard = time.monotonic()

    def take(self, line: str) -> None:
        self.heard = time.monotonic()
        if (progress := self._program.progress_of(line)) is None:
            self._lines += 1
            self._waiting.append({"number": self._lines, "text": line[:LINE]})
            return
        done, total = progress
        self._done = max(done, self._done or 0)
        if self._done:
            left = max((total or self._requested) - self._done, 0)
            self._seconds = round((self.heard - self._began) / self._done * left)

    @contextlib.contextmanager
    def beating(self, seconds: float) -> Iterator[None]:
        """Report every few seconds that the worker is alive, while it does something else."""
        done = threading.Event()

        def beat() -> None:
            with contextlib.suppress(Refused, Unreachable):  # what it does meets the same
                while not done.wait(seconds):
                    self.send()

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()

    def send(self, error: str | None = None) -> None:
        while True:
            lines = self._waiting[:LINES]
            last = len(lines) == len(self._waiting)
            self._number += 1
            self._gateway.ask(
                REPORT,
                number=self._number,
                done=None if self._done is None else str(self._done),
                seconds=self._seconds,
                lines=lines,
                error=error if last else None,
            )
            del self._waiting[: len(lines)]
            if last:
                return


class Parts:
    """Sends a program's results so far when they are new. When they are refused, the log says why and no more are sent;
    the program itself goes on."""

    def __init__(self, gateway: Gateway, reporter: Reporter, folder: Path) -> None:
        self._gateway = gateway
        self._reporter = reporter
        self._folder = folder
        self._sent = 0
        self._written = 0
        self._taken = True

    def send(self) -> None:
        try:
            written = (self._folder / PARTIAL).stat().st_mtime_ns
            if not self._taken or written == self._written:
                return
            part = decoded(self._folder, PARTIAL)
        except (OSError, OutputError):  # not yet there, or just being written
            return
        self._written = written
        primaries = part.get("primaries")
        if not isinstance(primaries, int) or primaries <= self._sent:
            return
        try:
            self._gateway.ask(RESULTS, estimators=part.get("estimators"), done=str(primaries))
        except Refused as refusal:
            if refusal.code != "INVALID":
                raise
            self._taken = False
            self._reporter.take(f"the results in {PARTIAL} are not taken: {refusal}")
        self._sent = primaries
