"""Nobody comes to rights that nobody with those rights gave: each way that was open elsewhere, tried."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from db.types import uuid7
from gateway.protocol.authentication import authenticate
from resolvers.access import roles
from resolvers.failures import Unauthenticated
from resolvers.identity.lookup import principal_named, principal_of
from resolvers.identity.principal import Kind, Principal
from resolvers.identity.tokens import Secret, digest_of
from resolvers.spelling import global_id
from schema import Schema
from schema.fields.cost import Bounds
from schema.fields.scalars import parse_id
from tests.support.databases import BACKENDS, Prepared
from tests.support.matrix import mutate
from tests.support.platforms import Platform, platform_on
from tests.support.recording import changes
from tests.support.world import PASSWORD

ON_SQLITE = True

RITA, KEY = uuid7(), uuid7()
"""A superadmin who has a role in sita's site, which superadmins do not need but may have; and a key of tom's."""


@pytest.fixture(scope="module", params=BACKENDS)
async def closed(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """For tests of which none changes anything."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        async with made.services.database.write(as_system="test") as session:
            session.add(models.User(id=RITA, username="rita", superadmin=True, email_verified=True))
            await session.flush()
            await roles.enrol(session, await session.get_one(models.Site, world.site), RITA)
            session.add(models.Credential(id=KEY, user_id=world.tom, kind=models.CredentialKind.API_KEY, algorithm="sha256",
                                          public_key="pk", secret_hash="x", label="x"))  # fmt: skip
        with changes(made.services.database) as changed:
            yield made
        assert not changed


async def _done(platform: Platform, as_: str | Principal, name: str, **given: Any) -> dict[str, Any]:
    """What a mutation answered."""
    if isinstance(as_, str):
        as_ = replace(await principal_named(platform.services.database, as_), session=uuid7())
    done, errors = await mutate(platform, as_, name, **given)
    assert not errors
    return done


async def _update(platform: Platform, as_: str | Principal, typename: str, id: str, **changes: Any) -> dict[str, Any]:
    root = await principal_named(platform.services.database, "root")
    found = await platform.ask("query($id:ID!){node(id:$id){version}}", root, id=id)
    given = {"id": id, "expectedVersion": found["node"]["version"], "input": changes}
    return await _done(platform, as_, f"update{typename}", **given)


async def _create(platform: Platform, as_: str | Principal, typename: str, **input: Any) -> dict[str, Any]:
    return await _done(platform, as_, f"create{typename}", input=input)


async def _delete(platform: Platform, as_: str, typename: str, id: str) -> dict[str, Any]:
    return await _done(platform, as_, f"delete{typename}", id=id)


async def _grant(platform: Platform, as_: str | Principal, role: str, grantee: str) -> dict[str, Any]:
    return await _done(platform, as_, "grantRole", role=role, grantee=grantee)


async def _join(platform: Platform, as_: str, group: str, *users: str) -> dict[str, Any]:
    return await _done(platform, as_, "addToGroup", id=group, users=list(users))


async def _link(platform: Platform, as_: str, kind: str, owner: str, *ids: str) -> dict[str, Any]:
    return await _done(platform, as_, "setLinks", kind=kind, id=owner, ids=list(ids))


async def _password(platform: Platform, as_: str, user: str) -> dict[str, Any]:
    return await _done(platform, as_, "setPassword", id=user, newPassword="another battery staple horse")


async def _token(platform: Platform, who: str) -> str:
    query = "mutation($u:String!,$p:String!){logIn(username:$u,password:$p){...on Tokens{accessToken}}}"
    token: str = (await platform.ask(query, u=who, p=PASSWORD))["logIn"]["accessToken"]
    return f"Bearer {token}"


async def _found(platform: Platform, wanted: Any) -> Any:
    async with platform.services.database.write(as_system="test") as session:
        return await session.scalar(wanted)


async def _role(platform: Platform, name: str, **place: Any) -> str:
    wanted = sa.select(models.Role.id).filter_by(service_id=models.CORE, name=name, **place)
    return global_id("Role", await _found(platform, wanted))


async def _group_of(platform: Platform, name: str) -> str:
    wanted = sa.select(models.UserGroup.id).where(models.UserGroup.name == name)
    return global_id("UserGroup", await _found(platform, wanted))


def _user(platform: Platform, name: str) -> str:
    return platform.world.id("User", name)


# Users ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["sita", "mona"])
async def test_check_6_a_site_administrator_changes_no_superadmin(closed: Platform, who: str) -> None:
    for change in ({"notes": "x"}, {"active": False}, {"email": "x@torana.example"}, {"superadmin": False}, {"platformRole": "READER"}):  # fmt: skip
        done = await _update(closed, who, "User", global_id("User", RITA), **change)
        assert done["code"] == "FORBIDDEN", change


@pytest.mark.parametrize("who", ["sita", "mona"])
async def test_check_6_a_site_administrator_gives_no_superadmin_a_password(closed: Platform, who: str) -> None:
    assert (await _password(closed, who, global_id("User", RITA)))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("who", ["sita", "mona"])
async def test_check_6_a_site_administrator_deletes_no_superadmin(closed: Platform, who: str) -> None:
    assert (await _delete(closed, who, "User", global_id("User", RITA)))["code"] == "FORBIDDEN"
    assert (await _delete(closed, who, "User", _user(closed, "root")))["code"] == "FORBIDDEN"


async def test_a_superadmin_is_put_into_no_group(closed: Platform) -> None:
    """Else an administrator of the group would administer the superadmin."""
    group = global_id("UserGroup", closed.world.here.members)
    for who in ("sita", "root"):
        assert (await _join(closed, who, group, _user(closed, "root")))["code"] in ("INVALID", "FORBIDDEN")


