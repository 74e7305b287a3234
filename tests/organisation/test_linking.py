"""Where devices and services work, who is in a group and who holds a role: linked, unlinked, granted and revoked."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from db import models
from resolvers.organisation.links import MOST, LinkKind
from resolvers.spelling import global_id
from tests.support.organising import (
    Dune,
    create,
    delete,
    enrol,
    everything,
    gone,
    grant,
    here,
    ids_of,
    key,
    link,
    look,
    made,
    role_of,
    settle,
    there,
    update,
)
from tests.support.platforms import Platform

SHOWN = {
    "USER_GROUP_USERS": "users",
    "DEVICE_SITES": "sites",
    "DEVICE_PROJECTS": "projects",
    "DEVICE_PARTICIPANTS": "participants",
    "SERVICE_SITES": "sites",
    "SERVICE_PROJECTS": "projects",
    "CLUSTER_USER_GROUPS": "userGroups",
    "SESSION_TYPE_SITES": "sites",
    "SESSION_TYPE_PROJECTS": "projects",
    "SESSION_TYPE_SERVICES": "services",
}
"""By what is linked with what: the list of the owner that shows it."""


async def _linked(platform: Platform, kind: str, owner: str) -> set[str]:
    """What an owner is linked with, as superadmins see it."""
    row = await look(platform, owner, f"x: {SHOWN[kind]}(first:100){{nodes{{id}}}}")
    return {node["id"] for node in row["x"]["nodes"]}


async def _offered(platform: Platform, dune: Dune) -> dict[str, tuple[str, list[str]]]:
    """By kind, an owner without links and three that it may be linked with."""
    other = await settle(platform)
    second = await made(platform, "Project", name="Rock", site=dune.site)
    projects = [dune.project, second, other.project]
    people = [dune.inside, dune.alone, await made(platform, "Participant", name="D-3", project=dune.project)]
    owners = {
        "device": await made(platform, "Device", name="x", type=dune.kind, sites=[dune.site, other.site]),
        "used": await made(platform, "Device", name="x", type=dune.kind, sites=[dune.site]),
        "service": await made(platform, "Service", name="x", key=f"x-{dune.number}", hostname="x", port=1, endpoint="/", clientEndpoint="/"),
        "placed": await made(platform, "Service", name="x", key=f"y-{dune.number}", hostname="x", port=1, endpoint="/", clientEndpoint="/"),
    }  # fmt: skip
    sites = [dune.site, other.site, await made(platform, "Site", name="Rock")]
    groups = [await made(platform, "UserGroup", name="x") for _ in range(3)]
    await link(platform, "DEVICE_PROJECTS", owners["used"], [dune.project])
    await link(platform, "SERVICE_SITES", owners["placed"], [dune.site, other.site])
    return {
        "USER_GROUP_USERS": (await made(platform, "UserGroup", name="x"), [dune.user, dune.leader, dune.worker]),
        "DEVICE_SITES": (await made(platform, "Device", name="x", type=dune.kind), sites),
        "DEVICE_PROJECTS": (owners["device"], projects),
        "DEVICE_PARTICIPANTS": (owners["used"], people),
        "SERVICE_SITES": (owners["service"], sites),
        "SERVICE_PROJECTS": (owners["placed"], projects),
        "CLUSTER_USER_GROUPS": (await _cluster(platform), groups),
        "SESSION_TYPE_SITES": (await _type(platform), sites),
        "SESSION_TYPE_PROJECTS": (await _type(platform, dune.site, other.site), projects),
        "SESSION_TYPE_SERVICES": (await _type(platform, dune.site), await _services(platform, dune)),
    }


async def _type(platform: Platform, *sites: str) -> str:
    return await made(platform, "SessionType", name="x", category="PROTOCOL", sites=list(sites))


async def _services(platform: Platform, dune: Dune) -> list[str]:
    """Services that work in a site."""
    found = []
    for n in range(3):
        given = {"hostname": "x", "port": 1, "endpoint": "/", "clientEndpoint": "/"}
        found.append(await made(platform, "Service", name="x", key=f"z{n}-{dune.number}", **given))
        await link(platform, "SERVICE_SITES", found[-1], [dune.site])
    return found


async def _cluster(platform: Platform) -> str:
    """One of the settings', which no mutation makes."""
    async with platform.services.database.write(as_system="test") as session:
        cluster = models.Cluster(name=uuid4().hex, platform=models.Platform.SLURM)
        session.add(cluster)
    return global_id("Cluster", cluster.id)


