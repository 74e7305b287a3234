"""One result from those of several tasks, whoever merges them and whenever."""

import asyncio
from typing import Any

import pytest

from resolvers.queue import leases, merge_leases
from resolvers.simulations import merging
from resolvers.simulations.delivered import Delivered
from resolvers.work import finishing
from resolvers.work.finishing import merge, merge_ready
from tests.support.platforms import Platform
from tests.support.work import RESULTS, claim, estimators, job_of, submit, values_of


async def test_a_merge_that_was_taken_over_changes_nothing(platform: Platform) -> None:
    """Two processes claim the merging of a job, one after the lease of the other ran out; the first comes late."""
    submitted = await submit(platform)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    async with platform.services.database.write(as_system="test") as session:
        late = await merge_leases.claim_merging(session, -1)
    assert late is not None
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    await merge(platform.services, late)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"


async def test_a_cancel_during_merging_keeps_the_results(platform: Platform) -> None:
    submitted = await submit(platform)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    async with platform.services.database.write(as_system="test") as session:
        claimed = await merge_leases.claim_merging(session, 60)
    assert claimed is not None
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) is None, "whoever holds the lease goes on"
    await merge(platform.services, claimed)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    assert (await job_of(platform, submitted))["state"] == "CANCELED"


@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("cancelled", [False, True], ids=["delivered", "cancelled"])
async def test_what_is_delivered_while_parts_are_merged_is_not_lost(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tasks: int, cancelled: bool
) -> None:
    submitted = await submit(platform, tasks)
    workers = await claim(platform)
    await platform.ask(RESULTS, workers[0], e=estimators(1.0), d="10")
    reading = merging._merged

    async def overtaken(*given: Any) -> Any:
        found = await reading(*given)
        monkeypatch.undo()
        for worker in workers[: 1 if cancelled else None]:
            await platform.ask(RESULTS, worker, e=estimators(7.0), d="20" if cancelled else None)
        if cancelled:
            await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
        return found

    monkeypatch.setattr(merging, "_merged", overtaken)
    await merge_ready(platform.services)
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [7.0, 7.0, 7.0]
    assert (await job_of(platform, submitted))["state"] == ("CANCELED" if cancelled else "COMPLETED")


async def test_results_that_can_not_be_merged_keep_no_other_job_waiting(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await submit(platform, 1), await submit(platform, 1)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    reading = Delivered.of_job

    async def failing(database: Any, key: Any) -> Any:
        if str(key) in bad["job"]["key"]:
            raise RuntimeError("out of order")
        return await reading(database, key)

    monkeypatch.setattr(Delivered, "of_job", failing)
    await merge_ready(platform.services)
    assert (await job_of(platform, good))["state"] == "COMPLETED"
    assert (await job_of(platform, bad))["state"] == "MERGING_RUNNING"
    monkeypatch.setattr(finishing, "ENOUGH", 0.0)
    async with platform.services.database.write(as_system="test") as session:
        await merge_leases.release_all_merging(session)
    await merge_ready(platform.services)
    job = await job_of(platform, bad)
    assert (job["state"], job["error"]["code"]) == ("FAILED", "MERGE_FAILED")


async def test_a_process_that_stops_lets_go_of_what_it_merges(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await submit(platform, 1)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    begun = asyncio.Event()

    async def endless(*_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(merging, "_merged", endless)
        process = asyncio.create_task(merge_ready(platform.services))
        await begun.wait()
        process.cancel()
        await asyncio.gather(process, return_exceptions=True)
    await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"


async def test_who_goes_on_merging_keeps_the_lease(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = await submit(platform, 1)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    monkeypatch.setattr(finishing, "LEASE", 0.3)
    reading, prolonged = merging._merged, asyncio.Event()
    prolong = merge_leases.prolong_merging

    async def slow(*given: Any) -> Any:
        await prolonged.wait()
        async with platform.services.database.write(as_system="test") as session:
            assert await merge_leases.claim_merging(session, 60) is None
        return await reading(*given)

    async def noted(*given: Any) -> None:
        await prolong(*given)
        prolonged.set()

    monkeypatch.setattr(merging, "_merged", slow)
    monkeypatch.setattr(merge_leases, "prolong_merging", noted)
    async with asyncio.timeout(20):
        await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"


async def test_a_gateway_that_stops_does_not_use_up_the_runs_of_a_task(platform: Platform) -> None:
    await submit(platform, 1)
    for _ in range(5):
        (worker,) = await claim(platform)
        assert worker.task_claim is not None
        async with platform.services.database.write(as_system="test") as session:
            await leases.release_task(session, worker.task_claim, "the gateway stopped", None)
    assert len(await claim(platform)) == 1


async def test_a_page_that_does_not_fit_is_left_out_and_named(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(1.0))
    await platform.ask(RESULTS, two, e=estimators(1.0, axis=4))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert job["state"] == "COMPLETED"
    assert job["warnings"] == [
        "z.bdo, page 0 of DOSE differs in shape or axes from that of task 1: that of task 2 is left out"
    ]
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]


async def test_a_sum_that_lacks_a_task_is_named(platform: Platform) -> None:
    submitted = await submit(platform)
    for number, worker in enumerate(await claim(platform)):
        (given,) = estimators(6.0)
        (page, *_) = given["pages"]
        values = [None if place == number == 0 else 6.0 for place in range(len(page["data"]["values"]))]
        summed = {**page, "merging": "sum", "data": {**page["data"], "values": values}}
        await platform.ask(RESULTS, worker, e=[{**given, "pages": [summed]}])
    await merge_ready(platform.services)
    (warning,) = (await job_of(platform, submitted))["warnings"]
    assert "1 of " in warning
    assert "values are too small: they are sums, and some task did not give them" in warning


async def test_the_warnings_of_a_running_job_are_those_of_its_latest_merging(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "PAUSE", 0.0)
    monkeypatch.setattr(finishing, "REST", 0.0)
    submitted = await submit(platform)
    put = "mutation($e: JSON!, $d: BigInt, $w: [String!]!) { workerPutResults(estimators: $e, done: $d, warnings: $w) { state } }"
    one, two = await claim(platform)
    told = []
    for worker, done in ((one, "10"), (one, "20"), (two, "10")):
        await platform.ask(put, worker, e=estimators(6.0), d=done, w=[f"page 1 is missing after {done}"])
        await merge_ready(platform.services)
        job = await job_of(platform, submitted)
        told.append((job["state"], job["warnings"]))
    assert told == [
        ("RUNNING", ["page 1 is missing after 10"]),
        ("RUNNING", ["page 1 is missing after 20"]),
        ("RUNNING", ["task 1: page 1 is missing after 20", "task 2: page 1 is missing after 10"]),
    ]
