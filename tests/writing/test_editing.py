"""Rows are made and changed by the common mutations: what may be given, what must hold, and what is left when it fails."""

import asyncio
import re
from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from db.types import Name, uuid7
from resolvers.spelling import global_id
from schema import build
from tests.support.organising import (
    Dune,
    create,
    everything,
    gone,
    here,
    ids_of,
    live,
    look,
    made,
    role_of,
    settle,
    there,
    update,
)
from tests.support.platforms import Platform

CORE = build().core
EDITED = sorted(
    name.removeprefix("create")
    for name in CORE.mutation_type.fields  # type: ignore[union-attr]
    if name.startswith("create") and f"update{name.removeprefix('create')}" in CORE.mutation_type.fields  # type: ignore[union-attr]
)


def _given(dune: Dune) -> dict[str, dict[str, Any]]:
    """The least that has to be given for a new row of each type."""
    mine = f"mine-{dune.number}"
    return {
        "Site": {"name": "Arrakis"},
        "SessionType": {"name": "Arrakis", "category": "PROTOCOL"},
        "Project": {"name": "Arrakis", "site": dune.site},
        "ParticipantGroup": {"name": "Arrakis", "project": dune.project},
        "Participant": {"name": "Arrakis", "project": dune.project},
        "DeviceType": {"name": "Arrakis", "key": mine},
        "DeviceSubtype": {"name": "Arrakis", "type": dune.kind},
        "Device": {"name": "Arrakis", "type": dune.kind},
        "Service": {
            "name": "Arrakis",
            "key": mine,
            "hostname": "arrakis.internal",
            "port": 4000,
            "endpoint": "/",
            "clientEndpoint": "/arrakis",
        },
        "Role": {"name": "Arrakis", "service": dune.service, "scope": "SITE", "site": dune.site},
        "UserGroup": {"name": "Arrakis"},
        "User": {"username": mine},
        "ServiceConfig": {"service": dune.service, "user": dune.worker, "config": {"volume": 1}},
    }


def _inputs(typename: str, prefix: str = "New", suffix: str = "") -> Any:
    kind: Any = CORE.get_type(f"{prefix}{typename}{suffix}")
    return kind.fields


async def test_every_type_that_is_made_and_changed_alike_is_tried_here(sharing: Platform) -> None:
    elsewhere = (
        "NotificationTemplate",
        "Challenge",
        "ExternalEntry",
        "Leaderboard",
        "Phase",
        "Session",
        "SessionEvent",
    )
    assert sorted([*_given(await settle(sharing)), *elsewhere]) == EDITED, (
        "templates, challenges and sessions have tests of their own"
    )


DEFAULTS = {
    "Site": {"twoFactorRequired": False},
    "Project": {"enabled": True, "description": None},
    "Participant": {"username": None, "email": None, "enabled": True, "loginEnabled": False, "tokenEnabled": False},
    "Device": {"enabled": False, "onlineable": False, "config": None, "infos": None, "notes": None},
    "Service": {
        "enabled": False,
        "editableConfig": False,
        "configSchema": {},
        "hasAssets": False,
        "endpointUser": None,
    },
    "ServiceConfig": {"specificId": ""},
    "User": {
        "email": None,
        "emailVerified": False,
        "firstName": None,
        "notes": None,
        "active": True,
        "superadmin": False,
        "platformRole": "READER",
        "forcePasswordChange": False,
    },
}


async def test_a_new_row_has_what_was_given_and_else_the_defaults(sharing: Platform) -> None:
    dune = await settle(sharing)
    for typename, given in _given(dune).items():
        defaults = DEFAULTS.get(typename, {})
        own = {name: value for name, value in given.items() if name not in _REFERS}
        row = await create(sharing, typename, select=" ".join([*defaults, *own]), **given)
        assert row.items() >= {"__typename": typename, "version": 1, **defaults, **own}.items()


_REFERS = ("site", "project", "type", "service", "user")


