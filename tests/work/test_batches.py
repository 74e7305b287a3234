"""Several jobs or simulations at once: what may be done is done, and each other one says why not."""

from typing import Any
from uuid import UUID

import pytest

from db.models import Job, JobState
from resolvers.spelling import global_id
from schema.fields.scalars import key_of
from tests.support.platforms import Platform
from tests.support.work import job_of, submit

JOBS = """mutation($j:[ID!],$f:JobFilter,$a:String){%s(jobs:$j,filter:$f,after:$a){__typename
  ... on %s ... on Problem{code message field details}}}"""
CHANGED = "JobBatch{done refused endCursor outcomes{id job{id state attempt} problem{code message field}}}"
DELETED = "DeletedBatch{done refused endCursor outcomes{id at problem{code message field}}}"
SIMULATIONS = """mutation($s:[ID!],$f:SimulationFilter){deleteSimulations(simulations:$s,filter:$f){__typename
  ... on DeletedBatch{done refused endCursor outcomes{id at problem{code message}}} ... on Problem{code field}}}"""


async def batch(platform: Platform, name: str, as_: str = "tom", **given: Any) -> Any:
    return (await platform.ask(JOBS % (name, DELETED if name.startswith("delete") else CHANGED), as_, **given))[name]


async def _two(platform: Platform) -> tuple[Any, Any]:
    return await submit(platform), await submit(platform)


def _codes(told: Any) -> list[str | None]:
    return [one["problem"] and one["problem"]["code"] for one in told["outcomes"]]


async def _set(platform: Platform, state: JobState, *submitted: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        for one in submitted:
            job = await session.get_one(Job, _key(one["job"]["id"]))
            job.state = state


def _key(id: str) -> UUID:

    return key_of("Job", id)


async def test_one_bad_id_keeps_no_other_job_from_being_cancelled(platform: Platform) -> None:
    first, second = await _two(platform)
    hidden = global_id("Job", platform.world.site)
    told = await batch(
        platform, "cancelJobs", j=[first["job"]["id"], "nonsense", hidden, first["id"], second["job"]["id"]]
    )
    assert (told["done"], told["refused"]) == (2, 3)
    assert _codes(told) == [None, "INVALID", "NOT_FOUND", "INVALID", None]
    assert told["outcomes"][1]["problem"]["field"] == "jobs.1"
    assert [one["job"] and one["job"]["state"] for one in told["outcomes"]] == [
        "CANCELED",
        None,
        None,
        None,
        "CANCELED",
    ]
    assert (await job_of(platform, first))["state"] == (await job_of(platform, second))["state"] == "CANCELED"


async def test_jobs_of_others_are_refused_one_by_one(platform: Platform) -> None:
    shared = await submit(platform, project=platform.world.id("Project", "shared"))
    told = await batch(platform, "retryJobs", "maria", j=[shared["job"]["id"]])
    assert (_codes(told), told["done"]) == (["FORBIDDEN"], 0)
    told = await batch(platform, "cancelJobs", "eve", j=[shared["job"]["id"]])
    assert _codes(told) == ["NOT_FOUND"]


async def test_a_job_that_is_named_twice_is_tried_again_once(platform: Platform) -> None:
    first = await submit(platform)
    await _set(platform, JobState.FAILED, first)
    told = await batch(platform, "retryJobs", j=[first["job"]["id"], first["job"]["id"]])
    assert [one["job"]["attempt"] for one in told["outcomes"]] == [2]
    assert told["outcomes"][0]["job"]["id"] != first["job"]["id"]


async def test_a_filter_names_the_jobs(platform: Platform) -> None:
    first, second = await _two(platform)
    await _set(platform, JobState.FAILED, second)
    filter = {"state": {"in": ["PENDING"]}, "owner": {"username": {"equals": "tom"}}}
    told = await batch(platform, "cancelJobs", f=filter)
    assert [one["id"] for one in told["outcomes"]] == [first["job"]["id"]]
    assert (told["done"], told["endCursor"]) == (1, None)
    again = await batch(platform, "retryJobs", f={"state": {"in": ["FAILED"]}})
    assert [one["job"]["attempt"] for one in again["outcomes"]] == [2]


async def test_more_jobs_than_one_batch_has_follow_after_a_cursor(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await _two(platform)
    monkeypatch.setattr("schema.lists.batches.MOST", 1)
    filter = {"state": {"in": ["PENDING"]}}
    told = await batch(platform, "cancelJobs", f=filter)
    assert ([one["id"] for one in told["outcomes"]], told["endCursor"] is None) == ([second["job"]["id"]], False)
    told = await batch(platform, "cancelJobs", f=filter, a=told["endCursor"])
    assert ([one["id"] for one in told["outcomes"]], told["endCursor"]) == ([first["job"]["id"]], None)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "INVALID", "jobs"),
        ({"j": [], "f": {"ids": []}}, "INVALID", "jobs"),
        ({"f": {}}, "INVALID", "filter"),
        ({"f": {"title": None}}, "INVALID", "filter"),
        ({"j": [], "a": "x"}, "INVALID", "after"),
        ({"f": {"ids": []}, "a": "x"}, "INVALID", "after"),
        ({"j": ["x"] * 101}, "LIMIT_EXCEEDED", "jobs"),
    ],
)
async def test_a_batch_of_wrong_arguments_does_nothing(platform: Platform, given: Any, code: str, field: str) -> None:
    submitted = await submit(platform)
    told = await batch(platform, "cancelJobs", **given)
    assert (told["__typename"], told["code"], told["field"]) == ("Problem", code, field)
    assert (await job_of(platform, submitted))["state"] == "PENDING"


