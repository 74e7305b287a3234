"""Labels that people give to their simulations, and by which these and their jobs are found."""

from typing import Any

import pytest

from resolvers.labels import LENGTH, MOST
from tests.support.platforms import Platform
from tests.support.work import submit

LABELS = "query($id:ID!){simulation(id:$id){version labels(first:20){nodes{name}}}}"
UPDATE = """mutation($id:ID!,$v:Int!,$l:[String!]){updateSimulation(id:$id,expectedVersion:$v,input:{labels:$l}){
  ...on Simulation{version labels(first:20){nodes{name}}} ...on Problem{code message field}}}"""
FOUND = "query($f:SimulationFilter){simulations(first:9,filter:$f){nodes{id}}}"
JOBS = "query($f:JobFilter){jobs(first:9,filter:$f){nodes{simulation{id labels(first:9){nodes{name}}}}}}"


async def _labels(platform: Platform, id: str, as_: str = "tom") -> list[str]:
    found = (await platform.ask(LABELS, as_, id=id))["simulation"]
    return [one["name"] for one in found["labels"]["nodes"]]


async def _update(platform: Platform, id: str, labels: Any, version: int, as_: str = "tom") -> Any:
    return (await platform.ask(UPDATE, as_, id=id, v=version, l=labels))["updateSimulation"]


async def test_labels_are_given_at_submission_each_once_and_in_order(platform: Platform) -> None:
    made = await submit(platform, labels=["water", " paper ", "water"])
    assert await _labels(platform, made["id"]) == ["paper", "water"]


@pytest.mark.both
async def test_an_update_replaces_the_labels_and_counts_as_a_change(platform: Platform) -> None:
    made = await submit(platform, labels=["water", "paper"])
    version = (await platform.ask(LABELS, "tom", id=made["id"]))["simulation"]["version"]
    changed = await _update(platform, made["id"], ["paper", "carbon"], version)
    assert [one["name"] for one in changed["labels"]["nodes"]] == ["carbon", "paper"]
    assert changed["version"] == version + 1
    assert (await _update(platform, made["id"], [], version))["code"] == "CONFLICT"
    same = await _update(platform, made["id"], ["paper", "carbon"], version + 1)
    assert same["version"] == version + 1
    assert (await _update(platform, made["id"], [], version + 1))["labels"]["nodes"] == []


@pytest.mark.both
async def test_simulations_and_jobs_are_found_by_a_label(platform: Platform) -> None:
    made = await submit(platform, labels=["Paper A"])
    await submit(platform, labels=["other"])
    by = {"labels": {"some": {"name": {"equals": "Paper A"}}}}
    assert (await platform.ask(FOUND, "tom", f=by))["simulations"]["nodes"] == [{"id": made["id"]}]
    part = {"labels": {"some": {"name": {"contains": "paper"}}}}
    assert (await platform.ask(FOUND, "tom", f=part))["simulations"]["nodes"] == [{"id": made["id"]}]
    jobs = (await platform.ask(JOBS, "tom", f={"simulation": by}))["jobs"]["nodes"]
    assert jobs == [{"simulation": {"id": made["id"], "labels": {"nodes": [{"name": "Paper A"}]}}}]


async def test_labels_are_counted_by_name(platform: Platform) -> None:
    for labels in (["paper", "water"], ["paper"]):
        await submit(platform, labels=labels)
    query = "{simulationLabels(first:0){groups(by:[NAME]){key{name} count}}}"
    groups = (await platform.ask(query, "tom"))["simulationLabels"]["groups"]
    assert sorted((one["key"]["name"], one["count"]) for one in groups) == [("paper", 2), ("water", 1)]


async def test_readers_of_a_simulation_read_its_labels_and_its_owner_alone_sets_them(platform: Platform) -> None:
    made = await submit(platform, labels=["paper"], project=platform.world.id("Project", "shared"))
    assert await _labels(platform, made["id"], "maria") == ["paper"]
    assert (await _update(platform, made["id"], [], 1, "maria"))["code"] == "FORBIDDEN"
    assert (await _update(platform, made["id"], [], 1, "eve"))["code"] == "NOT_FOUND"
    assert (await platform.ask("{simulationLabels(first:9){nodes{name}}}", "eve"))["simulationLabels"]["nodes"] == []


@pytest.mark.parametrize(
    ("labels", "code", "field"),
    [
        (["paper", "x" * (LENGTH + 1)], "INVALID", "input.labels.1"),
        ([" "], "INVALID", "input.labels.0"),
        (["a\nb"], "INVALID", "input.labels.0"),
        (["\u200b"], "INVALID", "input.labels.0"),
        (["\u200d"], "INVALID", "input.labels.0"),
        (["a\ufeff"], "INVALID", "input.labels.0"),
        (["a\u202eb"], "INVALID", "input.labels.0"),
        ([str(n) for n in range(MOST + 1)], "LIMIT_EXCEEDED", "input.labels"),
    ],
)
async def test_a_wrong_label_is_told_and_changes_nothing(
    platform: Platform, labels: list[str], code: str, field: str
) -> None:
    refused = await submit(platform, labels=labels)
    assert (refused["code"], refused["field"]) == (code, field)
    made = await submit(platform, labels=["paper"])
    refused = await _update(platform, made["id"], labels, 1)
    assert (refused["code"], refused["field"]) == (code, field)
    assert await _labels(platform, made["id"]) == ["paper"]


async def test_labels_that_are_null_are_refused(platform: Platform) -> None:
    made = await submit(platform)
    assert (await _update(platform, made["id"], None, 1))["field"] == "input.labels"


async def test_emoji_that_are_joined_are_a_label(platform: Platform) -> None:
    made = await submit(platform, labels=["👩\u200d👧"])
    assert await _labels(platform, made["id"]) == ["👩\u200d👧"]


@pytest.mark.both
async def test_jobs_follow_the_title_of_their_simulation(platform: Platform) -> None:
    made = await submit(platform, title="old")
    update = """mutation($id:ID!){updateSimulation(id:$id,expectedVersion:1,input:{title:"Neu e\u0301"}){
      ...on Simulation{title job{title version}} ...on Problem{code}}}"""
    changed = (await platform.ask(update, "tom", id=made["id"]))["updateSimulation"]
    assert changed == {"title": "Neu é", "job": {"title": "Neu é", "version": 2}}
    found = "query($t:String!){jobs(first:9,filter:{title:{contains:$t}}){nodes{id}}}"
    assert (await platform.ask(found, "tom", t="NEU"))["jobs"]["nodes"] == [{"id": made["job"]["id"]}]
    assert (await platform.ask(found, "tom", t="old"))["jobs"]["nodes"] == []