@pytest.mark.parametrize(
    ("typename", "least"),
    [("User", {"username": "nobody"}), ("UserGroup", {"name": "x"}), ("Device", {"name": "x"})],
)
async def test_check_6_who_administers_a_site_makes_nothing_that_is_in_no_place(
    closed: Platform, typename: str, least: dict[str, Any]
) -> None:
    if typename == "Device":
        least = least | {"type": closed.world.id("DeviceType", "device_type")}
    assert (await _create(closed, "sita", typename, **least))["code"] == "FORBIDDEN"
    for name in {"User": "groups", "UserGroup": "roles", "Device": "sites"}[typename].split():
        assert (await _create(closed, "sita", typename, **least, **{name: []}))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("typename", ["User", "UserGroup", "Device"])
async def test_check_6_each_place_of_what_is_made_is_looked_at(platform: Platform, typename: str) -> None:
    """One's own first, then one of somebody else's that one sees: as superadmin of nothing there."""
    async with platform.services.database.write(as_system="test") as session:
        other = models.Site(id=uuid7(), name="Quay")
        session.add(other)
        await session.flush()
        await roles.found(session, other)
        group = await roles.enrol(session, other, platform.world.sita)
        seen = {
            "User": ("groups", "UserGroup", (await roles.enrol(session, await session.get_one(models.Site, platform.world.site))).id, group.id),
            "UserGroup": ("roles", "Role", (await roles.role_in(session, await session.get_one(models.Site, platform.world.site), "user")).id, (await roles.role_in(session, other, "user")).id),
            "Device": ("sites", "Site", platform.world.site, other.id),
        }[typename]  # fmt: skip
    name, kind, mine, theirs = seen
    least: dict[str, Any] = {"User": {"username": "nobody"}}.get(typename, {"name": "x"})
    if typename == "Device":
        least |= {"type": platform.world.id("DeviceType", "device_type")}
    for keys, code in (([mine, theirs], "FORBIDDEN"), ([theirs], "FORBIDDEN"), ([mine], None)):
        done = await _create(platform, "sita", typename, **least, **{name: [global_id(kind, key) for key in keys]})
        assert done.get("code") == code


@pytest.mark.parametrize("who", ["tom", "silo", "sita", "mona"])
async def test_nobody_promotes_or_reactivates_themself(closed: Platform, who: str) -> None:
    """Also not who may change others."""
    for change in ({"active": True}, {"superadmin": True}, {"platformRole": "MANAGER"}):
        assert (await _update(closed, who, "User", _user(closed, who), **change))["code"] == "FORBIDDEN", change
    if who != "sita":
        assert (await _update(closed, who, "User", _user(closed, who), notes="x"))["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "field", ["active", "superadmin", "platformRole", "notes", "emailVerified", "username", "forcePasswordChange"]
)
def test_a_profile_has_no_field_that_gives_rights(schema: Schema, field: str) -> None:
    assert field not in schema.core.get_type("ProfileChanges").fields  # type: ignore[union-attr]


async def test_superadmins_do_not_lock_themselves_out(closed: Platform) -> None:
    root = _user(closed, "root")
    for change in ({"active": False}, {"superadmin": False}):
        assert (await _update(closed, "root", "User", root, **change))["code"] == "FORBIDDEN"
    assert (await _delete(closed, "root", "User", root))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("role", ["READER", "CONTRIBUTOR", "MANAGER"])
async def test_a_manager_makes_contributors_and_no_managers(platform: Platform, role: str) -> None:
    code = "FORBIDDEN" if role == "MANAGER" else None
    assert (await _update(platform, "mona", "User", _user(platform, "eve"), platformRole=role)).get("code") == code
    assert (await _create(platform, "mona", "User", username=f"a-{role.lower()}", platformRole=role)).get(
        "code"
    ) == code
    assert (await _create(platform, "root", "User", username=f"b-{role.lower()}", platformRole=role)).get(
        "code"
    ) is None


async def test_a_manager_takes_no_manager_down(platform: Platform) -> None:
    made = await _create(platform, "root", "User", username="second", platformRole="MANAGER")
    assert (await _update(platform, "mona", "User", made["id"], platformRole="READER"))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("who", ["sita", "mona", "maria", "tom", "eve"])
async def test_only_superadmins_make_superadmins(closed: Platform, who: str) -> None:
    more = {"groups": [await _group_of(closed, "Harbour (user)")]} if who == "sita" else {}
    assert (await _create(closed, who, "User", username="super", superadmin=True, **more))["code"] == "FORBIDDEN"
    assert (await _update(closed, who, "User", _user(closed, "silo"), superadmin=True))["code"] == "FORBIDDEN"


async def test_superadmins_make_superadmins(platform: Platform) -> None:
    assert (await _create(platform, "root", "User", username="super", superadmin=True))["__typename"] == "User"


@pytest.mark.parametrize("who", ["sita", "maria", "tom", "eve"])
async def test_only_managers_give_platform_roles(closed: Platform, who: str) -> None:
    more = {"groups": [await _group_of(closed, "Harbour (user)")]} if who == "sita" else {}
    done = await _create(closed, who, "User", username="new", platformRole="CONTRIBUTOR", **more)
    assert done["code"] == "FORBIDDEN"
    done = await _update(closed, who, "User", _user(closed, "silo"), platformRole="CONTRIBUTOR")
    assert done["code"] == "FORBIDDEN"


async def test_a_user_of_another_site_is_not_changed(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Project, platform.world.apart), platform.world.eve)
    assert (await _update(platform, "sita", "User", _user(platform, "eve"), notes="x"))["code"] == "FORBIDDEN"
    done = await _password(platform, "sita", _user(platform, "eve"))
    assert done["code"] == "FORBIDDEN"


