"""Claims a task, runs its program, reports on it and delivers what came out. Needs the gateway's address and the task's
token, no database, and nothing but the standard library.

`TORANA_GATEWAY` is the address of the gateway and `TORANA_WORKER_TOKEN` the token, which lets it claim one task, or
tell that a batch has ended. It works in the present folder. Exits with 0 when there is nothing left to do for it, with
75 when the task should be tried again. The end of standard input means that whoever started it is gone; it then ends at
once, with its program. Where it has no standard input, `TORANA_WORKER_STAYS=1` says so.
"""

import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from jobs.programs.program import MAX_SEED, Log, Program
from jobs.programs.readers import OutputError
from jobs.programs.readers.yaptide_json import decoded

PATIENCE = 120.0
"""Seconds for which a gateway that does not answer is asked again."""
TRY_AGAIN = 75
LINE, BACKLOG = 4_000, 10_000
"""Characters that are kept of a line, and lines that wait to be sent while the program waits."""
LAST_WORDS = 2.0
"""Seconds in which what a program said before its end is read, when something that it started still could speak."""
PASSING = frozenset({"CONFLICT", "LOCKED", "RATE_LIMITED", "TIMEOUT", "UNAVAILABLE", "UNCONFIRMED"})
"""Codes of what may be over when it is tried again; reports and results may be sent twice."""
LINES = 2_000
"""Log lines of one report."""
PARTIAL = "partial.json"
"""Where such a program writes {"primaries": ..., "estimators": [...]}, in its output folder."""

CLAIM = """
mutation Claim($number: String!) {
  workerClaim(number: $number) {
    token program files checksums ordinal attempt requested reportSeconds silenceSeconds
  }
}"""
REPORT = """
mutation Report($number: Int, $done: BigInt, $seconds: Int, $lines: [LineInput!]!, $error: String) {
  workerReport(number: $number, done: $done, estimatedSeconds: $seconds, lines: $lines, error: $error) { state }
}"""
RESULTS = """
mutation Results($estimators: JSON!, $done: BigInt) { workerPutResults(estimators: $estimators, done: $done) { state } }
"""
COLLECT = "mutation Collect($reason: String!) { workerCollect(reason: $reason) { state } }"


class Refused(Exception):
    """The gateway does not want this worker to go on; or, with the code INVALID, does not take what it sent."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """The gateway did not answer for long."""


class Gateway:
    """Sends operations with a token; a gateway that is away is asked again, ever more slowly."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def with_token(self, token: str) -> "Gateway":
        return Gateway(self._address, token)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of the answer; raises Refused when the gateway says no, Unreachable when it says nothing."""
        body = json.dumps({"query": query, "variables": variables}, allow_nan=False).encode()
        request = urllib.request.Request(f"{self._address}/graphql", body, self._headers)  # noqa: S310
        deadline, pause = time.monotonic() + PATIENCE, 0.2
        while True:
            try:
                answer = self._send(request)
                errors = answer.get("errors")
                if not errors:
                    return answer["data"]
                failure = str(errors[0]["message"])
                for error in errors:
                    if (code := error.get("extensions", {}).get("code")) not in PASSING:
                        raise Refused(str(error["message"]), str(code))
            except (OSError, ValueError, http.client.HTTPException) as error:
                failure = str(error)
            if time.monotonic() > deadline:
                raise Unreachable(f"the gateway did not answer: {failure}")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 5.0)

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)


class Reporter:
    """Collects what the program says and sends it every few seconds, numbered, so that nothing counts twice."""

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
        """Report every so often that the worker is there, while it does something else."""
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
    """The results that a program has so far, sent when they are new. Where they are not taken, the log says why and no
    more are sent: the program itself goes on."""

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


def run(gateway: Gateway) -> int:
    """Claim the task, run its program in the present folder, deliver; returns the exit status."""
    try:
        task = gateway.ask(CLAIM, number=str(uuid4()))["workerClaim"]
    except Refused as refusal:
        say(str(refusal))
        return 0
    gateway = gateway.with_token(task["token"])
    program, requested = Program.read(task["program"]), int(task["requested"])
    reporter = Reporter(gateway, program, requested)
    try:
        command, output = prepare(program, task, requested)
        process = start(command, output)
    except (OSError, ValueError) as error:
        reporter.send(error=f"the program could not be started: {told(error)}")
        return 0
    try:
        parts = Parts(gateway, reporter, output) if program.partial else None
        status = follow(process, reporter, task, parts, program, output)
        if status is None:
            reporter.send(error=f"the program said nothing for {task['silenceSeconds']} s and was ended")
        elif status < 0:
            reporter.take(f"the program was ended by signal {-status}")
            reporter.send()
            return TRY_AGAIN
        elif status > 0:
            reporter.send(error=f"the program ended with exit status {status}")
        else:
            reporter.send()
            deliver(gateway, reporter, program, output, task)
        return 0
    finally:
        process.kill()
        process.wait()


def prepare(program: Program, task: Any, requested: int) -> tuple[list[str], Path]:
    """Write the input as it was sent; returns the command, and the folder to run it in. Raises ValueError."""
    inputs, output = Path("input").resolve(), Path("output").resolve()
    if program.together:
        output = inputs
    for folder in {inputs, output}:
        folder.mkdir()
    for name, text in task["files"].items():
        content = text.encode()
        if hashlib.sha256(content).hexdigest() != task["checksums"][name]:
            raise ValueError(f"{name} did not arrive as it was sent")
        (inputs / name).write_bytes(content)
    ordinal = task["ordinal"]
    seed = 1 + (7_919 * ordinal) % MAX_SEED
    program.prepare(inputs, requested, ordinal, seed)
    return program.start_command(inputs, output, requested, ordinal, seed), output


def start(command: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Start the program, which ends when this process does, however it does."""
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
    """Report what the program says until it ends; returns its exit status, or None when it said nothing for long."""
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