async def test_setting_links_replaces_them_whatever_is_linked(sharing: Platform) -> None:
    offered = await _offered(sharing, await settle(sharing))
    assert set(offered) == set(SHOWN) == {kind.name for kind in LinkKind}
    for kind, (owner, (a, b, c)) in offered.items():
        for ids, added, removed in (
            ([a, b, a], 2, 0),
            ([b, a], 0, 0),
            ([c, b], 1, 1),
            ([a], 1, 2),
            ([], 0, 1),
            ([], 0, 0),
        ):
            answer = await link(sharing, kind, owner, ids)
            assert answer == {"__typename": "Linked", "added": added, "removed": removed}, kind
            assert await _linked(sharing, kind, owner) == set(ids)


async def test_links_of_others_stay(sharing: Platform) -> None:
    dune, other = await settle(sharing), await settle(sharing)
    await link(sharing, "DEVICE_SITES", dune.spare, [dune.site, other.site])
    for ids in ([dune.site], []):
        answer = await link(sharing, "DEVICE_SITES", dune.spare, ids, dune.site_admin)
        assert answer["removed"] == (0 if ids else 1)
        assert await _linked(sharing, "DEVICE_SITES", dune.spare) == {*ids, other.site}


async def test_of_several_who_link_the_same_at_once_one_does(sharing: Platform) -> None:
    dune, site = await settle(sharing), await made(sharing, "Site", name="Rock")
    answers = await asyncio.gather(*(link(sharing, "DEVICE_SITES", dune.spare, [dune.site, site]) for _ in range(4)))
    assert sorted(answer["added"] for answer in answers) == [0, 0, 0, 1]


# What a link needs -------------------------------------------------------------------------------------------------


async def test_a_link_needs_the_one_above_it(sharing: Platform) -> None:
    dune, other = await settle(sharing), await settle(sharing)
    before = await everything(sharing)
    for kind, owner, id, where in (
        ("DEVICE_PROJECTS", dune.device, other.project, "site"),
        ("DEVICE_PARTICIPANTS", dune.spare, dune.alone, "project"),
        ("DEVICE_PARTICIPANTS", dune.device, other.alone, "project"),
        ("SERVICE_PROJECTS", dune.service, other.project, "site"),
    ):
        answer = await link(sharing, kind, owner, [id])
        assert (answer["code"], answer["field"]) == ("INVALID", "ids")
        assert f"{where}; link it there first" in answer["message"]
    assert await everything(sharing) == before
    assert (await link(sharing, "DEVICE_SITES", dune.device, [dune.site, other.site]))["added"] == 1
    assert (await link(sharing, "DEVICE_PROJECTS", dune.device, [dune.project, other.project]))["added"] == 1
    assert (await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [dune.inside, other.alone]))["added"] == 1


async def _everywhere(sharing: Platform) -> tuple[Dune, Dune]:
    """Two sites, where the first one's device and service work in both, for all their participants."""
    dune, other = await settle(sharing), await settle(sharing)
    for kind, owner, ids in (
        ("DEVICE_SITES", dune.device, [dune.site, other.site]),
        ("DEVICE_PROJECTS", dune.device, [dune.project, other.project]),
        ("DEVICE_PARTICIPANTS", dune.device, [dune.inside, dune.alone, other.inside]),
        ("SERVICE_SITES", dune.service, [dune.site, other.site]),
        ("SERVICE_PROJECTS", dune.service, [dune.project, other.project]),
    ):
        assert (await link(sharing, kind, owner, ids))["__typename"] == "Linked"
    return dune, other


async def test_what_leaves_a_site_leaves_its_projects_and_participants_and_no_others(sharing: Platform) -> None:
    dune, other = await _everywhere(sharing)
    await link(sharing, "DEVICE_SITES", dune.device, [other.site])
    assert await _linked(sharing, "DEVICE_PROJECTS", dune.device) == {other.project}
    assert await _linked(sharing, "DEVICE_PARTICIPANTS", dune.device) == {other.inside}
    await link(sharing, "SERVICE_SITES", dune.service, [dune.site])
    assert await _linked(sharing, "SERVICE_PROJECTS", dune.service) == {dune.project}
    assert await _linked(sharing, "DEVICE_SITES", other.device) == {other.site}


