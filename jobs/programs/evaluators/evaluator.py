"""The description of an evaluator: what it reads, its options, the schema of its scores, columns of a leaderboard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SUBMISSION, REFERENCE = "submission", "reference"
"""The folders that an evaluator reads."""
ASCENDING, DESCENDING = "ascending", "descending"
"""The order of a column that puts the best first: errors ascend, accuracies descend."""
PROGRESS = r"^evaluated (?P<done>\d+) of (?P<total>\d+)$"
"""Fits the lines by which an evaluator tells how far it is."""
SCORES = "scores.json"
"""The file in the output folder that holds the scores."""


@dataclass(frozen=True)
class InputFile:
    """A file, or the files that fit a pattern, of one of the two folders; `columns` is the header of a table."""

    folder: str
    name: str
    description: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    `default` tells its type: a bool is a flag without a value, a text is one of `choices`, a number lies between
    `least` and `most`.
    """

    flag: str
    description: str
    default: bool | int | float | str
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = 0


@dataclass(frozen=True)
class Column:
    """A column that a leaderboard shows by default; `path` leads to a number of the scores, with dots between keys."""

    path: str
    label: str
    direction: str


@dataclass(frozen=True)
class Evaluator:
    """A built-in evaluator. `schema` is the JSON Schema (2020-12) of its scores.

    `module` is run as a program. `packages` must be installed where it runs; `extra` is the extra of Torana that
    brings them.
    """

    name: str
    title: str
    description: str
    module: str
    schema: Mapping[str, Any]
    files: tuple[InputFile, ...]
    columns: tuple[Column, ...]
    options: tuple[Option, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = "evaluators"

    @property
    def command(self) -> tuple[str, ...]:
        """The words of the command, with the placeholders of a `Program`: both folders lie in its input folder."""
        folders = [word for name in (SUBMISSION, REFERENCE) for word in (f"--{name}", f"{{input}}/{name}")]
        return ("{python}", "-m", self.module, *folders, "--output", "{output}")
