"""The command line of evaluators: options, exit statuses, and what is never written."""

import json
import math
import shutil
import subprocess
import sys
from typing import Any

import pytest

from jobs.programs.evaluators import BUILT_IN
from jobs.programs.evaluators.command import Progress, run
from jobs.programs.evaluators.evaluator import Evaluator
from tests.evaluators.conftest import Challenge, Challenges


@pytest.fixture
def pets(challenge: Challenges) -> Challenge:
    made = challenge("classification")
    for name in ("reference/labels.csv", "submission/predictions.csv"):
        made.put(name, "id,label\n1,cat\n2,dog\n")
    return made


def test_wrong_input_ends_a_process_with_status_1_and_a_sentence(pets: Challenge) -> None:
    pets.put("submission/predictions.csv", "id,label\n1,cat\n")
    ended = pets.process()
    assert (ended.status, ended.progress) == (1, [])
    assert ended.message.startswith("predictions.csv: 1 of 2 ids are missing")


def test_wrong_reference_data_end_a_process_with_status_2(pets: Challenge) -> None:
    pets.put("reference/labels.csv", "")
    assert pets.process().status == 2


@pytest.mark.parametrize("evaluator", BUILT_IN.values(), ids=list(BUILT_IN))
def test_a_missing_package_ends_a_process_with_status_3(evaluator: Evaluator) -> None:
    for name in evaluator.packages:
        code = f"import runpy, sys; sys.modules[{name!r}] = None; runpy.run_module({evaluator.module!r}, run_name='__main__')"
        words = [sys.executable, "-c", code, "--submission", ".", "--reference", ".", "--output", "."]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr == (
            f"the package {name} is missing; install the extra evaluators: pip install 'torana[evaluators]'\n"
        )


def test_a_broken_package_ends_with_status_3(pets: Challenge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert pets.refused(status=3).startswith("the package sklearn is missing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bootstrap", "many"], "argument --bootstrap: a whole number from 0 to 10000 is needed"),
        (["--bootstrap", "10001"], "argument --bootstrap: a whole number from 0 to 10000 is needed"),
        (["--seed", "-1"], "argument --seed: a whole number from 0 to 4294967295 is needed"),
        (["--boot", "3"], "unrecognized arguments: --boot 3"),
    ],
)
def test_wrong_options_are_the_organisers_fault(pets: Challenge, options: list[str], message: str) -> None:
    assert pets.refused(*options, status=2).removeprefix("the options are wrong: ").startswith(message)


@pytest.mark.parametrize(("part", "status"), [("submission", 1), ("reference", 2), ("output", 4)])
def test_a_missing_folder_is_named_without_its_path(pets: Challenge, part: str, status: int) -> None:
    arguments = pets.arguments()
    arguments[arguments.index(f"--{part}") + 1] = str(pets.folder / "elsewhere")
    done = subprocess.run(
        [sys.executable, "-m", pets.evaluator.module, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (status, f"the {part} folder does not exist\n")


def test_a_file_in_place_of_a_folder_is_refused(pets: Challenge) -> None:
    shutil.rmtree(pets.folder / "submission")
    pets.put("submission", "")
    assert pets.refused() == "the submission must be a folder, not a file"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_never_written(
    pets: Challenge, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"accuracy": 1.0, "f1": {"macro": value}}
    status = run(pets.evaluator, lambda *_: scores, pets.arguments())
    ended = pets.ended(status, *capsys.readouterr())
    assert (ended.status, ended.message) == (1, "the score f1.macro is not a finite number, so none is given")


def test_a_failure_of_the_program_ends_with_status_4_and_no_traceback(
    pets: Challenge, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any) -> dict[str, Any]:
        return {"accuracy": 1 / len(())}

    ended = pets.ended(run(pets.evaluator, failing, pets.arguments()), *capsys.readouterr())
    assert ended.status == 4
    assert ended.message.startswith("the evaluation stopped: ZeroDivisionError in test_command.py, line ")


def test_scores_replace_those_of_an_earlier_run(pets: Challenge) -> None:
    pets.put("output/scores.json", "{")
    assert pets.run("--bootstrap", "0").scores["accuracy"] == 1
    assert json.loads((pets.folder / "output" / "scores.json").read_text())["count"] == 2


def test_scores_of_an_earlier_run_do_not_outlive_a_failure(pets: Challenge) -> None:
    assert pets.run("--bootstrap", "0").status == 0
    pets.put("submission/predictions.csv", "")
    assert "is empty" in pets.refused()


def test_scores_that_cannot_be_written_leave_nothing(pets: Challenge, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert pets.refused(status=4).startswith("the evaluation stopped: OSError in ")


def test_progress_has_a_bounded_number_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(100_000)
    for _ in range(100_000):
        progress.add(1)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (50, "evaluated 2000 of 100000", "evaluated 100000 of 100000")
