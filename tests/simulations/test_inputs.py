"""Inputs of simulations: submitted again with a change, and compared."""

from typing import Any

import pytest
import sqlalchemy as sa

from db.models import UserGroupMember
from resolvers.simulations import differences
from resolvers.simulations.differences import Kind, ValueChange, bounded, value_changes
from tests.support.editor import PROJECT
from tests.support.inputs import FILES
from tests.support.platforms import Platform
from tests.support.work import submit

AGAIN = """mutation($f:ID!,$i:NewSimulation!){made:submitSimulation(from:$f,input:$i){
  ...on Simulation{id title simType inputType project{name} job{attempt tasks(first:9){totalCount}} input{inputFiles inputJson}}
  ...on Problem{code message field}}}"""
DIFFERENCE = """query($s:ID!,$o:ID!){inputDifference(simulation:$s,other:$o){complete
  inputFiles{name kind diff complete} inputJson{path kind before after complete}}}"""
LESS = {**FILES, "beam.dat": FILES["beam.dat"].replace("NSTAT", "! fewer\nNSTAT")}


async def again(platform: Platform, of: str, as_: str = "tom", **given: Any) -> Any:
    return (await platform.ask(AGAIN, as_, f=of, i=given))["made"]


async def difference(platform: Platform, one: Any, other: Any, as_: str = "tom") -> Any:
    return (await platform.ask(DIFFERENCE, as_, s=one["id"], o=other["id"]))["inputDifference"]


# Submitting again -----------------------------------------------------------------------------------------------------


async def test_a_simulation_submitted_again_is_like_the_first(platform: Platform) -> None:
    first = await submit(platform, 3, project=platform.world.id("Project", "shared"))
    second = await again(platform, first["id"])
    assert second.pop("id") != first["id"]
    assert second == {
        "title": "beam",
        "simType": "SHIELDHIT",
        "inputType": "FILES",
        "project": {"name": "Protons"},
        "job": {"attempt": 1, "tasks": {"totalCount": 3}},
        "input": {"inputFiles": FILES, "inputJson": None},
    }


async def test_what_is_given_replaces_what_the_first_had(platform: Platform) -> None:
    first = await submit(platform, 3, project=platform.world.id("Project", "shared"))
    second = await again(platform, first["id"], inputFiles=LESS, title="", tasks=2, project=None)
    assert (second["title"], second["project"], second["job"]["tasks"]["totalCount"]) == ("", None, 2)
    assert second["input"]["inputFiles"] == LESS


async def test_a_project_of_the_editor_is_submitted_again_as_such_or_as_its_files(platform: Platform) -> None:
    first = await submit(platform, 1, inputType="EDITOR", inputFiles=None, inputJson=PROJECT)
    assert first["__typename"] == "Simulation", first
    second = await again(platform, first["id"])
    assert (second["inputType"], second["input"]["inputJson"]) == ("EDITOR", PROJECT)
    files = await again(platform, first["id"], inputType="FILES")
    assert (files["inputType"], files["input"]["inputJson"]) == ("FILES", None)
    assert files["input"]["inputFiles"] == second["input"]["inputFiles"]
    given = await again(platform, first["id"], inputFiles=FILES)
    assert (given["inputType"], given["input"]["inputFiles"]) == ("FILES", FILES)


async def test_who_may_not_read_an_input_does_not_submit_it_again(platform: Platform) -> None:
    first = await submit(platform, project=platform.world.id("Project", "shared"))
    for who, code in (("maria", "FORBIDDEN"), ("eve", "NOT_FOUND")):
        refused = await again(platform, first["id"], who)
        assert (refused["code"], refused["field"]) == (code, "from")


async def test_a_project_that_one_has_left_is_told_of_the_simulation_that_it_comes_from(platform: Platform) -> None:
    first = await submit(platform, project=platform.world.id("Project", "shared"))
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(UserGroupMember).where(UserGroupMember.user_id == platform.world.tom))
    refused = await again(platform, first["id"])
    assert (refused["code"], refused["field"]) == ("NOT_FOUND", "from")
    assert refused["message"] == "what comes from that simulation does not do here: no Project with this id"
    assert "id" in await again(platform, first["id"], project=None)
    refused = await again(platform, first["id"], project=platform.world.id("Project", "shared"))
    assert (refused["field"], refused["message"]) == ("input.project", "no Project with this id")


async def test_a_simulation_of_files_has_no_project_of_the_editor_to_submit_again(platform: Platform) -> None:
    first = await submit(platform)
    refused = await again(platform, first["id"], inputType="EDITOR")
    assert refused == {"code": "INVALID", "field": "from", "message": "that simulation has no editor's project"}


async def test_what_is_given_beside_a_simulation_is_told_of_the_input(platform: Platform) -> None:
    first = await submit(platform)
    for given, field in (({"tasks": 0}, "input.tasks"), ({"inputFiles": {}}, "input.inputFiles")):
        refused = await again(platform, first["id"], **given)
        assert (refused["code"], refused["field"]) == ("INVALID", field)
    refused = await again(platform, first["id"], simType="TOPAS")
    assert refused["field"] == "input.simType"


