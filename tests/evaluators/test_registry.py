"""The registry of built-in evaluators."""

import re
import subprocess
import sys

import jsonschema_rs
import pytest

from jobs.programs.evaluators import BUILT_IN
from jobs.programs.evaluators.evaluator import ASCENDING, DESCENDING, PROGRESS, Evaluator
from jobs.programs.program import AS_FILES, Program

EVERY = pytest.mark.parametrize("evaluator", BUILT_IN.values(), ids=list(BUILT_IN))


def test_the_registry_imports_no_package_that_computes() -> None:
    code = "import sys, jobs.programs.evaluators; print({'numpy', 'sklearn', 'jiwer', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_names_are_those_of_the_evaluators() -> None:
    assert list(BUILT_IN) == ["classification", "transcription", "abx"]
    assert all(name == evaluator.name for name, evaluator in BUILT_IN.items())


@EVERY
def test_the_schema_of_scores_is_a_json_schema(evaluator: Evaluator) -> None:
    assert jsonschema_rs.meta.is_valid(dict(evaluator.schema))
    assert not jsonschema_rs.validator_for(dict(evaluator.schema)).is_valid({})


@EVERY
def test_columns_lead_to_numbers_of_the_schema(evaluator: Evaluator) -> None:
    for column in evaluator.columns:
        found = evaluator.schema
        for key in column.path.split("."):
            found = found["properties"][key]
        assert found["type"] in {"number", "integer"}
        assert column.direction in {ASCENDING, DESCENDING}


@EVERY
def test_an_evaluator_is_a_program_of_a_task(evaluator: Evaluator) -> None:
    program = Program(name=evaluator.name.upper(), command=evaluator.command, progress=PROGRESS, results=AS_FILES)
    assert program.progress_of("evaluated 3 of 7") == (3, 7)


@EVERY
def test_the_help_names_every_option(evaluator: Evaluator) -> None:
    done = subprocess.run(
        [sys.executable, "-m", evaluator.module, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert {option.flag for option in evaluator.options} <= set(re.findall(r"--[a-z-]+", done.stdout))
