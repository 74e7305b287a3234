"""What one may do and who may do what where, how much there is, what is found by which filter, and how rights come and
go."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from graphql import get_named_type

from db import models
from db.engine import row_topic
from db.models import CredentialKind
from db.tally import Tally, tally
from db.types import later, uuid7
from resolvers.failures import Unauthenticated
from resolvers.feed import RIGHTS, any_of_kind
from resolvers.identity.lookup import KEPT, Principals
from resolvers.identity.principal import Duty, Kind, Principal
from resolvers.identity.tokens import Secret, Session
from resolvers.spelling import global_id
from schema import Schema, build
from schema.fields.cost import Bounds
from tests.support.organising import (
    Dune,
    acting,
    create,
    delete,
    enrol,
    everything,
    filtered,
    gone,
    grant,
    here,
    ids_of,
    key,
    link,
    look,
    made,
    restore,
    role_of,
    secret_of,
    settle,
    there,
    type_of,
    update,
)
from tests.support.platforms import Platform, platform_on
from tests.support.world import START

CORE = build().core

# What one may do ---------------------------------------------------------------------------------------------------

MY_ACCESS = "query($i:ID!){myAccess(id:$i){actions fields creates}}"


async def _access(platform: Platform, id: str, who: str | Principal) -> Any:
    return (await platform.ask(MY_ACCESS, who, i=id))["myAccess"]


@pytest.mark.parametrize(
    ("who", "site", "project"),
    [
        ("root", ("RUD", "Project Device Challenge"), ("RUD", "Participant ParticipantGroup RoleGrant Session")),
        ("sita", ("RU", "Project Device Challenge"), ("RUD", "Participant ParticipantGroup RoleGrant Session")),
        ("maria", ("R", ""), ("RU", "Participant ParticipantGroup RoleGrant Session")),
        ("tom", ("R", ""), ("R", "Participant Session")),
        ("silo", ("R", ""), ("R", "")),
        ("service", ("R", "Project"), ("RUD", "Participant ParticipantGroup")),
        ("participant", None, ("R", "")),
        ("eve", None, None),
        ("mona", None, None),
        (None, None, None),
    ],
)
async def test_what_one_may_do_in_a_site_and_in_a_project(
    reading: Platform, who: str, site: tuple[str, str] | None, project: tuple[str, str] | None
) -> None:
    for id, expected in ((here(reading, "Site", "site"), site), (here(reading, "Project", "project"), project)):
        found = await _access(reading, id, who)
        if expected is None:
            assert found is None
        else:
            assert "".join(action[0] for action in found["actions"]) == expected[0]
            assert found["creates"] == expected[1].split()
            assert bool(found["fields"]) == ("U" in expected[0])


async def test_the_fields_that_one_may_give_are_those_that_are_taken(sharing: Platform) -> None:
    """Every field of updating inputs is given as it is, by each of three: refused just where it is not told."""
    dune = await settle(sharing)
    tried = set()
    for id in (dune.project, dune.inside, dune.device, dune.worker):
        typename = type_of(id)
        changes: Any = CORE.get_type(f"{typename}Changes")
        refers = {name for name, field in changes.fields.items() if str(field.type) == "ID"}
        row = await look(sharing, id, " ".join(f"{n}{{id}}" if n in refers else n for n in changes.fields))
        given = {n: {n: row[n]["id"] if n in refers and row[n] else row[n]} for n in changes.fields}
        declared = ",".join(f"${n}:{typename}Changes!" for n in given)
        each = " ".join(
            f"{n}:update{typename}(id:$d,expectedVersion:$v,input:${n}){{__typename ... on Problem{{code}}}}"
            for n in given
        )
        for who in (dune.site_admin, dune.project_admin, dune.project_user):
            told = await _access(sharing, id, who)
            if told is None:
                continue
            assert set(told["fields"]) <= set(given)
            answers = await sharing.ask(
                f"mutation($d:ID!,$v:Int!,{declared}){{{each}}}", who, d=id, v=row["version"], **given
            )
            allowed = {name for name, answer in answers.items() if answer.get("code") != "FORBIDDEN"}
            assert allowed == set(told["fields"]), (typename, who)
            tried |= {(typename, len(allowed))}
    assert len(tried) > 6


async def test_what_one_may_do_takes_one_statement(reading: Platform) -> None:
    await _access(reading, here(reading, "Project", "project"), "tom")
    assert reading.counted.statements == 1


async def test_nothing_may_be_done_with_what_is_hidden_deleted_or_absent(sharing: Platform) -> None:
    dune = await settle(sharing)
    await gone(sharing, dune.alone)
    for id, who in (
        (there(sharing, "Site", "site"), dune.site_admin),
        (dune.alone, "root"),
        (global_id("Site", uuid7()), "root"),
    ):
        assert await _access(sharing, id, who) is None
    assert await sharing.refused(MY_ACCESS, "root", i="nonsense") == ["INVALID"]


# Who has which role ------------------------------------------------------------------------------------------------

ACCESS_FOR = "query($i:ID!){accessFor(id:$i,first:100){nodes{role inherited userGroup{id} site{id} project{id}}}}"
Held = set[tuple[str, str, str | None, bool]]


async def _held(platform: Platform, id: str, who: str | Principal = "root") -> Held:
    """The role, the site, the project, and whether it is inherited."""
    rows = (await platform.ask(ACCESS_FOR, who, i=id))["accessFor"]["nodes"]
    found = {(row["role"], row["site"]["id"], (row["project"] or {}).get("id"), row["inherited"]) for row in rows}
    assert len(found) == len(rows)
    return found


async def test_who_administers_a_site_administers_its_projects_and_no_others(sharing: Platform) -> None:
    dune, _ = await settle(sharing), await settle(sharing)
    second = await made(sharing, "Project", name="Rock", site=dune.site)
    expected: Held = {
        ("admin", dune.site, None, False),
        ("admin", dune.site, dune.project, True),
        ("admin", dune.site, second, True),
    }
    assert await _held(sharing, dune.user) == await _held(sharing, dune.crew) == expected
    assert await _held(sharing, dune.user, dune.site_admin) == expected


async def test_a_role_in_a_project_makes_a_user_of_its_site(sharing: Platform) -> None:
    dune = await settle(sharing)
    assert await _held(sharing, dune.leader) == {
        ("admin", dune.site, dune.project, False),
        ("user", dune.site, None, True),
    }
    assert await _held(sharing, dune.worker) == {
        ("user", dune.site, dune.project, False),
        ("user", dune.site, None, True),
    }


async def test_of_several_roles_the_higher_counts(sharing: Platform) -> None:
    dune = await settle(sharing)
    admins = await made(sharing, "UserGroup", name="x", roles=[await role_of(sharing, dune.project, "admin")])
    await enrol(sharing, "addToGroup", admins, [dune.worker])
    expected: Held = {("admin", dune.site, dune.project, False), ("user", dune.site, None, True)}
    assert await _held(sharing, dune.worker) == expected, "two groups"
    assert (await acting(sharing, dune.worker)).projects == {key(dune.project): True}
    await grant(sharing, await role_of(sharing, dune.project, "user"), admins)
    assert await _held(sharing, admins) == expected, "one group with two roles"
    await grant(sharing, await role_of(sharing, dune.project, "user"), dune.crew)
    assert ("admin", dune.site, dune.project, True) in await _held(sharing, dune.user), "inherited and given"


async def test_a_place_tells_which_groups_hold_it(sharing: Platform) -> None:
    dune = await settle(sharing)
    (crew,) = await ids_of(sharing, "userGroups", filter={"user": dune.user})
    rows = (await sharing.ask(ACCESS_FOR, "root", i=dune.project))["accessFor"]["nodes"]
    assert {(row["role"], row["inherited"]) for row in rows if row["userGroup"]["id"] == crew} == {("admin", True)}
    assert sorted((row["role"], row["inherited"]) for row in rows) == [
        ("admin", False),
        ("admin", True),
        ("user", False),
    ]
    assert all(row["project"] == {"id": dune.project} for row in rows)
    rows = (await sharing.ask(ACCESS_FOR, "root", i=dune.site))["accessFor"]["nodes"]
    assert sorted((row["role"], row["inherited"]) for row in rows) == [("admin", False), ("user", True), ("user", True)]


async def test_only_grants_that_one_sees_are_told(sharing: Platform) -> None:
    dune = await settle(sharing)
    assert await _held(sharing, dune.user, dune.project_user) == set()
    assert await _held(sharing, dune.user, "eve") == set()
    assert await _held(sharing, dune.worker, dune.project_user) == await _held(sharing, dune.worker)
    for id in (dune.kind, "nonsense"):
        assert await sharing.refused(ACCESS_FOR, "root", i=id) == ["INVALID"]


# How much there is -------------------------------------------------------------------------------------------------

LISTS = (
    "sites", "projects", "users", "userGroups", "participantGroups", "participants", "devices", "services", "sessions",
    "simulations",
)  # fmt: skip
STATS = f"query($s:ID){{stats(scope:$s){{{' '.join(LISTS)}}}}}"


@pytest.mark.parametrize("who", ["root", "sita", "maria", "tom", "silo", "eve", "service", None])
async def test_there_is_as_much_as_the_lists_have(reading: Platform, who: str | None) -> None:
    stats = (await reading.ask(STATS, who))["stats"]
    lists = await reading.ask(f"{{{' '.join(f'{name}(first:1){{totalCount}}' for name in LISTS)}}}", who)
    assert stats == {name: lists[name]["totalCount"] for name in LISTS}


async def test_how_much_there_is_in_a_site_and_in_a_project(sharing: Platform) -> None:
    dune = await settle(sharing)
    second = await made(sharing, "Project", name="Rock", site=dune.site)
    in_site = {
        "sites": 1, "projects": 2, "users": 3, "userGroups": 3, "participantGroups": 1, "participants": 2, "devices": 2,
        "services": 1, "sessions": 0, "simulations": 0,
    }  # fmt: skip
    in_project = {**in_site, "sites": 0, "projects": 1, "users": 2, "userGroups": 2, "devices": 1}
    for scope, expected in (
        (dune.site, in_site),
        (dune.project, in_project),
        (second, {**dict.fromkeys(in_site, 0), "projects": 1}),
    ):
        for who in ("root", dune.site_admin):
            assert (await sharing.ask(STATS, who, s=scope))["stats"] == expected
            assert sharing.counted.statements == 1
    await gone(sharing, dune.inside)
    assert (await sharing.ask(STATS, "root", s=dune.site))["stats"] == {**in_site, "participants": 1}


async def test_sessions_and_simulations_of_a_site_are_those_of_its_projects(reading: Platform) -> None:
    for scope in (here(reading, "Site", "site"), here(reading, "Project", "project")):
        stats = (await reading.ask(STATS, "sita", s=scope))["stats"]
        assert (stats["sessions"], stats["simulations"]) == (1, 1)


async def test_there_is_nothing_told_of_a_hidden_place(reading: Platform) -> None:
    assert await reading.refused(STATS, "sita", s=there(reading, "Site", "site")) == ["NOT_FOUND"]
    assert await reading.refused(STATS, "sita", s=here(reading, "Device", "device")) == ["INVALID"]


# What applications keep --------------------------------------------------------------------------------------------

KEEP = """mutation($t:String!,$v:JSON!){x:setPreference(appTag:$t,value:$v){
  __typename ... on Preference{appTag value version} ... on Problem{code field}}}"""
KEPT_ONES = "query($f:PreferenceFilter){preferences(first:9,filter:$f){nodes{appTag value}}}"


async def test_an_application_keeps_one_value_for_each_user(sharing: Platform) -> None:
    dune = await settle(sharing)
    for value in ({"dark": True}, [1, 2], "text", 0, False, {"dark": False}):
        kept = (await sharing.ask(KEEP, dune.project_user, t="web", v=value))["x"]
        assert (kept["appTag"], kept["value"]) == ("web", value)
    await sharing.ask(KEEP, dune.project_user, t="phone", v={"zoom": 2})
    for filter, expected in (
        (None, [{"appTag": "web", "value": {"dark": False}}, {"appTag": "phone", "value": {"zoom": 2}}]),
        ({"appTag": {"equals": "phone"}}, [{"appTag": "phone", "value": {"zoom": 2}}]),
        ({"appTag": {"equals": "pho"}}, []),
    ):
        assert (await sharing.ask(KEPT_ONES, dune.project_user, f=filter))["preferences"]["nodes"] == expected
    assert (await sharing.ask(KEPT_ONES, dune.project_admin))["preferences"]["nodes"] == []


@pytest.mark.parametrize("empty", [{}, [], ""])
async def test_an_empty_value_keeps_nothing(sharing: Platform, empty: Any) -> None:
    dune = await settle(sharing)
    assert await sharing.ask(KEEP, dune.project_user, t="web", v=empty) == {"x": {"__typename": "Done"}}
    await sharing.ask(KEEP, dune.project_user, t="web", v={"a": 1})
    assert await sharing.ask(KEEP, dune.project_user, t="web", v=empty) == {"x": {"__typename": "Done"}}
    assert (await sharing.ask(KEPT_ONES, dune.project_user))["preferences"]["nodes"] == []


async def test_what_another_page_kept_is_not_overwritten(sharing: Platform) -> None:
    dune = await settle(sharing)
    keep = """mutation($v:JSON!,$n:Int){x:setPreference(appTag:"web",value:$v,expectedVersion:$n){
      __typename ... on Preference{value version} ... on Problem{code field}}}"""

    async def kept(value: Any, version: int) -> Any:
        return (await sharing.ask(keep, dune.project_user, v=value, n=version))["x"]

    conflict = {"__typename": "Problem", "code": "CONFLICT", "field": "expectedVersion"}
    assert await kept({"n": 0}, 1) == conflict, "nothing was kept"
    first = (await sharing.ask(KEEP, dune.project_user, t="web", v={"n": 1}))["x"]["version"]
    assert (await kept({"n": 2}, first))["version"] == first + 1
    for value in ({"n": 3}, {}):
        assert await kept(value, first) == conflict
    assert (await kept("", first + 1))["__typename"] == "Done"


async def test_of_first_values_kept_at_once_the_last_stays(sharing: Platform) -> None:
    dune = await settle(sharing)
    answers = await asyncio.gather(*(sharing.ask(KEEP, dune.project_user, t="web", v={"n": n}) for n in range(4)))
    assert {answer["x"]["__typename"] for answer in answers} == {"Preference"}
    assert len((await sharing.ask(KEPT_ONES, dune.project_user))["preferences"]["nodes"]) == 1


async def test_a_tag_is_short_and_there_are_not_too_many(sharing: Platform) -> None:
    dune = await settle(sharing)
    for tag in ("", "  ", "x" * 101, "a\0b"):
        answer = (await sharing.ask(KEEP, dune.project_user, t=tag, v=1))["x"]
        assert (answer["code"], answer["field"]) == ("INVALID", "appTag")
    async with sharing.services.database.write(as_system="test") as session:
        session.add_all(models.Preference(user_id=key(dune.worker), app_tag=f"{n}", value={"n": n}) for n in range(100))
    assert (await sharing.ask(KEEP, dune.project_user, t="one more", v=1))["x"]["code"] == "LIMIT_EXCEEDED"
    assert (await sharing.ask(KEEP, dune.project_user, t="99", v=1))["x"]["value"] == 1


# What is found -----------------------------------------------------------------------------------------------------


async def _found(platform: Platform, dune: Dune) -> dict[str, dict[str, list[tuple[Any, set[str]]]]]:
    """By list and condition: values with the ids that the site's administrator finds by them."""
    finer = await made(platform, "DeviceSubtype", name="x", type=dune.kind)
    await update(platform, dune.spare, subtype=finer)
    role = await made(platform, "Role", service=dune.service, scope="PROJECT", project=dune.project, name="caller")
    grants = {to: (await grant(platform, role, to))["id"] for to in (dune.device, dune.group)}
    specific = await made(
        platform, "ServiceConfig", service=dune.service, participant=dune.alone, config={}, specificId="room"
    )
    second = await made(platform, "Project", name="Rock", site=dune.site, enabled=False)
    by_site = {name: await role_of(platform, dune.site, name) for name in ("admin", "user")}
    by_project = {name: await role_of(platform, dune.project, name) for name in ("admin", "user")}
    held = {who: await _one(platform, "roleGrants", user=who) for who in (dune.user, dune.leader, dune.worker)}
    groups = {who: await _one(platform, "userGroups", user=who) for who in (dune.user, dune.leader, dune.worker)}
    configs = {
        who: await _one(platform, "serviceConfigs", service=dune.service, **{who: id})
        for who, id in (("user", dune.user), ("participant", dune.inside), ("device", dune.device))
    }
    met = await _met(platform, dune)
    resting = await made(platform, "User", username=f"resting-{dune.number}", active=False, groups=[dune.crew])
    second_roles = set(await ids_of(platform, "roles", filter={"project": second}))
    n, both = dune.number, {dune.inside, dune.alone}
    of_project = {held[dune.leader], held[dune.worker], *grants.values()}
    hidden = {t: there(platform, t, f) for t, f in (("Site", "site"), ("Project", "project"), ("Device", "device"), ("Service", "service"), ("Participant", "participant"), ("ParticipantGroup", "group"), ("UserGroup", "members"))}  # fmt: skip
    hidden["Session"] = global_id("Session", platform.world.sessions[1])
    return {
        "sites": {
            "name": [(f"DUNE {n}", {dune.site}), ("une", {dune.site}), ("island", set())],
            "device": [(dune.spare, {dune.site}), (hidden["Device"], set())],
            "user": [(dune.user, {dune.site}), (platform.world.id("User", "tom"), set())],
        },
        "projects": {
            "name": [("sAnD", {dune.project}), ("", {dune.project, second}), ("%s", set()), ("_n", set())],
            "enabled": [(True, {dune.project}), (False, {second})],
            "site": [(dune.site, {dune.project, second}), (hidden["Site"], set())],
            "service": [(dune.service, {dune.project}), (hidden["Service"], set())],
            "device": [(dune.device, {dune.project}), (dune.spare, set())],
            "user": [(dune.worker, {dune.project}), (platform.world.id("User", "tom"), set())],
        },
        "participantGroups": {
            "name": [("DWELL", {dune.group}), ("x", set())],
            "project": [(dune.project, {dune.group}), (second, set())],
        },
        "participants": {
            "text": [("d-1", {dune.inside}), ("D", both), (f"D1-{n}", {dune.inside}), ("x", set())],
            "project": [(dune.project, both), (second, set())],
            "site": [(dune.site, both), (hidden["Site"], set())],
            "group": [(dune.group, {dune.inside}), (hidden["ParticipantGroup"], set())],
            "device": [(dune.device, {dune.inside}), (dune.spare, set())],
            "session": [(met, {dune.alone}), (hidden["Session"], set())],
            "enabled": [(True, both), (False, set())],
            "grouped": [(True, {dune.inside}), (False, {dune.alone})],
        },
        "userGroups": {
            "name": [("(ADMIN)", {groups[dune.user], groups[dune.leader]}), ("sand", {groups[dune.leader], groups[dune.worker]})],
            "user": [(dune.worker, {groups[dune.worker]}), (platform.world.id("User", "tom"), set())],
            "site": [(dune.site, {dune.crew}), (hidden["Site"], set())],
            "project": [(dune.project, {groups[dune.leader], groups[dune.worker]}), (second, set())],
        },
        "roles": {
            "name": [("ALL", {role}), ("x", set())],
            "scope": [("SITE", set(by_site.values())), ("PROJECT", {role, *by_project.values(), *second_roles})],
            "site": [(dune.site, set(by_site.values())), (hidden["Site"], set())],
            "project": [(dune.project, {role, *by_project.values()}), (second, second_roles)],
            "service": [(dune.service, {role}), (hidden["Service"], set())],
        },
        "roleGrants": {
            "site": [(dune.site, {held[dune.user]}), (hidden["Site"], set())],
            "project": [(dune.project, of_project), (second, set())],
            "userGroup": [(dune.crew, {held[dune.user]}), (hidden["UserGroup"], set())],
            "user": [(dune.leader, {held[dune.leader]}), (platform.world.id("User", "tom"), set())],
            "device": [(dune.device, {grants[dune.device]}), (dune.spare, set())],
            "service": [(dune.service, set(grants.values())), (hidden["Service"], set())],
            "participantGroup": [(dune.group, {grants[dune.group]}), (hidden["ParticipantGroup"], set())],
        },
        "devices": {
            "name": [("WORM", {dune.device}), ("r", {dune.device, dune.spare})],
            "enabled": [(True, {dune.device}), (False, {dune.spare})],
            "type": [(dune.kind, {dune.device, dune.spare})],
            "subtype": [(finer, {dune.spare})],
            "site": [(dune.site, {dune.device, dune.spare}), (hidden["Site"], set())],
            "project": [(dune.project, {dune.device}), (second, set())],
            "participant": [(dune.inside, {dune.device}), (dune.alone, set())],
        },
        "deviceTypes": {"key": [(f"worm-{n}", {dune.kind}), ("worm", set())]},
        "services": {
            "name": [("calls", {dune.service}), ("x", set())],
            "key": [(f"dune-{n}", {dune.service}), ("dune", set())],
            "enabled": [(True, {dune.service}), (False, set())],
            "site": [(dune.site, {dune.service}), (hidden["Site"], set())],
            "project": [(dune.project, {dune.service}), (second, set())],
        },
        "serviceConfigs": {
            "service": [(dune.service, {specific, *configs.values()}), (hidden["Service"], set())],
            "specificId": [("", set(configs.values())), ("room", {specific})],
            "user": [(dune.user, {configs["user"]}), (dune.worker, set())],
            "participant": [(dune.inside, {configs["participant"]}), (dune.alone, {specific})],
            "device": [(dune.device, {configs["device"]}), (dune.spare, set())],
        },
        "users": {
            "text": [(f"PAUL-{n}", {dune.user}), (f"chani-{n}@x", {dune.leader}), ("tom", set())],
            "group": [(dune.crew, {dune.user, resting}), (hidden["UserGroup"], set())],
            "project": [(dune.project, {dune.leader, dune.worker}), (second, set())],
            "active": [(True, {dune.user, dune.leader, dune.worker}), (False, {resting})],
        },
    }  # fmt: skip