# Roles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "name", "place", "code"),
    [
        ("maria", "admin", "site", "FORBIDDEN"),
        ("maria", "user", "site", "FORBIDDEN"),
        ("tom", "user", "project", "FORBIDDEN"),
        ("tom", "admin", "project", "FORBIDDEN"),
        ("silo", "user", "site", "FORBIDDEN"),
        ("mona", "user", "site", "NOT_FOUND"),
    ],
)
async def test_a_role_above_one_s_own_is_not_granted(
    closed: Platform, who: str, name: str, place: str, code: str
) -> None:
    role = await _role(closed, name, **{f"{place}_id": getattr(closed.world.here, place)})
    group = global_id("UserGroup", closed.world.here.members)
    assert (await _grant(closed, who, role, group))["code"] == code


@pytest.mark.parametrize(("who", "place"), [("maria", "project"), ("sita", "project"), ("sita", "site")])
async def test_the_roles_of_what_one_administers_are_granted(platform: Platform, who: str, place: str) -> None:
    group = global_id("UserGroup", platform.world.here.members)
    for name in ("user", "admin"):
        role = await _role(platform, name, **{f"{place}_id": getattr(platform.world.here, place)})
        assert (await _grant(platform, who, role, group))["__typename"] == "RoleGrant"


async def test_a_role_of_another_site_is_not_granted(platform: Platform) -> None:
    there = platform.world.there
    group = global_id("UserGroup", platform.world.here.members)
    for place in ({"site_id": there.site}, {"project_id": there.project}):
        assert (await _grant(platform, "sita", await _role(platform, "user", **place), group))["code"] == "NOT_FOUND"
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, there.site), platform.world.sita)
    for name in ("user", "admin"):
        done = await _grant(platform, "sita", await _role(platform, name, site_id=there.site), group)
        assert done["code"] == "FORBIDDEN", "she is only a user there"


async def test_nobody_joins_a_group_that_has_a_role_elsewhere(platform: Platform) -> None:
    world = platform.world
    group = global_id("UserGroup", world.here.members)
    assert (await _join(platform, "sita", group, _user(platform, "silo"))).get("code") is None
    async with platform.services.database.write(as_system="test") as session:
        role = await roles.role_in(session, await session.get_one(models.Site, world.there.site), "admin")
        session.add(models.RoleGrant(role_id=role.id, user_group_id=world.here.members))
    assert (await _join(platform, "sita", group, _user(platform, "mona")))["code"] == "FORBIDDEN"
    for typename, more in (("UserGroup", {"name": "mine"}),):
        assert (await _update(platform, "sita", typename, group, **more))["code"] == "FORBIDDEN"
        assert (await _delete(platform, "sita", typename, group))["code"] == "FORBIDDEN"
    made = await _create(platform, "sita", "User", username="new", groups=[group])
    assert made["code"] == "FORBIDDEN"


@pytest.mark.parametrize("victim", ["eve", "mona"])
async def test_nobody_is_drawn_into_a_group_to_be_taken_over(platform: Platform, victim: str) -> None:
    """Who administers a site may set the passwords of its users: so nobody becomes one without somebody above."""
    group, user = global_id("UserGroup", platform.world.here.members), _user(platform, victim)
    assert (await _join(platform, "sita", group, user))["code"] == "FORBIDDEN"
    assert (await _link(platform, "sita", "USER_GROUP_USERS", group, user, _user(platform, "tom")))[
        "code"
    ] == "FORBIDDEN"
    assert (await _password(platform, "sita", user))["code"] == "FORBIDDEN"
    made = await _create(platform, "sita", "User", username="new", groups=[group])
    assert made["__typename"] == "User", "a new one is put into groups as it is made"


async def test_a_device_of_another_site_is_not_taken(platform: Platform) -> None:
    """Silo is a user of the site where the device is, and comes to administer another."""
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, world.there.site), world.silo, admin=True)
    device, there = global_id("Device", world.here.device), global_id("Site", world.there.site)
    query = "mutation($o:ID!,$i:[ID!]!){r:setLinks(kind:DEVICE_SITES,id:$o,ids:$i){...on Problem{code}}}"
    for ids in ([there], [there, platform.world.id("Site", "site")]):
        assert (await platform.ask(query, "silo", o=device, i=ids))["r"]["code"] == "FORBIDDEN"
    assert (await _update(platform, "silo", "Device", device, name="mine"))["code"] == "FORBIDDEN"


async def test_a_device_of_two_sites_is_deleted_by_who_administers_both(platform: Platform) -> None:
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        session.add(models.SiteDevice(site_id=world.there.site, device_id=world.here.spare))
    device = global_id("Device", world.here.spare)
    assert (await _delete(platform, "sita", "Device", device))["code"] == "FORBIDDEN"
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, world.there.site), world.sita, admin=True)
    assert (await _delete(platform, "sita", "Device", device))["__typename"] == "Deleted"


async def test_a_service_deletes_no_participants_by_a_detour(platform: Platform) -> None:
    world, service = platform.world, await platform.principal("service")
    for typename, key in (("ParticipantGroup", world.here.group), ("Project", world.here.project)):
        done = await _done(platform, service, f"delete{typename}", id=global_id(typename, key))
        assert done["code"] in ("DEPENDENCY", "FORBIDDEN"), typename
    async with platform.services.database.write(as_system="test") as session:
        assert (await session.get_one(models.Participant, world.here.participant)).deleted_at is None


async def _role_of_service(platform: Platform, name: str = "all") -> str:
    """A role of the service that counts nowhere but there."""
    async with platform.services.database.write(as_system="test") as session:
        role = models.Role(service_id=platform.world.here.service, scope=models.RoleScope.GLOBAL, name=name)
        session.add(role)
        await session.flush()
        return global_id("Role", role.id)


async def test_the_role_of_a_service_changes_nobody_s_power_over_a_group(platform: Platform) -> None:
    group, service = global_id("UserGroup", platform.world.here.members), await platform.principal("service")
    granted = await _grant(platform, service, await _role_of_service(platform), group)
    assert granted["__typename"] == "RoleGrant"
    assert (await _join(platform, "sita", group, _user(platform, "silo")))["__typename"] == "Linked"
    assert (await _password(platform, "sita", _user(platform, "silo")))["__typename"] == "User"
    assert (await _join(platform, "sita", group, _user(platform, "eve")))["code"] == "FORBIDDEN", "she is in no site"
    seen = await platform.ask("{roleGrants(first:50){nodes{id}}}", "sita")
    assert granted["id"] in [node["id"] for node in seen["roleGrants"]["nodes"]]
    assert (await _done(platform, "sita", "revokeRole", id=granted["id"]))["__typename"] == "Deleted"


