"""A job and its log, watched."""

import asyncio
from typing import Any

import pytest

from resolvers.merging import merge_ready
from tests.conftest import Platform
from tests.work import REPORT, RESULTS, claim, estimators, submit

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
