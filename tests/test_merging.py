"""One result from those of several tasks, whoever merges them and whenever."""

import pytest

from jobs.results import Estimator, Merging, ResultError, read
from resolvers import claims, merging
from resolvers.merging import merge_ready
from tests.conftest import Platform
from tests.work import RESULTS, claim, estimators, job_of, submit, values_of


def merge(parts: list[tuple[int, list[Estimator]]]) -> list[Estimator]:
    merging = Merging()
    for primaries, part in parts:
        merging.add(primaries, part)
    return merging.result()


def test_values_are_merged_by_the_primaries_done() -> None:
    (merged,) = merge([(1, read(estimators(1.0))), (3, read(estimators(5.0)))])
    assert merged.pages[0].data.values == [4.0, 4.0, 4.0]
    assert merged.metadata["number_of_primaries"] == "4"


def test_a_value_that_one_task_lacks_is_the_mean_over_the_others() -> None:
    (merged,) = merge([(1, read(estimators(None))), (3, read(estimators(5.0)))])
    assert merged.pages[0].data.values == [5.0, 5.0, 5.0]
    (merged,) = merge([(1, read(estimators(None))), (3, read(estimators(None)))])
    assert merged.pages[0].data.values == [None, None, None]


def test_counts_are_summed_and_what_is_the_same_in_each_run_is_kept() -> None:
    def told(value: float | None, way: str) -> list[Estimator]:
        given = estimators(value)
        given[0]["pages"][0]["metadata"]["page_normalized"] = way
        return read(given)

    for way, expected in (("1", 6.0), ("0", 1.0), ("2", 4.0), ("3", 4.0)):
        (merged,) = merge([(1, told(1.0, way)), (3, told(5.0, way)), (9, told(None, way))])
        assert merged.pages[0].data.values == [expected] * 3, way


def test_estimators_are_matched_by_file_name() -> None:
    parts = [
        (1, read(estimators(1.0, name="b.bdo") + estimators(2.0, name="a.bdo"))),
        (1, read(estimators(4.0, name="a.bdo"))),
    ]
    found = {estimator.file_name: estimator.pages[0].data.values[0] for estimator in merge(parts)}
    assert found == {"b.bdo": 1.0, "a.bdo": 3.0}


def test_pages_of_different_shape_are_not_merged() -> None:
    with pytest.raises(ResultError, match="differs in shape"):
        merge([(1, read(estimators(1.0))), (1, read(estimators(1.0, axis=4)))])


async def test_a_merge_that_was_taken_over_changes_nothing(platform: Platform) -> None:
    """Two processes claim the merging of a job, one after the lease of the other ran out; the first comes late."""
    submitted = await submit(platform)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    async with platform.services.database.write() as session:
        late = await claims.claim_merging(session, -1)
    assert late is not None
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    await merging._merge(platform.services, *late)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"


async def test_a_cancel_during_merging_keeps_the_results(platform: Platform) -> None:
    submitted = await submit(platform)
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(6.0))
    async with platform.services.database.write() as session:
        claimed = await claims.claim_merging(session, 60)
    assert claimed is not None
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) is None, "whoever holds the lease goes on"
    await merging._merge(platform.services, *claimed)
    assert await values_of(platform, submitted) == [6.0, 6.0, 6.0]
    assert (await job_of(platform, submitted))["state"] == "CANCELED"


async def test_a_gateway_that_stops_does_not_use_up_the_runs_of_a_task(platform: Platform) -> None:
    await submit(platform, 1)
    for _ in range(5):
        (worker,) = await claim(platform)
        assert worker.errand is not None
        async with platform.services.database.write() as session:
            await claims.release_task(session, worker.errand, "the gateway stopped", None)
    assert len(await claim(platform)) == 1


async def test_results_that_do_not_fit_together_fail_the_job_with_the_reason(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(1.0))
    await platform.ask(RESULTS, two, e=estimators(1.0, axis=4))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["error"]["code"]) == ("FAILED", "MERGE_FAILED")
