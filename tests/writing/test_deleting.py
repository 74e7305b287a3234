"""What stands in the way of deleting, what goes with a row, and that exactly this comes back."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from db.models import JobKind, JobState, SessionEventType, SessionStatus
from db.types import uuid7
from resolvers.failures import Unauthenticated
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import Secret
from resolvers.spelling import global_id
from tests.support.organising import (
    Dune,
    delete,
    enrol,
    everything,
    gone,
    grant,
    here,
    key,
    link,
    live,
    look,
    made,
    restore,
    role_of,
    secret_of,
    settle,
    type_of,
    update,
)
from tests.support.platforms import Platform
from tests.support.world import START


async def _hold(platform: Platform, dune: Dune, *members: dict[str, str], creator: str = "") -> str:
    """The id of a session in the project, with two events; members are ids by the columns for them."""
    async with platform.services.database.write(as_system="test") as session:
        held = models.Session(
            id=uuid7(), type_id=(await session.scalars(sa.select(models.SessionType.id))).first(), name="held",
            project_id=key(dune.project), creator_id=key(creator or dune.leader), starts_at=START,
        )  # fmt: skip
        session.add(held)
        await session.flush()
        session.add_all(
            models.SessionEvent(session_id=held.id, type=SessionEventType.USER_EVENT, occurred_at=START)
            for _ in range(2)
        )
        session.add_all(
            models.SessionMember(session_id=held.id, **{column: key(id) for column, id in member.items()})
            for member in members
        )
        return global_id("Session", held.id)


def _less(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """How many rows of each table went."""
    assert all(rows <= before[table] for table, rows in after.items())
    lost = {table: len(rows - after.get(table, set())) for table, rows in before.items()}
    return {table: count for table, count in lost.items() if count}


# What stands in the way --------------------------------------------------------------------------------------------


async def _refused(platform: Platform, id: str, **blocking: int) -> None:
    """It can't be deleted, tells why, and nothing changed."""
    before = await everything(platform)
    answer = await delete(platform, id)
    assert answer["code"] == "DEPENDENCY", answer
    assert answer["details"] == {"blockedBy": [{"type": t, "count": n} for t, n in sorted(blocking.items())]}
    for kind, count in blocking.items():
        assert f"{count} {kind}" in answer["message"]
    assert await everything(platform) == before


@pytest.mark.parametrize(
    ("typename", "name", "blocking"),
    [
        ("Site", "site", {"Session": 1}),
        ("Project", "project", {"Session": 1}),
        ("ParticipantGroup", "group", {"Session": 1}),
        ("Participant", "participant", {"Session": 1}),
        ("Device", "device", {"Participant": 1}),
        ("UserGroup", "members", {"User": 1}),
    ],
)
async def test_what_others_need_is_not_deleted_and_they_are_counted(
    reading: Platform, typename: str, name: str, blocking: dict[str, int]
) -> None:
    await _refused(reading, here(reading, typename, name), **blocking)


async def test_a_user_with_sessions_or_running_work_is_not_deleted(sharing: Platform) -> None:
    dune, database = await settle(sharing), sharing.services.database
    held = await _hold(sharing, dune, {"user_id": dune.leader}, {"user_id": dune.user})
    await _refused(sharing, dune.user, Session=1)
    await _refused(sharing, dune.leader, Session=1)
    await _hold(sharing, dune, {"user_id": dune.leader}, creator=dune.user)
    await _refused(sharing, dune.leader, Session=2)
    await gone(sharing, held)
    await _refused(sharing, dune.leader, Session=1)
    async with database.write(as_system="test") as session:
        job = models.Job(
            key=f"key-{dune.number}", kind=JobKind.SIMULATION, owner_user_id=key(dune.worker), title="x",
            state=JobState.PENDING, simulation_id=sharing.world.simulation, attempt=1 + dune.number,
        )  # fmt: skip
        session.add(job)
    await _refused(sharing, dune.worker, Job=1)
    async with database.write(as_system="test") as session:
        await session.execute(sa.update(models.Job).where(models.Job.id == job.id).values(state=JobState.FAILED))
    await gone(sharing, dune.worker)


async def test_a_device_in_a_session_is_not_deleted(sharing: Platform) -> None:
    dune = await settle(sharing)
    for _ in range(2):
        await _hold(sharing, dune, {"device_id": dune.spare}, {"device_id": dune.device})
    await _refused(sharing, dune.spare, Session=2)
    await _refused(sharing, dune.device, Session=2, Participant=1)


