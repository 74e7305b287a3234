"""The command line that all evaluators share: options, progress, scores, and how they end."""

import argparse
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from jobs.programs.evaluators.evaluator import REFERENCE, SCORES, SUBMISSION, Evaluator, Option
from jobs.programs.evaluators.faults import (
    PACKAGE_MISSING,
    REFERENCE_WRONG,
    STOPPED,
    SUBMISSION_WRONG,
    EvaluationError,
)
from jobs.programs.evaluators.folder import Folder, reference_in, submission_in

LINES_OF_PROGRESS = 50


class Progress:
    """Tells on the standard output how much of `total` is done, in at most LINES_OF_PROGRESS lines."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._told = total, 0, 0

    def add(self, done: int) -> None:
        self._done += done
        step = self._done * LINES_OF_PROGRESS // self._total
        if step > self._told:
            self._told = step
            sys.stdout.write(f"evaluated {self._done} of {self._total}\n")
            sys.stdout.flush()


Evaluation = Callable[[Folder, Folder, argparse.Namespace], Mapping[str, Any]]
"""Makes scores of the submission, the reference and the options. Raises EvaluationError."""


def run(evaluator: Evaluator, evaluate: Evaluation, arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the arguments say and write the scores; returns the exit status, 0 only with complete scores.

    What is wrong is said in one sentence on the standard error.
    """
    try:
        given = _parser(evaluator).parse_args(arguments)
        if not given.output.is_dir():
            raise EvaluationError("the output folder does not exist", STOPPED)
        (given.output / SCORES).unlink(missing_ok=True)  # of an earlier run, which must not pass for those of this one
        _check_packages(evaluator)
        reference, submission = reference_in(given.reference), submission_in(given.submission)
        scores = evaluate(submission, reference, given)
        check_finite(scores)
        _write(given.output, scores)
    except EvaluationError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        sys.stderr.write(f"the evaluation stopped: {type(error).__name__} in {place}\n")
        return STOPPED
    return 0


def package(name: str) -> Any:
    """A module of a package that may not be installed; raises EvaluationError."""
    try:
        return import_module(name)
    except ImportError:
        raise _missing(name.partition(".")[0]) from None


def _check_packages(evaluator: Evaluator) -> None:
    for name in evaluator.packages:
        if find_spec(name) is None:
            raise _missing(name)


def _missing(name: str) -> EvaluationError:
    message = f"the package {name} is missing; install the extra evaluators: pip install 'torana[evaluators]'"
    return EvaluationError(message, PACKAGE_MISSING)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise EvaluationError(f"the options are wrong: {message}", REFERENCE_WRONG)


def _parser(evaluator: Evaluator) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"python -m {evaluator.module}", description=evaluator.description, allow_abbrev=False)
    for name in (SUBMISSION, REFERENCE, "output"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER")
    for option in evaluator.options:
        described = option.description.replace("%", "%%")
        if isinstance(option.default, bool):
            parser.add_argument(option.flag, action="store_true", help=described)
        elif option.choices:
            parser.add_argument(option.flag, choices=option.choices, default=option.default, help=described)
        else:
            parser.add_argument(option.flag, type=_number(option), default=option.default, help=described)
    return parser


def _number(option: Option) -> Callable[[str], float]:
    """Reads the value of an option: a number of the default's type, within its bounds."""
    whole = isinstance(option.default, int)
    kind = "a whole number" if whole else "a number"

    def read(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not option.least <= value <= option.most:
            raise argparse.ArgumentTypeError(f"{kind} from {option.least} to {option.most} is needed")
        return value

    return read


def check_finite(scores: Mapping[str, Any]) -> None:
    """Raise EvaluationError if a score is not finite: none is written then."""
    for path, value in _numbers(scores):
        if not math.isfinite(value):
            raise EvaluationError(f"the score {path} is not a finite number, so none is given", SUBMISSION_WRONG)


def _numbers(scores: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in scores.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{path}{key}.")
        elif isinstance(value, float):
            yield path + key, value


def _write(output: Path, scores: Mapping[str, Any]) -> None:
    """Write the scores whole or not at all."""
    partial = output / f".{SCORES}.part"
    try:
        partial.write_text(json.dumps(scores, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, output / SCORES)
    finally:
        partial.unlink(missing_ok=True)
