"""Deleted simulations that come back with what was deleted with them."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from db.models import File, FilePurpose, Simulation
from db.types import later, uuid7
from resolvers.feed import ANY_JOB, job_topic
from resolvers.retention import tidy
from resolvers.simulations import retention
from resolvers.work.finishing import merge_ready
from schema.fields.scalars import key_of
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.work import RESULTS, claim, estimators, submit, values_of

SEEN = "query($id:ID!){simulation(id:$id){id jobs(first:9){nodes{state}} links(first:9){totalCount}}}"


async def _deleted(platform: Platform, **given: Any) -> Any:
    """A simulation with results and a link, which was deleted."""
    submitted = await submit(platform, 1, **given)
    (worker,) = await claim(platform)
    await platform.ask(RESULTS, worker, e=estimators(1.0))
    await merge_ready(platform.services)
    link = "mutation($s:ID!){createSimulationLink(simulation:$s){__typename}}"
    assert (await platform.ask(link, "tom", s=submitted["id"]))["createSimulationLink"]["__typename"] != "Problem"
    await mutate(platform, "tom", "deleteSimulation", id=submitted["id"])
    return submitted


async def test_a_deleted_simulation_comes_back_with_its_job_and_results_and_without_its_links(
    platform: Platform,
) -> None:
    deleted = await _deleted(platform)
    assert (await platform.ask(SEEN, "tom", id=deleted["id"]))["simulation"] is None
    done, _ = await mutate(platform, "tom", "restoreSimulation", id=deleted["id"])
    assert done["id"] == deleted["id"]
    seen = (await platform.ask(SEEN, "tom", id=deleted["id"]))["simulation"]
    assert seen["jobs"]["nodes"] == [{"state": "COMPLETED"}]
    assert seen["links"]["totalCount"] == 0
    assert await values_of(platform, deleted) == [1.0, 1.0, 1.0]


async def test_what_retention_deleted_comes_back_too(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    await mutate(platform, "tom", "cancelJob", id=submitted["job"]["id"])
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Simulation).values(created_at=later(-90_000)))
    await tidy(platform.services.database, [retention.finished(-1.0)])
    assert (await platform.ask(SEEN, "tom", id=submitted["id"]))["simulation"] is None
    await mutate(platform, "tom", "restoreSimulation", id=submitted["id"])
    seen = (await platform.ask(SEEN, "tom", id=submitted["id"]))["simulation"]
    assert seen["jobs"]["nodes"] == [{"state": "CANCELED"}]


async def _output(platform: Platform, submitted: Any, name: str) -> UUID:
    """A file that the program of a simulation wrote."""
    async with platform.services.database.write(as_system="test") as session:
        file = File(
            id=uuid7(), purpose=FilePurpose.OUTPUT, name=name, media_type="text/plain", size=1,
            owner_user_id=platform.world.tom, simulation_id=key_of("Simulation", submitted["id"]),
        )  # fmt: skip
        session.add(file)
    return file.id


@pytest.mark.both
@pytest.mark.parametrize("by", ["retention", "owner"])
async def test_files_go_and_come_back_with_their_simulation_unless_they_were_deleted_before(
    platform: Platform, by: str
) -> None:
    submitted = await submit(platform, 1)
    await mutate(platform, "tom", "cancelJob", id=submitted["job"]["id"])
    kept, gone = await _output(platform, submitted, "kept"), await _output(platform, submitted, "gone")
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Simulation).values(created_at=later(-90_000)))
        await session.execute(sa.update(File).where(File.id == gone).values(deleted_at=later(-90_000)))
    if by == "owner":
        await mutate(platform, "tom", "deleteSimulation", id=submitted["id"])
    else:
        await tidy(platform.services.database, [retention.finished(-1.0)])
    live = sa.select(File.id).where(File.id.in_((kept, gone)), File.deleted_at.is_(None))
    assert await platform.services.database.rows(live) == []
    await mutate(platform, "tom", "restoreSimulation", id=submitted["id"])
    assert [row.id for row in await platform.services.database.rows(live)] == [kept]


async def test_who_follows_jobs_hears_of_restored_ones(platform: Platform) -> None:
    deleted = await _deleted(platform)
    with platform.services.feed.subscription(ANY_JOB) as changes:
        await mutate(platform, "tom", "restoreSimulation", id=deleted["id"])
        heard = await changes.next()
    assert job_topic(key_of("Job", deleted["job"]["id"])) in heard


async def test_only_its_owner_restores_a_simulation_and_others_do_not_hear_of_it(platform: Platform) -> None:
    deleted = await _deleted(platform, project=platform.world.id("Project", "shared"))
    for other in ("maria", "eve"):
        assert (await mutate(platform, other, "restoreSimulation", id=deleted["id"]))[0]["code"] == "NOT_FOUND"
    listed = "{restorable(type:SIMULATION,first:9){nodes{id name}}}"
    assert (await platform.ask(listed, "tom"))["restorable"]["nodes"] == [{"id": deleted["id"], "name": "beam"}]
    assert (await platform.ask(listed, "maria"))["restorable"]["nodes"] == []


async def test_what_was_cleared_is_not_found(platform: Platform) -> None:
    deleted = await _deleted(platform)
    await tidy(platform.services.database, [retention.deleted(-1.0)])
    assert (await mutate(platform, "tom", "restoreSimulation", id=deleted["id"]))[0]["code"] == "NOT_FOUND"
