"""What a worker sends while its task runs: log lines, progress, and the results so far."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from jobs.programs.lines import Lines, cut
from jobs.programs.outputs import Outputs
from jobs.programs.program import Program
from jobs.programs.readers import OutputError
from jobs.programs.readers.yaptide_json import decoded
from jobs.worker.gateway import OVER, Gateway, Refused, Unreachable
from jobs.worker.results import Room, send

LINES = 2_000
"""The most log lines of one report."""
SIZE = 1_000_000
"""The most bytes of the log lines of one report."""
LONGEST = 2**31 - 1
"""The most seconds that are told."""
PARTIAL = "partial.json"
"""The file in its output folder where a program writes its results so far: {"primaries": ..., "estimators": [...]}."""


REPORT = """
mutation Report($number: Int, $done: BigInt, $seconds: Int, $lines: [LineInput!]!, $error: String, $lost: String) {
  workerReport(
    number: $number, done: $done, estimatedSeconds: $seconds, lines: $lines, error: $error, lost: $lost
  ) { state }
}"""


class Reporter:
    """Collects the program's output and sends it every few seconds. Reports are numbered, so that nothing counts
    twice."""

    warnings: list[str]
    """What is wrong with the progress that the program told."""

    def __init__(self, gateway: Gateway, program: Program, requested: int) -> None:
        self.warnings = []
        self._gateway = gateway
        self._program = program
        self._requested = requested
        self._files: dict[str, Lines] = {}
        self._waiting: list[dict[str, Any]] = []
        self._lines = 0
        self._number = 0
        self._done: int | None = None
        self._seconds: int | None = None
        self._began = self.heard = time.monotonic()

    def take(self, file: str, data: bytes) -> None:
        """Bytes that the program printed, or wrote into a log. Each is a sign of life."""
        self.heard = time.monotonic()
        if file not in self._files:
            self._files[file] = Lines(partial(self._progress, file))
        for text in self._files[file].take(data):
            self._store(text, file)

    def end(self) -> None:
        """The program has ended: a line that still waits for its end is whole."""
        for file, lines in self._files.items():
            for text in lines.end():
                self._store(text, file)

    def say(self, text: str) -> None:
        """A line of the worker's own."""
        self._store(cut(text), None)

    def drop(self) -> None:
        """Forget the lines that wait."""
        self._waiting.clear()

    def _store(self, text: str, file: str | None) -> None:
        self._lines += 1
        self._waiting.append({"number": self._lines, "text": text, "file": file})

    def _progress(self, file: str, line: str, number: int) -> bool:
        """Whether the line tells progress, and no more."""
        try:
            told = self._program.progress_of(line)
        except ValueError as error:
            if not self.warnings:  # of many that are alike
                self.warnings.append(f"{file}, line {number}: {error}")
                self.say(self.warnings[0])
            return False
        if told is None:
            return False
        done, total = told
        self._done = max(done, self._done or 0)
        if self._done:
            left = max((total or self._requested) - self._done, 0)
            self._seconds = min(round((self.heard - self._began) / self._done * left), LONGEST)
        return True

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

    def send(self, error: str | None = None, lost: str | None = None) -> None:
        """Send what waits. With an `error` the task has failed, with `lost` only this run."""
        while True:
            lines = list(_fitting(self._waiting))
            last = len(lines) == len(self._waiting)
            self._number += 1
            self._gateway.ask(
                REPORT,
                number=self._number,
                done=None if self._done is None else str(self._done),
                seconds=self._seconds,
                lines=lines,
                error=error if last else None,
                lost=lost if last else None,
            )
            del self._waiting[: len(lines)]
            if last:
                return


def _fitting(waiting: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first lines, as many as one report may carry."""
    size = 0
    for line in waiting[:LINES]:
        size += len(json.dumps(line))
        if size > SIZE:
            return
        yield line


class Parts:
    """Sends a program's results so far when they are new. What is wrong with them is said in the log, once; the program
    itself goes on, and so do its next parts."""

    def __init__(self, gateway: Gateway, reporter: Reporter, outputs: Outputs, task: Any) -> None:
        self._gateway = gateway
        self._limits, self._requested = (int(task["valueLimit"]), int(task["numberLimit"])), int(task["requested"])
        self._reporter = reporter
        self._outputs = outputs
        self._sent = 0
        self._read = 0
        self._begun = 0
        self._said = False

    def send(self) -> None:
        """Send the part that was written since the last call, if any. Raises Refused when the task is over, and
        Unreachable."""
        try:
            if (written := self._written()) in (None, self._read):
                return
            part = self._part(written)
            if part is not None:
                self._read = written
                self._deliver(part)
        except Refused as refusal:
            if refusal.code in OVER:
                raise
            self._say(str(refusal))
        except Unreachable:
            raise
        except Exception as error:  # whatever a program wrote there, it is no reason to end it
            self._read = self._written() or 0
            self._say(error.message if isinstance(error, OutputError) else str(error))

    def _written(self) -> int | None:
        """When the part was written, in ns; None where there is none."""
        try:
            return (self._outputs.folder / PARTIAL).lstat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _part(self, written: int) -> dict[str, Any] | None:
        """What is in the file, None while it may still be being written; raises OutputError."""
        try:
            return decoded(self._outputs, PARTIAL)
        except OutputError:
            if self._begun == written:
                raise
            self._begun = written
            return None

    def _deliver(self, part: dict[str, Any]) -> None:
        primaries = part.get("primaries")
        if isinstance(primaries, bool) or not isinstance(primaries, int) or not 1 <= primaries <= self._requested:
            raise ValueError(f"primaries must be a number from 1 to {self._requested}")
        if primaries <= self._sent:
            return
        send(self._gateway, part.get("estimators"), Room(*self._limits), done=str(primaries))
        self._sent = primaries

    def _say(self, why: str) -> None:
        if not self._said:
            self._said = True
            self._reporter.say(f"the results in {PARTIAL} are not taken: {why}")
