"""API keys, static tokens, and devices that register themselves."""

import asyncio
import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from db import models
from db.tally import Tally, tally
from db.types import instant_text, later
from gateway.protocol.authentication import authenticate
from resolvers.context import Context
from resolvers.failures import Unauthenticated
from resolvers.identity import last_used
from resolvers.identity.principal import Kind, Principal
from resolvers.identity.tokens import digest_of
from resolvers.spelling import global_id
from resolvers.writing import rate_limits
from tests.support.platforms import Platform
from tests.support.serving import Serve

ON_SQLITE = True

ISSUED = "__typename ... on IssuedCredential { secret publicKey credential { id kind label publicKey scopes expiresAt revokedAt } } ... on Problem { code message field }"
CREATE = f"mutation($l: String!, $s: [KeyScope!]!, $e: DateTime) {{ it: createApiKey(label: $l, scopes: $s, expiresAt: $e) {{ {ISSUED} }} }}"
ROTATE = f"mutation($i: ID!) {{ it: rotateApiKey(id: $i) {{ {ISSUED} }} }}"
REVOKE = (
    "mutation($i: ID!) { it: revokeCredential(id: $i) { __typename ... on Revoked { id at } ... on Problem { code } } }"
)
LIST = "query($f: CredentialFilter) { credentials(first: 50, filter: $f) { nodes { id kind label publicKey scopes user { username } participant { name } device { name } } } }"
CHANGE = 'mutation { updateProfile(expectedVersion: 1, input: {firstName: "Tom"}) { __typename } }'


async def _create(platform: Platform, as_: Any = "tom", label: str = "laptop", scopes: Any = ("READ",), expires: Any = None) -> Any:  # fmt: skip
    return (await platform.ask(CREATE, as_, l=label, s=list(scopes), e=expires))["it"]


async def _as(platform: Platform, secret: str) -> Principal:
    return await authenticate(platform.services, f"Bearer {secret}")


async def test_a_key_acts_for_its_user(platform: Platform) -> None:
    made = await _create(platform, scopes=["WRITE"])
    principal = await _as(platform, made["secret"])
    assert (principal.kind, principal.id) == (Kind.USER, platform.world.tom)
    assert platform.world.shared in principal.projects
    assert await platform.ask("{viewer{username}}", principal) == {"viewer": {"username": "tom"}}
    assert (await platform.ask(CHANGE, principal))["updateProfile"] == {"__typename": "User"}


async def test_a_key_shows_its_label_scopes_and_public_half(platform: Platform) -> None:
    made = await _create(platform, label=" laptop ", scopes=["WRITE"])
    assert re.fullmatch(r"sk_[0-9A-Za-z]{49}", made["secret"])
    assert re.fullmatch(r"pk_[0-9A-Za-z]{22}", made["publicKey"])
    shown = made["credential"]
    assert shown == {
        "id": shown["id"], "kind": "API_KEY", "label": "laptop", "publicKey": made["publicKey"],
        "scopes": ["READ", "WRITE"], "expiresAt": None, "revokedAt": None,
    }  # fmt: skip


async def test_a_key_for_reading_runs_no_mutation(platform: Platform) -> None:
    principal = await _as(platform, (await _create(platform))["secret"])
    assert await platform.ask("{viewer{username}}", principal) == {"viewer": {"username": "tom"}}
    answer = await platform.answer("mutation { updateProfile(expectedVersion: 1, input: {firstName: \"T\"}) { ... on Problem { code message } } }", principal)  # fmt: skip
    assert answer.body["data"]["updateProfile"] == {"code": "FORBIDDEN", "message": "this key may only read"}