async def test_a_type_of_devices_stays_as_long_as_a_device_of_it_may_come_back(sharing: Platform) -> None:
    kind = await made(sharing, "DeviceType", name="Scale", key="scale")
    finer = await made(sharing, "DeviceSubtype", name="Fine scale", type=kind)
    devices = [await made(sharing, "Device", name=name, type=kind, subtype=finer) for name in ("a", "b")]
    await _refused(sharing, finer, Device=2)
    await gone(sharing, devices[0])
    await _refused(sharing, finer, Device=2)
    await _refused(sharing, kind, Device=2)
    assert "deleted ones included" in (await delete(sharing, kind))["message"]
    for device in devices:
        await restore(sharing, device)
        await update(sharing, device, subtype=None)
    await gone(sharing, finer)
    for device in devices:
        await update(sharing, device, type=sharing.world.id("DeviceType", "device_type"))
    await gone(sharing, kind)


async def test_a_session_of_participants_elsewhere_keeps_their_project(sharing: Platform) -> None:
    """Who takes part in a session of another project is in a session nevertheless."""
    dune, other = await settle(sharing), await settle(sharing)
    held = await _hold(sharing, other, {"participant_id": dune.inside})
    for id in (dune.site, dune.project, dune.group, dune.inside):
        await _refused(sharing, id, Session=1)
    await gone(sharing, dune.alone, held, dune.site)


async def test_a_session_under_way_is_not_deleted(sharing: Platform) -> None:
    dune = await settle(sharing)
    held = await _hold(sharing, dune)
    status = sa.update(models.Session).where(models.Session.id == key(held))
    async with sharing.services.database.write(as_system="test") as session:
        await session.execute(status.values(status=SessionStatus.IN_PROGRESS))
    before = await everything(sharing)
    assert (await delete(sharing, held))["code"] == "STATE"
    assert await everything(sharing) == before
    async with sharing.services.database.write(as_system="test") as session:
        await session.execute(status.values(status=SessionStatus.TERMINATED))
    await gone(sharing, held)


async def test_what_the_gateway_lives_by_is_not_deleted(reading: Platform) -> None:
    core = global_id("Service", models.CORE)
    for id in (core, await role_of(reading, here(reading, "Site", "site"), "admin")):
        assert (await delete(reading, id))["code"] == "FORBIDDEN"
    assert (await delete(reading, reading.world.id("User", "root")))["code"] == "FORBIDDEN"


# What goes, and what comes back ------------------------------------------------------------------------------------

LINKS = {"site_devices": 2, "site_services": 1, "project_devices": 1, "project_services": 1, "participant_devices": 1}
PEOPLE = {"projects": 1, "participant_groups": 1, "participants": 2, "service_configs": 1}
GOES: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "site": ({"sites": 1, **PEOPLE}, LINKS),
    "project": (PEOPLE, {name: LINKS[name] for name in ("project_devices", "project_services", "participant_devices")}),
    "group": ({"participant_groups": 1, "participants": 1, "service_configs": 1}, {"participant_devices": 1}),
    "inside": ({"participants": 1, "service_configs": 1}, {"participant_devices": 1}),
    "alone": ({"participants": 1}, {}),
    "spare": ({"devices": 1}, {"site_devices": 1}),
    "service": ({"services": 1, "service_configs": 3}, {}),
    "user": ({"users": 1, "service_configs": 1}, {"user_group_members": 1, "preferences": 1}),
}
"""By what is deleted: rows that go with it and come back, and links that go for good."""


@pytest.mark.parametrize("name", GOES)
async def test_what_goes_with_a_row_and_comes_back(sharing: Platform, name: str) -> None:
    dune = await settle(sharing)
    id, (back, lost) = getattr(dune, name), GOES[name]
    before = await live(sharing)
    await gone(sharing, id)
    assert _less(before, await live(sharing)) == back | lost
    assert await look(sharing, id) is None
    assert (await restore(sharing, id))["__typename"] != "Problem"
    assert _less(before, await live(sharing)) == lost


async def test_a_device_goes_with_its_links_configurations_and_roles(sharing: Platform) -> None:
    dune = await settle(sharing)
    service = dune.service
    role = await made(sharing, "Role", service=service, scope="SITE", site=dune.site, name="sensor")
    async with sharing.services.database.write(as_system="test") as session:
        session.add(models.RoleGrant(role_id=key(role), device_id=key(dune.device)))
    await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [])
    before = await live(sharing)
    await gone(sharing, dune.device)
    back = {"devices": 1, "service_configs": 1, "role_grants": 1}
    assert _less(before, await live(sharing)) == back | {"site_devices": 1, "project_devices": 1}
    await restore(sharing, dune.device)
    assert _less(before, await live(sharing)) == {"site_devices": 1, "project_devices": 1}


