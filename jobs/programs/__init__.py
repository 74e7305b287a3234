"""The programs that tasks may run: how their input is checked, how they are started, how they tell their progress."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.programs import shieldhit
from jobs.programs.plan import InputError

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
"""What an input file may be called: it becomes a file of the worker's folder."""

_PRIMARY = re.compile(r"Primary particle no\. (\d+) of (\d+)")


@dataclass(frozen=True)
class Program:
    """`module` is run as `python -m`; `check` reads input files by name and returns the primaries they ask for, or
    raises InputError."""

    module: str
    check: Callable[[Mapping[str, str]], int]

    def command(self, inputs: Path, output: Path, primaries: int, task: int) -> list[str]:
        """How to run it on the files in `inputs`, for the share of task number `task`."""
        options = ("--input", str(inputs), "--output", str(output), "--primaries", str(primaries), "--task", str(task))
        return [sys.executable, "-m", self.module, *options]

    def progress(self, line: str) -> tuple[int, int] | None:
        """Primaries done and to do, when that is what a line of its output says."""
        found = _PRIMARY.fullmatch(line)
        return (int(found[1]), int(found[2])) if found else None


PROGRAMS = {"SHIELDHIT": Program("jobs.programs.proton_beam", lambda files: shieldhit.read(files).primaries)}
"""By the name of the simulation type."""

__all__ = ["FILE_NAME", "PROGRAMS", "InputError", "Program"]
