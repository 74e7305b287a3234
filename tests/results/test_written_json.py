"""results.json as programs write it: what is wrong in it is named, and the rest is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.programs.readers import OutputError, Reading, read

GOOD = {"name": "good", "file_name": "good", "metadata": {}, "pages": []}


def reading(folder: Path, text: str, encoding: str = "utf-8") -> Reading:
    (folder / "results.json").write_text(text, encoding=encoding)
    return read("yaptide-json", folder)


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        (None, []),
        ("one", ["one"]),
        (["one", 5, None], ["one", "results.json: 2 of its warnings are no text"]),
        (5, ["results.json: warnings is no list of texts"]),
        ({}, ["results.json: warnings is no list of texts"]),
    ],
)
def test_warnings_that_are_no_texts_are_named_beside_good_results(
    tmp_path: Path, warnings: Any, told: list[str]
) -> None:
    found = reading(tmp_path, json.dumps({"estimators": [GOOD], "warnings": warnings}))
    assert (len(found.estimators), found.warnings) == (1, told)


def test_what_is_no_estimator_is_named_and_left_out(tmp_path: Path) -> None:
    found = reading(tmp_path, json.dumps({"estimators": [GOOD, None, 5]}))
    assert [one["name"] for one in found.estimators] == ["good"]
    assert found.warnings == ["results.json: estimators[1] is no object", "results.json: estimators[2] is no object"]
    with pytest.raises(OutputError, match="none of its estimators is an object"):
        reading(tmp_path, '{"estimators": [null]}')


@pytest.mark.parametrize("number", ["1" + "0" * 309, "9" * 5001, "1e999", "-Infinity", "NaN"])
def test_a_number_that_no_double_holds_is_null(tmp_path: Path, number: str) -> None:
    (one,) = reading(tmp_path, f'{{"estimators": [{{"name": "a", "metadata": {number}}}]}}').estimators
    assert one["metadata"] is None


def test_a_mark_of_the_byte_order_is_no_error(tmp_path: Path) -> None:
    assert len(reading(tmp_path, json.dumps({"estimators": [GOOD]}), "utf-8-sig").estimators) == 1


def test_lists_that_are_nested_too_deeply_are_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nested too deeply"):
        reading(tmp_path, "[" * 200_000)