async def test_who_has_the_role_of_a_service_in_a_site_has_no_part_in_the_site(platform: Platform) -> None:
    """Else a service would put people under the site's administrators."""
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        scope = {"scope": models.RoleScope.SITE, "site_id": world.site, "service_id": world.here.service}
        role, group = models.Role(name="rater", **scope), models.UserGroup(name="raters")
        session.add_all([role, group])
        await session.flush()
        session.add_all([models.RoleGrant(role_id=role.id, user_group_id=group.id),
                         models.UserGroupMember(user_group_id=group.id, user_id=world.eve)])  # fmt: skip
    assert (await _update(platform, "sita", "User", _user(platform, "eve"), lastName="X"))["code"] == "FORBIDDEN"
    assert (await _password(platform, "sita", _user(platform, "eve")))["code"] == "FORBIDDEN"


async def _two_sites(platform: Platform) -> tuple[str, str]:
    """Silo administers the other site, too, and is a user of the first; a group of the first, and one of its people."""
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, world.there.site), world.silo, admin=True)
    return await _group_of(platform, "Harbour (admin)"), _user(platform, "sita")


@pytest.mark.parametrize("name", ["user", "admin"])
@pytest.mark.parametrize("place", ["site", "project"])
async def test_a_group_of_one_site_is_given_no_role_in_another(platform: Platform, name: str, place: str) -> None:
    """Who administers that other site would administer the people of the first, and their administrators no longer."""
    group, sita = await _two_sites(platform)
    role = await _role(platform, name, **{f"{place}_id": getattr(platform.world.there, place)})
    refused = await _grant(platform, "silo", role, group)
    assert refused["code"] == "FORBIDDEN"
    assert "every place that the grantee has a role in" in refused["message"]
    assert (await _update(platform, "silo", "User", sita, lastName="X"))["code"] == "FORBIDDEN"
    assert (await _join(platform, "sita", group, _user(platform, "tom")))["__typename"] == "Linked"


async def test_a_device_and_a_group_of_participants_are_given_no_role_elsewhere(platform: Platform) -> None:
    await _two_sites(platform)
    here, role = platform.world.here, await _role(platform, "user", site_id=platform.world.there.site)
    for grantee in (global_id("Device", here.device), global_id("ParticipantGroup", here.group)):
        assert (await _grant(platform, "silo", role, grantee))["code"] in ("FORBIDDEN", "NOT_FOUND")


async def test_who_administers_both_places_grants_a_group_of_the_one_a_role_in_the_other(platform: Platform) -> None:
    group, _ = await _two_sites(platform)
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, platform.world.there.site), platform.world.sita, admin=True)  # fmt: skip
    role = await _role(platform, "user", site_id=platform.world.there.site)
    assert (await _grant(platform, "sita", role, group))["__typename"] == "RoleGrant"


async def test_a_group_that_lost_its_roles_is_given_one_by_its_creator_alone(platform: Platform) -> None:
    await _two_sites(platform)
    here, there = platform.world.here, platform.world.there
    role = await _role(platform, "user", project_id=here.project)
    group = (await _create(platform, "sita", "UserGroup", name="mine", roles=[role]))["id"]
    grants = await platform.ask("query($g:ID!){node(id:$g){...on UserGroup{grants(first:9){nodes{id}}}}}", "sita", g=group)  # fmt: skip
    for node in grants["node"]["grants"]["nodes"]:
        await _done(platform, "sita", "revokeRole", id=node["id"])
    elsewhere = await _role(platform, "user", site_id=there.site)
    assert (await _grant(platform, "silo", elsewhere, group))["code"] == "NOT_FOUND"
    assert (await _grant(platform, "sita", elsewhere, group))["code"] == "NOT_FOUND"
    assert (await _grant(platform, "sita", role, group))["__typename"] == "RoleGrant"


async def test_a_deleted_project_keeps_nobody_from_a_group_that_had_a_role_there(platform: Platform) -> None:
    here, group = platform.world.here, global_id("UserGroup", platform.world.here.members)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.Project).where(models.Project.id == here.project).values(deleted_at=models.Project.created_at))  # fmt: skip
    assert (await _join(platform, "sita", group, _user(platform, "silo")))["__typename"] == "Linked"


async def test_who_administers_a_project_does_not_join_the_group_of_the_site(closed: Platform) -> None:
    for name in ("Harbour (admin)", "Harbour (user)"):
        group = await _group_of(closed, name)
        assert (await _join(closed, "maria", group, _user(closed, "maria")))["code"] in ("FORBIDDEN", "NOT_FOUND")
    own = await _group_of(closed, "Protons (admin)")
    role = await _role(closed, "admin", site_id=closed.world.site)
    assert (await _grant(closed, "maria", role, own))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("who", ["tom", "silo", "eve"])
async def test_nobody_links_themself_to_more(closed: Platform, who: str) -> None:
    group = await _group_of(closed, "Protons (admin)")
    done = await _link(closed, who, "USER_GROUP_USERS", group, _user(closed, who))
    assert done["code"] in ("FORBIDDEN", "NOT_FOUND")


async def test_the_roles_of_the_gateway_are_not_made_or_changed(closed: Platform) -> None:
    role = await _role(closed, "user", site_id=closed.world.site)
    for who in ("sita", "root"):
        assert (await _update(closed, who, "Role", role, name="boss"))["code"] == "FORBIDDEN"
        assert (await _delete(closed, who, "Role", role))["code"] == "FORBIDDEN"
    service = global_id("Service", models.CORE)
    made = await _create(closed, "root", "Role", service=service, scope="SITE", name="admin2", site=global_id("Site", closed.world.site))  # fmt: skip
    assert made["code"] == "FORBIDDEN"