async def test_jobs_that_ended_are_deleted_and_running_ones_say_so(platform: Platform) -> None:
    first, second = await _two(platform)
    await batch(platform, "cancelJobs", j=[first["job"]["id"]])
    told = await batch(platform, "deleteJobs", j=[first["job"]["id"], second["job"]["id"]])
    assert [one["at"] is not None for one in told["outcomes"]] == [True, False]
    assert _codes(told) == [None, "STATE"]


async def test_simulations_are_deleted_but_for_those_that_run(platform: Platform) -> None:
    first, second = await _two(platform)
    await batch(platform, "cancelJobs", j=[first["job"]["id"]])
    told = (await platform.ask(SIMULATIONS, "tom", s=[first["id"], second["id"]]))["deleteSimulations"]
    assert [one["at"] is not None for one in told["outcomes"]] == [True, False]
    assert _codes(told) == [None, "STATE"]
    seen = await platform.ask("query($a:ID!,$b:ID!){a:simulation(id:$a){id} b:simulation(id:$b){id}}", "tom", a=first["id"], b=second["id"])  # fmt: skip
    assert (seen["a"], seen["b"]["id"]) == (None, second["id"])


async def test_simulations_are_deleted_by_a_filter(platform: Platform) -> None:
    await submit(platform, title="kept")
    gone = await submit(platform, title="gone")
    await batch(platform, "cancelJobs", j=[gone["job"]["id"]])
    told = (await platform.ask(SIMULATIONS, "tom", f={"title": {"equals": "gone"}}))["deleteSimulations"]
    assert ([one["id"] for one in told["outcomes"]], told["done"]) == ([gone["id"]], 1)


LARGE = "mutation($j:[ID!],$f:JobFilter){cancelJobs(jobs:$j,filter:$f){... on JobBatch{outcomes{job{log(first:1000){nodes{text}}}}}}}"  # fmt: skip


@pytest.mark.parametrize("given", [{"j": ["x"] * 100}, {"f": {"state": {"in": ["PENDING"]}}}])
async def test_what_is_read_of_each_row_is_paid_for_each(platform: Platform, given: Any) -> None:
    await submit(platform)
    assert await platform.refused(LARGE, "tom", **given) == ["LIMIT_EXCEEDED"]
