"""Runs the program of one task and reports on it. Needs the gateway's address and the task's token, and no database.

`TORANA_GATEWAY` is the address of the gateway and `TORANA_WORKER_TOKEN` the token, which covers this attempt of this
task alone. Exits with 0 when the gateway knows how the task ended, with 75 when the task should be tried again. The
end of standard input means that whoever started the worker is gone; it then ends at once, with its program.
"""

import contextlib
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
from pathlib import Path
from typing import Any, NoReturn

from jobs.programs import PROGRAMS, Program

INTERVAL = 2.0
"""Seconds between two reports."""
PATIENCE = 120.0
"""Seconds for which a gateway that does not answer is asked again."""
TRY_AGAIN = 75
PASSING = frozenset({"TIMEOUT", "INTERNAL_SERVER_ERROR"})
"""Codes of what may be over when it is tried again; reports and results may be sent twice."""
LINES = 2_000
"""Log lines of one report."""

ASSIGNMENT = "{ workerAssignment { program files ordinal attempt requested } }"
REPORT = """
mutation Report($done: BigInt, $seconds: Int, $lines: [LineInput!]!, $error: String) {
  workerReport(done: $done, estimatedSeconds: $seconds, lines: $lines, error: $error) { state }
}"""
RESULTS = "mutation Results($estimators: JSON!) { workerPutResults(estimators: $estimators) { state } }"


class Refused(Exception):
    """The gateway does not want this worker to go on."""


class Gateway:
    """Sends operations with the task's token; a gateway that is away is asked again, ever more slowly."""

    def __init__(self, address: str, token: str) -> None:
        self._url = f"{address}/graphql"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of the answer; raises Refused when the gateway says no."""
        body = json.dumps({"query": query, "variables": variables}, allow_nan=False).encode()
        request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310
        deadline, pause = time.monotonic() + PATIENCE, 0.2
        while True:
            try:
                answer = self._send(request)
                errors = answer.get("errors")
                if not errors:
                    return answer["data"]
                failure = str(errors[0]["message"])
                if any(error.get("extensions", {}).get("code") not in PASSING for error in errors):
                    raise Refused(failure)
            except (OSError, ValueError) as error:
                failure = str(error)
            if time.monotonic() > deadline:
                raise Refused(f"the gateway did not answer: {failure}")
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

    def __init__(self, gateway: Gateway, program: Program) -> None:
        self._gateway = gateway
        self._program = program
        self._waiting: list[dict[str, Any]] = []
        self._number = 0
        self._done: int | None = None
        self._seconds: int | None = None
        self._began = time.monotonic()

    def take(self, line: str) -> None:
        if (progress := self._program.progress(line)) is not None:
            self._done, total = progress
            if self._done:
                spent = time.monotonic() - self._began
                self._seconds = round(spent / self._done * (total - self._done))
            return
        self._number += 1
        self._waiting.append({"number": self._number, "text": line})

    def send(self, error: str | None = None) -> None:
        while True:
            lines = self._waiting[:LINES]
            last = len(lines) == len(self._waiting)
            self._gateway.ask(
                REPORT, done=self._done, seconds=self._seconds, lines=lines, error=error if last else None
            )
            del self._waiting[: len(lines)]
            if last:
                return


def run(gateway: Gateway) -> int:
    """Fetch the task, run its program in the present folder, deliver; returns the exit status."""
    task = gateway.ask(ASSIGNMENT)["workerAssignment"]
    program = PROGRAMS[task["program"]]
    inputs, output = Path("input").resolve(), Path("results.json").resolve()
    inputs.mkdir()
    for name, text in task["files"].items():
        (inputs / name).write_text(text)
    process = subprocess.Popen(
        program.command(inputs, output, int(task["requested"]), task["ordinal"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        reporter = Reporter(gateway, program)
        status = follow(process, reporter)
        if status < 0:
            reporter.take(f"the program was ended by signal {-status}")
            reporter.send()
            return TRY_AGAIN
        if status > 0 or not output.exists():
            reporter.send(error=f"the program ended with exit status {status}")
            return 0
        reporter.send()
        gateway.ask(RESULTS, estimators=json.loads(output.read_text())["estimators"])
        return 0
    finally:
        process.kill()
        process.wait()


def follow(process: "subprocess.Popen[str]", reporter: Reporter) -> int:
    """Report what the program says until it ends; returns its exit status."""
    said: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line.rstrip("\n"))
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    due = time.monotonic() + 0.5
    while True:
        with contextlib.suppress(queue.Empty):
            line = said.get(timeout=max(0.0, due - time.monotonic()))
            if line is None:
                return process.wait()
            reporter.take(line)
        if time.monotonic() >= due:
            reporter.send()
            due = time.monotonic() + INTERVAL


def end_with_parent() -> None:
    """Read standard input to its end, then end the whole process group."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> NoReturn:
    threading.Thread(target=end_with_parent, daemon=True).start()
    gateway = Gateway(os.environ["TORANA_GATEWAY"], os.environ["TORANA_WORKER_TOKEN"])
    try:
        status = run(gateway)
    except Refused as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201
        status = TRY_AGAIN
    sys.exit(status)


if __name__ == "__main__":
    main()
