"""Runs that leave something odd beside good results: the good is stored, the odd is named."""

import re
from typing import Any

import pytest

from tests.support.serving import Serve, Served
from tests.support.stand_ins.formats import topas
from tests.work.test_running import SUBMIT, ended, until

pytestmark = pytest.mark.slow

JOB = """query($i: ID!) { job(id: $i) { state warnings error { code message } log(first: 50) { nodes { text file } }
  simulation { outputs(first: 9) { nodes { name } }
    estimators(first: 9) { totalCount nodes { name fileName pages(first: 9) { totalCount } } } } } }"""

WRITING = f"""# histories 10
import json, os, pathlib, subprocess, sys, time
os.chdir(sys.argv[1])
TABLE = {topas("DoseToMedium", ["Mean"], (1, 1, 2), [[1.0], [2.0]])!r}
def page(number=0, values=(1.0,), **more):
    axis = {{"name": "Z", "unit": "cm", "values": [0.0] * len(values)}}
    data = {{"name": "DOSE", "unit": "Gy", "values": list(values), **more}}
    return {{"dimensions": 1, "axis_dim1": axis, "data": data, "metadata": {{"page_number": str(number)}}}}
def estimator(name, *pages, **more):
    return {{"name": name, "file_name": name, "metadata": {{}}, "pages": list(pages), **more}}
GOOD = estimator("good", page())
def write(*estimators, **more):
    pathlib.Path("results.json").write_text(json.dumps({{"estimators": estimators, **more}}))
"""
"""Functions for programs, which are the input."""


async def run(serve: Serve, results: str, script: str, **given: Any) -> Any:
    """The job of this script, which has ended."""
    described = {
        "name": "DUMMY", "command": ["{python}", "{input}/run.py", "{output}"], "files": ["run.py"], "partial": True,
        "primaries": {"run.py": r"^# histories (\d+)"}, "progress": r"^done (?P<done>\d+)", "log": "*.log",
        "results": results,
    }  # fmt: skip
    gateway: Served = await serve(task_slots=1, programs=[described], **given)
    tom = await gateway.log_in("tom")
    wanted = {"simType": "DUMMY", "inputFiles": {"run.py": WRITING + script}, "tasks": 1}
    submitted = (await gateway.ask(SUBMIT, tom, i=wanted))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    return (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ('write(GOOD, estimator("x", pages=None))', r"\$\[1\]: Expected `array`, got `null`"),
        ('write(GOOD, estimator("x", pages=5))', r"\$\[1\]: Expected `array`, got `int`"),
        ("write(GOOD, None)", r"results\.json: estimators\[1\] is no object"),
        ("write(GOOD, warnings=5)", r"results\.json: warnings is no list of texts"),
        ('write(GOOD, warnings=["bad \\udc80 text"])', "bad \ufffd text"),
        ('p = page(); p["data"]["values"] = 5; write(GOOD, estimator("x", p))', r"x, pages\[0\]: data\.values is no list"),
        ('write(GOOD, estimator("x", page(values=[1.0, "a"])))', r"x, pages\[0\]: data\.values\[1\] is no number"),
        ('write(GOOD, *[estimator(f"z{n:04}", page()) for n in range(1100)])', "101 estimators are left out: .* at most 1000, not 1101"),
        ('write(GOOD, estimator("x", *[page(n) for n in range(10_005)]))', "6 pages are left out: .* at most 10000, not 10006"),
        ('os.mkdir("a.log"); write(GOOD)', r"a\.log is not read: it is a folder"),
    ],
    ids=[
        "null pages", "a number of pages", "a null estimator", "odd warnings", "half a character", "no values",
        "a text among values", "too many estimators", "too many pages", "a folder as a log",
    ],
)  # fmt: skip
async def test_one_odd_part_of_a_result_is_named_and_the_rest_is_stored(serve: Serve, script: str, named: str) -> None:
    job = await run(serve, "yaptide-json", script)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    assert "good" in [one["name"] for one in job["simulation"]["estimators"]["nodes"]]
    assert any(re.search(named, text) for text in job["warnings"]), job["warnings"][:3]


