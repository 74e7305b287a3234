"""Claim a task, run its program, report on it and deliver the results. The worker needs the gateway's address and the
task's token, no database, and only the standard library.

`TORANA_GATEWAY` is the address of the gateway and `TORANA_WORKER_TOKEN` the token, which lets the worker claim one
task, or report that a batch has ended. It works in the current folder. It exits with 0 when nothing is left to do for
it, and with 75 when the task should be tried again. The end of standard input means that the process that started the
worker is gone; the worker then ends at once, with its program. Where it has no standard input, `TORANA_WORKER_STAYS=1`
says so.
"""

import contextlib
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any, NoReturn
from uuid import uuid4

from jobs.programs.outputs import Outputs, stamps
from jobs.programs.program import AS_FILES, Program
from jobs.worker import files, results
from jobs.worker.gateway import OVER, Gateway, Refused, Unreachable
from jobs.worker.process import adopt, end, follow, start
from jobs.worker.reports import Parts, Reporter

TRY_AGAIN = 75
TOLD = 2_000
"""The most characters of what a program says of its failure."""
ASSIGNED = """{
    token program files checksums fetched { name path sha256 } purpose ordinal attempt requested
    reportSeconds silenceSeconds valueLimit numberLimit bodyLimit fileLimit
  }"""
CLAIM = f"""
mutation Claim($number: String!) {{
  workerClaim(number: $number) {ASSIGNED}
}}"""
COLLECT = "mutation Collect($reason: String!) { workerCollect(reason: $reason) { state } }"


def run(gateway: Gateway) -> int:
    """Claim the task, run its program in the current folder, deliver the results; returns the exit status."""
    try:
        task = gateway.ask(CLAIM, number=str(uuid4()))["workerClaim"]
    except Refused as refusal:
        say(str(refusal))
        return 0
    gateway = gateway.of_task(task["token"], int(task["bodyLimit"]))
    program, requested = Program.read(task["program"]), int(task["requested"])
    reporter = Reporter(gateway, program, requested)
    try:
        with reporter.beating(float(task["reportSeconds"])):
            command, outputs = prepare(gateway, program, task, requested)
        process = start(command, outputs.folder)
    except (OSError, ValueError, Refused) as error:
        reporter.send(error=f"the program could not be started: {told(error)}")
        return 0
    try:
        return run_program(gateway, reporter, program, process, outputs, task)
    except Refused as refusal:
        if refusal.code in OVER:
            raise
        reporter.drop()  # sent again, it would be refused again
        reporter.send(error=f"the gateway does not take the worker's reports: {refusal}")
        return 0
    finally:
        end(process)


def run_program(
    gateway: Gateway, reporter: Reporter, program: Program, process: "Popen[bytes]", outputs: Outputs, task: Any
) -> int:
    """Follow a program that was started, and deliver its results; returns the exit status."""
    parts = Parts(gateway, reporter, outputs, task) if program.partial else None
    status = follow(process, reporter, task, parts, program, outputs)
    end(process)  # before its files are read, or what it left behind may still write them
    return conclude(gateway, reporter, program, status, outputs, task)


def conclude(
    gateway: Gateway, reporter: Reporter, program: Program, status: int | None, outputs: Outputs, task: Any
) -> int:
    """Deliver the results of a program that has ended with this status, None where it was silent for too long, or tell
    why there are none; returns the exit status."""
    if status is None:
        reporter.send(error=f"the program said nothing for {task['silenceSeconds']} s and was ended")
    elif status < 0:
        why = f"the program was ended by signal {-status}"
        reporter.say(why)
        reporter.send(lost=why)
        return TRY_AGAIN
    elif status > 0:
        reporter.send(error=why_failed(program) or f"the program ended with exit status {status}")
    else:
        reporter.send()
        deliver(gateway, reporter, program, outputs, task)
    return 0


def why_failed(program: Program) -> str:
    """Why a program failed, where it says so itself."""
    if not program.error:
        return ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path("input", program.error).read_text(encoding="utf-8")[:TOLD].strip()
    return ""


def prepare(gateway: Gateway, program: Program, task: Any, requested: int) -> tuple[list[str], Outputs]:
    """Write the input files, and fetch the larger ones; returns the command, and the folder to run it in, with what
    is there already. Raises ValueError, and Refused."""
    inputs, output = Path("input").resolve(), Path("output").resolve()
    if program.together:
        output = inputs
    for folder in {inputs, output}:
        folder.mkdir()
    bring(gateway, task, inputs)
    ordinal = task["ordinal"]
    seed = program.seed_in(inputs, ordinal)
    program.prepare(inputs, requested, ordinal, seed)
    return program.start_command(inputs, output, requested, ordinal, seed), Outputs(output, stamps(output))


def bring(gateway: Gateway, task: Any, inputs: Path) -> None:
    """Write the input files into a folder, and fetch the larger ones. Raises OSError, ValueError, Refused and
    Unreachable."""
    for name, text in task["files"].items():
        content = text.encode()
        if hashlib.sha256(content).hexdigest() != task["checksums"][name]:
            raise ValueError(f"{name} did not arrive as it was sent")
        (inputs / name).write_bytes(content)
    for file in task["fetched"]:
        files.fetch(gateway, file["path"], inputs / file["name"], file["sha256"])


def deliver(gateway: Gateway, reporter: Reporter, program: Program, outputs: Outputs, task: Any) -> None:
    """Send the program's results: those that are read, and its files. When nothing can be read or is taken, the task
    fails, and this worker says why."""
    failure = ""
    with reporter.beating(float(task["reportSeconds"])):
        try:
            if program.results == AS_FILES:
                files.deliver(gateway, outputs, str(task["purpose"]))
            else:
                reading = program.results_in(outputs.folder, int(task["requested"]), outputs.before)
                results.deliver(gateway, replace(reading, warnings=[*reading.warnings, *reporter.warnings]), task)
        except Refused as refusal:
            failure = f"the results are not taken: {refusal}"
        except Unreachable:
            raise
        except Exception as error:  # whatever a program wrote, its task ends and says why
            failure = f"the results can't be read: {told(error)}"
    if failure:
        say(failure)
        with contextlib.suppress(Refused):  # the task may be another's by now
            reporter.send(error=failure)


def told(error: Exception) -> str:
    """An error without the paths of this machine."""
    if isinstance(error, OSError):
        return f"{Path(str(error.filename or '')).name} {error.strerror}".strip()
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return text.replace(f"{Path.cwd()}{os.sep}", "")


def collect(gateway: Gateway, reason: str) -> int:
    """Report that all tasks of a batch have ended."""
    try:
        gateway.ask(COLLECT, reason=reason)
    except Refused as refusal:
        say(str(refusal))
    return 0


def end_with_input() -> None:
    """Read standard input to its end, then end the whole process group."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def work(arguments: Sequence[str]) -> int:
    """Run a task, or with `collect REASON` report the end of a batch; returns the exit status."""
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
        adopt()
        return run(gateway)
    except (Refused, Unreachable) as failure:
        say(str(failure))
        return TRY_AGAIN


def main() -> NoReturn:
    sys.exit(work(sys.argv[1:]))