def deliver(gateway: Gateway, reporter: Reporter, program: Program, output: Path, task: Any) -> None:
    """Read what the program wrote and send it; what can't be read or isn't taken is the task's failure."""
    failure = ""
    with reporter.beating(float(task["reportSeconds"])):
        try:
            gateway.ask(RESULTS, estimators=program.results_in(output, int(task["requested"])), done=None)
        except (OSError, ValueError) as error:
            failure = f"the results can't be read: {told(error)}"
        except Refused as refusal:
            failure = f"the results are not taken: {refusal}"
    if failure:
        with contextlib.suppress(Refused):  # the task may be another's by now
            reporter.send(error=failure)


def told(error: Exception) -> str:
    """An error without the paths of this machine."""
    if isinstance(error, OSError):
        return f"{Path(str(error.filename or '')).name} {error.strerror}".strip()
    return str(error)


def collect(gateway: Gateway, reason: str) -> int:
    """Tell that all tasks of a batch have ended."""
    try:
        gateway.ask(COLLECT, reason=reason)
    except Refused as refusal:
        say(str(refusal))
    return 0


def _libc() -> Any:
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            return ctypes.CDLL(None, use_errno=True)
    return None


_LIBC = _libc()
_SET_SIGNAL_AT_PARENTS_END = 1


def _end_with_parent() -> None:
    _LIBC.prctl(_SET_SIGNAL_AT_PARENTS_END, signal.SIGKILL)


def end_with_input() -> None:
    """Read standard input to its end, then end the whole process group."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def work(arguments: Sequence[str]) -> int:
    """Run a task, or with `collect REASON` tell the end of a batch; returns the exit status."""
    missing = [name for name in ("TORANA_GATEWAY", "TORANA_WORKER_TOKEN") if not os.environ.get(name)]
    if missing:
        say(f"{' and '.join(missing)} must be set")
        return 2
    if os.environ.get("TORANA_WORKER_STAYS") != "1":
        threading.Thread(target=end_with_input, daemon=True).start()
    gateway = Gateway(os.environ["TORANA_GATEWAY"].rstrip("/"), os.environ["TORANA_WORKER_TOKEN"])
    try:
        if arguments and arguments[0] == "collect":
            return collect(gateway, " ".join(arguments[1:]) or "the batch ended")
        return run(gateway)
    except (Refused, Unreachable) as failure:
        say(str(failure))
        return TRY_AGAIN


def main() -> NoReturn:
    sys.exit(work(sys.argv[1:]))
