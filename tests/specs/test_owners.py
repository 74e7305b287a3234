"""Superadmins, and services that act for the users of a provider, have specs and keys of others; nobody else has."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from resolvers.access.policy import policies
from resolvers.access.visibility import visible
from resolvers.failures import Unauthenticated
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import Kind, Principal
from resolvers.identity.tokens import Secret, digest_of
from resolvers.spelling import global_id
from schema.fields.scalars import key_of
from tests.support.platforms import Platform
from tests.support.specs import described

SERVICE = """mutation($input: NewService!) { done: createService(input: $input) {
  __typename ... on Service { id actsFor } ... on Problem { code message field } } }"""
TOKEN = "mutation($id: ID!) { done: createServiceToken(service: $id) { ... on IssuedCredential { secret } } }"
PUT = """mutation($name: String!, $source: SpecSource!, $owner: Owner) {
  done: putSpec(name: $name, source: $source, language: JSON, owner: $owner) {
    __typename ... on SpecVersion { id job { state } spec { id version owner { id username authProvider externalSubject } } }
    ... on Problem { code message field } } }"""
KEY = """mutation($label: String!, $owner: Owner) { done: createApiKey(label: $label, scopes: [WRITE], owner: $owner) {
  __typename ... on IssuedCredential { secret publicKey credential { id label user { externalSubject } } }
  ... on Problem { code message field } } }"""
SPEC_TOKEN = """mutation($owner: Owner!, $at: DateTime!) { done: createSpecToken(label: "ci", expiresAt: $at, owner: $owner) {
  ... on IssuedCredential { secret } ... on Problem { code message } } }"""
MINE = """query($subject: String!) { specs(first: 9, filter: {owner: {externalSubject: {in: [$subject]}}}) { nodes { canonicalName } }
  users(first: 9, filter: {externalSubject: {in: [$subject]}}) { nodes { id active specModelCount } }
  credentials(first: 9, filter: {user: {externalSubject: {in: [$subject]}}}) { nodes { label } } }"""
NEW = {
    "name": "Packages", "hostname": "127.0.0.1", "port": 8001, "endpoint": "/", "clientEndpoint": "/", "enabled": True,
}  # fmt: skip


def subject(name: str, provider: str = "COGNITO") -> dict[str, Any]:
    return {"externalSubject": {"provider": provider, "subject": name}}


async def acting(platform: Platform, provider: str | None = "COGNITO", key: str = "packages") -> Principal:
    """A service that acts for the users of a provider."""
    made = (await platform.ask(SERVICE, "root", input=NEW | {"key": key, "actsFor": provider}))["done"]
    assert made["actsFor"] == provider, made
    secret = (await platform.ask(TOKEN, "root", id=made["id"]))["done"]["secret"]
    return await principal_of(platform.services.database, Secret(Kind.SERVICE, digest_of(secret)))


async def put(platform: Platform, who: Any, owner: Any, name: str = "beam", *models: str) -> Any:
    given = {"name": name, "source": described(*(models or ("Magnet",))), "owner": owner}
    return (await platform.ask(PUT, who, **given))["done"]


async def key(platform: Platform, who: Any, owner: Any, label: str = "default") -> Any:
    return (await platform.ask(KEY, who, label=label, owner=owner))["done"]


async def run(platform: Platform, who: Any, mutation: str, **given: Any) -> Any:
    kinds = {"id": "ID!", "owner": "Owner", "expectedVersion": "Int!", "input": "SpecChanges!"}
    named = ",".join(f"${name}:{kinds[name]}" for name in given)
    passed = ",".join(f"{name}:${name}" for name in given)
    query = f"mutation({named}){{done:{mutation}({passed}){{__typename ...on Problem{{code message field}}}}}}"
    return (await platform.ask(query, who, **given))["done"]


@pytest.mark.both
async def test_a_user_is_made_by_what_a_service_first_puts_for_them(platform: Platform) -> None:
    service = await acting(platform)
    first = await put(platform, service, subject("sub 1|e"))
    again = await put(platform, service, subject("sub 1|e"), "other")
    assert first["spec"]["owner"] == again["spec"]["owner"]
    assert (first["spec"]["owner"]["authProvider"], first["spec"]["owner"]["externalSubject"]) == ("COGNITO", "sub 1|e")
    assert first["spec"]["owner"]["username"].startswith("user-"), "a name that is nobody's at the provider"
    found = await platform.ask(MINE, service, subject="sub 1|e")
    assert [one["canonicalName"] for one in found["specs"]["nodes"]] == ["beam", "other"]
    (user,) = found["users"]["nodes"]
    assert (user["active"], user["specModelCount"]) == (True, 2)


async def test_a_refused_put_makes_nobody(platform: Platform) -> None:
    service = await acting(platform)
    done = (await platform.ask(PUT, service, name="beam", source="{", owner=subject("nobody")))["done"]
    assert done["code"] == "INVALID"
    assert (await platform.ask(MINE, service, subject="nobody"))["users"]["nodes"] == []
    assert (await run(platform, service, "deleteAllSpecs", owner=subject("nobody")))["__typename"] == "Done"
    assert (await run(platform, service, "revokeAllCredentials", owner=subject("nobody")))["__typename"] == "Done"
    assert (await platform.ask(MINE, service, subject="nobody"))["users"]["nodes"] == []


@pytest.mark.both
async def test_a_service_changes_and_deletes_specs_of_its_users(platform: Platform) -> None:
    service = await acting(platform)
    made = await put(platform, service, subject("ada"))
    spec = made["spec"]
    changes = {"id": spec["id"], "expectedVersion": spec["version"]}
    assert (await run(platform, service, "updateSpec", **changes, input={"state": "DEPRECATED"}))[
        "__typename"
    ] == "Spec"
    assert (await run(platform, service, "yankPackage", id=made["id"]))["__typename"] == "SpecVersion"
    assert (await run(platform, service, "deleteSpecVersion", id=made["id"]))["__typename"] == "Deleted"
    assert (await run(platform, service, "deleteSpec", id=spec["id"]))["__typename"] == "Deleted"
    for name in ("one", "two"):
        await put(platform, service, subject("ada"), name)
    await put(platform, service, subject("bob"), "kept")
    assert (await run(platform, service, "deleteAllSpecs", owner=subject("ada")))["__typename"] == "Done"
    assert (await platform.ask(MINE, service, subject="ada"))["specs"]["nodes"] == []
    assert len((await platform.ask(MINE, service, subject="bob"))["specs"]["nodes"]) == 1


@pytest.mark.both
async def test_a_service_makes_and_revokes_keys_of_its_users(platform: Platform) -> None:
    service = await acting(platform)
    made = await key(platform, service, subject("ada"))
    assert made["credential"]["user"] == {"externalSubject": "ada"}
    ada = await principal_of(platform.services.database, Secret(Kind.USER, digest_of(made["secret"])))
    assert (await put(platform, ada, None))["spec"]["owner"]["externalSubject"] == "ada"
    assert (await key(platform, service, subject("ada")))["code"] == "CONFLICT"
    assert (await run(platform, service, "rotateApiKey", id=made["credential"]["id"]))[
        "__typename"
    ] == "IssuedCredential"
    assert (await run(platform, service, "revokeCredential", id=made["credential"]["id"]))["__typename"] == "Revoked"
    assert (await run(platform, service, "revokeAllCredentials", owner=subject("ada")))["__typename"] == "Done"
    async with platform.services.database.read() as session:
        live = await session.scalars(
            sa.select(m.Credential).where(m.Credential.user_id == ada.id, m.Credential.revoked_at.is_(None))
        )
        assert live.all() == []


async def test_what_is_done_for_another_is_on_record(platform: Platform) -> None:
    service = await acting(platform)
    made = await put(platform, service, subject("ada"))
    await key(platform, service, subject("ada"))
    async with platform.services.database.read() as session:
        event = m.AuditEvent
        wanted = (
            sa.select(event.actor_kind, event.action, event.detail)
            .where(m.AuditEvent.actor_id == service.id)
            .order_by(m.AuditEvent.id)
        )
        told = [(kind, action, (detail or {}).get("owner")) for kind, action, detail in await session.execute(wanted)]
    owner = str(key_of("User", made["spec"]["owner"]["id"]))
    assert told == [("service", "SIGN_UP", None), ("service", "PUT", owner), ("service", "CREATE_KEY", owner)]


async def test_who_may_not_act_for_others_is_told(platform: Platform) -> None:
    service, plain = await acting(platform), await acting(platform, None, "plain")
    tom, root = [global_id("User", (await platform.principal(name)).id) for name in ("tom", "root")]
    refused = {
        "FORBIDDEN": [
            ("tom", subject("ada")), ("tom", {"user": root}), ("maria", {"user": tom}), (plain, subject("ada")),
            (service, subject("ada", "KEYCLOAK")),
        ],
        "NOT_FOUND": [(service, {"user": tom}), (service, {"user": root})],
        "INVALID": [
            (service, None), ("root", subject("ada", "LOCAL")), (service, subject("")), (service, subject("a\nb")),
            (service, subject("x" * 256)), (service, subject(" ada")), (service, subject("Ren\u00e9")),
        ],
    }  # fmt: skip
    for code, cases in refused.items():
        for who, owner in cases:
            assert (await put(platform, who, owner))["code"] == code, (who, owner)
            if owner is not None:
                assert (await key(platform, who, owner))["code"] == code, (who, owner)
                for mutation in ("deleteAllSpecs", "revokeAllCredentials"):
                    assert (await run(platform, who, mutation, owner=owner))["code"] == code, (mutation, who, owner)
    assert (await put(platform, "tom", {"user": tom}))["__typename"] == "SpecVersion"


async def test_a_service_does_not_act_for_superadmins_managers_and_disabled_users(platform: Platform) -> None:
    service = await acting(platform)
    for name, columns, code in [
        ("boss", {"superadmin": True}, "FORBIDDEN"),
        ("mona", {"platform_role": m.PlatformRole.MANAGER}, "FORBIDDEN"),
        ("gone", {"active": False}, "STATE"),
    ]:
        owner = (await put(platform, service, subject(name)))["spec"]["owner"]["id"]
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(sa.update(m.User).where(m.User.id == key_of("User", owner)).values(**columns))
        assert (await put(platform, service, subject(name), "next"))["code"] == code
        assert (await key(platform, service, subject(name)))["code"] == code
        by_key = await put(platform, service, {"user": owner}, "next")
        assert by_key["code"] == ("NOT_FOUND" if code == "FORBIDDEN" else code)
        seen = await platform.ask(MINE, service, subject=name)
        assert [one["canonicalName"] for one in seen["specs"]["nodes"]] == ([] if code == "FORBIDDEN" else ["beam"])


async def _change(platform: Platform, model: Any, key_: Any, **columns: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).where(model.id == key_).values(**columns))


@pytest.mark.both
async def test_a_key_that_a_service_made_is_good_while_it_acts_for_the_user(platform: Platform) -> None:
    service = await acting(platform)
    made = await key(platform, service, subject("ada"))
    token = (await platform.ask(SPEC_TOKEN, service, owner=subject("ada"), at="2099-01-01T00:00:00Z"))["done"]["secret"]
    said = [Secret(Kind.USER, digest_of(made["secret"])), Secret(Kind.SPEC_TOKEN, digest_of(token))]
    database = platform.services.database
    ada = (await principal_of(database, said[0])).id
    for model, row, worse, better in [
        (m.User, ada, {"superadmin": True}, {"superadmin": False}),
        (m.User, ada, {"platform_role": m.PlatformRole.MANAGER}, {"platform_role": m.PlatformRole.READER}),
        (m.Service, service.id, {"enabled": False}, {"enabled": True}),
        (m.Service, service.id, {"acts_for": None}, {"acts_for": m.AuthProvider.COGNITO}),
    ]:
        await _change(platform, model, row, **worse)
        for one in said:
            with pytest.raises(Unauthenticated):
                await principal_of(database, one)
        await _change(platform, model, row, **better)
        assert [(await principal_of(database, one)).kind for one in said] == [Kind.USER, Kind.SPEC_TOKEN]
    own = await principal_of(database, said[0])
    assert service.id in own.behind, "so that what is known of it is forgotten as the service changes"


@pytest.mark.both
async def test_keys_and_specs_of_a_disabled_user_are_ended_and_none_are_made(platform: Platform) -> None:
    service = await acting(platform)
    made = await key(platform, service, subject("ada"))
    owner = (await put(platform, service, subject("ada")))["spec"]["owner"]["id"]
    await _change(platform, m.User, key_of("User", owner), active=False)
    assert (await run(platform, service, "rotateApiKey", id=made["credential"]["id"]))["code"] == "STATE"
    assert (await key(platform, "root", {"user": owner}, "next"))["code"] == "STATE"
    for who in (service, "root"):
        for mutation in ("deleteAllSpecs", "revokeAllCredentials"):
            assert (await run(platform, who, mutation, owner={"user": owner}))["__typename"] == "Done"
    live = sa.select(m.Credential.id).where(
        m.Credential.user_id == key_of("User", owner), m.Credential.revoked_at.is_(None)
    )
    assert not await platform.services.database.rows(live)


@pytest.mark.both
async def test_who_is_promoted_while_a_service_asks_is_out_of_its_reach(platform: Platform) -> None:
    database = platform.services.database
    if database.dialect == "sqlite":
        pytest.skip("SQLite writes one after another")
    service = await acting(platform)
    owner = (await put(platform, service, subject("ada")))["spec"]["owner"]["id"]
    row = m.User.id == key_of("User", owner)
    waits = sa.text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    async with database.write(as_system="test") as session:
        await session.execute(sa.update(m.User).where(row).values(superadmin=True))
        asking = asyncio.create_task(key(platform, service, subject("ada")))
        async with asyncio.timeout(30):
            while True:
                async with database.read() as connection:
                    if (await connection.execute(waits)).all():
                        break
                await asyncio.sleep(0.01)
    assert (await asking)["code"] == "FORBIDDEN"


async def test_a_superadmin_acts_for_anybody(platform: Platform) -> None:
    tom = global_id("User", (await platform.principal("tom")).id)
    assert (await put(platform, "root", {"user": tom}))["spec"]["owner"]["id"] == tom
    made = await put(platform, "root", subject("ada", "KEYCLOAK"))
    assert made["spec"]["owner"]["authProvider"] == "KEYCLOAK"
    assert (await key(platform, "root", {"user": tom}, "by root"))["__typename"] == "IssuedCredential"
    found = await platform.ask("{credentials(first:9){nodes{label}} specs(first:9){nodes{canonicalName}}}", "tom")
    assert [one["label"] for one in found["credentials"]["nodes"]][:1] == ["by root"]
    assert [one["canonicalName"] for one in found["specs"]["nodes"]] == ["beam", "clinic"]


async def test_a_service_never_shares_a_spec_of_its_user_with_a_project(platform: Platform) -> None:
    service = await acting(platform)
    spec = (await put(platform, service, subject("ada")))["spec"]
    (project,) = (await platform.ask("{projects(first:1){nodes{id}}}", "root"))["projects"]["nodes"]
    found = await run(platform, service, "updateSpec", id=spec["id"], expectedVersion=spec["version"],
                      input={"project": project["id"]})  # fmt: skip
    assert found["code"] in ("FORBIDDEN", "NOT_FOUND")


async def test_a_service_that_acts_for_users_sees_their_specs_and_keys_and_nothing_else(platform: Platform) -> None:
    await key(platform, "root", {"user": global_id("User", (await platform.principal("tom")).id)})
    plain = await acting(platform, None)
    service = replace(plain, acts_for=m.AuthProvider.LOCAL)
    more: dict[str, set[Any]] = {}
    for model in (policy.model for policy in policies()):
        seen = [await _seen(platform, model, who) for who in (plain, service)]
        assert seen[0] <= seen[1]
        if model.__mapper__.primary_key[0].name == "id" and seen[1] - seen[0]:
            more[model.__name__] = seen[1] - seen[0]
    assert set(more) <= {"User", "Spec", "SpecLabel", "SpecVersion", "SpecModel", "Credential", "Job", "Task", "File"}
    assert {"User", "Spec", "SpecVersion", "Credential"} <= set(more)
    async with platform.services.database.read() as session:
        people = sa.select(m.User.id).where(m.User.superadmin | (m.User.platform_role == m.PlatformRole.MANAGER))
        assert not more["User"] & set(await session.scalars(people))
        owners = sa.select(m.Spec.user_id).where(m.Spec.id.in_(more["Spec"]))
        assert set(await session.scalars(owners)) <= more["User"]
        kinds = sa.select(m.Credential.kind).where(m.Credential.id.in_(more["Credential"]))
        assert set(await session.scalars(kinds)) == {m.CredentialKind.API_KEY}
        files = sa.select(m.File.purpose).where(m.File.id.in_(more.get("File", ())))
        assert set(await session.scalars(files)) <= {m.FilePurpose.SPEC_PACKAGE}
        jobs = sa.select(m.Job.kind).where(m.Job.id.in_(more.get("Job", ())))
        assert set(await session.scalars(jobs)) <= {m.JobKind.PACKAGE_BUILD}


async def _seen(platform: Platform, model: Any, who: Principal) -> set[Any]:
    wanted = sa.select(*model.__mapper__.primary_key).where(visible(model, who.profile))
    return {row[0] for row in await platform.services.database.rows(wanted, dict(who.parameters))}


async def test_a_service_acts_for_users_of_external_providers_only(platform: Platform) -> None:
    made = (await platform.ask(SERVICE, "root", input=NEW | {"key": "packages", "actsFor": "LOCAL"}))["done"]
    assert (made["code"], made["field"]) == ("INVALID", "input.actsFor")


async def test_puts_at_once_for_a_new_user_make_one(sharing: Platform) -> None:
    service = await acting(sharing)
    done = await asyncio.gather(*(put(sharing, service, subject("ada"), f"beam-{n}") for n in range(4)))
    assert [one["__typename"] for one in done] == ["SpecVersion"] * 4, done
    assert len({one["spec"]["owner"]["id"] for one in done}) == 1


@pytest.mark.parametrize("user", ["", "x", "U3BlYzox"])
async def test_what_is_no_id_of_a_user_is_told(platform: Platform, user: str) -> None:
    told = await put(platform, "root", {"user": user})
    assert (told["code"], told["field"]) == ("INVALID", "owner.user")