async def test_a_device_that_participants_have_stays_in_their_project(sharing: Platform) -> None:
    dune, other = await _everywhere(sharing)
    before = await _linked(sharing, "DEVICE_PARTICIPANTS", dune.device)
    kept = await link(sharing, "DEVICE_PROJECTS", dune.device, [], dune.site_admin)
    assert (kept["code"], kept["details"]) == ("DEPENDENCY", {"blockedBy": [{"type": "Participant", "count": 2}]})
    assert await _linked(sharing, "DEVICE_PARTICIPANTS", dune.device) == before
    await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [], dune.project_admin)
    await link(sharing, "DEVICE_PROJECTS", dune.device, [], dune.site_admin)
    assert await _linked(sharing, "DEVICE_PARTICIPANTS", dune.device) == {other.inside}
    assert await _linked(sharing, "DEVICE_SITES", dune.device) == {dune.site, other.site}


@pytest.mark.parametrize("mover", ["inside", "group"])
async def test_who_moves_to_another_project_keeps_the_devices_that_it_has(sharing: Platform, mover: str) -> None:
    dune = await settle(sharing)
    second = await made(sharing, "Project", name="Rock", site=dune.site)
    await link(sharing, "DEVICE_PROJECTS", dune.spare, [dune.project, second])
    await link(sharing, "DEVICE_PARTICIPANTS", dune.spare, [dune.inside])
    await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [dune.inside, dune.alone])
    if mover == "inside":
        await update(sharing, dune.inside, project=second, group=None)
    else:
        await update(sharing, dune.group, project=second)
    assert (await look(sharing, dune.inside, "project{id}"))["project"] == {"id": second}
    assert await _linked(sharing, "DEVICE_PARTICIPANTS", dune.spare) == {dune.inside}
    assert await _linked(sharing, "DEVICE_PARTICIPANTS", dune.device) == {dune.alone}


# Who, and what is named --------------------------------------------------------------------------------------------


async def test_one_link_that_may_not_be_made_or_undone_refuses_all(sharing: Platform) -> None:
    dune = await settle(sharing)
    before = await everything(sharing)
    for kind, owner, ids, who in (
        ("DEVICE_SITES", dune.device, [], dune.project_admin),
        ("DEVICE_PROJECTS", dune.spare, [dune.project], dune.project_user),
        ("DEVICE_PARTICIPANTS", dune.device, [dune.inside, dune.alone], dune.project_user),
        ("SERVICE_SITES", dune.service, [], dune.site_admin),
        ("SERVICE_PROJECTS", dune.service, [], dune.project_admin),
        ("USER_GROUP_USERS", dune.crew, [], dune.project_admin),
    ):
        answer = await link(sharing, kind, owner, ids, who)
        assert answer["code"] in ("FORBIDDEN", "NOT_FOUND"), (kind, answer)
    assert await everything(sharing) == before
    assert (await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [dune.alone], dune.project_admin))["added"] == 1


async def test_ids_are_of_the_kind_and_seen(reading: Platform) -> None:
    device, site = here(reading, "Device", "device"), here(reading, "Site", "site")
    for owner, ids, code, field in (
        (there(reading, "Device", "device"), [site], "NOT_FOUND", "id"),
        (device, [site, there(reading, "Site", "site")], "NOT_FOUND", "ids.1"),
        (site, [site], "INVALID", "id"),
        (device, [device], "INVALID", "ids.0"),
        (device, ["nonsense"], "INVALID", "ids.0"),
    ):
        answer = await link(reading, "DEVICE_SITES", owner, ids, "sita")
        assert (answer["code"], answer["field"]) == (code, field)
    members, tom = here(reading, "UserGroup", "members"), reading.world.id("User", "tom")
    for verb in ("addToGroup", "removeFromGroup"):
        wrong = await enrol(reading, verb, members, [tom, site])
        assert (wrong["code"], wrong["field"]) == ("INVALID", "users.1")
        assert (await enrol(reading, verb, site, [tom]))["field"] == "id"
    many = await link(reading, "DEVICE_SITES", device, [site] * (MOST + 1))
    assert (many["code"], many["details"]["allowed"]) == ("LIMIT_EXCEEDED", MOST)


# Groups ------------------------------------------------------------------------------------------------------------


async def test_joining_twice_is_joining_and_others_stay(sharing: Platform) -> None:
    dune = await settle(sharing)
    for users, added in (([dune.leader, dune.worker], 2), ([dune.worker, dune.user], 0), ([], 0)):
        answer = await enrol(sharing, "addToGroup", dune.crew, users, dune.site_admin)
        assert answer == {"__typename": "Linked", "added": added, "removed": 0}
    assert await _linked(sharing, "USER_GROUP_USERS", dune.crew) == {dune.user, dune.leader, dune.worker}
    for users, removed in (([dune.worker], 1), ([dune.worker], 0), ([], 0)):
        answer = await enrol(sharing, "removeFromGroup", dune.crew, users, dune.site_admin)
        assert answer == {"__typename": "Linked", "added": 0, "removed": removed}
    assert await _linked(sharing, "USER_GROUP_USERS", dune.crew) == {dune.user, dune.leader}