async def test_a_service_grants_no_role_of_another(closed: Platform) -> None:
    secret = Secret(Kind.SERVICE, digest_of(closed.world.here.secrets["service"]))
    service = await principal_of(closed.services.database, secret)
    role = await _role(closed, "admin", project_id=closed.world.shared)
    group = global_id("UserGroup", closed.world.here.members)
    assert (await _grant(closed, service, role, group))["code"] == "NOT_FOUND"


async def test_a_lost_role_closes_access_at_once(platform: Platform) -> None:
    """Also for a principal that the gateway remembers."""
    token = await _token(platform, "tom")
    sees = "{projects(first:9){totalCount} participants(first:9){totalCount}}"
    before = await authenticate(platform.services, token)
    assert (await platform.ask(sees, before))["projects"] == {"totalCount": 1}
    done = await _done(platform, "maria", "revokeRole", id=global_id("RoleGrant", platform.world.here.grant))
    assert done["__typename"] == "Deleted"
    after = await authenticate(platform.services, token)
    assert not after.projects
    assert (await platform.ask(sees, after))["participants"] == {"totalCount": 0}


@pytest.mark.parametrize("lost", ["group", "project", "link"])
async def test_who_loses_a_part_is_forgotten(platform: Platform, lost: str) -> None:
    here = platform.world.here
    async with platform.services.database.write(as_system="test") as session:  # so that the project can be deleted
        for model in (models.Session, models.SessionMember):
            await session.execute(sa.update(model).values(deleted_at=model.created_at))
    token = f"Bearer {here.secrets['service']}" if lost == "link" else await _token(platform, "tom")
    assert (await authenticate(platform.services, token)).projects
    if lost == "group":
        group, tom = global_id("UserGroup", here.members), _user(platform, "tom")
        done = await _done(platform, "sita", "removeFromGroup", id=group, users=[tom])
    elif lost == "project":
        done = await _delete(platform, "sita", "Project", global_id("Project", here.project))
    else:
        done = await _link(platform, "sita", "SERVICE_PROJECTS", global_id("Service", here.service))
    assert done["__typename"] in ("Linked", "Deleted"), done
    assert not (await authenticate(platform.services, token)).projects


async def test_a_disabled_user_is_signed_out(platform: Platform) -> None:
    token = await _token(platform, "silo")
    await authenticate(platform.services, token)
    assert (await _update(platform, "sita", "User", _user(platform, "silo"), active=False))["__typename"] == "User"
    with pytest.raises(Unauthenticated):
        await authenticate(platform.services, token)


# Places ---------------------------------------------------------------------------------------------------------------


async def _second_project(platform: Platform, *, admin: bool) -> str:
    """Another project of the site, in which maria has a part."""
    async with platform.services.database.write(as_system="test") as session:
        project = models.Project(id=uuid7(), site_id=platform.world.site, name="Second")
        session.add(project)
        await session.flush()
        await roles.found(session, project)
        await roles.enrol(session, project, platform.world.maria, admin=admin)
        return global_id("Project", project.id)


@pytest.mark.parametrize("typename", ["Participant", "ParticipantGroup"])
async def test_nothing_moves_into_a_project_that_one_has_no_part_in(closed: Platform, typename: str) -> None:
    here = closed.world.here
    id = global_id(typename, here.idle if typename == "Participant" else here.group)
    there = global_id("Project", closed.world.there.project)
    for who in ("tom", "maria", "sita"):
        done = await _update(closed, who, typename, id, project=there)
        assert done["code"] == ("FORBIDDEN" if who == "tom" else "NOT_FOUND")


async def test_a_group_moves_into_a_project_that_one_administers_only(platform: Platform) -> None:
    group = global_id("ParticipantGroup", platform.world.here.group)
    seen = await _second_project(platform, admin=False)
    assert (await _update(platform, "maria", "ParticipantGroup", group, project=seen))["code"] == "FORBIDDEN"
    assert (await _update(platform, "sita", "ParticipantGroup", group, project=seen))[
        "__typename"
    ] == "ParticipantGroup"


async def test_a_participant_moves_into_a_project_that_one_uses(platform: Platform) -> None:
    """Whoever makes participants of a project may: its users. What lets one sign in they don't bring along: they could
    not give it there either."""
    seen = await _second_project(platform, admin=False)
    idle = global_id("Participant", platform.world.here.idle)
    assert (await _update(platform, "tom", "Participant", idle, project=seen))["code"] == "FORBIDDEN"
    for brought, none in (
        ({"loginEnabled": True}, {"loginEnabled": False}),
        ({"tokenEnabled": True}, {"tokenEnabled": False}),
        ({"email": "p@example.org"}, {"email": None}),
    ):
        assert (await _update(platform, "maria", "Participant", idle, email=None))["__typename"] == "Participant"
        assert (await _update(platform, "maria", "Participant", idle, **brought))["__typename"] == "Participant"
        assert (await _update(platform, "maria", "Participant", idle, project=seen))["code"] == "FORBIDDEN"
        assert (await _update(platform, "maria", "Participant", idle, **none))["__typename"] == "Participant"
    assert (await _update(platform, "maria", "Participant", idle, project=seen))["__typename"] == "Participant"


async def test_a_device_is_not_moved_to_a_foreign_site(platform: Platform) -> None:
    world = platform.world
    device, there = global_id("Device", world.here.device), global_id("Site", world.there.site)
    assert (await _link(platform, "sita", "DEVICE_SITES", device, there))["code"] == "NOT_FOUND"
    async with platform.services.database.write(as_system="test") as session:
        await roles.enrol(session, await session.get_one(models.Site, world.there.site), world.sita)
    assert (await _link(platform, "sita", "DEVICE_SITES", device, there))["code"] == "FORBIDDEN"
    assert (await _link(platform, "maria", "DEVICE_SITES", device))["code"] == "FORBIDDEN"
    held = sa.select(models.SiteDevice.site_id).where(models.SiteDevice.device_id == world.here.device)
    assert await _found(platform, held) == world.site