async def _met(platform: Platform, dune: Dune) -> str:
    """A session of the project with one of its participants."""
    async with platform.services.database.write(as_system="test") as session:
        kind = models.SessionType(name="x", online=False, color="#000000", category=models.SessionCategory.PROTOCOL)
        session.add(kind)
        await session.flush()
        held = models.Session(
            type_id=kind.id, project_id=key(dune.project), creator_id=key(dune.leader), name="x", starts_at=START
        )
        session.add(held)
        await session.flush()
        session.add(models.SessionMember(session_id=held.id, participant_id=key(dune.alone)))
        return global_id("Session", held.id)


async def _one(platform: Platform, field: str, **filter: Any) -> str:
    (found,) = await ids_of(platform, field, filter=filter)
    return found


async def test_every_filter_finds_what_it_says_and_no_more(sharing: Platform) -> None:
    dune = await settle(sharing)
    offered, who = await _found(sharing, dune), await acting(sharing, dune.user)
    for field, conditions in offered.items():
        kind: Any = get_named_type(CORE.query_type.fields[field].args["filter"].type)  # type: ignore[union-attr]
        cases = [(name, value, expected) for name, tried in conditions.items() for value, expected in tried]
        numbers = range(len(cases))
        each = " ".join(f"x{n}:{field}(first:9,filter:$f{n}){{nodes{{id}}}}" for n in numbers)
        declared = ",".join(f"$f{n}:{kind.name}" for n in numbers)
        given = {f"f{n}": filtered(field, **{name: value}) for n, (name, value, _) in enumerate(cases)}
        answers = await sharing.ask(f"query({declared}){{{each}}}", who, **given)
        for n, (name, value, expected) in enumerate(cases):
            found = [node["id"] for node in answers[f"x{n}"]["nodes"]]
            assert (set(found), len(found)) == (expected, len(expected)), (field, name, value)