async def test_superadmins_are_in_no_groups(sharing: Platform) -> None:
    dune, root = await settle(sharing), sharing.world.id("User", "root")
    before = await everything(sharing)
    for answer in (
        await enrol(sharing, "addToGroup", dune.crew, [dune.worker, root]),
        await link(sharing, "USER_GROUP_USERS", dune.crew, [root]),
        await create(sharing, "User", username=f"god-{dune.number}", superadmin=True, groups=[dune.crew]),
    ):
        assert answer["code"] == "INVALID"
        assert "superadmins need no groups" in answer["message"]
    assert await everything(sharing) == before


# Roles -------------------------------------------------------------------------------------------------------------


async def test_a_role_granted_twice_is_one_grant_and_revoked_once_gone(sharing: Platform) -> None:
    dune = await settle(sharing)
    role = await role_of(sharing, dune.project, "user")
    first = await grant(sharing, role, dune.crew, dune.site_admin)
    again = await grant(sharing, role, dune.crew, dune.site_admin)
    assert first == again
    assert await ids_of(sharing, "roleGrants", filter={"userGroup": dune.crew, "project": dune.project}) == [
        first["id"]
    ]
    await gone(sharing, first["id"], who=dune.site_admin)
    assert await ids_of(sharing, "roleGrants", filter={"userGroup": dune.crew, "project": dune.project}) == []
    assert (await delete(sharing, first["id"], dune.site_admin))["code"] == "NOT_FOUND"
    anew = await grant(sharing, role, dune.crew, dune.site_admin)
    assert anew["id"] != first["id"]


async def test_a_role_granted_by_several_at_once_is_granted_once(sharing: Platform) -> None:
    dune = await settle(sharing)
    role = await role_of(sharing, dune.project, "admin")
    answers = await asyncio.gather(*(grant(sharing, role, dune.crew, dune.site_admin) for _ in range(4)))
    made_ = {answer["id"] for answer in answers if answer["__typename"] == "RoleGrant"}
    assert len(made_) == 1
    assert {answer["code"] for answer in answers if answer["__typename"] == "Problem"} <= {"CONFLICT"}


async def test_roles_are_granted_to_groups_and_devices_and_to_nothing_else(sharing: Platform) -> None:
    dune = await settle(sharing)
    role = await made(sharing, "Role", service=dune.service, scope="SITE", site=dune.site, name="caller")
    for grantee, column in (
        (dune.crew, "userGroup"),
        (dune.device, "device"),
        (dune.group, "participantGroup"),
    ):
        row = await grant(sharing, role, grantee)
        assert (await look(sharing, row["id"], f"x: {column}{{id}} role{{id}}"))["x"] == {"id": grantee}
    for grantee in (dune.user, dune.site, role):
        answer = await grant(sharing, role, grantee)
        assert (answer["code"], answer["field"]) == ("INVALID", "grantee")
    hidden: Any = await grant(sharing, there(sharing, "RoleGrant", "grant"), dune.crew, dune.site_admin)
    assert (hidden["code"], hidden["field"]) == ("INVALID", "role")
    far = await role_of(sharing, there(sharing, "Project", "project"), "user")
    assert (await grant(sharing, far, dune.crew, dune.site_admin))["code"] == "NOT_FOUND"


async def test_who_joins_leaves_and_is_granted_what_is_on_record(sharing: Platform) -> None:
    dune = await settle(sharing)
    await enrol(sharing, "addToGroup", dune.crew, [dune.worker], dune.site_admin)
    await enrol(sharing, "removeFromGroup", dune.crew, [dune.worker], dune.site_admin)
    await grant(sharing, await role_of(sharing, dune.site, "user"), dune.crew, dune.site_admin)
    event = models.AuditEvent
    told = sa.select(event.action, event.entity_type, event.site_id, event.detail)
    async with sharing.services.database.read() as connection:
        rows = await connection.execute(told.where(event.actor_id == key(dune.user)).order_by(event.at, event.id))
        events = {row.action: row for row in rows}
    assert events["LINK"].detail == events["UNLINK"].detail == {"user": str(key(dune.worker))}
    assert (events["GRANT_ROLE"].site_id, events["GRANT_ROLE"].detail["role"]) == (key(dune.site), "user")
    assert global_id("User", key(dune.worker)) == dune.worker