async def test_a_foreign_device_is_not_taken(closed: Platform) -> None:
    device, site = global_id("Device", closed.world.there.device), global_id("Site", closed.world.site)
    assert (await _link(closed, "sita", "DEVICE_SITES", device, site))["code"] == "NOT_FOUND"


@pytest.mark.parametrize("who", ["tom", "maria", "sita"])
async def test_a_service_comes_to_a_site_by_superadmins(closed: Platform, who: str) -> None:
    world = closed.world
    mine, theirs = global_id("Service", world.here.service), global_id("Service", world.there.service)
    assert (await _link(closed, who, "SERVICE_SITES", theirs, global_id("Site", world.site)))["code"] == "NOT_FOUND"
    assert (await _link(closed, who, "SERVICE_SITES", mine))["code"] == "FORBIDDEN"


async def test_a_setting_of_another_s_is_not_written(closed: Platform) -> None:
    """A service is configured for others by who administers them; a user is administered by nobody in this."""
    service, silo = global_id("Service", closed.world.here.service), _user(closed, "silo")
    for who in ("tom", "maria", "sita"):
        done = await _create(closed, who, "ServiceConfig", service=service, user=silo, config={"volume": 1})
        assert done["code"] == "FORBIDDEN"


# Credentials ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["revokeCredential", "rotateApiKey"])
@pytest.mark.parametrize("who", ["maria", "sita", "mona", "eve"])
async def test_another_s_key_is_not_found(closed: Platform, who: str, call: str) -> None:
    assert (await _done(closed, who, call, id=global_id("Credential", KEY)))["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("who", "call", "name", "code"),
    [
        ("tom", "createParticipantToken", "participant", "FORBIDDEN"),
        ("silo", "createParticipantToken", "participant", "NOT_FOUND"),
        ("tom", "createDeviceToken", "device", "FORBIDDEN"),
        ("maria", "createDeviceToken", "device", "FORBIDDEN"),
        ("sita", "createServiceToken", "service", "FORBIDDEN"),
        ("tom", "setParticipantPassword", "participant", "FORBIDDEN"),
    ],
)
async def test_who_may_not_act_as_a_row_makes_no_credential_of_it(
    closed: Platform, who: str, call: str, name: str, code: str
) -> None:
    named = "id" if "Password" in call else name
    given = {named: global_id(name.title(), getattr(closed.world.here, name))}
    if "Password" in call:
        given["newPassword"] = "a long enough password"
    assert (await _done(closed, who, call, **given))["code"] == code


async def test_a_key_that_may_only_read_writes_nothing(closed: Platform) -> None:
    principal = await principal_named(closed.services.database, "root")
    reading = replace(principal, scopes=frozenset({"read"}))
    done = await _create(closed, reading, "Site", name="x")
    assert done["code"] == "FORBIDDEN"


# What the property test of powers found, and what stands beside it ------------------------------------------------------


async def _put(platform: Platform, place: str, *users: str, admin: bool = False) -> str:
    """The id of the group of those who use or administer a place there, with these users in it."""
    world = platform.world
    model, key = {"site": (models.Site, world.there.site), "project": (models.Project, world.there.project)}[place]
    async with platform.services.database.write(as_system="test") as session:
        users_ = [getattr(world, user) for user in users]
        group = await roles.enrol(session, await session.get_one(model, key), *users_, admin=admin)
        return global_id("UserGroup", group.id)


async def test_who_is_in_a_foreign_site_is_brought_into_no_further_one(platform: Platform) -> None:
    """Silo administers the other site and mona uses both sites; tom, whom silo can see, is in none of silo's."""
    await _two_sites(platform)
    group = await _put(platform, "site", "silo")
    await _put(platform, "site", "mona")
    async with platform.services.database.write(as_system="test") as session:
        third = models.Site(name="Third")
        session.add(third)
        await session.flush()
        await roles.found(session, third)
        await roles.enrol(session, third, platform.world.silo, admin=True)
        apart = global_id("UserGroup", (await roles.enrol(session, third, platform.world.silo)).id)
        await roles.enrol(session, await session.get_one(models.Site, platform.world.site), platform.world.mona)
    assert (await _join(platform, "silo", group, _user(platform, "tom")))["code"] == "FORBIDDEN"
    assert (await _join(platform, "silo", apart, _user(platform, "mona")))["code"] == "FORBIDDEN"


async def test_a_participant_is_moved_by_who_administers_its_project(platform: Platform) -> None:
    seen = await _second_project(platform, admin=True)
    async with platform.services.database.write(as_system="test") as session:
        project = await session.get_one(models.Project, parse_id(seen)[1])
        await roles.enrol(session, project, platform.world.tom, admin=True)
        session.add(models.ProjectService(project_id=project.id, service_id=platform.world.here.service))
    idle, service = global_id("Participant", platform.world.here.idle), await platform.principal("service")
    assert (await _update(platform, "tom", "Participant", idle, project=seen))["code"] == "FORBIDDEN"
    assert (await _update(platform, service, "Participant", idle, project=seen))["code"] == "FORBIDDEN"
    assert (await _update(platform, "maria", "Participant", idle, project=seen))["__typename"] == "Participant"


async def test_a_service_deletes_no_project_that_groups_have_a_role_in(platform: Platform) -> None:
    service, seen = await platform.principal("service"), await _second_project(platform, admin=True)
    async with platform.services.database.write(as_system="test") as session:
        session.add(models.ProjectService(project_id=parse_id(seen)[1], service_id=platform.world.here.service))
    done = await _done(platform, await platform.principal("service"), "deleteProject", id=seen)
    assert (done["code"], service.kind) == ("DEPENDENCY", Kind.SERVICE)
    assert (await _delete(platform, "sita", "Project", seen))["__typename"] == "Deleted"


