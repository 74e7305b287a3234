"""What subscribers hear of sessions: each what they see, and nobody else's."""

import asyncio
from typing import Any

import pytest

from db import models as m
from db.engine import row_topic
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import make, run, soon

UPDATED = "subscription($i:ID){sessionUpdated(id:$i){id status name members(first:9){nodes{state}}}}"
EVENTS = "subscription($s:ID!){sessionEvents(session:$s){id type clientId}}"
INVITED = "subscription{invitations{id state session{id name}}}"


async def heard(answers: Any, name: str) -> Any:
    async with asyncio.timeout(20):
        return (await anext(answers)).body["data"][name]


async def test_a_session_is_followed(platform: Platform) -> None:
    tom, silo = (platform.world.id("User", who) for who in ("tom", "silo"))
    held = await make(platform, "tom", users=[tom, silo])
    async with platform.watch(UPDATED, "silo", i=held["id"]) as one, platform.watch(UPDATED, "maria") as every:
        assert (await heard(one, "sessionUpdated"))["status"] == "NOT_STARTED"
        waiting = asyncio.ensure_future(heard(every, "sessionUpdated"))
        await asyncio.sleep(0)
        await run(platform, "tom", "startSession", id=held["id"])
        assert (await heard(one, "sessionUpdated"))["status"] == "IN_PROGRESS"
        found = await waiting
        assert (found["id"], found["status"]) == (held["id"], "IN_PROGRESS")
        await run(platform, "silo", "replyInvite", id=held["id"], reply="ACCEPT")
        told = await heard(one, "sessionUpdated")
        while sorted(node["state"] for node in told["members"]["nodes"]) != ["JOINED", "JOINED"]:
            told = await heard(one, "sessionUpdated")


async def test_events_are_heard_by_those_who_see_the_session(platform: Platform) -> None:
    held = await make(platform, "tom", status="IN_PROGRESS", startsAt=soon(minutes=-5))
    query = "mutation($e:[NewReportedEvent!]!){reportEvents(events:$e){__typename}}"
    given = {"session": held["id"], "type": "GENERAL_INFO", "occurredAt": soon(seconds=-1)}
    async with platform.watch(EVENTS, "maria", s=held["id"]) as answers:
        assert await heard(answers, "sessionEvents") == []
        waiting = asyncio.ensure_future(heard(answers, "sessionEvents"))
        await asyncio.sleep(0)
        await platform.ask(query, "tom", e=[{**given, "clientId": f"e{n}"} for n in range(3)])
        found = [one["clientId"] for one in await waiting]
        await platform.ask(query, "tom", e=[{**given, "clientId": "e1"}, {**given, "clientId": "e3"}])
        while len(found) < 4:
            found += [one["clientId"] for one in await heard(answers, "sessionEvents")]
        assert sorted(found) == ["e0", "e1", "e2", "e3"]
    for who in ("eve", "silo", "device", "participant", None):
        async with platform.watch(EVENTS, who, s=held["id"]) as answers:
            assert (await anext(answers)).codes == ["NOT_FOUND"]


async def test_events_that_change_are_heard_again(platform: Platform) -> None:
    held = await make(platform, "tom", status="IN_PROGRESS", startsAt=soon(minutes=-5))
    query = "mutation($e:NewSessionEvent!){createSessionEvent(input:$e){...on SessionEvent{id version}}}"
    given = {"session": held["id"], "type": "GENERAL_INFO", "occurredAt": soon(seconds=-1), "text": "one"}
    made = (await platform.ask(query, "tom", e=given))["createSessionEvent"]
    query = "subscription($s:ID!){sessionEvents(session:$s){id text}}"
    async with platform.watch(query, "maria", s=held["id"]) as events, platform.watch(UPDATED, "maria", i=held["id"]) as sessions:  # fmt: skip
        assert await heard(events, "sessionEvents") == []
        await heard(sessions, "sessionUpdated")
        waiting = [asyncio.ensure_future(heard(events, "sessionEvents")), asyncio.ensure_future(heard(sessions, "sessionUpdated"))]  # fmt: skip
        await asyncio.sleep(0)
        changed = {"id": made["id"], "expectedVersion": made["version"], "input": {"text": "two"}}
        done, _ = await mutate(platform, "tom", "updateSessionEvent", **changed)
        assert done["__typename"] == "SessionEvent", done
        (event,), session = await asyncio.gather(*waiting)
        assert event == {"id": made["id"], "text": "two"}
        assert session["id"] == held["id"]


async def test_who_is_invited_hears_it_and_when_it_is_over(platform: Platform) -> None:
    tom, silo = (platform.world.id("User", who) for who in ("tom", "silo"))
    async with platform.watch(INVITED, "silo") as answers, platform.watch(INVITED, "participant") as others:
        assert await heard(answers, "invitations") == []
        assert await heard(others, "invitations") == []
        quiet = asyncio.ensure_future(heard(others, "invitations"))
        waiting = asyncio.ensure_future(heard(answers, "invitations"))
        await asyncio.sleep(0)
        held = await make(platform, "tom", users=[tom, silo])
        await run(platform, "tom", "startSession", id=held["id"])
        (one,) = await waiting
        assert (one["state"], one["session"]["id"]) == ("INVITED", held["id"])
        await run(platform, "tom", "stopSession", id=held["id"])
        (over,) = await heard(answers, "invitations")
        assert (over["id"], over["state"]) == (one["id"], "TIMED_OUT")
        assert not quiet.done()
        quiet.cancel()
        await asyncio.gather(quiet, return_exceptions=True)


@pytest.mark.parametrize("who", ["service", None])
async def test_who_can_t_be_invited_is_told_so(platform: Platform, who: str | None) -> None:
    async with platform.watch(INVITED, who) as answers:
        assert (await anext(answers)).codes == ["UNAUTHENTICATED"]


async def test_missed_changes_are_made_up_for(platform: Platform) -> None:
    held = await make(platform, "tom")
    async with platform.watch(UPDATED, "maria") as every:
        waiting = asyncio.ensure_future(heard(every, "sessionUpdated"))
        await asyncio.sleep(0)
        platform.services.feed.publish([row_topic(m.Session, "*")])
        found = await waiting
        while found["id"] != held["id"]:
            found = await heard(every, "sessionUpdated")
