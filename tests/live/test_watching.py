"""A job and its log, watched."""

import asyncio
from typing import Any

import orjson
import pytest

from resolvers.work.finishing import merge_ready
from tests.support.platforms import Platform
from tests.support.work import REPORT, RESULTS, claim, estimators, submit

WATCH = "subscription($id: ID!) { jobUpdated(id: $id) { state progress tasks(first: 9) { nodes { state } } } }"
LOG = "subscription($id: ID!, $after: String) { jobLog(id: $id, after: $after) { sequence text cursor } }"


async def test_a_watched_job_is_sent_as_it_is_then_after_each_change_to_the_end(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    async with platform.watch(WATCH, "tom", id=submitted["job"]["id"]) as answers:
        states = []
        async for step in _steps(answers):
            state = step["jobUpdated"]["state"]
            states.append((state, step["jobUpdated"]["tasks"]["nodes"][0]["state"]))
            if state == "PENDING":
                (worker,) = await claim(platform)
            elif state == "RUNNING":
                await platform.ask(RESULTS, worker, e=estimators(1.0))
            elif state == "MERGING_RUNNING":
                await merge_ready(platform.services)
    assert states == [("PENDING", "PENDING"), ("RUNNING", "RUNNING"), ("MERGING_RUNNING", "COMPLETED"), ("COMPLETED", "COMPLETED")]  # fmt: skip
    assert platform.services.feed.subscribers == 0


async def _steps(answers: Any) -> Any:
    async with asyncio.timeout(20):
        async for answer in answers:
            assert "errors" not in answer.body, answer.body
            yield answer.body["data"]


async def test_a_finished_job_is_sent_once(platform: Platform) -> None:
    async with platform.watch(WATCH, "tom", id=platform.world.id("Job", "job")) as answers:
        assert [step["jobUpdated"]["state"] async for step in _steps(answers)] == ["COMPLETED"]


@pytest.mark.parametrize("who", ["eve", None])
async def test_a_hidden_job_is_not_watched(platform: Platform, who: str | None) -> None:
    for query in (WATCH, LOG):
        async with platform.watch(query, who, id=platform.world.id("Job", "job")) as answers:
            (answer,) = [answer async for answer in answers]
            assert answer.codes == ["NOT_FOUND"]


async def test_a_log_goes_on_after_a_break_without_loss_or_repetition(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await platform.ask(REPORT, worker, l=[{"number": n, "text": str(n)} for n in (1, 2, 3)])
    id = submitted["job"]["id"]
    async with platform.watch(LOG, "tom", id=id) as answers:
        seen = []
        async for step in _steps(answers):
            seen.append(step["jobLog"])
            if len(seen) == 2:
                break
    await platform.ask(REPORT, worker, l=[{"number": n, "text": str(n)} for n in (4, 5)])
    async with platform.watch(LOG, "tom", id=id, after=seen[-1]["cursor"]) as answers:
        async for step in _steps(answers):
            seen.append(step["jobLog"])
            if len(seen) == 5:
                await platform.ask(REPORT, worker, l=[{"number": 6, "text": "6"}])
                await platform.ask(RESULTS, worker, e=estimators(1.0))
                await merge_ready(platform.services)
    assert [(line["sequence"], line["text"]) for line in seen] == [(n, str(n)) for n in range(1, 7)]


async def test_a_wrong_cursor_of_a_log_is_told(platform: Platform) -> None:
    async with platform.watch(LOG, "tom", id=platform.world.id("Job", "job"), after="nonsense") as answers:
        (answer,) = [answer async for answer in answers]
        assert answer.codes == ["INVALID"]


async def test_watchers_cost_nothing_when_they_leave(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    for _ in range(3):
        async with platform.watch(WATCH, "tom", id=submitted["job"]["id"]) as answers:
            await anext(answers)
            assert platform.services.feed.subscribers == 1
    assert platform.services.feed.subscribers == 0


# Many jobs, parts of results, many subscribers ------------------------------------------------------------------------


async def test_no_state_is_left_out_however_fast_they_follow(platform: Platform) -> None:
    submitted = await submit(platform, 2)
    async with platform.watch(WATCH, "tom", id=submitted["job"]["id"]) as answers:
        assert (await anext(answers)).body["data"]["jobUpdated"]["state"] == "PENDING"
        for worker in await claim(platform):
            await platform.ask(RESULTS, worker, e=estimators(1.0))
        await merge_ready(platform.services)
        states = [answer.body["data"]["jobUpdated"]["state"] async for answer in answers]
    assert states == ["RUNNING", "MERGING_QUEUED", "MERGING_RUNNING", "COMPLETED"]


async def test_changed_jobs_are_sent_to_who_sees_them_and_asked_for_them(platform: Platform) -> None:
    query = "subscription($f:JobFilter){jobsChanged(filter:$f){title state}}"
    async with (
        platform.watch(query, "tom", f={"text": "wanted"}) as toms,
        platform.watch(query, "eve") as eves,
        platform.watch(query, "root", f={"state": {"in": ["CANCELED"]}}) as roots,
    ):
        waiting = [asyncio.ensure_future(anext(answers)) for answers in (toms, eves, roots)]
        await asyncio.sleep(0)
        await submit(platform, 1, title="other")
        wanted = await submit(platform, 1, title="wanted")
        assert (await waiting[0]).body["data"]["jobsChanged"] == {"title": "wanted", "state": "PENDING"}
        await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=wanted["job"]["id"])
        assert (await waiting[2]).body["data"]["jobsChanged"] == {"title": "wanted", "state": "CANCELED"}
        assert not waiting[1].done()
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_results_are_sent_as_they_come_in_until_the_job_has_ended(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    query = (
        "subscription($id:ID!){partialResults(id:$id){estimators(first:1){nodes{pages(first:1){nodes{data{values}}}}}}}"
    )
    async with platform.watch(query, "tom", id=submitted["id"]) as answers:
        assert (await anext(answers)).body["data"]["partialResults"]["estimators"]["nodes"] == []
        (worker,) = await claim(platform)
        seen = []
        for value, done in ((1.0, "10"), (2.0, None)):
            await platform.ask(RESULTS, worker, e=estimators(value), d=done)
            await merge_ready(platform.services)
            found = orjson.loads((await anext(answers)).text)["data"]["partialResults"]
            seen.append(found["estimators"]["nodes"][0]["pages"]["nodes"][0]["data"]["values"][0])
        assert seen == [1.0, 2.0]
        assert [answer async for answer in answers] == []


async def test_what_a_cancelled_job_delivered_is_sent_before_the_end(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    query = "subscription($id:ID!){partialResults(id:$id){job{state} estimators(first:1){totalCount}}}"
    (worker,) = await claim(platform)
    async with platform.watch(query, "tom", id=submitted["id"]) as answers:
        await anext(answers)
        await platform.ask(RESULTS, worker, e=estimators(1.0), d="10")
        await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
        waiting = asyncio.ensure_future(anext(answers))
        await merge_ready(platform.services)
        last = (await waiting).body["data"]["partialResults"]
        assert last == {"job": {"state": "CANCELED"}, "estimators": {"totalCount": 1}}
        assert [answer async for answer in answers] == []


async def test_a_retried_job_is_told_to_who_watches_jobs(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    async with platform.watch("subscription{jobsChanged{attempt state}}", "tom") as answers:
        waiting = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(0)
        await platform.ask("mutation($id:ID!){retryJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
        assert (await waiting).body["data"]["jobsChanged"] == {"attempt": 2, "state": "PENDING"}


async def test_jobs_that_changed_while_nothing_was_heard_are_sent_after_the_break(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    async with platform.watch("subscription{jobsChanged(filter:{state:{in:[PENDING]}}){id}}", "tom") as answers:
        waiting = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(0)
        platform.services.feed.missed()
        assert (await waiting).body["data"]["jobsChanged"] == {"id": submitted["job"]["id"]}


async def test_another_title_is_sent_to_who_watches_the_results(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    rename = 'mutation($i:ID!){updateSimulation(id:$i,expectedVersion:1,input:{title:"new"}){__typename}}'
    async with platform.watch(
        "subscription($i:ID!){partialResults(id:$i){title}}", "tom", i=submitted["id"]
    ) as answers:
        await anext(answers)
        await platform.ask(rename, "tom", i=submitted["id"])
        assert (await anext(answers)).body["data"]["partialResults"] == {"title": "new"}


async def test_hidden_results_are_watched_by_nobody(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    async with platform.watch(
        "subscription($id:ID!){partialResults(id:$id){id}}", "eve", id=submitted["id"]
    ) as answers:
        assert (await anext(answers)).codes == ["NOT_FOUND"]
