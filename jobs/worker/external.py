"""The worker of an organiser: it claims evaluations with the token of a challenge, one after the other, and runs the
organiser's own command for each.

The command gets the arguments of the evaluation, and then three folders: what was submitted, the reference data (an
empty folder where there are none) and its output, into which it writes `scores.json`. It ends with the exit status 0,
or there are no scores; with 2 it says that the reference data are wrong. It sees no token.
"""

import contextlib
import json
import os
import random
import select
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import uuid4

from jobs.programs.evaluation import DESCRIPTION, ORGANISERS, Failed, bounds_of, unpacked
from jobs.programs.metering import SHARE, share
from jobs.programs.outputs import Outputs
from jobs.programs.program import Program
from jobs.programs.progress import told as told_progress
from jobs.worker.gateway import OVER, Gateway, Refused, Unreachable
from jobs.worker.main import ASSIGNED, bring, conclude, say, told
from jobs.worker.process import end, follow, start
from jobs.worker.reports import Reporter

CLAIM = f"""
mutation Claim($number: String!, $version: String!) {{
  challengeWorkerClaim(number: $number, version: $version) {ASSIGNED}
}}"""
FIRST, LONGEST = 0.5, 15.0
"""Seconds between two claims where nothing waits: at first, and at most."""
FINAL = frozenset({"UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN", "INVALID"})
"""Codes of a refused claim that stay the same however often it is tried."""
_STEP = r"^evaluated (?P<done>\d{1,18}) of (?P<total>\d{1,18})$"


class Evaluated(Program):
    """The organiser's command, as far as the gateway describes it."""

    def progress_of(self, line: str) -> tuple[int, int | None] | None:
        """Steps that the command tells, in per cent."""
        found = told_progress(_STEP, line)
        return None if found is None else (share(found[0], found[1] or 0), SHARE)


class Evaluator:
    """Claims and evaluates until it is told to stop. The command may run for so many `seconds`; with None for as long
    as the evaluator's bounds say."""

    def __init__(self, gateway: Gateway, command: Sequence[str], version: str, seconds: float | None = None) -> None:
        self.stopping = False
        self._gateway = gateway
        self._command = list(command)
        self._version = version
        self._seconds = seconds
        self._process: Popen[bytes] | None = None
        self._usable = True
        self._told = ""
        self._woken, self._wake = os.pipe()

    def stop(self) -> None:
        """End the command that runs, and claim nothing more. Signal handlers and other threads may call this."""
        self.stopping = True
        os.write(self._wake, b"\0")
        if self._process is not None:
            self._process.kill()

    def run(self, *, once: bool = False) -> int:
        """Evaluate what waits, and wait for more; with `once` at most one. Returns the exit status: 1 when the gateway
        refuses the token, or the command can't be started."""
        number, pause = str(uuid4()), FIRST
        while not self.stopping:
            try:
                given = self._gateway.ask(CLAIM, 0.0, number=number, version=self._version)
                task, reached = given["challengeWorkerClaim"], True
            except Unreachable as failure:  # it may have been claimed: the same number gets it
                task, reached = None, False
                self._say(str(failure))
            except Refused as refusal:
                task, reached, number = None, True, str(uuid4())
                self._say(f"nothing is claimed: {refusal}")
                if once or refusal.code in FINAL:
                    return 1
            if task is not None:
                self._told, number, pause = "", str(uuid4()), FIRST
                self._evaluate(task)
                if not self._usable:
                    return 1
            if once and reached:
                return 0
            if task is None:
                select.select([self._woken], [], [], pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(2 * pause, LONGEST)
        return 0

    def _say(self, text: str) -> None:
        """Say what lasts once."""
        if text != self._told:
            say(text)
        self._told = text

    def _evaluate(self, task: Any) -> None:
        gateway = self._gateway.of_task(task["token"], int(task["bodyLimit"]))
        program = Evaluated.read({**task["program"], "error": ""})
        reporter = Reporter(gateway, program, int(task["requested"]))
        say(f"an evaluation begins, attempt {task['attempt']}")
        try:
            with tempfile.TemporaryDirectory(prefix="torana-", ignore_cleanup_errors=True) as folder:
                self._work(gateway, reporter, program, task, Path(folder))
            say("the evaluation has ended")
        except Unreachable as failure:
            say(f"the evaluation is given up: {failure}")
        except Refused as refusal:
            if refusal.code in OVER:
                say(f"the evaluation is no longer this worker's: {refusal}")
                return
            say(f"the gateway does not take the worker's reports: {refusal}")
            reporter.drop()  # sent again, it would be refused again
            with contextlib.suppress(Refused, Unreachable):
                reporter.send(error=f"the gateway does not take the worker's reports: {refusal}")

    def _work(self, gateway: Gateway, reporter: Reporter, program: Program, task: Any, folder: Path) -> None:
        """Evaluate in a new folder. Raises Refused and Unreachable."""
        described = json.loads(task["files"][DESCRIPTION])
        try:
            with reporter.beating(float(task["reportSeconds"])):
                folders = _brought(gateway, task, described, folder)
        except Failed as failure:
            reporter.send(error=f"{failure.code}: {failure}")
            return
        except (OSError, ValueError, Refused) as error:
            if isinstance(error, Refused) and error.code in OVER:
                raise
            _give_back(reporter, f"its files can't be fetched: {told(error)}")
            return
        if self.stopping:
            _give_back(reporter, "the worker was stopped")
            return
        bound = self._seconds or bounds_of(described["bounds"])[0].seconds
        try:
            process = start([*self._command, *described["arguments"], *map(str, folders)], Path.cwd())
        except OSError as error:
            self._usable = False
            _give_back(reporter, f"the command could not be started: {told(error)}")
            return
        late = threading.Event()

        def too_late() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(bound, too_late)
        timer.start()
        self._process = process
        try:
            if self.stopping:  # it was told so before there was a process to end
                process.kill()
            status = follow(process, reporter, task, None, program, Outputs(folders[-1]))
        finally:
            self._process = None
            timer.cancel()
            end(process)
        if self.stopping and status != 0:
            _give_back(reporter, "the worker was stopped")
        elif late.is_set():
            reporter.send(error=f"TIME: the command ran for more than {bound:g} s and was ended")
        elif status == ORGANISERS:
            reporter.send(error="REFERENCE: the evaluator says that its reference data are wrong; tell the organisers")
        else:
            conclude(gateway, reporter, program, status, Outputs(folders[-1]), task)


def _brought(gateway: Gateway, task: Any, described: Any, folder: Path) -> tuple[Path, Path, Path]:
    """Fetch what was submitted and the reference data; returns their folders, and that of the output. What submitted
    programs are given lies in a folder `given` beside them. Raises Failed, OSError, ValueError, Refused and
    Unreachable."""
    fetched, output = folder / "fetched", folder / "output"
    fetched.mkdir()
    output.mkdir()
    bring(gateway, task, fetched)
    files, what = described["files"], "a file of the evaluator"
    submission = unpacked("the submission", fetched, [described["submission"]], folder / "submission")
    reference = unpacked(what, fetched, files["REFERENCE"], folder / "reference")
    if files["GIVEN"]:
        unpacked(what, fetched, files["GIVEN"], folder / "given")
    shutil.rmtree(fetched)
    return submission, reference, output


def _give_back(reporter: Reporter, why: str) -> None:
    """This run has ended, and another may follow once its lease ends."""
    say(why)
    reporter.say(why)
    reporter.send(lost=why)