async def test_a_group_of_users_goes_with_its_roles_and_comes_back_with_them(sharing: Platform) -> None:
    dune = await settle(sharing)
    await _refused(sharing, dune.crew, User=1)
    await enrol(sharing, "removeFromGroup", dune.crew, [dune.user])
    before = await live(sharing)
    await gone(sharing, dune.crew)
    assert _less(before, await live(sharing)) == {"user_groups": 1, "role_grants": 1}
    await restore(sharing, dune.crew)
    assert await live(sharing) == before


async def test_a_role_goes_with_who_held_it(sharing: Platform) -> None:
    dune = await settle(sharing)
    before = await live(sharing)
    role = await made(sharing, "Role", service=dune.service, scope="SITE", site=dune.site, name="caller")
    crew = await made(sharing, "UserGroup", name="callers", roles=[role])
    await gone(sharing, role, crew)
    assert await live(sharing) == before


async def test_a_session_comes_back_with_exactly_its_events_and_members(sharing: Platform) -> None:
    dune = await settle(sharing)
    held = await _hold(sharing, dune, {"participant_id": dune.inside})
    async with sharing.services.database.write(as_system="test") as session:
        early = sa.select(models.SessionEvent).where(models.SessionEvent.session_id == key(held)).limit(1)
        (await session.scalars(early)).one().deleted_at = START
    before = await live(sharing)
    await gone(sharing, held, who=dune.project_admin)
    assert _less(before, await live(sharing)) == {"sessions": 1, "session_events": 1, "session_members": 1}
    assert (await restore(sharing, held, dune.project_admin))["code"] == "NOT_FOUND", "that is for superadmins"
    back = await restore(sharing, held, select="events(first:9){totalCount} members(first:9){totalCount}")
    assert (back["events"]["totalCount"], back["members"]["totalCount"]) == (1, 1)
    assert await live(sharing) == before


async def test_a_session_with_more_events_than_a_statement_takes_values_is_deleted(sharing: Platform) -> None:
    held, many, event = await _hold(sharing, await settle(sharing)), 33_000, models.SessionEvent
    n = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    n = n.union_all(sa.select(n.c.n + 1).where(n.c.n < many))
    plain = sharing.services.database.dialect == "sqlite"
    id = sa.func.printf("00000000-0000-7000-8000-%012x", n.c.n) if plain else sa.func.gen_random_uuid()
    given = [sa.literal(value, column.type) for column, value in (
        (event.session_id, key(held)), (event.type, SessionEventType.DEVICE_EVENT), (event.occurred_at, START),
        (event.version, 1),
    )]  # fmt: skip
    columns = ["id", "session_id", "type", "occurred_at", "version"]
    async with sharing.services.database.write(as_system="test") as session:
        await session.execute(sa.insert(event).from_select(columns, sa.select(id, *given).select_from(n)))
    await gone(sharing, held)
    left = sa.select(sa.func.count()).where(event.session_id == key(held), event.deleted_at.is_(None))
    assert (await sharing.services.database.rows(left))[0][0] == 0
    async with sharing.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(event).where(event.session_id == key(held)))


async def test_what_was_deleted_before_on_its_own_stays_deleted(sharing: Platform) -> None:
    dune = await settle(sharing)
    await gone(sharing, dune.alone, dune.group)
    before = await live(sharing)
    await gone(sharing, dune.project)
    await gone(sharing, dune.site)
    await restore(sharing, dune.site)
    assert await look(sharing, dune.project) is None
    await restore(sharing, dune.project)
    lost = {"site_devices", "site_services", "project_devices", "project_services"}
    assert set(_less(before, await live(sharing))) == lost
    for id in (dune.alone, dune.group):
        assert await look(sharing, id) is None
        assert (await restore(sharing, id))["id"] == id
    assert await look(sharing, dune.inside) is not None, "it went with its group"


async def test_what_comes_back_is_a_newer_version(sharing: Platform) -> None:
    dune = await settle(sharing)
    before = (await look(sharing, dune.inside))["version"]
    await gone(sharing, dune.project)
    await restore(sharing, dune.project)
    assert (await look(sharing, dune.inside))["version"] > before
    stale = await update(sharing, dune.inside, version=before, name="x")
    assert stale["code"] == "CONFLICT"