async def test_a_new_row_belongs_to_what_was_named(sharing: Platform) -> None:
    dune = await settle(sharing)
    project, group, site, kind = dune.project, dune.group, dune.site, dune.kind
    participant = await create(
        sharing, "Participant", name="x", project=project, group=group, select="group{id} project{id}"
    )
    assert (participant["group"], participant["project"]) == ({"id": group}, {"id": project})
    device = await create(sharing, "Device", dune.site_admin, name="x", type=kind, sites=[site], select="sites(first:9){nodes{id}} type{id}")  # fmt: skip
    assert (device["sites"]["nodes"], device["type"]) == ([{"id": site}], {"id": kind})
    admin = await role_of(sharing, site, "admin")
    crew = await create(sharing, "UserGroup", dune.site_admin, name="x", roles=[admin, admin], select="grants(first:9){nodes{role{id}}}")  # fmt: skip
    assert crew["grants"]["nodes"] == [{"role": {"id": admin}}], "given twice is given"
    user = await create(sharing, "User", dune.site_admin, username=f"member-{dune.number}", groups=[crew["id"]], select="groups(first:9){nodes{id}}")  # fmt: skip
    assert user["groups"]["nodes"] == [{"id": crew["id"]}]


async def test_a_new_site_or_project_has_its_two_roles_and_nobody_holds_them(sharing: Platform) -> None:
    site = await made(sharing, "Site", name="Dune")
    project = await made(sharing, "Project", name="Sand", site=site)
    for kind, place in (("site", site), ("project", project)):
        query = "query($f:RoleFilter){roles(first:9,filter:$f){nodes{name service{id} grants(first:9){totalCount}}}}"
        roles = (await sharing.ask(query, "root", f={kind: {"ids": [place]}}))["roles"]["nodes"]
        assert [(role["name"], role["grants"]["totalCount"]) for role in roles] == [("admin", 0), ("user", 0)]


async def test_what_an_update_leaves_out_stays_and_null_clears(sharing: Platform) -> None:
    dune = await settle(sharing)
    finer = await made(sharing, "DeviceSubtype", name="x", type=dune.kind)
    full = {"notes": "by the door", "config": {"rate": 50}, "infos": {"serial": "A"}, "subtype": finer}
    shown = "name notes config infos enabled subtype{id}"
    await update(sharing, dune.device, dune.site_admin, **full)
    less = await update(sharing, dune.device, dune.site_admin, notes=None, name="New", select=shown)
    there_ = {"name": "New", "notes": None, "enabled": True, "subtype": {"id": finer}}
    assert less.items() >= {**there_, "config": full["config"], "infos": full["infos"]}.items()
    least = await update(sharing, dune.device, dune.site_admin, subtype=None, config=None, select=shown)
    assert least.items() >= {"name": "New", "subtype": None, "config": None, "infos": full["infos"]}.items()
    freed = await update(sharing, dune.inside, dune.project_admin, group=None, select="group{id} username")
    assert (freed["group"], freed["username"]) == (None, f"d1-{dune.number}")


async def test_every_type_refuses_a_stale_version_and_stays_as_it_was(sharing: Platform) -> None:
    dune = await settle(sharing)
    changed: list[tuple[str, str, Any]] = []
    for typename, given in _given(dune).items():
        id = await made(sharing, typename, **given)
        field = {"ServiceConfig": "config", "User": "firstName"}.get(typename, "name")
        value: Any = {"volume": 2} if field == "config" else "Other"
        first = await update(sharing, id, version=1, select=field, **{field: value})
        assert (first["version"], first[field]) == (2, value)
        changed.append((id, field, {"volume": 3} if field == "config" else "Third"))
    before = await everything(sharing)
    for id, field, value in changed:
        stale = await update(sharing, id, version=1, **{field: value})
        assert (stale["code"], stale["field"], stale["details"]) == ("CONFLICT", "expectedVersion", {"version": 2})
    assert await everything(sharing) == before


async def test_of_two_changes_of_one_version_one_wins(sharing: Platform) -> None:
    dune = await settle(sharing)
    project = dune.project
    tried = [update(sharing, project, dune.project_admin, version=1, name=f"n{n}", select="name") for n in range(4)]
    answers = await asyncio.gather(*tried)
    (won,) = [answer for answer in answers if answer["__typename"] == "Project"]
    assert {answer["code"] for answer in answers if answer is not won} == {"CONFLICT"}
    assert (await look(sharing, project, "name"))["name"] == won["name"]


async def test_an_update_of_nothing_changes_nothing(sharing: Platform) -> None:
    dune = await settle(sharing)
    before = await everything(sharing)
    for given in ({}, {"name": f"Sand {dune.number}"}):
        assert (await update(sharing, dune.project, dune.project_admin, version=1, **given))["version"] == 1
    assert await everything(sharing) == before


