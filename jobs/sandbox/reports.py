"""How a program ended: the launcher writes it into a file outside of the sandbox, the worker reads it."""

import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIME, MEMORY, PROCESSES, OUTPUT, FILES = "TIME", "MEMORY", "PROCESSES", "OUTPUT", "FILES"
"""A bound was met, and the program ended for it."""
REFUSED = "REFUSED"
"""The program could not be started, or its output not be taken."""
STOPPED = "STOPPED"
"""Somebody stopped the launcher."""
LOST = "LOST"
"""The launcher ended without a report, or the sandbox without a word about its program."""

NOT_GOOD = 125
"""The launcher's own exit status where the report has a code."""


@dataclass(frozen=True)
class Ended:
    """How a program ended. It did its work if `status` is 0 and `code` is empty.

    `status` is its exit status, or the negative number of the signal that ended it. `why` is a sentence, empty where it
    did its work. `code` is empty where it ended by itself, else one of those above. `left_out` are sentences about what
    of its output was not taken.
    """

    status: int
    why: str = ""
    code: str = ""
    left_out: Sequence[str] = ()

    @property
    def good(self) -> bool:
        return self.status == 0 and not self.code


def by_itself(status: int) -> Ended:
    """How a program ended for which no bound was met."""
    if status < 0:
        if status == -signal.SIGXCPU:
            return Ended(status, "it used more time of the processor than it may and was ended", TIME)
        if status == -signal.SIGXFSZ:
            return Ended(status, "it wrote a larger file than it may and was ended", OUTPUT)
        return Ended(status, f"the program was ended by signal {_named(-status)}")
    return Ended(status, f"the program ended with exit status {status}" if status else "")


def write(report: str, ended: Ended) -> None:
    """Write the report at once and as a whole."""
    beside = f"{report}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as target:
        json.dump(asdict(ended), target)
    os.replace(beside, report)


def ended(report: "Path", status: int) -> Ended:
    """How the program ended, after its launcher ended with this status (negative: by a signal)."""
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        given = json.loads(report.read_text(encoding="utf-8"))
        return Ended(**{**given, "left_out": tuple(given["left_out"])})
    how = f"signal {_named(-status)}" if status < 0 else f"exit status {status}"
    return Ended(-signal.SIGKILL, f"the launcher of the sandbox ended with {how} and left no report", LOST)


def _named(number: int) -> str:
    with contextlib.suppress(ValueError):
        return f"{number} ({signal.Signals(number).name})"
    return str(number)
