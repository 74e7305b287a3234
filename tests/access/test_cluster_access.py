"""Clusters come and go with the settings, and are for every user or for groups; the rest of it is in the matrix."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from db import models
from db.models import JobState
from db.models import Platform as Kind
from resolvers.spelling import global_id
from resolvers.work.clusters import register
from tests.support.matrix import mutate
from tests.support.organising import link, made
from tests.support.platforms import Platform

LIST = "query($f:ClusterFilter){clusters(first:9,filter:$f){nodes{name platform enabled maxTasks}}}"


async def _rows(platform: Platform, *, deleted: bool = False) -> dict[str, Any]:
    cluster = models.Cluster
    rows = await platform.services.database.rows(sa.select(*cluster.__table__.c).order_by(cluster.name))
    return {row.name: row for row in rows if (row.deleted_at is not None) == deleted}


async def _names(gateway: Platform, who: str, **filter: Any) -> list[str]:
    return [node["name"] for node in (await gateway.ask(LIST, who, f=filter))["clusters"]["nodes"]]


async def _id(platform: Platform, name: str) -> str:
    return global_id("Cluster", (await _rows(platform))[name].id)


async def _bound(platform: Platform, id: str, most: int | None, who: str = "root") -> Any:
    version = (await platform.ask("query($id:ID!){node(id:$id){version}}", "root", id=id))["node"]["version"]
    changes = {"maxTasks": most, "enabled": most is None}
    done, _ = await mutate(platform, who, "updateCluster", id=id, expectedVersion=version, input=changes)
    return done.get("code", done["__typename"])


async def test_clusters_are_those_of_the_settings(platform: Platform) -> None:
    database = platform.services.database
    await register(database, {"alpine": Kind.SLURM, "pool": Kind.CELERY})
    first = await _rows(platform)
    assert {name: row.platform for name, row in first.items()} == {"alpine": Kind.SLURM, "pool": Kind.CELERY}
    await register(database, {"alpine": Kind.SLURM, "pool": Kind.CELERY})
    assert await _rows(platform) == first, "nothing changed"
    await register(database, {"pool": Kind.SLURM})
    assert (await _rows(platform)).keys() == {"pool"}
    assert (await _rows(platform))["pool"].platform is Kind.SLURM
    assert (await _rows(platform, deleted=True)).keys() == {"alpine"}


async def test_a_cluster_that_comes_again_is_the_same(platform: Platform) -> None:
    database = platform.services.database
    await register(database, {"alpine": Kind.SLURM})
    key = (await _rows(platform))["alpine"].id
    assert await _bound(platform, await _id(platform, "alpine"), 7) == "Cluster"
    await register(database, {})
    assert await _rows(platform) == {}
    await register(database, {"alpine": Kind.SLURM})
    (row,) = (await _rows(platform)).values()
    assert (row.id, row.max_tasks) == (key, 7)


async def test_a_cluster_with_jobs_under_way_stays(platform: Platform) -> None:
    database = platform.services.database
    await register(database, {"alpine": Kind.SLURM})
    cluster: UUID = (await _rows(platform))["alpine"].id
    await _state(platform, cluster, JobState.RUNNING)
    await register(database, {})
    assert (await _rows(platform)).keys() == {"alpine"}
    await _state(platform, cluster, JobState.COMPLETED)
    await register(database, {})
    assert await _rows(platform) == {}


async def _state(platform: Platform, cluster: UUID, state: JobState) -> None:
    async with platform.services.database.write(as_system="test") as session:
        job = await session.get_one(models.Job, platform.world.job)
        job.cluster_id, job.platform, job.state = cluster, Kind.SLURM, state


async def test_several_processes_start_at_once(platform: Platform) -> None:
    await asyncio.gather(*(register(platform.services.database, {"alpine": Kind.SLURM}) for _ in range(4)))
    assert (await _rows(platform)).keys() == {"alpine"}


async def test_clusters_are_listed_by_name_platform_and_state(platform: Platform) -> None:
    wanted = {"pool": Kind.CELERY, "alpine": Kind.SLURM, "basin": Kind.SLURM}
    await register(platform.services.database, wanted)
    assert await _names(platform, "eve") == ["alpine", "basin", "pool"]
    assert await _names(platform, "eve", platform={"in": ["SLURM"]}) == ["alpine", "basin"]
    assert await _bound(platform, await _id(platform, "basin"), 3) == "Cluster"
    assert await _names(platform, "eve", enabled={"equals": False}) == ["basin"]
    assert await _names(platform, "eve", name={"contains": "AL"}) == ["alpine"]
    assert (await platform.ask(LIST, None, f=None))["clusters"]["nodes"] == []


@pytest.mark.parametrize("most", [0, -1])
async def test_a_bound_is_at_least_one(platform: Platform, most: int) -> None:
    await register(platform.services.database, {"alpine": Kind.SLURM})
    id = await _id(platform, "alpine")
    assert await _bound(platform, id, most) == "INVALID"
    assert await _bound(platform, id, 1) == "Cluster"
    assert await _bound(platform, id, None) == "Cluster"
    assert await _bound(platform, id, 1, "eve") == "FORBIDDEN"


async def test_a_cluster_of_groups_is_for_their_members(platform: Platform) -> None:
    await register(platform.services.database, {"alpine": Kind.SLURM})
    id, group = await _id(platform, "alpine"), await made(platform, "UserGroup", name="x")
    members = global_id("UserGroup", platform.world.here.members)
    await link(platform, "CLUSTER_USER_GROUPS", id, [members])
    for who, seen in (("tom", True), ("eve", False), ("sita", False), ("root", True)):
        assert await _names(platform, who) == (["alpine"] if seen else []), who
    refused = await mutate(platform, "tom", "setLinks", kind="CLUSTER_USER_GROUPS", id=id, ids=[])
    assert refused[0]["code"] == "FORBIDDEN"
    await link(platform, "CLUSTER_USER_GROUPS", id, [group])
    assert await _names(platform, "tom") == []
    done, _ = await mutate(platform, "root", "deleteUserGroup", id=group)
    assert done["__typename"] == "Deleted"
    assert await _names(platform, "eve") == [], "it opens to nobody because a group went"
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(models.ClusterUserGroup))
    assert await _names(platform, "eve") == ["alpine"]
