"""One result from those of several tasks, whoever merges them and whenever."""

import asyncio
from typing import Any

import pytest

from jobs.results import Estimator, Merging, ResultError, read
from resolvers.queue import leases, merge_leases
from resolvers.simulations import merging
from resolvers.work import finishing
from resolvers.work.finishing import merge, merge_ready
from tests.support.platforms import Platform
from tests.support.work import RESULTS, claim, estimators, job_of, submit, values_of


def merged(parts: list[tuple[int, list[Estimator]]]) -> list[Estimator]:
    merging = Merging()
    for primaries, part in parts:
        merging.add(primaries, part)
    return merging.result()


def test_values_are_merged_by_the_primaries_done() -> None:
    (one,) = merged([(1, read(estimators(1.0))), (3, read(estimators(5.0)))])
    assert one.pages[0].data.values == [4.0, 4.0, 4.0]
    assert one.metadata["number_of_primaries"] == "4"


def test_a_value_that_one_task_lacks_is_the_mean_over_the_others() -> None:
    (one,) = merged([(1, read(estimators(None))), (3, read(estimators(5.0)))])
    assert one.pages[0].data.values == [5.0, 5.0, 5.0]
    (one,) = merged([(1, read(estimators(None))), (3, read(estimators(None)))])
    assert one.pages[0].data.values == [None, None, None]


def test_counts_are_summed_and_what_is_the_same_in_each_run_is_kept() -> None:
    def told(value: float | None, way: str) -> list[Estimator]:
        given = estimators(value)
        given[0]["pages"][0]["metadata"]["page_normalized"] = way
        return read(given)

    for way, expected in (("1", 6.0), ("0", 1.0), ("2", 4.0), ("3", 4.0)):
        (one,) = merged([(1, told(1.0, way)), (3, told(5.0, way)), (9, told(None, way))])
        assert one.pages[0].data.values == [expected] * 3, way


def test_estimators_are_matched_by_file_name() -> None:
    parts = [
        (1, read(estimators(1.0, name="b.bdo") + estimators(2.0, name="a.bdo"))),
        (1, read(estimators(4.0, name="a.bdo"))),
    ]
    found = {estimator.file_name: estimator.pages[0].data.values[0] for estimator in merged(parts)}
    assert found == {"b.bdo": 1.0, "a.bdo": 3.0}


def _plane(first: int, second: int, unit: str = "Gy") -> list[Estimator]:
    given = estimators(1.0, axis=first * second)
    page = given[0]["pages"][0]
    page["data"]["unit"] = unit
    for name, size in (("axis_dim1", first), ("axis_dim2", second)):
        page[name] = {"name": name, "unit": "cm", "values": [float(n) for n in range(size)]}
    page["dimensions"] = 2
    return read(given)


def test_pages_of_different_shape_or_unit_are_not_merged() -> None:
    with pytest.raises(ResultError, match="differs in shape"):
        merged([(1, read(estimators(1.0))), (1, read(estimators(1.0, axis=4)))])
    for other in (_plane(4, 4), _plane(8, 2), _plane(2, 8, "MeV")):
        with pytest.raises(ResultError, match="differs in shape or unit"):
            merged([(1, _plane(2, 8)), (1, other)])


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
    reading = merging._merged

    async def failing(services: Any, key: Any) -> Any:
        if str(key) in bad["job"]["key"]:
            raise RuntimeError("out of order")
        return await reading(services, key)

    monkeypatch.setattr(merging, "_merged", failing)
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


async def test_results_that_do_not_fit_together_fail_the_job_with_the_reason(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(1.0))
    await platform.ask(RESULTS, two, e=estimators(1.0, axis=4))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["error"]["code"]) == ("FAILED", "MERGE_FAILED")
