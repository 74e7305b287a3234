"""Who is invited into sessions, who is busy, and what becomes of invitations."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from resolvers.sessions import care
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import happened, make, run, soon, states

STATES = "query($i:ID!){session(id:$i){id version status durationSeconds members(first:50){nodes{state expiresAt user{id}participant{id}device{id}}}events(first:50){nodes{type text}}}}"
PRESENCE = "query($u:ID!,$p:ID!){user(id:$u){presence online}participant(id:$p){presence}}"


@pytest.fixture
def ids(platform: Platform) -> dict[str, str]:
    world = platform.world
    found = {name: world.id("User", name) for name in ("tom", "maria", "silo", "root", "eve")}
    places = (("", world.here), ("there_", world.there))
    for prefix, place in places:
        found |= {
            f"{prefix}participant": place.id("Participant", "participant"), f"{prefix}device": place.id("Device", "device"),
            f"{prefix}spare": place.id("Device", "spare"), f"{prefix}project": place.id("Project", "project"),
        }  # fmt: skip
    return found


async def look(platform: Platform, id: str) -> Any:
    return (await platform.ask(STATES, "root", i=id))["session"]


async def under_way(platform: Platform, who: str, **given: Any) -> dict[str, Any]:
    planned = await make(platform, who, **given)
    return await run(platform, who, "startSession", id=planned["id"])


async def test_who_is_busy_is_not_asked_and_is_asked_when_free(platform: Platform, ids: dict[str, str]) -> None:
    first = await under_way(platform, "tom", users=[ids["tom"], ids["silo"]])
    await run(platform, "silo", "replyInvite", id=first["id"], reply="ACCEPT")
    second = await under_way(platform, "maria", users=[ids["maria"], ids["silo"]])
    assert states(second)[ids["silo"]] == "BUSY"
    assert happened(second).count("SESSION_JOIN_BUSY") == 1
    assert await care.ask_again(platform.services) == 0
    told = await platform.ask(PRESENCE, "root", u=ids["silo"], p=ids["participant"])
    assert told == {"user": {"presence": "BUSY", "online": False}, "participant": {"presence": "OFFLINE"}}
    await run(platform, "tom", "stopSession", id=first["id"])
    assert await care.ask_again(platform.services) == 1
    found = await look(platform, second["id"])
    assert states(found)[ids["silo"]] == "INVITED"
    told = await platform.ask(PRESENCE, "root", u=ids["silo"], p=ids["participant"])
    assert told["user"]["presence"] == "OFFLINE"


async def test_an_answer_that_does_not_come_times_out_and_may_still_come(
    platform: Platform, ids: dict[str, str]
) -> None:
    held = await under_way(platform, "tom", users=[ids["tom"], ids["silo"]])
    assert await care.time_out(platform.services) == 0
    async with platform.services.database.write(as_system="test") as session:
        asked = m.SessionMember.expires_at.is_not(None)
        await session.execute(sa.update(m.SessionMember).where(asked).values(expires_at=later(-1)))
    assert await care.time_out(platform.services) == 1
    assert states(await look(platform, held["id"])) == {ids["tom"]: "JOINED", ids["silo"]: "TIMED_OUT"}
    assert await care.ask_again(platform.services) == 0
    assert await care.ask_again(platform.services, platform.world.silo) == 1
    assert states(await look(platform, held["id"]))[ids["silo"]] == "INVITED"
    answer = await run(platform, "silo", "replyInvite", id=held["id"], reply="ACCEPT")
    assert states(answer)[ids["silo"]] == "JOINED"


async def test_a_session_ends_when_its_creator_refuses(platform: Platform, ids: dict[str, str]) -> None:
    planned = await make(platform, "tom", users=[ids["tom"], ids["silo"]])
    await run(platform, "maria", "startSession", id=planned["id"])
    await run(platform, "silo", "replyInvite", id=planned["id"], reply="ACCEPT")
    ended = await run(platform, "tom", "replyInvite", id=planned["id"], reply="REJECT", message="ill")
    assert ended["status"] == "TERMINATED"
    assert happened(ended) == ["SESSION_START", "SESSION_JOIN", "SESSION_JOIN_REFUSED", "SESSION_STOP"]
    assert [one["text"] for one in ended["events"]["nodes"]][2] == "ill"
    other = await make(platform, "tom", users=[ids["tom"], ids["silo"]])
    await run(platform, "tom", "startSession", id=other["id"])
    goes_on = await run(platform, "silo", "replyInvite", id=other["id"], reply="REJECT")
    assert (goes_on["status"], states(goes_on)[ids["silo"]]) == ("IN_PROGRESS", "REFUSED")


async def test_an_ended_session_is_taken_up_again_and_its_times_are_added(
    platform: Platform, ids: dict[str, str]
) -> None:
    held = await under_way(platform, "tom", users=[ids["tom"], ids["silo"]])
    await run(platform, "silo", "replyInvite", id=held["id"], reply="ACCEPT")

    async def back(seconds: int) -> None:
        async with platform.services.database.write(as_system="test") as session:
            going = m.Session.status == m.SessionStatus.IN_PROGRESS
            await session.execute(sa.update(m.Session).where(going).values(resumed_at=later(-seconds)))

    await back(100)
    ended = await run(platform, "tom", "stopSession", id=held["id"])
    assert 100 <= ended["durationSeconds"] <= 130
    again = await run(platform, "tom", "startSession", id=held["id"])
    assert states(again) == {ids["tom"]: "JOINED", ids["silo"]: "INVITED"}
    await back(50)
    ended = await run(platform, "tom", "terminateSession", id=held["id"])
    assert 150 <= ended["durationSeconds"] <= 200
    assert ended["endsAt"] >= ended["startsAt"]


async def test_members_are_invited_removed_and_replaced(platform: Platform, ids: dict[str, str]) -> None:
    held = await under_way(platform, "tom", users=[ids["tom"]])
    more = await run(platform, "tom", "inviteToSession", id=held["id"], users=[ids["silo"]], devices=[ids["device"]])
    assert states(more) == {ids["tom"]: "JOINED", ids["silo"]: "INVITED", ids["device"]: "INVITED"}
    await run(platform, "device", "replyInvite", id=held["id"], reply="ACCEPT")
    fewer = await run(platform, "tom", "removeFromSession", id=held["id"], devices=[ids["device"]])
    assert states(fewer) == {ids["tom"]: "JOINED", ids["silo"]: "INVITED"}
    assert happened(fewer)[-1] == "SESSION_LEAVE"
    given = {"id": held["id"], "expectedVersion": fewer["version"]}
    same = await run(platform, "tom", "updateSession", **given, input={"name": "other"})
    assert states(same) == states(fewer)
    given["expectedVersion"] = same["version"]
    other = await run(platform, "tom", "updateSession", **given, input={"users": [ids["tom"], ids["maria"]]})
    assert states(other) == {ids["tom"]: "JOINED", ids["maria"]: "INVITED"}
    none = await run(
        platform, "tom", "updateSession", **{**given, "expectedVersion": other["version"]}, input={"users": []}
    )
    assert states(none) == {}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"users": ["eve"]}, "INVALID", "input.users.0"),
    ({"users": ["tom"], "participants": ["there_participant"]}, "NOT_FOUND", "input.participants.0"),
    ({"devices": ["spare"]}, "INVALID", "input.devices.0"),
    ({"devices": ["there_device"]}, "NOT_FOUND", "input.devices.0"),
    ({"endsAt": soon(minutes=-30)}, "INVALID", "input.endsAt"),
    ({"status": "IN_PROGRESS"}, "INVALID", "input.startsAt"),
    ({"durationSeconds": 60}, "INVALID", "input.durationSeconds"),
    ({"durationSeconds": -1, "status": "COMPLETED", "startsAt": soon(hours=-1)}, "INVALID", "input.durationSeconds"),
    ({"name": " "}, "INVALID", "input.name"),
    ({"project": "there_project"}, "NOT_FOUND", "input.project"),
]


@pytest.mark.parametrize(("given", "code", "field"), REFUSED)
async def test_a_session_that_can_t_be_is_refused_whole(
    platform: Platform, ids: dict[str, str], given: dict[str, Any], code: str, field: str
) -> None:
    named = {
        name: [ids.get(one, one) for one in value] if isinstance(value, list) else ids.get(value, value)
        for name, value in given.items()
    }
    answer = await make(platform, "tom", **named)
    assert (answer["code"], answer["field"]) == (code, field)
    assert (await platform.ask('{sessions(first:9,filter:{text:"visit"}){totalCount}}', "root"))["sessions"] == {
        "totalCount": 0
    }


async def test_a_session_may_have_participants_of_two_sites(platform: Platform, ids: dict[str, str]) -> None:
    """It is of one of their projects; the users of the other see neither it nor, in it, their participant."""
    both = [ids["participant"], ids["there_participant"]]
    held = await make(platform, "root", participants=both)
    assert set(states(held)) == set(both)
    refused = await make(platform, "root", participants=[ids["there_participant"]])
    assert (refused["code"], refused["field"]) == ("INVALID", "input.participants")
    seen = await platform.ask(STATES, "tom", i=held["id"])
    assert states(seen["session"]) == {ids["participant"]: "INVITED"}
    kept = await run(
        platform, "tom", "updateSession", id=held["id"], expectedVersion=held["version"], input={"participants": []}
    )
    assert set(states(await look(platform, kept["id"]))) == {ids["there_participant"]}
    refused, _ = await mutate(platform, "maria", "deleteSession", id=held["id"])
    assert refused["code"] == "FORBIDDEN"


async def test_only_members_answer_and_only_while_it_is_under_way(platform: Platform, ids: dict[str, str]) -> None:
    planned = await make(platform, "tom", users=[ids["silo"]])
    answer = await run(platform, "silo", "replyInvite", id=planned["id"], reply="ACCEPT")
    assert answer["code"] == "STATE"
    await run(platform, "tom", "startSession", id=planned["id"])
    assert (await run(platform, "maria", "replyInvite", id=planned["id"], reply="ACCEPT"))["code"] == "FORBIDDEN"
    assert (await run(platform, "eve", "replyInvite", id=planned["id"], reply="ACCEPT"))["code"] == "NOT_FOUND"
    assert (await run(platform, "silo", "leaveSession", id=planned["id"]))["code"] == "STATE"


async def test_a_stale_version_changes_nothing(platform: Platform, ids: dict[str, str]) -> None:
    planned = await make(platform, "tom")
    for name in ("startSession", "cancelSession"):
        answer = await run(platform, "tom", name, id=planned["id"], expectedVersion=planned["version"] + 1)
        assert answer["code"] == "CONFLICT"
    answer = await run(platform, "tom", "updateSession", id=planned["id"], expectedVersion=99, input={"name": "x"})
    assert answer["code"] == "CONFLICT"
    assert (await look(platform, planned["id"]))["status"] == "NOT_STARTED"