# When it can't come back -------------------------------------------------------------------------------------------


async def test_nothing_comes_back_before_what_it_belongs_to(sharing: Platform) -> None:
    dune = await settle(sharing)
    config = await made(sharing, "ServiceConfig", service=here(sharing, "Service", "service"), participant=dune.alone, config={})  # fmt: skip
    await gone(sharing, config, dune.alone, dune.inside, dune.group, dune.project, dune.site)
    for id, parent in (
        (dune.project, "Site"),
        (dune.group, "Project"),
        (dune.inside, "Project"),
        (config, "Participant"),
    ):
        before = await everything(sharing)
        answer = await restore(sharing, id)
        assert (answer["code"], answer["field"]) == ("STATE", "id")
        assert answer["message"] == f"its {parent} is deleted; restore that first"
        assert await everything(sharing) == before
    for id in (dune.site, dune.project, dune.group, dune.inside, dune.alone, config):
        assert (await restore(sharing, id))["id"] == id


async def test_a_session_does_not_come_back_without_its_project_or_creator(sharing: Platform) -> None:
    dune = await settle(sharing)
    held = await _hold(sharing, dune)
    await gone(sharing, held, dune.project, dune.leader)
    assert "its Project" in (await restore(sharing, held))["message"]
    await restore(sharing, dune.project)
    assert "its User" in (await restore(sharing, held))["message"]
    await restore(sharing, dune.leader)
    assert (await restore(sharing, held))["id"] == held


async def test_what_another_row_took_meanwhile_is_a_conflict(sharing: Platform) -> None:
    dune = await settle(sharing)
    name = f"again-{dune.number}"
    service = {"name": "x", "key": name, "hostname": "x", "port": 1, "endpoint": "/", "clientEndpoint": "/"}
    for typename, given, other, free in (
        ("Participant", {"name": "x", "project": dune.project, "username": name}, {}, {"username": f"{name}-3"}),
        ("Service", service, {}, None),
        ("User", {"username": name, "email": f"{name}@x.org"}, {"username": f"{name}-2"}, {"email": f"{name}-3@x.org"}),
    ):
        first = await made(sharing, typename, **given)
        await gone(sharing, first)
        second = await made(sharing, typename, **{**given, **other})
        before = await everything(sharing)
        answer = await restore(sharing, first)
        assert (answer["code"], answer["field"]) == ("CONFLICT", None)
        assert f"already a {typename} with this" in answer["message"]
        assert await everything(sharing) == before
        if free is None:
            await gone(sharing, second)
        else:
            await update(sharing, second, **free)
        assert (await restore(sharing, first))["id"] == first


async def test_only_what_is_deleted_comes_back(reading: Platform) -> None:
    assert (await restore(reading, here(reading, "Site", "site")))["code"] == "STATE"
    absent = await restore(reading, global_id("Site", uuid7()))
    assert (absent["code"], absent["field"]) == ("NOT_FOUND", "id")


async def test_who_may_not_is_told_nothing_of_what_is_deleted(sharing: Platform) -> None:
    dune = await settle(sharing)
    await gone(sharing, dune.inside, dune.group, dune.project, dune.site)
    for id in (dune.site, dune.project, dune.group, dune.inside):
        absent = await restore(sharing, global_id(type_of(id), uuid7()), "sita")
        assert absent["code"] == "NOT_FOUND"
        assert await restore(sharing, id, "sita") == absent


async def test_who_deleted_it_may_bring_it_back(sharing: Platform) -> None:
    dune = await settle(sharing)
    crew = await made(
        sharing, "UserGroup", dune.site_admin, name="x", roles=[await role_of(sharing, dune.site, "user")]
    )
    config = {"service": dune.service, "participant": dune.alone, "config": {}}
    set_up = await made(sharing, "ServiceConfig", dune.project_admin, **config)
    for id, who in (
        (crew, dune.site_admin),
        (set_up, dune.project_admin),
        (dune.alone, dune.project_admin),
        (dune.group, dune.project_admin),
        (dune.project, dune.site_admin),
    ):
        await gone(sharing, id, who=who)
        assert (await restore(sharing, id, who))["id"] == id


# How it is asked ---------------------------------------------------------------------------------------------------