async def test_a_simulation_of_no_program_and_of_no_other_says_what_to_give(platform: Platform) -> None:
    query = "mutation{made:submitSimulation(input:{}){...on Problem{code field}}}"
    assert (await platform.ask(query, "tom"))["made"] == {"code": "INVALID", "field": "input.simType"}


# The difference -------------------------------------------------------------------------------------------------------


async def test_files_that_differ_are_told_as_diffs(platform: Platform) -> None:
    first = await submit(platform, inputFiles={**FILES, "notes.txt": "old"})
    second = await submit(platform, inputFiles={**LESS, "more.txt": "new\n"})
    found = await difference(platform, first, second)
    assert (found["complete"], found["inputJson"]) == (True, None)
    assert [(one["name"], one["kind"]) for one in found["inputFiles"]] == [
        ("beam.dat", "CHANGED"),
        ("more.txt", "ADDED"),
        ("notes.txt", "REMOVED"),
    ]
    beam, more, notes = (one["diff"] for one in found["inputFiles"])
    assert "+! fewer\n" in beam
    assert more == "--- more.txt\n+++ more.txt\n@@ -0,0 +1 @@\n+new\n"
    assert notes == "--- notes.txt\n+++ notes.txt\n@@ -1 +0,0 @@\n-old\n\\ No newline at end of file\n"


async def test_projects_that_differ_are_told_by_paths(platform: Platform) -> None:
    given = {"inputType": "EDITOR", "inputFiles": None}
    changed = {**PROJECT, "project": {"title": "longer"}}
    first, second = await submit(platform, 1, **given, inputJson=PROJECT), await submit(platform, 1, **given, inputJson=changed)  # fmt: skip
    found = await difference(platform, first, second)
    assert {"path": "/project/title", "kind": "CHANGED", "before": "short water phantom", "after": "longer", "complete": True} in found["inputJson"]  # fmt: skip


async def test_the_same_input_has_no_difference(platform: Platform) -> None:
    first = await submit(platform)
    assert await difference(platform, first, first) == {"complete": True, "inputFiles": [], "inputJson": None}


@pytest.mark.both
async def test_whoever_may_not_read_one_of_two_inputs_is_told_no_difference(platform: Platform) -> None:
    shared = await submit(platform, project=platform.world.id("Project", "shared"))
    own = await submit(platform, as_="maria")
    for one, other, field in ((shared, own, "simulation"), (own, shared, "other")):
        answer = await platform.answer(DIFFERENCE, "maria", s=one["id"], o=other["id"])
        assert answer.codes == ["FORBIDDEN"]
        assert answer.body["errors"][0]["extensions"]["field"] == field
        assert answer.body["data"] == {"inputDifference": None}
    assert await platform.refused(DIFFERENCE, "eve", s=shared["id"], o=own["id"]) == ["NOT_FOUND"]


def test_a_diff_of_very_many_changed_lines_is_one_that_replaces_the_other() -> None:
    before = "".join(f"same {n}\n" for n in range(10)) + "".join(f"a{n}\n" for n in range(3_000))
    after = "".join(f"same {n}\n" for n in range(10)) + "".join(f"b{n}\n" for n in range(3_000))
    (change,) = differences._texts({"x": before}, {"x": after})
    lines = change.diff.split("\n")[:-1]
    assert lines[2:6] == ["@@ -8,3003 +8,3003 @@", " same 7", " same 8", " same 9"]
    assert [len([line for line in lines[6:] if line[0] == sign]) for sign in "-+"] == [3_000, 3_000]


def test_lines_are_compared_up_to_a_bound_for_all_files_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "COMPARED", 150)
    before, after = ("".join(f"{sign}{n}\nsame\n" for n in range(5)) for sign in "ab")
    changes = differences._texts(dict.fromkeys("xyz", before), dict.fromkeys("xyz", after))
    assert [change.diff.count("\n same\n") for change in changes] == [5, 0, 0]


def test_a_diff_that_is_too_long_is_cut_at_a_line_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "TEXT", 50)
    (one,) = differences._texts({}, {"x": "a line\n" * 20})
    assert not one.complete
    assert one.diff == "--- x\n+++ x\n@@ -0,0 +1,20 @@\n+a line\n+a line\n"


def test_members_and_elements_are_named_by_pointers() -> None:
    before = {"a/b": 1, "gone": None, "list": [1, 2, 3, 4], "same": 1, "truth": 1}
    after = {"a/b": 2, "list": [1, 9, 2, 3, 4], "new": {}, "same": 1.0, "truth": True}
    assert list(value_changes(before, after)) == [
        ValueChange("/a~1b", Kind.CHANGED, 1, 2),
        ValueChange("/gone", Kind.REMOVED, before=None),
        ValueChange("/list/1", Kind.ADDED, after=9),
        ValueChange("/new", Kind.ADDED, after={}),
        ValueChange("/truth", Kind.CHANGED, 1, True),
    ]


def test_values_that_are_too_large_are_left_out_and_more_changes_than_are_told_too() -> None:
    large = "x" * differences.VALUE
    assert bounded(value_changes({"a": large}, {"a": 1})) == ([ValueChange("/a", Kind.CHANGED, complete=False)], True)
    many, complete = bounded(value_changes({}, {str(n): n for n in range(differences.CHANGES + 1)}))
    assert (len(many), complete) == (differences.CHANGES, False)