async def test_secrets_are_stored_as_digests_and_never_logged(serve: Serve, backend: str, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    gateway = await serve(backend)
    tom = await gateway.log_in("tom")
    made = (await gateway.ask(CREATE, tom, l="laptop", s=["WRITE"]))["it"]
    await gateway.ask("{viewer{id}}", f"Bearer {made['secret']}")
    wrong = await gateway.client.post("/graphql", json={"query": "{viewer{id}}"}, headers={"Authorization": f"Bearer {made['secret']}x"})  # fmt: skip
    assert wrong.status_code == 401
    await gateway.services.identity.uses.settled()
    database = gateway.services.database
    for table in (models.Credential, models.AuditEvent):
        for row in await database.rows(sa.select(table.__table__)):
            assert made["secret"] not in str(row)
    stored = await database.rows(sa.select(models.Credential.secret_hash).where(models.Credential.label == "laptop"))
    assert stored[0].secret_hash == digest_of(made["secret"])
    printed = capsys.readouterr()
    assert made["secret"] not in printed.out + printed.err


async def test_a_key_is_presented_as_a_bearer_or_as_a_pair(serve: Serve, backend: str) -> None:
    gateway = await serve(backend)
    tom = await gateway.log_in("tom")
    mine, other = [(await gateway.ask(CREATE, tom, l=name, s=["READ"]))["it"] for name in ("one", "two")]

    async def asked(public: str, secret: str) -> int:
        pair = base64.b64encode(f"{public}:{secret}".encode()).decode()
        answer = await gateway.client.post("/graphql", json={"query": "{viewer{username}}"}, headers={"Authorization": f"Basic {pair}"})  # fmt: skip
        if answer.status_code == 200:
            assert answer.json() == {"data": {"viewer": {"username": "tom"}}}
        return int(answer.status_code)

    assert await gateway.ask("{viewer{username}}", f"bearer {mine['secret']}") == {"viewer": {"username": "tom"}}
    assert await asked(mine["publicKey"], mine["secret"]) == 200
    assert await asked(other["publicKey"], mine["secret"]) == 401
    assert await asked(mine["publicKey"], "sk_wrong") == 401
    assert await asked("tom", mine["secret"]) == 401
    assert await asked("", mine["secret"]) == 401
    assert await asked("pk_x", gateway.world.here.secrets["device"]) == 401
    nonsense = await gateway.client.post(
        "/graphql", json={"query": "{viewer{id}}"}, headers={"Authorization": "Basic ?"}
    )
    assert nonsense.status_code == 401


@pytest.mark.parametrize("secret", ["sk_", "sk_" + "0" * 49, "pk_x", "xx_y"])
async def test_a_key_that_is_not_known_is_refused(platform: Platform, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        await _as(platform, secret)


async def test_a_key_ends_when_it_says(platform: Platform) -> None:
    soon = instant_text(datetime.now(UTC) + timedelta(hours=1))
    made = await _create(platform, expires=soon)
    assert made["credential"]["expiresAt"] == soon
    principal = await _as(platform, made["secret"])
    assert principal.expires_at is not None
    assert instant_text(principal.expires_at) == soon
    await _set(platform, made, expires_at=later(-1))
    platform.services.identity.principals._missed()
    with pytest.raises(Unauthenticated, match="not valid"):
        await _as(platform, made["secret"])


async def test_a_key_that_ends_is_not_kept_beyond_its_end(platform: Platform) -> None:
    made = await _create(platform)
    async with asyncio.timeout(20):
        await _set(platform, made, expires_at=later(0.2))
        with pytest.raises(Unauthenticated):
            while True:
                await _as(platform, made["secret"])


async def test_a_key_must_end_in_the_future(platform: Platform) -> None:
    made = await _create(platform, expires="2020-01-01T00:00:00Z")
    assert (made["code"], made["field"]) == ("INVALID", "expiresAt")


@pytest.mark.parametrize("label", ["", "  ", "x" * 101, "a\u0000b", "a\nb"])
async def test_a_label_is_short_and_can_be_read(platform: Platform, label: str) -> None:
    made = await _create(platform, label=label)
    assert (made["code"], made["field"]) == ("INVALID", "label")


async def test_a_rotated_key_leaves_the_older_one_active(platform: Platform) -> None:
    first = await _create(platform, scopes=["WRITE"])
    second = (await platform.ask(ROTATE, "tom", i=first["credential"]["id"]))["it"]
    assert second["credential"]["label"] == "laptop"
    assert second["credential"]["scopes"] == ["READ", "WRITE"]
    assert second["secret"] != first["secret"]
    for made in (first, second):
        assert (await _as(platform, made["secret"])).id == platform.world.tom


async def test_two_keys_of_a_label_are_active_at_most(platform: Platform) -> None:
    first = await _create(platform)
    await platform.ask(ROTATE, "tom", i=first["credential"]["id"])
    assert (await platform.ask(ROTATE, "tom", i=first["credential"]["id"]))["it"]["code"] == "LIMIT_EXCEEDED"


async def test_a_label_is_of_one_key_until_that_is_revoked_or_replaced(platform: Platform) -> None:
    first = await _create(platform)
    refused = await _create(platform)
    assert (refused["code"], refused["field"]) == ("CONFLICT", "label")
    assert (await _create(platform, "eve"))["__typename"] == "IssuedCredential", "of another owner"
    again = (
        await platform.ask(CREATE.replace("expiresAt: $e", "expiresAt: $e, replace: true"), "tom", l="laptop", s=[])
    )["it"]
    assert again["__typename"] == "IssuedCredential"
    assert (await _as(platform, again["secret"])).id == platform.world.tom
    with pytest.raises(Unauthenticated):
        await _as(platform, first["secret"])
    await platform.ask(REVOKE, "tom", i=again["credential"]["id"])
    assert (await _create(platform))["__typename"] == "IssuedCredential"


@pytest.mark.both
async def test_a_label_is_of_one_key_when_several_are_asked_for_at_once(platform: Platform) -> None:
    made = await asyncio.gather(*(_create(platform) for _ in range(5)))
    assert sorted(one["__typename"] for one in made) == ["IssuedCredential"] + ["Problem"] * 4


async def test_all_keys_of_ones_own_are_revoked_and_nobody_elses(platform: Platform) -> None:
    mine = [await _create(platform, label=label) for label in ("a", "b")]
    other = await _create(platform, "eve")
    revoke = "mutation { it: revokeAllCredentials { __typename } }"
    assert (await platform.ask(revoke, "tom"))["it"]["__typename"] == "Done"
    for made in mine:
        with pytest.raises(Unauthenticated):
            await _as(platform, made["secret"])
    assert (await _as(platform, other["secret"])).id == platform.world.eve


async def test_a_rotated_key_lasts_as_long_as_the_older_was_made_for(platform: Platform) -> None:
    first = await _create(platform, expires=instant_text(datetime.now(UTC) + timedelta(days=2)))
    second = (await platform.ask(ROTATE, "tom", i=first["credential"]["id"]))["it"]["credential"]
    ends = datetime.fromisoformat(second["expiresAt"])
    assert timedelta(days=1, hours=23) < ends - datetime.now(UTC) < timedelta(days=2, minutes=1)


async def test_a_key_that_was_revoked_is_not_rotated(platform: Platform) -> None:
    made = await _create(platform)
    await platform.ask(REVOKE, "tom", i=made["credential"]["id"])
    assert (await platform.ask(ROTATE, "tom", i=made["credential"]["id"]))["it"]["code"] == "STATE"


@pytest.mark.parametrize(("who", "code"), [("eve", "NOT_FOUND"), ("maria", "NOT_FOUND"), ("root", "FORBIDDEN")])
async def test_only_its_owner_rotates_a_key(platform: Platform, who: str, code: str) -> None:
    made = await _create(platform)
    assert (await platform.ask(ROTATE, who, i=made["credential"]["id"]))["it"]["code"] == code


async def test_a_key_makes_no_keys(platform: Platform) -> None:
    made = await _create(platform, scopes=["WRITE"])
    principal = await _as(platform, made["secret"])
    assert (await _create(platform, principal, label="more"))["code"] == "FORBIDDEN"
    assert (await platform.ask(ROTATE, principal, i=made["credential"]["id"]))["it"]["code"] == "FORBIDDEN"


@pytest.mark.both
async def test_a_revoked_key_stops_at_once(platform: Platform) -> None:
    made = await _create(platform)
    await _as(platform, made["secret"])
    revoked = (await platform.ask(REVOKE, "tom", i=made["credential"]["id"]))["it"]
    assert revoked["at"]
    with pytest.raises(Unauthenticated):
        await _as(platform, made["secret"])
    again = (await platform.ask(REVOKE, "tom", i=made["credential"]["id"]))["it"]
    assert again == revoked


async def test_a_revoked_key_closes_its_open_socket(serve: Serve, backend: str) -> None:
    gateway = await serve(backend)
    tom = await gateway.log_in("tom")
    made = (await gateway.ask(CREATE, tom, l="laptop", s=["READ"]))["it"]
    url = gateway.url.replace("http", "ws") + "/graphql"
    async with asyncio.timeout(30), connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {made['secret']}"}}
        await socket.send(json.dumps(init))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        await gateway.ask(REVOKE, tom, i=made["credential"]["id"])
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        4403,
        "UNAUTHENTICATED: the key or token is not valid",
    )


async def test_superadmins_revoke_any_key_and_strangers_see_none(platform: Platform) -> None:
    id = (await _create(platform))["credential"]["id"]
    assert (await platform.ask(REVOKE, "eve", i=id))["it"]["code"] == "NOT_FOUND"
    assert await platform.ask("query($i:ID!){node(id:$i){id}}", "eve", i=id) == {"node": None}
    assert (await platform.ask(REVOKE, "root", i=id))["it"]["__typename"] == "Revoked"


async def test_a_list_has_ones_own_keys_and_no_login_sessions(platform: Platform) -> None:
    made = await _create(platform, scopes=["WRITE"])
    await _create(platform, "eve")
    (mine,) = (await platform.ask(LIST, "tom"))["credentials"]["nodes"]
    assert mine == {
        "id": made["credential"]["id"], "kind": "API_KEY", "label": "laptop", "publicKey": made["publicKey"],
        "scopes": ["READ", "WRITE"], "user": {"username": "tom"}, "participant": None, "device": None,
    }  # fmt: skip
    everything = (await platform.ask(LIST, "root"))["credentials"]["nodes"]
    assert {one["kind"] for one in everything} == {"API_KEY", "STATIC_TOKEN"}
    keys = (await platform.ask(LIST, "root", f={"kind": {"in": ["API_KEY"]}}))["credentials"]["nodes"]
    assert {one["user"]["username"] for one in keys} == {"tom", "eve"}


async def test_a_login_session_is_no_node_and_is_not_revoked_as_a_key(platform: Platform) -> None:
    principal = await platform.principal("root")
    assert principal.credential is not None
    id = global_id("Credential", principal.credential)
    assert await platform.ask("query($i:ID!){node(id:$i){id}}", principal, i=id) == {"node": None}
    assert (await platform.ask(REVOKE, principal, i=id))["it"]["code"] == "NOT_FOUND"


async def test_administrators_list_the_tokens_of_participants_and_devices(platform: Platform) -> None:
    for who in ("maria", "sita"):
        listed = (await platform.ask(LIST, who))["credentials"]["nodes"]
        owners = {(one["participant"] or one["device"])["name"] for one in listed}
        assert owners == {"P-01", "sensor of Harbour"}, who
    for who in ("tom", "silo", None):
        assert (await platform.ask(LIST, who))["credentials"]["nodes"] == []
    participant = global_id("Participant", platform.world.here.participant)
    (one,) = (await platform.ask(LIST, "maria", f={"participant": {"ids": [participant]}}))["credentials"]["nodes"]
    assert one["participant"] == {"name": "P-01"}


async def test_use_is_noted_beside_the_request_and_once_a_minute(platform: Platform) -> None:
    made = await _create(platform)
    counted = Tally()
    tally.set(counted)
    await _as(platform, made["secret"])
    await platform.services.identity.uses.settled()
    assert counted.statements == 1
    first = await _last_used(platform, made)
    assert first is not None
    platform.services.identity.uses._noted.clear()  # as another process would
    await _as(platform, made["secret"])
    await platform.services.identity.uses.settled()
    assert await _last_used(platform, made) == first
    await _set(platform, made, last_used_at=later(-last_used.INTERVAL - 1))
    await _as(platform, made["secret"])
    await platform.services.identity.uses.settled()
    assert platform.services.identity.uses._writing is not None
    assert (await _last_used(platform, made)) < first  # noted here within the minute: nothing is written
    platform.services.identity.uses._noted.clear()
    await _as(platform, made["secret"])
    await platform.services.identity.uses.settled()
    assert (await _last_used(platform, made)) >= first


async def test_a_use_that_is_noted_is_no_change_of_the_key(platform: Platform) -> None:
    made = await _create(platform)
    query = "query($i:ID!){node(id:$i){version updatedAt ... on Credential {lastUsedAt}}}"
    before = (await platform.ask(query, "tom", i=made["credential"]["id"]))["node"]
    await _as(platform, made["secret"])
    await platform.services.identity.uses.settled()
    after = (await platform.ask(query, "tom", i=made["credential"]["id"]))["node"]
    assert before["lastUsedAt"] is None
    assert after["lastUsedAt"] is not None
    assert before | {"lastUsedAt": None} == after | {"lastUsedAt": None}


async def test_what_was_noted_is_written_before_a_gateway_ends(serve: Serve, backend: str) -> None:
    gateway = await serve(backend)
    tom = await gateway.log_in("tom")
    made = (await gateway.ask(CREATE, tom, l="laptop", s=["READ"]))["it"]
    await gateway.ask("{viewer{id}}", f"Bearer {made['secret']}")
    await gateway.stop()
    assert gateway.services.identity.uses._pending == set()
    other = await serve(backend, database=gateway.services.database.url.render_as_string(hide_password=False).replace("+aiosqlite", "").replace("+asyncpg", ""))  # fmt: skip
    rows = await other.services.database.rows(sa.select(models.Credential.last_used_at).where(models.Credential.label == "laptop"))  # fmt: skip
    assert rows[0].last_used_at is not None


# Static tokens ------------------------------------------------------------------------------------------------------

TOKEN = "mutation($i: ID!) {{ it: create{kind}Token({name}: $i) {{ {issued} }} }}"


async def _token(platform: Platform, as_: Any, kind: str, key: Any) -> Any:
    query = TOKEN.format(kind=kind, name=kind.lower(), issued=ISSUED)
    return (await platform.ask(query, as_, i=global_id(kind, key)))["it"]


async def test_a_token_of_a_participant_is_a_limited_one_and_enables_its_tokens(platform: Platform) -> None:
    idle = platform.world.here.idle
    made = await _token(platform, "maria", "Participant", idle)
    assert made["secret"].startswith("pt_")
    assert made["publicKey"] is None
    assert (made["credential"]["kind"], made["credential"]["scopes"]) == ("STATIC_TOKEN", None)
    principal = await _as(platform, made["secret"])
    assert (principal.kind, principal.id, principal.full) == (Kind.PARTICIPANT, idle, False)
    shown = await platform.ask("query($i:ID!){node(id:$i){... on Participant{tokenEnabled}}}", "maria", i=global_id("Participant", idle))  # fmt: skip
    assert shown == {"node": {"tokenEnabled": True}}


@pytest.mark.parametrize(
    ("who", "kind", "allowed"),
    [
        ("maria", "Participant", True), ("sita", "Participant", True), ("root", "Participant", True),
        ("tom", "Participant", False),
        ("sita", "Device", True), ("root", "Device", True), ("maria", "Device", False), ("silo", "Device", False),
        ("root", "Service", True), ("sita", "Service", False), ("maria", "Service", False),
    ],
)  # fmt: skip
async def test_tokens_are_made_by_who_may_enable_them(platform: Platform, who: str, kind: str, allowed: bool) -> None:
    owner = getattr(platform.world.here, {"Participant": "idle", "Device": "spare", "Service": "service"}[kind])
    made = await _token(platform, who, kind, owner)
    assert made["__typename"] == ("IssuedCredential" if allowed else "Problem")
    if not allowed:
        assert made["code"] == "FORBIDDEN"
        refused = sa.select(models.AuditEvent.detail).where(models.AuditEvent.action == "REFUSED")
        assert [row.detail["tried"] for row in await platform.services.database.rows(refused)] == ["CREATE_TOKEN"]


@pytest.mark.parametrize("kind", ["Participant", "Device", "Service"])
async def test_what_is_not_seen_gets_no_token(platform: Platform, kind: str) -> None:
    owner = getattr(platform.world.there, kind.lower())
    assert (await _token(platform, "maria", kind, owner))["code"] == "NOT_FOUND"


async def test_a_service_makes_and_revokes_tokens_of_participants_of_its_projects(platform: Platform) -> None:
    service = await _as(platform, platform.world.here.secrets["service"])
    made = await _token(platform, service, "Participant", platform.world.here.idle)
    assert (await _as(platform, made["secret"])).kind is Kind.PARTICIPANT
    (row,) = await platform.services.database.rows(sa.select(models.Credential.id).where(models.Credential.secret_hash == digest_of(made["secret"])))  # fmt: skip
    await platform.ask(REVOKE, service, i=global_id("Credential", row.id))
    with pytest.raises(Unauthenticated):
        await _as(platform, made["secret"])
    other = platform.world.there.participant_key
    assert (await platform.ask(REVOKE, service, i=global_id("Credential", other)))["it"]["code"] == "NOT_FOUND"


async def test_two_tokens_of_an_owner_are_active_at_most(platform: Platform) -> None:
    spare = platform.world.here.spare
    first, _ = [await _token(platform, "sita", "Device", spare) for _ in range(2)]
    assert (await _token(platform, "sita", "Device", spare))["code"] == "LIMIT_EXCEEDED"
    await platform.ask(REVOKE, "sita", i=first["credential"]["id"])
    assert (await _token(platform, "sita", "Device", spare))["__typename"] == "IssuedCredential"


@pytest.mark.parametrize(
    ("who", "key", "code"),
    [
        ("tom", "participant_key", "NOT_FOUND"), ("silo", "device_key", "NOT_FOUND"), ("maria", "participant_key", None),
        ("maria", "device_key", "FORBIDDEN"), ("sita", "device_key", None), ("root", "device_key", None),
    ],
)  # fmt: skip
async def test_tokens_are_revoked_by_administrators_of_their_owner(platform: Platform, who: str, key: str, code: str | None) -> None:  # fmt: skip
    id = global_id("Credential", getattr(platform.world.here, key))
    assert (await platform.ask(REVOKE, who, i=id))["it"].get("code") == code


async def test_a_device_sees_its_token_and_does_not_revoke_it(platform: Platform) -> None:
    device = await _as(platform, platform.world.here.secrets["device"])
    id = global_id("Credential", platform.world.here.device_key)
    assert [one["id"] for one in (await platform.ask(LIST, device))["credentials"]["nodes"]] == [id]
    assert (await platform.ask(REVOKE, device, i=id))["it"]["code"] == "FORBIDDEN"


async def test_the_gateways_own_service_has_no_tokens(platform: Platform) -> None:
    made = await _token(platform, "root", "Service", models.CORE)
    assert made["code"] == "FORBIDDEN"


async def test_keys_and_tokens_are_on_record(platform: Platform) -> None:
    first = await _create(platform, scopes=["WRITE"])
    await platform.ask(ROTATE, "tom", i=first["credential"]["id"])
    await platform.ask(REVOKE, "tom", i=first["credential"]["id"])
    await _token(platform, "root", "Service", platform.world.here.service)
    rows = await platform.services.database.rows(sa.select(models.AuditEvent.action).order_by(models.AuditEvent.id))
    assert [row.action for row in rows][-4:] == ["CREATE_KEY", "ROTATE_KEY", "REVOKE_CREDENTIAL", "CREATE_TOKEN"]


# Devices ------------------------------------------------------------------------------------------------------------

NEW_KEY = "mutation { it: newDeviceRegisterKey { ... on RegisterKey { secret } ... on Problem { code } } }"
REGISTER = """mutation($k: String!, $n: String!, $t: String!, $i: JSON) { it: registerDevice(registerKey: $k, name: $n, typeKey: $t, infos: $i) {
  __typename ... on RegisteredDevice { id secret } ... on Problem { code message field } } }"""


async def _register(platform: Platform, key: str, **given: Any) -> Any:
    return (await platform.ask(REGISTER, **{"k": key, "n": "wrist 7", "t": "sensor", "i": {"serial": "A"}, **given}))["it"]  # fmt: skip


async def test_a_device_registers_itself_and_waits_to_be_enabled(platform: Platform) -> None:
    key = (await platform.ask(NEW_KEY, "root"))["it"]["secret"]
    made = await _register(platform, key)
    assert made["secret"].startswith("dt_")
    with pytest.raises(Unauthenticated):
        await _as(platform, made["secret"])
    show = "query($i:ID!){node(id:$i){... on Device{name enabled infos version type{key}}}}"
    shown = (await platform.ask(show, "root", i=made["id"]))["node"]
    assert shown == {"name": "wrist 7", "enabled": False, "infos": {"serial": "A"}, "version": 1, "type": {"key": "sensor"}}  # fmt: skip
    enable = "mutation($i:ID!){updateDevice(id:$i,expectedVersion:1,input:{enabled:true}){__typename}}"
    await platform.ask(enable, "root", i=made["id"])
    assert (await _as(platform, made["secret"])).kind is Kind.DEVICE


async def test_registering_needs_the_key(platform: Platform) -> None:
    none = await _register(platform, "rk_guess")
    key = (await platform.ask(NEW_KEY, "root"))["it"]["secret"]
    wrong = await _register(platform, f"{key}x")
    assert none == wrong == {"__typename": "Problem", "code": "UNAUTHENTICATED", "message": "the register key is not valid", "field": None}  # fmt: skip
    assert (await _register(platform, ""))["code"] == "UNAUTHENTICATED"
    count = sa.select(sa.func.count().label("count")).select_from(models.AuditEvent)
    failed = count.where(models.AuditEvent.action == "REGISTER_DEVICE_FAILED")
    assert (await platform.services.database.rows(failed))[0].count == 3


async def test_a_new_register_key_ends_the_former_one(platform: Platform) -> None:
    old, new = [(await platform.ask(NEW_KEY, "root"))["it"]["secret"] for _ in range(2)]
    assert (await _register(platform, old))["code"] == "UNAUTHENTICATED"
    assert (await _register(platform, new))["__typename"] == "RegisteredDevice"


@pytest.mark.parametrize("who", ["sita", "maria", "tom", "mona"])
async def test_only_superadmins_make_a_register_key(platform: Platform, who: str) -> None:
    assert (await platform.ask(NEW_KEY, who))["it"] == {"code": "FORBIDDEN"}


async def test_registering_is_limited_by_address(platform: Platform) -> None:
    most = platform.services.limits.registrations_per_address
    for _ in range(most):
        assert (await _register(platform, "rk_guess"))["code"] == "UNAUTHENTICATED"
    assert (await _register(platform, "rk_guess"))["code"] == "RATE_LIMITED"


def test_an_address_of_ipv6_stands_for_its_network() -> None:
    def address(ip: str) -> str:
        return rate_limits.address_of(Context(None, client={"ip": ip}))  # type: ignore[arg-type]

    assert address("2001:db8:1:2:3:4:5:6") == address("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert address("192.0.2.7") == "192.0.2.7"


async def test_a_type_of_devices_that_is_not_known_is_made_only_where_the_settings_say_so(serve: Serve, backend: str) -> None:  # fmt: skip
    for allowed in (False, True):
        gateway = await serve(backend, register_device_types=allowed)
        key = (await gateway.ask(NEW_KEY, await gateway.log_in("root")))["it"]["secret"]
        made = (await gateway.ask(REGISTER, k=key, n="wrist", t="watch", i=None))["it"]
        assert made.get("field") == (None if allowed else "typeKey")
        types = await gateway.services.database.rows(sa.select(models.DeviceType).where(models.DeviceType.key == "watch"))  # fmt: skip
        assert len(types) == allowed


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"n": " "}, "INVALID"), ({"n": "x" * 256}, "INVALID"), ({"t": "x" * 101}, "INVALID"),
        ({"i": [1]}, "INVALID"), ({"i": {"a": "x" * 70_000}}, "INVALID"),
    ],
)  # fmt: skip
async def test_what_a_device_tells_of_itself_is_bounded(platform: Platform, given: Any, code: str) -> None:
    key = (await platform.ask(NEW_KEY, "root"))["it"]["secret"]
    assert (await _register(platform, key, **given))["code"] == code