async def test_a_stale_version_deletes_nothing(sharing: Platform) -> None:
    dune = await settle(sharing)
    await update(sharing, dune.alone, dune.project_admin, name="D-2")
    answer = await delete(sharing, dune.alone, dune.project_admin, version=1)
    assert (answer["code"], answer["field"], answer["details"]) == ("CONFLICT", "expectedVersion", {"version": 2})
    assert (await delete(sharing, dune.alone, dune.project_admin, version=2))["__typename"] == "Deleted"
    assert (await delete(sharing, dune.alone, dune.project_admin))["code"] == "NOT_FOUND"


async def test_what_is_deleted_can_not_be_changed_named_or_found(sharing: Platform) -> None:
    dune = await settle(sharing)
    await gone(sharing, dune.alone, who=dune.project_admin)
    assert (await update(sharing, dune.alone, version=1, name="x"))["code"] == "NOT_FOUND"
    named = await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [dune.inside, dune.alone])
    assert (named["code"], named["field"]) == ("NOT_FOUND", "ids.1")
    for who in (dune.project_admin, "root"):
        assert await look(sharing, dune.alone, who=who) is None


async def test_deleting_and_bringing_back_are_on_record_where_they_belong(sharing: Platform) -> None:
    dune = await settle(sharing)
    await gone(sharing, dune.alone, who=dune.project_admin)
    await restore(sharing, dune.alone, dune.project_admin)
    for who in (dune.project_admin, "root"):
        events = await sharing.ask("{auditEvents(first:2){nodes{action entityType}}}", who)
        assert events["auditEvents"]["nodes"] == [
            {"action": "RESTORE", "entityType": "Participant"},
            {"action": "DELETE", "entityType": "Participant"},
        ]
    event = models.AuditEvent
    deleted = sa.select(event).where(event.action == "DELETE", event.entity_id == key(dune.alone))
    async with sharing.services.database.read() as connection:
        (told,) = (await connection.execute(deleted)).all()
    assert (told.project_id, told.site_id) == (key(dune.project), key(dune.site))


async def test_tokens_of_what_is_deleted_work_no_more_and_do_not_come_back(sharing: Platform) -> None:
    dune = await settle(sharing)
    presented = {
        kind: Secret(kind, secret_of(dune.number, kind.value)) for kind in (Kind.PARTICIPANT, Kind.DEVICE, Kind.SERVICE)
    }
    known = sharing.services.identity.principals
    for said in presented.values():
        await known.of(said)
    await gone(sharing, dune.group)
    with pytest.raises(Unauthenticated):
        await known.of(presented[Kind.PARTICIPANT])
    await link(sharing, "DEVICE_PARTICIPANTS", dune.device, [])
    await gone(sharing, dune.device, dune.service)
    for said in presented.values():
        with pytest.raises(Unauthenticated):
            await known.of(said)
    for id in (dune.group, dune.device, dune.service):
        await restore(sharing, id)
    for said in presented.values():
        with pytest.raises(Unauthenticated):
            await principal_of(sharing.services.database, said)


async def test_what_was_deleted_is_found_by_who_may_bring_it_back(sharing: Platform) -> None:
    dune = await settle(sharing)
    query = "query($t:RestorableType!){restorable(type:$t,first:2){nodes{id name deletedAt}}}"

    async def found(kind: str, who: Any) -> list[str]:
        return [one["id"] for one in (await sharing.ask(query, who, t=kind))["restorable"]["nodes"]]

    for kind, id, who in (
        ("PARTICIPANT", dune.alone, dune.project_admin),
        ("PARTICIPANT_GROUP", dune.group, dune.project_admin),
        ("PROJECT", dune.project, dune.site_admin),
        ("SITE", dune.site, "root"),
    ):
        await gone(sharing, id)
        assert (await found(kind, who))[0] == id
        assert id not in await found(kind, "eve")
        assert id not in await found(kind, None)
    assert await found("PARTICIPANT", dune.project_user) == []
    assert (await restore(sharing, (await found("SITE", "root"))[0]))["__typename"] == "Site"


async def test_a_role_of_what_is_gone_is_neither_seen_nor_granted(sharing: Platform) -> None:
    dune = await settle(sharing)
    role = await made(sharing, "Role", service=dune.service, scope="SITE", site=dune.site, name="caller")
    assert (await look(sharing, role))["id"] == role
    await gone(sharing, dune.service)
    assert await look(sharing, role) is None
    assert (await grant(sharing, role, dune.crew))["code"] == "NOT_FOUND"