async def test_a_text_is_searched_only_where_one_may_see_it(sharing: Platform) -> None:
    dune = await settle(sharing)
    n, inside, worker, leader = dune.number, [dune.inside], [dune.worker], [dune.leader]
    for field, text, who, expected in (
        ("participants", "d-1", dune.project_user, inside),
        ("participants", f"d1-{n}", dune.project_admin, inside),
        ("participants", f"d1-{n}", dune.project_user, []),
        ("users", f"jamis-{n}", dune.project_user, worker),
        ("users", f"jamis-{n}", "eve", []),
        ("users", f"jamis-{n}@", dune.project_user, worker),
        ("users", f"jamis-{n}@", dune.project_admin, worker),
        ("users", f"chani-{n}", dune.project_user, leader),
        ("users", f"chani-{n}@", dune.project_user, []),
    ):
        assert await ids_of(sharing, field, who, {"text": text}) == expected, (field, text)


# What follows from a change ----------------------------------------------------------------------------------------


async def test_a_configuration_meets_the_services_schema_or_is_told_where_not(sharing: Platform) -> None:
    dune = await settle(sharing)
    schema = {
        "type": "object",
        "required": ["volume"],
        "properties": {
            "volume": {"type": "integer", "maximum": 10},
            "rooms": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    }
    await update(sharing, dune.service, configSchema=schema)
    given = {"service": dune.service, "user": dune.worker}
    for config, path in (
        ({"volume": 11}, "input.config.volume"),
        ({"volume": 1, "rooms": [{"name": "a"}, {"name": 2}]}, "input.config.rooms.1.name"),
        ({}, "input.config"),
        ([], "input.config"),
        ("loud", "input.config"),
    ):
        answer = await create(sharing, "ServiceConfig", dune.project_user, **given, config=config)
        assert (answer["code"], answer["field"]) == ("INVALID", path), config
        assert "schema" in answer["message"]
    id = await made(sharing, "ServiceConfig", dune.project_user, **given, config={"volume": 10})
    louder = await update(sharing, id, dune.project_user, config={"volume": 11})
    assert (louder["code"], louder["field"]) == ("INVALID", "input.config.volume")
    assert (await look(sharing, id, "config"))["config"] == {"volume": 10}
    await update(sharing, dune.service, editableConfig=False)
    closed = await update(sharing, id, dune.project_user, config={"volume": 9})
    assert (closed["code"], closed["field"]) == ("STATE", "input.service")


async def test_work_that_ends_disables_its_participants_and_takes_their_devices(sharing: Platform) -> None:
    dune, other = await settle(sharing), await settle(sharing)
    await gone(sharing, dune.alone)
    before = (await look(sharing, dune.inside))["version"]
    session = await _signed_in(sharing, dune.inside, Kind.PARTICIPANT)
    devices = any_of_kind(row_topic(models.Device, ""))
    with sharing.services.feed.subscription(devices) as changes:
        await update(sharing, dune.project, dune.project_admin, enabled=False)
        assert devices in await changes.next(), "who watches devices hears of it"
    row = await look(sharing, dune.inside, "enabled devices(first:9){totalCount}")
    assert (row["enabled"], row["devices"]["totalCount"]) == (False, 0)
    assert row["version"] > before
    assert (await look(sharing, dune.device, "projects(first:9){totalCount}"))["projects"]["totalCount"] == 1
    far = await look(sharing, other.inside, "enabled devices(first:9){totalCount}")
    assert (far["enabled"], far["devices"]["totalCount"]) == (True, 1)
    await update(sharing, dune.project, dune.project_admin, enabled=True)
    assert (await look(sharing, dune.inside, "enabled"))["enabled"] is False, "each is enabled by hand"
    again = await update(sharing, dune.inside, dune.project_admin, enabled=True, select="enabled")
    assert again["enabled"] is True
    with pytest.raises(Unauthenticated):
        await sharing.services.identity.principals.of(session)


async def test_a_change_of_a_project_that_has_ended_disables_nobody_again(sharing: Platform) -> None:
    dune = await settle(sharing)
    await update(sharing, dune.project, enabled=False)
    before = await everything(sharing)
    await update(sharing, dune.project, enabled=False)
    assert await everything(sharing) == before


async def test_a_group_of_participants_moves_with_all_of_them(sharing: Platform) -> None:
    dune = await settle(sharing)
    second = await made(sharing, "Project", name="Rock", site=dune.site)
    left = await made(sharing, "Participant", name="D-3", project=dune.project, group=dune.group)
    await gone(sharing, left)
    assert (await update(sharing, dune.group, dune.project_admin, project=second))["code"] == "FORBIDDEN"
    await update(sharing, dune.group, await acting(sharing, dune.user), project=second)
    for id, project in ((dune.inside, second), (dune.alone, dune.project)):
        assert (await look(sharing, id, "project{id}"))["project"] == {"id": project}
    back = await restore(sharing, left, select="project{id} group{id}")
    assert (back["project"], back["group"]) == ({"id": second}, {"id": dune.group})


# Rights come and go ------------------------------------------------------------------------------------------------


async def test_roles_come_with_the_principal_after_inheritance(sharing: Platform) -> None:
    dune = await settle(sharing)
    site, project = key(dune.site), key(dune.project)
    for principal, sites, projects in (
        (dune.site_admin, {site: True}, {project: True}),
        (dune.project_admin, {site: False}, {project: True}),
        (dune.project_user, {site: False}, {project: False}),
    ):
        assert (principal.sites, principal.projects) == (sites, projects)


async def test_what_is_deleted_or_revoked_gives_no_rights(sharing: Platform) -> None:
    dune, other = await settle(sharing), await settle(sharing)
    site, project = key(dune.site), key(dune.project)
    (crew,) = await ids_of(sharing, "roleGrants", filter={"user": dune.user})
    await gone(sharing, crew)
    assert (await acting(sharing, dune.user)).sites == {}
    await grant(sharing, await role_of(sharing, dune.site, "admin"), dune.crew)
    await gone(sharing, dune.project)
    assert (await acting(sharing, dune.user)).projects == {}
    assert (await acting(sharing, dune.leader)).sites == {}
    await restore(sharing, dune.project)
    assert (await acting(sharing, dune.leader)).projects == {project: True}
    await gone(sharing, dune.site)
    for who in (dune.user, dune.leader, dune.worker):
        principal = await acting(sharing, who)
        assert (principal.sites, principal.projects) == ({}, {})
    await restore(sharing, dune.site)
    assert (await acting(sharing, dune.user)).sites == {site: True}
    assert (await acting(sharing, other.user)).projects == {key(other.project): True}


@asynccontextmanager
async def _another_process(platform: Platform, schema: Schema, folder: Path) -> AsyncIterator[Principals]:
    """What another gateway on the database knows; with SQLite there is none but this."""
    if platform.services.database.dialect == "sqlite":
        yield platform.services.identity.principals
        return
    async with platform_on(platform.settings.storage.database_url, platform.world, schema, folder, Bounds()) as other:
        yield other.services.identity.principals


async def _signed_in(platform: Platform, id: str, kind: Kind = Kind.USER) -> Session:
    """A login session of a user or a participant, as a token says it."""
    family, owner = uuid7(), key(id)
    async with platform.services.database.write(as_system="test") as session:
        session.add(
            models.Credential(
                **{f"{kind.value}_id": owner}, kind=CredentialKind.LOGIN_SESSION, secret_hash=str(family), algorithm="none",
                family=family, expires_at=later(600),
            )
        )  # fmt: skip
    return Session(kind, owner, family, None)  # type: ignore[arg-type]


async def _soon(known: Principals, said: Any, holds: Any) -> None:
    """What is known of somebody gets so, long before it would be forgotten anyway."""
    async with asyncio.timeout(KEPT / 2):
        while True:
            try:
                if holds(await known.of(said)):
                    return
            except Unauthenticated:
                if holds(None):
                    return
            await asyncio.sleep(0.01)


async def test_every_process_forgets_at_once_whose_rights_changed(
    sharing: Platform, schema: Schema, tmp_path: Path
) -> None:
    dune = await settle(sharing)
    site, project = key(dune.site), key(dune.project)
    leader, user = await _signed_in(sharing, dune.leader), await _signed_in(sharing, dune.user)
    service = Secret(Kind.SERVICE, secret_of(dune.number, "service"))
    (held,) = await ids_of(sharing, "roleGrants", filter={"user": dune.leader})
    (group,) = await ids_of(sharing, "userGroups", filter={"user": dune.leader})
    admin = await role_of(sharing, dune.project, "admin")

    steps: list[tuple[str, Any, Any, Any]] = [
        ("revoke", leader, lambda: delete(sharing, held), lambda p: p.projects == {}),
        ("grant", leader, lambda: grant(sharing, admin, group), lambda p: p.projects == {project: True}),
        ("leave", leader, lambda: enrol(sharing, "removeFromGroup", group, [dune.leader]), lambda p: p.sites == {}),
        ("join", leader, lambda: enrol(sharing, "addToGroup", group, [dune.leader]), lambda p: p.projects),
        ("delete project", leader, lambda: delete(sharing, dune.project), lambda p: p.projects == {}),
        ("restore project", leader, lambda: restore(sharing, dune.project), lambda p: p.projects),
        ("delete site", user, lambda: delete(sharing, dune.site), lambda p: p.sites == {}),
        ("restore site", user, lambda: restore(sharing, dune.site), lambda p: p.sites == {site: True}),
        ("link site", service, lambda: link(sharing, "SERVICE_SITES", dune.service, [dune.site]), lambda p: p.sites),
        ("link", service, lambda: link(sharing, "SERVICE_PROJECTS", dune.service, [dune.project]), lambda p: p.projects),
        ("unlink", service, lambda: link(sharing, "SERVICE_SITES", dune.service, []), lambda p: p.projects == {}),
        ("duty", user, lambda: update(sharing, dune.site, twoFactorRequired=True),
         lambda p: Duty.SET_UP_TWO_FACTOR in p.duties),
        ("freed", user, lambda: update(sharing, dune.site, twoFactorRequired=False), lambda p: not p.duties),
        ("promote", user, lambda: update(sharing, dune.user, platformRole="MANAGER"), lambda p: p.manager),
        ("new project", user, lambda: create(sharing, "Project", name="x", site=dune.site), lambda p: len(p.projects) == 2),
        ("stop", user, lambda: update(sharing, dune.user, active=False), lambda p: p is None),
    ]  # fmt: skip
    async with _another_process(sharing, schema, tmp_path) as known:
        for name, said, act, holds in steps:
            try:
                before = await known.of(said)
            except Unauthenticated:
                before = None
            assert not holds(before), name
            answer = await act()
            assert answer["__typename"] != "Problem", (name, answer)
            await _soon(known, said, holds)


async def test_a_new_name_changes_nobodys_rights(sharing: Platform) -> None:
    dune, heard = await settle(sharing), list[str]()
    with sharing.services.feed.subscription(RIGHTS) as changes:
        for id in (dune.project, dune.site, dune.group):
            await update(sharing, id, name=f"renamed {dune.number}")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                heard += await changes.next()
        assert heard == []
        await update(sharing, dune.project, enabled=False)
        async with asyncio.timeout(KEPT / 2):
            assert RIGHTS in await changes.next()


async def test_every_process_forgets_at_once_who_takes_part_no_more(
    sharing: Platform, schema: Schema, tmp_path: Path
) -> None:
    async with _another_process(sharing, schema, tmp_path) as known:
        for name in ("project", "group", "inside", "ended", "disabled"):
            dune = await settle(sharing)
            participant = Secret(Kind.PARTICIPANT, secret_of(dune.number, "participant"))
            assert await known.of(participant)
            if name == "ended":
                await update(sharing, dune.project, enabled=False)
            elif name == "disabled":
                await update(sharing, dune.inside, tokenEnabled=False)
            else:
                await gone(sharing, getattr(dune, name))
            await _soon(known, participant, lambda p: p is None)


async def test_who_someone_is_takes_one_statement(sharing: Platform) -> None:
    dune = await settle(sharing)
    for said in (
        await _signed_in(sharing, dune.leader),
        *(Secret(kind, secret_of(dune.number, kind.value)) for kind in (Kind.PARTICIPANT, Kind.DEVICE, Kind.SERVICE)),
    ):
        counted = Tally()
        token = tally.set(counted)
        first = await sharing.services.identity.principals.of(said)
        assert await sharing.services.identity.principals.of(said) is first
        tally.reset(token)
        assert counted.statements == 1


async def test_a_config_is_held_against_its_schema_in_a_short_time(sharing: Platform) -> None:
    dune = await settle(sharing)
    rows = [{"id": n, "at": [n] * 3} for n in range(1_000)]
    schema = {"properties": {"rows": {"uniqueItems": True}, "name": {"pattern": "^(a+)+$"}}}
    await update(sharing, dune.service, configSchema=schema)
    given = {"service": dune.service, "user": dune.worker}
    for config, path in (
        ({"rows": [*rows, rows[0]]}, "input.config.rows"),
        ({"rows": rows, "name": "a" * 20_000 + "b"}, "input.config.name"),
    ):
        began = time.thread_time()
        answer = await create(sharing, "ServiceConfig", dune.project_user, **given, config=config)
        assert (answer["code"], answer["field"]) == ("INVALID", path)
        assert time.thread_time() - began < 0.5
    id = await made(sharing, "ServiceConfig", dune.project_user, **given, config={"rows": rows})
    assert (await look(sharing, id, "config"))["config"] == {"rows": rows}


@pytest.mark.parametrize(
    ("unwanted", "why"),
    [
        ({"$ref": "file:///etc/hostname"}, "not elsewhere"),
        ({"properties": {"a": {"$ref": "https://torana.example/schema.json"}}}, "not elsewhere"),
        ({"$ref": "#/$defs/nothing"}, "not elsewhere"),
        ({"$ref": "#"}, "leads back"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "leads back"),
        ({"$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(30)} | {"30": {}}, "$ref": "#/$defs/0"}, "at most 1000 parts"),
        ({"pattern": "(?=a)b"}, "no JSON schema that is taken"),
        ({"pattern": "(a{1000}){1000}"}, "no JSON schema that is taken"),
        ({"properties": {"a": {"$id": "b", "$ref": "#/a"}}}, "$id"),
    ],
)  # fmt: skip
async def test_a_schema_that_could_keep_others_waiting_is_refused(sharing: Platform, unwanted: Any, why: str) -> None:
    dune = await settle(sharing)
    answer = await update(sharing, dune.service, configSchema=unwanted)
    assert (answer["code"], answer["field"]) == ("INVALID", "input.configSchema")
    assert why in answer["message"]