async def test_roles_do_not_come_back_over_those_who_administer_their_holders_now(platform: Platform) -> None:
    """Maria's only other site is foreign to sita, who brings the project back; tom's group is as it was."""
    seen = await _second_project(platform, admin=True)
    async with platform.services.database.write(as_system="test") as session:
        project = await session.get_one(models.Project, parse_id(seen)[1])
        await roles.enrol(session, project, platform.world.tom)
        mine = sa.delete(models.UserGroupMember).where(
            models.UserGroupMember.user_id == platform.world.maria,
            models.UserGroupMember.user_group_id.in_(
                sa.select(models.UserGroup.id).where(models.UserGroup.name == "Protons (admin)")
            ),
        )
        await session.execute(mine.execution_options(synchronize_session=False))
    await _put(platform, "site", "maria")
    assert (await _delete(platform, "sita", "Project", seen))["__typename"] == "Deleted"
    assert (await _done(platform, "sita", "restoreProject", id=seen))["__typename"] == "Project"
    held = sa.select(models.UserGroup.name).join(
        models.RoleGrant, models.RoleGrant.user_group_id == models.UserGroup.id
    )
    held = held.join(models.Role, models.Role.id == models.RoleGrant.role_id)
    held = held.where(models.Role.project_id == parse_id(seen)[1], models.RoleGrant.deleted_at.is_(None))
    assert await _found(platform, held) == "Second (user)"


MAKE_USER = "mutation($i:NewUser!){x:createUser(input:$i){__typename ...on Problem{code message}}}"
MAKE_PARTICIPANT = "mutation($i:NewParticipant!){x:createParticipant(input:$i){__typename ...on Problem{code message}}}"


@pytest.mark.both
async def test_who_may_not_make_a_row_does_the_same_for_a_name_that_is_taken(platform: Platform) -> None:
    project, there = platform.world.id("Project", "shared"), platform.world.there
    taken = "p01-secret"
    asked = [
        (MAKE_USER, who, lambda name: {"username": name, "email": f"{name}@x.example"}, "maria")
        for who in ("eve", "tom", "device", "service")
    ]
    asked.append((MAKE_PARTICIPANT, "tom", lambda name: {"name": "x", "username": name, "project": project}, taken))
    assert await platform.ask("query($i:ID!){node(id:$i){id}}", "tom", i=there.id("Participant", "participant")) == {
        "node": None
    }
    for query, who, given, name in asked:
        found = []
        for one in (name, "nobody-has-this", name, "nor-this"):
            answer = (await platform.ask(query, who, i=given(one)))["x"]
            found.append((answer, len(platform.counted.texts)))
        assert found[0] == found[1] == found[2] == found[3], (query, who)
        assert found[0][0]["code"] == "FORBIDDEN"


# Leaving a site -------------------------------------------------------------------------------------------------------


async def _grants_of(platform: Platform, group: str) -> set[tuple[str, Any]]:
    """The roles that a group has: their names and places."""
    role = models.Role
    wanted = sa.select(role.name, sa.func.coalesce(role.site_id, role.project_id)).join(models.RoleGrant).where(
        models.RoleGrant.user_group_id == parse_id(group)[1], models.RoleGrant.deleted_at.is_(None)
    )  # fmt: skip
    return {(name, place) for name, place in await platform.services.database.rows(wanted)}


async def _bea(platform: Platform) -> None:
    """Maria, who administers the project, administers the other site, too, where tom is a user."""
    async with platform.services.database.write(as_system="test") as session:
        there = await session.get_one(models.Site, platform.world.there.site)
        await roles.enrol(session, there, platform.world.maria, admin=True)
        await roles.enrol(session, there, platform.world.tom)


@pytest.mark.both
async def test_nobody_comes_to_an_account_by_taking_its_role_in_a_project(platform: Platform) -> None:
    await _bea(platform)
    tom, here, site = _user(platform, "tom"), platform.world.here, platform.world.site
    group = global_id("UserGroup", here.members)
    assert (await _password(platform, "maria", tom))["code"] == "FORBIDDEN"
    revoked = await _done(platform, "maria", "revokeRole", id=global_id("RoleGrant", here.grant))
    assert revoked["__typename"] == "Deleted"
    assert (await _password(platform, "maria", tom))["code"] == "FORBIDDEN"
    assert await _grants_of(platform, group) == {("user", site)}
    assert (await _update(platform, "sita", "User", tom, lastName="X"))["__typename"] == "User"
    event = models.AuditEvent
    kept = sa.select(event.site_id, event.actor_id, event.detail).where(event.action == "GRANT_ROLE")
    (told,) = await platform.services.database.rows(kept)
    assert tuple(told) == (site, platform.world.maria, {"role": "user"})


@pytest.mark.both
@pytest.mark.parametrize("who", ["sita", "root"])
async def test_who_administers_the_site_takes_a_group_out_of_it(platform: Platform, who: str) -> None:
    here = platform.world.here
    assert (await _done(platform, who, "revokeRole", id=global_id("RoleGrant", here.grant)))["__typename"] == "Deleted"
    assert await _grants_of(platform, global_id("UserGroup", here.members)) == set()


