"""Participants mind their passwords, are written to, are known at services, and are disconnected."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.serving import UNSENT, Serve

FIRST, SECOND = "a clever long passphrase", "another clever long passphrase"
LOG_IN = "mutation($u:String!,$p:String!){logInParticipant(username:$u,password:$p){...on Tokens{accessToken}...on Problem{code}}}"


async def username(platform: Platform) -> str:
    found = await platform.ask("query($i:ID!){participant(id:$i){username}}", "root", i=platform.world.here.id("Participant", "participant"))  # fmt: skip
    name: str = found["participant"]["username"]
    return name


async def signs_in(platform: Platform, name: str, password: str) -> bool:
    answer = await platform.ask(LOG_IN, None, u=name, p=password)
    return "accessToken" in answer["logInParticipant"]


async def mails(platform: Platform) -> list[Any]:
    table = m.Notification.__table__
    return list(await platform.services.database.rows(sa.select(table).order_by(table.c.id)))


async def test_a_participant_changes_the_password(platform: Platform) -> None:
    id, name = platform.world.here.id("Participant", "participant"), await username(platform)
    await mutate(platform, "maria", "setParticipantPassword", id=id, newPassword=FIRST)
    assert await signs_in(platform, name, FIRST)
    who = await platform.principal("participant")
    wrong, _ = await mutate(platform, who, "changeParticipantPassword", oldPassword=SECOND, newPassword=SECOND)
    assert (wrong["code"], wrong["field"]) == ("INVALID", "oldPassword")
    weak, _ = await mutate(platform, who, "changeParticipantPassword", oldPassword=FIRST, newPassword="short")
    assert (weak["code"], weak["field"]) == ("INVALID", "newPassword")
    same, _ = await mutate(platform, who, "changeParticipantPassword", oldPassword=FIRST, newPassword=FIRST)
    assert (same["code"], same["field"]) == ("INVALID", "newPassword")
    done, _ = await mutate(platform, who, "changeParticipantPassword", oldPassword=FIRST, newPassword=SECOND)
    assert done["__typename"] == "Participant"
    assert not await signs_in(platform, name, FIRST)
    assert await signs_in(platform, name, SECOND)
    for other in ("limited", "tom"):
        refused, _ = await mutate(platform, other, "changeParticipantPassword", oldPassword=SECOND, newPassword=FIRST)
        assert refused["code"] == "FORBIDDEN"


async def test_a_participant_resets_the_password_by_mail(platform: Platform) -> None:
    name = await username(platform)
    asked = [await mutate(platform, None, "requestParticipantPasswordReset", username=one) for one in (name, "nobody")]
    assert [answer["__typename"] for answer, _ in asked] == ["Done", "Done"]
    (mail,) = await mails(platform)
    token = re.search(r"#token=(\S+)", mail.text)[1]  # type: ignore[index]
    weak, _ = await mutate(platform, None, "resetPassword", token=token, newPassword="short")
    assert weak["field"] == "newPassword"
    done, _ = await mutate(platform, None, "resetPassword", token=token, newPassword=SECOND)
    assert done["__typename"] == "Done"
    assert await signs_in(platform, name, SECOND)
    again, _ = await mutate(platform, None, "resetPassword", token=token, newPassword=FIRST)
    assert (again["code"], again["field"]) == ("INVALID", "token")


SEND = "mutation($u:[ID!],$p:[ID!],$s:String,$t:String,$n:ID,$v:[NewVariable!]){sendNotification(users:$u,participants:$p,subject:$s,text:$t,notificationTemplate:$n,variables:$v){...on Sent{count}...on Problem{code field}}}"


async def test_users_and_participants_are_written_to(platform: Platform) -> None:
    here = platform.world.here
    people = {"u": [platform.world.id("User", "tom")], "p": [here.id("Participant", "participant")]}
    words = {"s": "Visit", "t": "$name, at $when", "v": [{"name": "when", "value": "noon"}]}
    assert (await platform.ask(SEND, "maria", **people, **words))["sendNotification"] == {"count": 2}
    first, second = await mails(platform)
    assert (first.text, second.text) == ("tom, at noon", "P-01, at noon")
    assert second.headers == {"Reply-To": "maria@torana.example"}
    template, _ = await mutate(
        platform, "maria", "createNotificationTemplate",
        input={"key": "visit", "subject": "Of {{ name }}", "text": "Come at {{ when }}", "project": here.id("Project", "project")},
    )  # fmt: skip
    given = {"n": template["id"], "v": words["v"]}
    assert (await platform.ask(SEND, "maria", **people, **given))["sendNotification"] == {"count": 2}
    *_, third, last = await mails(platform)
    assert (third.subject, last.subject, last.text.strip()) == ("Of tom", "Of P-01", "Come at noon")


@pytest.mark.parametrize(
    ("who", "given", "expected"),
    [
        ("maria", {"t": "x"}, {"code": "LIMIT_EXCEEDED", "field": None}),
        ("maria", {"p": ["participant"]}, {"code": "INVALID", "field": "text"}),
        ("maria", {"p": ["participant"], "t": " "}, {"code": "INVALID", "field": "text"}),
        ("maria", {"p": ["hidden"], "t": "x"}, {"code": "NOT_FOUND", "field": "participants.0"}),
        ("tom", {"p": ["participant"], "t": "x"}, {"code": "FORBIDDEN", "field": None}),
        ("maria", {"p": ["participant", "nameless"], "t": "x"}, {"code": "INVALID", "field": "participants.1"}),
    ],
)
async def test_what_can_t_be_sent_is_refused_whole(
    platform: Platform, who: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    here, there = platform.world.here, platform.world.there
    await _without_address(platform)
    ids = {
        "participant": here.id("Participant", "participant"), "nameless": here.id("Participant", "idle"),
        "hidden": there.id("Participant", "participant"),
    }  # fmt: skip
    named = {k: [ids[one] for one in v] if k == "p" else v for k, v in given.items()}
    assert (await platform.ask(SEND, who, **named))["sendNotification"] == expected
    assert await mails(platform) == []


async def _without_address(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        idle = m.Participant.id == platform.world.here.idle
        await session.execute(sa.update(m.Participant).where(idle).values(email=None, email_folded=None))


async def test_a_code_tells_one_service_once_who_one_is(platform: Platform) -> None:
    service = platform.world.here.id("Service", "service")
    tom = await platform.principal("tom")
    made, _ = await mutate(platform, tom, "createLoginCode", "...on LoginCode{secret}", service=service)
    shown = "...on CodeOwner{id user{username} participant{name}}"
    told, _ = await mutate(platform, "service", "redeemLoginCode", shown, code=made["secret"])
    expected = {"id": platform.world.id("User", "tom"), "user": {"username": "tom"}, "participant": None}
    assert {name: told[name] for name in expected} == expected
    again, _ = await mutate(platform, "service", "redeemLoginCode", code=made["secret"])
    assert again["code"] == "UNAUTHENTICATED"
    first, second = [
        (await mutate(platform, tom, "createLoginCode", "...on LoginCode{secret}", service=service))[0]["secret"]
        for _ in range(2)
    ]
    old, _ = await mutate(platform, "service", "redeemLoginCode", code=first)
    assert old["code"] == "UNAUTHENTICATED"
    async with platform.services.database.write(as_system="test") as session:
        codes = m.Credential.kind == m.CredentialKind.LOGIN_CODE
        await session.execute(sa.update(m.Credential).where(codes).values(expires_at=later(-1)))
    late, _ = await mutate(platform, "service", "redeemLoginCode", code=second)
    assert late["code"] == "UNAUTHENTICATED"
    for other in ("tom", "device"):
        refused, _ = await mutate(platform, other, "redeemLoginCode", code="x")
        assert refused["code"] == "FORBIDDEN"


async def test_services_put_log_events_on_record(platform: Platform) -> None:
    project = platform.world.here.id("Project", "project")
    done, _ = await mutate(platform, "service", "addLogEvent", level="ERROR", message="no camera", project=project)
    assert done["__typename"] == "Done"
    query = '{auditEvents(first:9,filter:{action:{equals:"SERVICE_LOG"}}){nodes{action detail}}}'
    for who, number in (("maria", 1), ("sita", 1), ("root", 1), ("tom", 0), ("eve", 0)):
        found = (await platform.ask(query, who))["auditEvents"]["nodes"]
        assert found == [{"action": "SERVICE_LOG", "detail": {"level": "ERROR", "message": "no camera"}}] * number
    refused, _ = await mutate(platform, "tom", "addLogEvent", level="INFO", message="x")
    assert refused["code"] == "FORBIDDEN"


async def test_who_is_disconnected_has_no_sockets_and_no_login_sessions(serve: Serve, backend: str) -> None:
    import json

    import websockets

    served = await serve(backend, **UNSENT)
    here = served.world.here
    token = here.secrets["device"]
    address = served.url.replace("http", "ws") + "/graphql"
    async with websockets.connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        query = "subscription{invitations{id}}"
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        assert json.loads(await socket.recv())["type"] == "next"
        end = "mutation($i:ID!){disconnect(id:$i){...on SessionsClosed{count}...on Problem{code}}}"
        device = here.id("Device", "device")
        assert (await served.ask(end, await served.log_in("tom"), i=device))["disconnect"] == {"code": "FORBIDDEN"}
        assert (await served.ask(end, await served.log_in("maria"), i=device))["disconnect"] == {"count": 0}
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    assert (await served.ask("{myDevice{id}}", f"Bearer {token}"))["myDevice"]["id"] == device


async def test_the_roles_of_devices_and_participants_are_told(platform: Platform) -> None:
    here = platform.world.here
    role, _ = await mutate(
        platform, "service", "createRole",
        input={"name": "camera", "service": here.id("Service", "service"), "scope": "PROJECT", "project": here.id("Project", "project")},
    )  # fmt: skip
    group = here.id("ParticipantGroup", "group")
    for grantee in (here.id("Device", "device"), group):
        done, _ = await mutate(platform, "service", "grantRole", role=role["id"], grantee=grantee)
        assert done["__typename"] == "RoleGrant", done
    query = "query($i:ID!){accessFor(id:$i,first:9){nodes{role serviceKey inherited project{id}}}}"
    told = [
        {
            "role": "camera",
            "serviceKey": "calls-harbour",
            "inherited": False,
            "project": {"id": here.id("Project", "project")},
        }
    ]
    for asked in (here.id("Device", "device"), group, here.id("Participant", "participant")):
        assert (await platform.ask(query, "maria", i=asked))["accessFor"]["nodes"] == told
        assert (await platform.ask(query, "eve", i=asked))["accessFor"]["nodes"] == []


async def test_a_client_that_is_too_old_does_not_sign_in(platform: Platform) -> None:
    set_, _ = await mutate(
        platform, "root", "setOldestClient", "...on ClientVersion{oldest}", name="Tera+", version="1.4"
    )
    assert set_["oldest"] == "1.4"
    for who in ("maria", "mona"):
        refused, _ = await mutate(platform, who, "setOldestClient", name="Tera+", version="9")
        assert refused["code"] == "FORBIDDEN"
    assert (await platform.ask("{clientVersions{name oldest}}"))["clientVersions"] == [
        {"name": "Tera+", "oldest": "1.4"}
    ]
    query = 'mutation($c:ClientInfo){logIn(username:"tom",password:"correct horse battery",client:$c){__typename ...on Problem{code details}}}'
    for version, code in (("1.3.9", "CLIENT_TOO_OLD"), ("1.4", None), ("1.10", None), ("x", "INVALID")):
        found = (await platform.ask(query, None, c={"name": "Tera+", "version": version}))["logIn"]
        assert found.get("code") == code, version
    for client in ({"name": "other", "version": "0.1"}, None):
        assert (await platform.ask(query, None, c=client))["logIn"]["__typename"] == "Tokens"