async def test_warnings_beyond_the_bound_are_counted_and_those_of_the_gateway_come_first(serve: Serve) -> None:
    script = 'write(GOOD, estimator("x", page(), dict(page(1), dimensions=2)), warnings=[f"w{n}" for n in range(5000)])'
    job = await run(serve, "yaptide-json", script)
    first, *others, last = job["warnings"]
    assert first == "x, pages[1]: dimensions is 2, but 1 axes are given"
    assert others == [f"w{number}" for number in range(99)]
    assert last == "and 4901 more"


@pytest.mark.parametrize(
    ("script", "names", "warnings"),
    [
        ('write(warnings=["nothing was scored"])', [], ["the result is empty: .*", "nothing was scored"]),
        ("write()", [], ["the result is empty: the program wrote no estimators"]),
        ('write(GOOD, estimator("a\\n\\x1bb", page()))', ["a\ufffd\ufffdb", "good"], []),
    ],
    ids=["only warnings", "nothing at all", "control characters in a name"],
)
async def test_results_that_are_taken_as_they_are(
    serve: Serve, script: str, names: list[str], warnings: list[str]
) -> None:
    job = await run(serve, "yaptide-json", script)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    assert [one["fileName"] for one in job["simulation"]["estimators"]["nodes"]] == names
    assert len(job["warnings"]) == len(warnings)
    assert all(re.fullmatch(wanted, text) for wanted, text in zip(warnings, job["warnings"], strict=True))


async def test_an_estimator_whose_pages_are_all_too_large_is_left_out_and_its_pages_are_named(serve: Serve) -> None:
    script = 'write(GOOD, estimator("x", page(values=[1.0] * 2000), page(1, values=[1.0] * 2000)))'
    job = await run(serve, "yaptide-json", script, page_values=1000)
    assert [one["name"] for one in job["simulation"]["estimators"]["nodes"]] == ["good"]
    assert [text.split(": ")[0] for text in job["warnings"]] == ["x, pages[0]", "x, pages[1]"]


@pytest.mark.parametrize(
    ("script", "kept", "named"),
    [
        ('open("a.phsp", "w").close()', [], r"a\.phsp is not kept: it is empty"),
        ('os.mkdir("a.csv")', [], r"a\.csv is not read: it is a folder"),
        ('os.symlink("/etc/passwd", "a.phsp")', [], r"a\.phsp is not read: it is a link that leads out"),
        ('open(b"\\xff.phsp", "w").write("x")', ["\ufffd.phsp"], None),
        ('open("a\\n.phsp", "w").write("x")', ["a\ufffd.phsp"], None),
    ],
    ids=["empty", "a folder", "a link out", "a name that is no UTF-8", "a line feed in a name"],
)
async def test_one_odd_file_is_named_and_the_others_are_kept(
    serve: Serve, script: str, kept: list[str], named: str | None
) -> None:
    job = await run(serve, "topas", 'open("good.csv", "wb").write(TABLE)\n' + script)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    assert [one["name"] for one in job["simulation"]["estimators"]["nodes"]] == ["good"]
    assert sorted(one["name"] for one in job["simulation"]["outputs"]["nodes"]) == sorted(["good.csv", *kept])
    assert len(job["warnings"]) == (named is not None)
    assert all(re.match(str(named), text) for text in job["warnings"])


async def test_files_are_kept_though_no_page_of_them_is_taken(serve: Serve) -> None:
    script = 'open("odd.csv", "wb").write(TABLE.replace(b"( Gy )", b"( " + b"u" * 65 + b" )"))'
    job = await run(serve, "topas", script)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    assert [one["name"] for one in job["simulation"]["outputs"]["nodes"]] == ["odd.csv"]
    assert job["warnings"] == ["odd.csv, pages[0]: data.unit has at most 64 characters, none of them NUL"]