@pytest.mark.both
@pytest.mark.parametrize("other", ["site", "project", "deleted project", "service"])
async def test_a_group_is_left_in_the_site_when_nothing_else_of_its_roles_counts_there(platform: Platform, other: str) -> None:  # fmt: skip
    here, database = platform.world.here, platform.services.database
    async with database.write(as_system="test") as session:
        site = await session.get_one(models.Site, here.site)
        if other == "service":
            scope = {"scope": models.RoleScope.SITE, "site_id": here.site, "service_id": here.service}
            role = models.Role(name="rater", **scope)
            session.add(role)
        elif other == "site":
            role = await roles.role_in(session, site, models.ADMIN)
        else:
            project = models.Project(site_id=here.site, name="Neutrons")
            session.add(project)
            await session.flush()
            if other == "deleted project":
                project.deleted_at = project.created_at
            role = await roles.role_in(session, project, models.USER)
        await session.flush()
        session.add(models.RoleGrant(role_id=role.id, user_group_id=here.members))
    revoked = await _done(platform, "maria", "revokeRole", id=global_id("RoleGrant", here.grant))
    assert revoked["__typename"] == "Deleted"
    kept = ("user", here.site) in await _grants_of(platform, global_id("UserGroup", here.members))
    assert kept is (other in ("deleted project", "service"))


# At once --------------------------------------------------------------------------------------------------------------


async def _both(platform: Platform, first: Any, second: Any) -> list[dict[str, Any]]:
    if platform.services.database.dialect == "sqlite":
        pytest.skip("writes one after another")
    return await asyncio.gather(first, second)


@pytest.mark.both
async def test_of_two_who_take_a_group_s_last_roles_at_once_one_leaves_it_in_the_site(platform: Platform) -> None:
    here = platform.world.here
    async with platform.services.database.write(as_system="test") as session:
        project = models.Project(site_id=here.site, name="Neutrons")
        session.add(project)
        await session.flush()
        await roles.enrol(session, project, platform.world.silo, admin=True)
        user = await roles.role_in(session, project, models.USER)
    silo, maria = [await principal_named(platform.services.database, name) for name in ("silo", "maria")]
    silo, maria = replace(silo, session=uuid7()), replace(maria, session=uuid7())
    for n in range(10):
        async with platform.services.database.write(as_system="test") as session:
            group = models.UserGroup(name=f"both {n}")
            session.add(group)
            await session.flush()
            own = (await session.get_one(models.RoleGrant, here.grant)).role_id
            grants = [models.RoleGrant(role_id=role, user_group_id=group.id) for role in (own, user.id)]
            session.add_all(grants)
        done = await _both(
            platform,
            _done(platform, maria, "revokeRole", id=global_id("RoleGrant", grants[0].id)),
            _done(platform, silo, "revokeRole", id=global_id("RoleGrant", grants[1].id)),
        )
        assert [one["__typename"] for one in done] == ["Deleted", "Deleted"]
        assert await _grants_of(platform, global_id("UserGroup", group.id)) == {("user", here.site)}


@pytest.mark.both
async def test_of_a_role_for_a_group_and_a_member_in_a_further_site_at_once_one_is_refused(platform: Platform) -> None:
    """Each would bring the user into a second site, against the administrators of the other."""
    world, database = platform.world, platform.services.database
    async with database.write(as_system="test") as session:
        cove = models.Site(name="Cove")
        session.add(cove)
        await session.flush()
        island = await session.get_one(models.Site, world.there.site)
        project = models.Project(site_id=cove.id, name="Cliffs")
        session.add(project)
        await session.flush()
        for place in (cove, project):
            await roles.found(session, place)
        # Silo administers Island and Cove, sita Harbour and Island. Each of the users is in Island alone.
        for place in (island, cove):
            await roles.enrol(session, place, world.silo, admin=True)
        await roles.enrol(session, island, world.sita, admin=True)
        own = await roles.role_in(session, island, models.USER)
        further = global_id("Role", (await roles.role_in(session, cove, models.USER)).id)
    silo, sita = [replace(await principal_named(database, name), session=uuid7()) for name in ("silo", "sita")]
    harbour = await _group_of(platform, "Harbour (user)")
    passed = []
    for n in range(10):
        async with database.write(as_system="test") as session:
            bob, group = models.User(username=f"bob{n}", email_verified=True), models.UserGroup(name=f"of Island {n}")
            session.add_all([bob, group])
            await session.flush()
            session.add_all([models.RoleGrant(role_id=own.id, user_group_id=group.id),
                             models.UserGroupMember(user_group_id=group.id, user_id=bob.id)])  # fmt: skip
        done = await _both(
            platform,
            _grant(platform, silo, further, global_id("UserGroup", group.id)),
            _join(platform, sita, harbour, global_id("User", bob.id)),
        )
        codes = [one.get("code") for one in done]
        assert set(codes) <= {None, "FORBIDDEN"}, done
        passed.append(codes.count(None))
    assert passed == [1] * 10


# A device of two sites ------------------------------------------------------------------------------------------------


async def _shared(platform: Platform) -> tuple[str, str]:
    """A device of both sites, of which sita administers the first; and a token of it."""
    here, there = platform.world.here, platform.world.there
    async with platform.services.database.write(as_system="test") as session:
        session.add(models.SiteDevice(site_id=there.site, device_id=here.device))
    return global_id("Device", here.device), global_id("Credential", here.device_key)


@pytest.mark.both
async def test_a_device_of_two_sites_is_entered_by_administrators_of_both_alone(platform: Platform) -> None:
    """By its token one reads the participants of the other site."""
    device, token = await _shared(platform)
    for who in ("sita", "maria"):
        assert (await _done(platform, who, "createDeviceToken", device=device))["code"] == "FORBIDDEN"
        assert (await _done(platform, who, "revokeCredential", id=token))["code"] == "FORBIDDEN"
        assert (await _update(platform, who, "Device", device, enabled=False))["code"] == "FORBIDDEN"
    assert (await _update(platform, "sita", "Device", device, name="ours"))["__typename"] == "Device"
    async with platform.services.database.write(as_system="test") as session:
        there = await session.get_one(models.Site, platform.world.there.site)
        await roles.enrol(session, there, platform.world.sita, admin=True)
    assert (await _done(platform, "sita", "createDeviceToken", device=device))["__typename"] == "IssuedCredential"
    assert (await _done(platform, "sita", "revokeCredential", id=token))["__typename"] == "Revoked"
    assert (await _update(platform, "sita", "Device", device, enabled=False))["__typename"] == "Device"