# What may be given -------------------------------------------------------------------------------------------------


async def test_no_text_is_longer_than_what_is_kept(sharing: Platform) -> None:
    """One more character than the column takes is refused with the field, whatever the type; as many are kept."""
    dune = await settle(sharing)
    before, tried = await everything(sharing), []
    for typename, given in _given(dune).items():
        long = {name: most for name, most in _lengths(typename).items() if name != "username"}
        for name, most in long.items():
            refused = await create(sharing, typename, **{**given, name: _text(name, most + 1)})
            assert (refused["code"], refused["field"]) == ("INVALID", f"input.{name}"), typename
            assert str(most) in refused["message"]
        tried += list(long)
    assert await everything(sharing) == before
    for typename, given in _given(dune).items():
        kept = await create(sharing, typename, **given, **{n: _text(n, m) for n, m in _lengths(typename).items() if n not in given})  # fmt: skip
        assert kept["__typename"] == typename, kept
    assert len(tried) > 20


def _lengths(typename: str) -> dict[str, int]:
    """The characters that are kept of each text that may be given."""
    columns = sa.inspect(getattr(models, typename)).columns
    given = {name: columns.get(re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", name)) for name in _inputs(typename)}
    texts = {name: column.type for name, column in given.items() if column is not None and not column.foreign_keys}
    return {name: t.length for name, t in texts.items() if type(t) in (sa.String, Name) and t.length is not None}


def _text(name: str, length: int) -> str:
    if name == "color":
        return f"#{'a' * (length - 1)}"
    if name != "email":
        return "x" * length
    return f"{'x' * 64}@{(('y' * 60 + '.') * 4)[: length - 69]}.org"


async def test_null_is_refused_where_something_must_be(reading: Platform) -> None:
    for id, name in (
        (here(reading, "Project", "project"), "name"),
        (here(reading, "Project", "project"), "enabled"),
        (here(reading, "Participant", "participant"), "project"),
        (here(reading, "Device", "device"), "type"),
        (here(reading, "ServiceConfig", "config"), "config"),
    ):
        answer = await update(reading, id, **{name: None})
        assert (answer["code"], answer["field"]) == ("INVALID", f"input.{name}")
        assert answer["message"] == f"{name} can't be null"


@pytest.mark.parametrize("name", ["", "   ", "\t\n", "a\0b"])
async def test_a_name_is_no_blank_and_holds_no_nul(reading: Platform, name: str) -> None:
    made_ = await create(reading, "Site", name=name)
    changed = await update(reading, here(reading, "Site", "site"), name=name)
    assert {(a["code"], a["field"]) for a in (made_, changed)} == {("INVALID", "input.name")}


@pytest.mark.parametrize("name", ["x", "white space", "tom@home", "ünder", "semi;colon"])
async def test_a_username_is_made_of_plain_letters(reading: Platform, name: str) -> None:
    answer = await create(reading, "User", username=name)
    assert (answer["code"], answer["field"]) == ("INVALID", "input.username")


async def test_names_to_sign_in_with_and_addresses_are_in_lower_case(sharing: Platform) -> None:
    dune = await settle(sharing)
    given, shown = {"username": f"Ada.{dune.number}", "email": f"Ada@{dune.number}.Example"}, "username email"
    user = await create(sharing, "User", **given, select=shown)
    participant = await create(sharing, "Participant", name="X", project=dune.project, **given, select=shown)
    for row in (user, participant):
        assert (row["username"], row["email"], row["__typename"]) == (
            f"ada.{dune.number}", f"ada@{dune.number}.example", row["__typename"],
        )  # fmt: skip


@pytest.mark.parametrize("email", ["nobody", "@x.org", "a@", "a b@x.org", "a@b@c"])
async def test_an_address_looks_like_one(reading: Platform, email: str) -> None:
    user = await create(reading, "User", username="ada", email=email)
    participant = await update(reading, here(reading, "Participant", "participant"), email=email)
    assert {(a["code"], a["field"]) for a in (user, participant)} == {("INVALID", "input.email")}


async def test_an_address_that_changes_is_to_be_confirmed_again_unless_vouched_for(sharing: Platform) -> None:
    dune = await settle(sharing)
    own, shown = f"jamis-{dune.number}@x.example", "email emailVerified"
    same = await update(sharing, dune.worker, dune.site_admin, email=own, firstName="J", select=shown)
    assert same["emailVerified"]
    moved = await update(sharing, dune.worker, dune.site_admin, email=f"at.{own}", select=shown)
    assert (moved["email"], moved["emailVerified"]) == (f"at.{own}", False)
    vouched = await update(sharing, dune.worker, dune.site_admin, email=own, emailVerified=True, select=shown)
    assert vouched["emailVerified"]


# What is named -----------------------------------------------------------------------------------------------------


async def test_what_is_hidden_deleted_absent_or_of_another_type_can_not_be_named(sharing: Platform) -> None:
    dune = await settle(sharing)
    shared = dune.project
    left = await made(sharing, "ParticipantGroup", name="left", project=shared)
    await gone(sharing, left)
    before = await everything(sharing)
    for group, code in (
        (there(sharing, "ParticipantGroup", "group"), "NOT_FOUND"),
        (left, "NOT_FOUND"),
        (global_id("ParticipantGroup", uuid7()), "NOT_FOUND"),
        (dune.site, "INVALID"),
        ("nonsense", "INVALID"),
    ):
        new = await create(sharing, "Participant", dune.project_admin, name="x", project=shared, group=group)
        old = await update(sharing, dune.alone, dune.project_admin, group=group)
        assert {(a["code"], a["field"]) for a in (new, old)} == {(code, "input.group")}
    assert await everything(sharing) == before


async def test_one_bad_id_among_several_leaves_nothing_behind(sharing: Platform) -> None:
    dune = await settle(sharing)
    sites = [dune.site, there(sharing, "Site", "site")]
    before = await live(sharing)
    device = await create(sharing, "Device", dune.site_admin, name="x", type=dune.kind, sites=sites)
    assert (device["code"], device["field"]) == ("NOT_FOUND", "input.sites.1")
    user = await role_of(sharing, dune.site, "user")
    crew = await create(sharing, "UserGroup", dune.site_admin, name="x", roles=[user, dune.site])
    assert (crew["code"], crew["field"]) == ("INVALID", "input.roles.1")
    assert await live(sharing) == before


async def test_a_group_is_of_the_participants_project_and_a_subtype_of_the_devices_type(sharing: Platform) -> None:
    dune = await settle(sharing)
    far = there(sharing, "ParticipantGroup", "group")
    mixed = await create(sharing, "Participant", name="x", project=dune.project, group=far)
    assert (mixed["code"], mixed["field"]) == ("INVALID", "input.group")
    moved = await update(sharing, dune.inside, project=there(sharing, "Project", "project"))
    assert (moved["code"], moved["field"]) == ("INVALID", "input.group"), "its group stays behind"
    await update(sharing, dune.device, subtype=await made(sharing, "DeviceSubtype", name="x", type=dune.kind))
    kind = sharing.world.id("DeviceType", "device_type")
    other = await update(sharing, dune.device, type=kind)
    assert (other["code"], other["field"]) == ("INVALID", "input.subtype")
    both = await update(sharing, dune.device, type=kind, subtype=None, select="type{id}")
    assert both["type"] == {"id": kind}


async def test_a_role_names_the_place_of_its_scope(sharing: Platform) -> None:
    dune = await settle(sharing)
    service, site, project = dune.service, dune.site, dune.project
    for scope, named in (
        ("SITE", {}),
        ("SITE", {"project": project}),
        ("SITE", {"site": site, "project": project}),
        ("PROJECT", {"site": site}),
        ("GLOBAL", {"site": site}),
    ):
        answer = await create(sharing, "Role", service=service, scope=scope, name="x", **named)
        assert (answer["code"], answer["field"]) == ("INVALID", "input"), (scope, named)
        assert "SITE" in answer["message"]
    for scope, named in (("SITE", {"site": site}), ("PROJECT", {"project": project}), ("GLOBAL", {})):
        await made(sharing, "Role", service=service, scope=scope, name="x", **named)


async def test_a_configuration_is_for_exactly_one(reading: Platform) -> None:
    service, device = here(reading, "Service", "service"), here(reading, "Device", "device")
    for named in ({}, {"user": reading.world.id("User", "tom"), "device": device}):
        answer = await create(reading, "ServiceConfig", service=service, config={}, **named)
        assert (answer["code"], answer["field"]) == ("INVALID", "input")
        assert "exactly one" in answer["message"]


# What must be unique -----------------------------------------------------------------------------------------------


async def test_what_another_row_has_is_a_conflict_that_names_the_field(sharing: Platform) -> None:
    dune = await settle(sharing)
    project, service = dune.project, dune.service
    role = {"service": service, "scope": "SITE", "site": dune.site, "name": "caller"}
    await made(sharing, "Role", **role)
    config = {"service": service, "user": dune.worker, "config": {}}
    await made(sharing, "ServiceConfig", **config)
    before = await everything(sharing)
    for typename, given, field in (
        ("User", {"username": "TOM"}, "username"),
        ("User", {"username": "ada", "email": "Tom@torana.example"}, "email"),
        ("Participant", {"name": "x", "project": project, "username": "p01-PROTONS"}, "username"),
        ("DeviceType", {"name": "x", "key": "sensor"}, "key"),
        ("Service", {**_given(dune)["Service"], "key": "calls-harbour"}, "key"),
        ("Role", role, "name"),
        ("ServiceConfig", config, "service"),
    ):
        answer = await create(sharing, typename, **given)
        assert (answer["code"], answer["field"]) == ("CONFLICT", f"input.{field}"), typename
        assert re.match(f"there is already a {typename} with this .*{field}", answer["message"])
    assert await everything(sharing) == before


async def test_an_update_can_not_take_what_another_row_has(sharing: Platform) -> None:
    dune = await settle(sharing)
    idle = dune.alone
    for id, given in (
        (idle, {"username": "p01-protons"}),
        (dune.worker, {"email": "eve@torana.example"}),
        (dune.kind, {"key": "sensor"}),
    ):
        answer = await update(sharing, id, **given)
        assert (answer["code"], answer["field"]) == ("CONFLICT", f"input.{next(iter(given))}")
    assert (await look(sharing, idle, "version"))["version"] == 1


async def test_of_two_who_take_a_name_at_once_one_gets_it(sharing: Platform) -> None:
    answers = await asyncio.gather(*(create(sharing, "DeviceType", name="x", key="taken") for _ in range(4)))
    assert sorted(answer.get("code", "made") for answer in answers) == ["CONFLICT"] * 3 + ["made"]


async def test_a_deleted_users_name_stays_reserved_and_a_participants_is_free(sharing: Platform) -> None:
    dune = await settle(sharing)
    project, name = dune.project, f"ada-{dune.number}"
    user = await made(sharing, "User", username=name, email=f"{name}@x.example")
    participant = await made(sharing, "Participant", name="x", project=project, username=name)
    await gone(sharing, user, participant)
    again = await create(sharing, "User", username=name)
    assert (again["code"], again["field"]) == ("CONFLICT", "input.username")
    assert "deleted" in again["message"], "else who looks for it finds nothing"
    await made(sharing, "User", username=f"{name}-2", email=f"{name}@x.example")
    await made(sharing, "Participant", name="x", project=project, username=name)


# What else must hold -----------------------------------------------------------------------------------------------


async def test_no_participant_is_made_or_changed_where_work_has_ended(sharing: Platform) -> None:
    dune = await settle(sharing)
    shared, idle = dune.project, dune.alone
    await update(sharing, shared, enabled=False)
    for answer in (
        await create(sharing, "Participant", dune.project_admin, name="x", project=shared),
        await update(sharing, idle, dune.project_admin, enabled=True),
    ):
        assert (answer["code"], answer["field"]) == ("STATE", "input.project")
    far = there(sharing, "ParticipantGroup", "group")
    moved = await update(sharing, far, project=shared)
    assert (moved["code"], moved["field"]) == ("STATE", "input.project")
    away = await update(sharing, idle, project=there(sharing, "Project", "project"), select="enabled")
    assert away["enabled"] is False


async def test_a_service_has_a_port_and_a_schema_that_is_one(sharing: Platform) -> None:
    dune = await settle(sharing)
    service = dune.service
    for port in (0, 65536, -1):
        assert (await update(sharing, service, port=port))["field"] == "input.port"
    broken = await update(sharing, service, configSchema={"type": "no such type"})
    assert (broken["code"], broken["field"]) == ("INVALID", "input.configSchema")
    assert "no such type" in broken["message"]
    (core,) = await ids_of(sharing, "services", filter={"key": "torana"})
    assert (await update(sharing, core, name="Mine"))["code"] == "FORBIDDEN"


async def test_a_refused_field_refuses_the_whole_change_and_is_named(sharing: Platform) -> None:
    dune = await settle(sharing)
    answer = await update(sharing, dune.device, dune.project_admin, notes="by the door", name="Mine")
    assert answer["code"] == "FORBIDDEN"
    assert "`name` of a Device" in answer["message"]
    assert "administrators of the site" in answer["message"]
    assert (await look(sharing, dune.device, "notes"))["notes"] is None
    assert (await update(sharing, dune.device, dune.project_admin, version=1, notes="by the door"))["version"] == 2


async def test_later_mutations_of_an_operation_see_the_earlier_ones(sharing: Platform) -> None:
    dune = await settle(sharing)
    project = dune.project
    query = """mutation($p:ID!){ a: updateProject(id:$p,expectedVersion:1,input:{name:"A"}){... on Project{name version}}
      b: updateProject(id:$p,expectedVersion:2,input:{name:"B"}){... on Project{name version}}
      c: updateProject(id:$p,expectedVersion:2,input:{name:"C"}){... on Problem{code}} }"""
    assert await sharing.ask(query, dune.project_admin, p=project) == {
        "a": {"name": "A", "version": 2},
        "b": {"name": "B", "version": 3},
        "c": {"code": "CONFLICT"},
    }


async def test_refusals_and_changes_of_rights_are_on_record(sharing: Platform) -> None:
    dune = await settle(sharing)
    assert (await update(sharing, dune.project, dune.project_user, version=1, name="Mine"))["code"] == "FORBIDDEN"
    await update(sharing, dune.worker, platformRole="CONTRIBUTOR")
    query = "{auditEvents(first:2){nodes{action entityType detail}}}"
    promoted, refused = (await sharing.ask(query, "root"))["auditEvents"]["nodes"]
    assert (promoted["action"], promoted["entityType"]) == ("CHANGE_ROLE", "User")
    assert promoted["detail"] == {"platformRole": "CONTRIBUTOR"}
    assert (refused["action"], refused["entityType"], refused["detail"]["tried"]) == ("REFUSED", "Project", "UPDATE")


@pytest.mark.both
async def test_what_decides_how_one_signs_in_and_where_devices_and_services_work_is_on_record(
    platform: Platform,
) -> None:
    world, here = platform.world, platform.world.here
    links = "mutation($k:LinkKind!,$o:ID!,$i:[ID!]!){x:setLinks(kind:$k,id:$o,ids:$i){__typename}}"
    tom, service = world.id("User", "tom"), here.id("Service", "service")
    version = (await platform.ask("query($i:ID!){node(id:$i){version}}", "root", i=tom))["node"]["version"]
    change = "mutation($i:ID!,$v:Int!,$c:UserChanges!){x:updateUser(id:$i,expectedVersion:$v,input:$c){__typename}}"
    await platform.ask(change, "root", i=tom, v=version, c={"email": "thomas@torana.example"})
    sites = [world.id("Site", "site"), platform.world.there.id("Site", "site")]
    await platform.ask(links, "root", k="SERVICE_SITES", o=service, i=sites)
    await platform.ask(links, "root", k="SERVICE_SITES", o=service, i=sites[:1])
    await platform.ask(links, "root", k="DEVICE_PARTICIPANTS", o=here.id("Device", "device"), i=[])
    events = (await platform.ask("{auditEvents(first:4){nodes{action entityType entity detail}}}", "root"))[
        "auditEvents"
    ]
    told = [(e["action"], e["entityType"], e["entity"], e["detail"]) for e in reversed(events["nodes"])]
    site, participant = str(platform.world.there.site), str(here.participant)
    assert told == [
        ("CHANGE_SIGN_IN", "User", tom, {"changed": ["email"]}),
        ("LINK", "Service", service, {"site": site}),
        ("UNLINK", "Service", service, {"site": site}),
        ("UNLINK", "Device", here.id("Device", "device"), {"participant": participant}),
    ]
