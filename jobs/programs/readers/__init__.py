"""Readers of the programs' output files. Each makes estimators in YAPTIDE's shape; there is one module for each format.

A module is imported when its format is read, so its dependencies are needed only there. What can be read is given, the
rest is named.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from jobs.programs.outputs import Outputs, Stamp
from jobs.results.names import printable

READERS = {
    "yaptide-json": "yaptide_json",
    "shieldhit": "shieldhit",
    "fluka": "fluka",
    "topas": "topas",
    "scores": "scores",
}
"""Module by the name of the format."""


SENTENCE = 400
"""The most characters of a warning about an error that nobody foresaw."""


class OutputError(ValueError):
    """A file that a program wrote is missing or cannot be read, or a page of it."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"{printable(file)}: {message}")
        self.file = file
        self.message = message


@dataclass(frozen=True)
class Reading:
    """What was read of a program's output.

    `estimators` are a list, or the object of the scores of an evaluation. They have YAPTIDE's shape, but up to three
    axes, and numbers may be an `array` of doubles, NaN for none. Beside `data.values` stand, where the program tells
    them, `data.errors`, the standard error of each value, and
    `data.weights`, for quotients of two sums: the divisor of each value, per primary. `merging` of a page says how
    those of several tasks are put together: "mean" (per primary), "ratio" (a quotient), "sum", or "same" (equal in each
    task); without it, `page_normalized` says so. `warnings` are sentences that name what could not be read (file, page,
    why) and what was asked for and did not come. `files` are the program's own files, to be kept as they are;
    where they lie in folders, they are named from the folder `root` on.
    """

    estimators: Any
    warnings: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    root: Path | None = None


def read(
    results: str, folder: Path, primaries: int | None = None, before: Mapping[str, Stamp] | None = None
) -> Reading:
    """What was written to a folder; `primaries` are those of the run, for files that do not say, and `before` has the
    files as they were at its start. Raises OutputError when no output was written."""
    outputs = Outputs(folder, before)
    try:
        reading: Reading = import_module(f"jobs.programs.readers.{READERS[results]}").read(outputs, primaries)
    except OutputError as error:
        raise OutputError(error.file, "; ".join((error.message, *outputs.warnings[:1]))) from error
    return replace(reading, warnings=[*outputs.warnings, *reading.warnings])


@contextmanager
def named(warnings: list[str], file: str) -> Iterator[None]:
    """Name as a warning what of a file can't be read, and go on, whatever a damaged file leads to."""
    file = printable(file)
    try:
        yield
    except OutputError as error:
        warnings.append(str(error))
    except OSError as error:
        warnings.append(f"{file}: it can't be read: {error.strerror}")
    except Exception as error:
        warnings.append(f"{file}: it can't be read: {type(error).__name__}: {error}"[:SENTENCE])


def library(module: str, file: str) -> ModuleType:
    """A module of pymchelper; raises OutputError for the file that needs it."""
    try:
        return import_module(f"pymchelper.{module}")
    except ImportError as error:
        message = f"it is read with pymchelper, which does not work here: {error}; install torana's group programs"
        raise OutputError(file, message) from None