STATUS = "mutation($s: JSON!) { it: setDeviceStatus(status: $s) { ... on Device { status lastOnlineAt version } ... on Problem { code } } }"
CONFIG = "mutation($c: JSON, $v: Int!) { it: updateDeviceConfig(config: $c, expectedVersion: $v) { ... on Device { config version } ... on Problem { code } } }"


async def test_a_device_reports_its_status_without_changing_its_version(platform: Platform) -> None:
    device = await _as(platform, platform.world.here.secrets["device"])
    told = (await platform.ask(STATUS, device, s={"battery": 80}))["it"]
    assert told["status"] == {"battery": 80}
    assert told["lastOnlineAt"]
    assert told["version"] == 1
    assert (await platform.ask(STATUS, device, s="full"))["it"] == {"code": "INVALID"}
    assert (await platform.ask(STATUS, device, s={"a": "x" * 70_000}))["it"] == {"code": "INVALID"}


async def test_a_device_changes_its_own_settings(platform: Platform) -> None:
    device = await _as(platform, platform.world.here.secrets["device"])
    assert (await platform.ask(CONFIG, device, c={"rate": 1}, v=1))["it"] == {"config": {"rate": 1}, "version": 2}
    assert (await platform.ask(CONFIG, device, c={"rate": 2}, v=1))["it"] == {"code": "CONFLICT"}
    assert (await platform.ask(CONFIG, device, c=None, v=2))["it"] == {"config": None, "version": 3}


@pytest.mark.parametrize("who", ["root", "sita", None])
async def test_only_devices_report_as_devices(platform: Platform, who: str | None) -> None:
    code = "UNAUTHENTICATED" if who is None else "FORBIDDEN"
    assert (await platform.ask(STATUS, who, s={}))["it"] == {"code": code}
    assert (await platform.ask(CONFIG, who, c={}, v=1))["it"] == {"code": code}


async def _set(platform: Platform, made: Any, **values: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(
            sa.update(models.Credential).where(models.Credential.public_key == made["publicKey"]).values(**values)
        )


async def _last_used(platform: Platform, made: Any) -> Any:
    wanted = sa.select(models.Credential.last_used_at).where(models.Credential.public_key == made["publicKey"])
    return (await platform.services.database.rows(wanted))[0].last_used_at
