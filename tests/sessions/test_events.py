"""Events told one by one and in batches: each has an answer, none is lost and none doubled."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import make, soon

BATCH = """mutation($e:[NewReportedEvent!]!){done:reportEvents(events:$e){
...on EventBatch{stored repeated refused outcomes{clientId repeated event{id type seq} problem{code field message details}}}
...on Problem{code field details}}}"""


@pytest.fixture
async def held(platform: Platform) -> str:
    """A session with the device in it."""
    device = platform.world.here.id("Device", "device")
    made = await make(platform, "tom", devices=[device], status="IN_PROGRESS", startsAt=soon(minutes=-5))
    id: str = made["id"]
    return id


def event(session: str, name: str, **more: Any) -> dict[str, Any]:
    return {"session": session, "clientId": name, "type": "DEVICE_EVENT", "occurredAt": soon(seconds=-1), **more}


async def report(platform: Platform, who: str, events: list[dict[str, Any]]) -> Any:
    return (await platform.ask(BATCH, who, e=events))["done"]


async def count(platform: Platform, **having: Any) -> int:
    wanted = sa.select(sa.func.count()).select_from(m.SessionEvent).filter_by(**having)
    ((number,),) = await platform.services.database.rows(wanted)
    return int(number)


async def test_a_batch_that_comes_twice_is_stored_once(platform: Platform, held: str) -> None:
    events = [event(held, f"e{n}", seq=n, text=f"event {n}") for n in range(10)]
    first = await report(platform, "device", events)
    again = await report(platform, "device", events)
    assert (first["stored"], first["repeated"], first["refused"]) == (10, 0, 0)
    assert (again["stored"], again["repeated"], again["refused"]) == (0, 10, 0)
    ids = [one["event"]["id"] for one in first["outcomes"]]
    assert [one["event"]["id"] for one in again["outcomes"]] == ids
    assert len(set(ids)) == 10
    assert await count(platform, device_id=platform.world.here.device, text="event 3") == 1


async def test_batches_at_once_get_the_same_ids(platform: Platform, held: str) -> None:
    events = [event(held, f"e{n}") for n in range(100)]
    events[7]["type"] = "UNHEARD_OF"
    both = await asyncio.gather(report(platform, "device", events), report(platform, "device", events[::-1]))
    ids = [{one["clientId"]: one["event"]["id"] for one in answer["outcomes"] if one["event"]} for answer in both]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 99
    assert both[0]["stored"] + both[1]["stored"] == 99
    names = m.SessionEvent.client_id.is_not(None)
    rows = await platform.services.database.rows(sa.select(m.SessionEvent.client_id).where(names))
    assert sorted(row.client_id for row in rows) == sorted(ids[0])


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "UNHEARD_OF"}, "INVALID", "type"),
    ({"occurredAt": "0000-01-01T00:00:00Z"}, "INVALID", "occurredAt"),
    ({"occurredAt": "0001-01-01T00:00:00Z"}, "INVALID", "occurredAt"),
    ({"occurredAt": "9999-12-31T23:59:59Z"}, "INVALID", "occurredAt"),
    ({"occurredAt": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, "INVALID", "occurredAt"),
    ({"occurredAt": "2026-01-05T09:00:00"}, "INVALID", "occurredAt"),
    ({"occurredAt": "yesterday"}, "INVALID", "occurredAt"),
    ({"clientId": ""}, "INVALID", "clientId"),
    ({"clientId": "x" * 65}, "INVALID", "clientId"),
    ({"text": "x" * 10_001}, "INVALID", "text"),
    ({"seq": -1}, "INVALID", "seq"),
    ({"session": "nonsense"}, "INVALID", "session"),
]


async def test_a_bad_event_takes_no_good_one_with_it(platform: Platform, held: str) -> None:
    hidden = platform.world.sessions[1]
    from resolvers.spelling import global_id

    wrong = [*WRONG, ({"session": global_id("Session", hidden)}, "NOT_FOUND", "session")]
    events = []
    for n, (given, _, _) in enumerate(wrong):
        events += [event(held, f"good{n}"), {**event(held, f"bad{n}"), **given}]
    done = await report(platform, "device", events)
    assert (done["stored"], done["refused"]) == (len(wrong), len(wrong))
    for n, (given, code, field) in enumerate(wrong):
        problem = done["outcomes"][2 * n + 1]["problem"]
        assert (problem["code"], problem["field"]) == (code, f"events.{2 * n + 1}.{field}"), given
        assert done["outcomes"][2 * n]["event"]["type"] == "DEVICE_EVENT"


async def test_too_many_at_once_are_refused_before_work(platform: Platform, held: str) -> None:
    done = await report(platform, "device", [event(held, f"e{n}") for n in range(1_001)])
    assert done["code"] == "LIMIT_EXCEEDED"
    assert done["details"]["allowed"] == 1_000
    assert await count(platform, device_id=platform.world.here.device) == 0


async def test_too_fast_is_told_when_to_try_again(platform: Platform, held: str) -> None:
    platform.services.pace.expect(platform.world.here.device, 29_999, 30_000)
    assert (await report(platform, "device", [event(held, "one")]))["stored"] == 1
    done = await report(platform, "device", [event(held, "two")])
    assert done["code"] == "RATE_LIMITED"
    assert 1 <= done["details"]["retryAfterSeconds"] <= 60
    assert (await report(platform, "tom", [event(held, "mine")]))["stored"] == 1


async def test_the_clock_of_the_device_is_kept_beside_ours(platform: Platform, held: str) -> None:
    moment = "2026-01-05T10:00:00+01:00"
    await report(platform, "device", [event(held, "one", occurredAt=moment)])
    query = 'query($s:ID!){session(id:$s){events(first:9,filter:{clientId:{equals:"one"}}){nodes{occurredAt createdAt device{id}}}}}'
    (node,) = (await platform.ask(query, "tom", s=held))["session"]["events"]["nodes"]
    assert node["occurredAt"] == "2026-01-05T09:00:00.000000Z"
    assert node["createdAt"] > "2026-06"
    assert node["device"]["id"] == platform.world.here.id("Device", "device")


async def test_the_same_name_of_others_is_another_event(platform: Platform, held: str) -> None:
    for who in ("device", "tom", "service"):
        assert (await report(platform, who, [event(held, "one")]))["stored"] == 1
    assert await count(platform, client_id="one") == 3


async def test_holes_between_numbers_are_shown(platform: Platform, held: str) -> None:
    numbers = (1, 2, 5, 6, 10)
    await report(platform, "device", [event(held, f"e{n}", seq=n) for n in numbers])
    query = "query($d:ID!){eventGaps(device:$d){first last}}"
    device = platform.world.here.id("Device", "device")
    for who in ("device", "maria", "service", "sita", "root"):
        found = await platform.ask(query, who, d=device)
        assert found["eventGaps"] == [{"first": "3", "last": "4"}, {"first": "7", "last": "9"}]
    assert await platform.refused(query, "tom", d=device) == ["FORBIDDEN"]
    assert await platform.refused(query, "eve", d=device) == ["NOT_FOUND"]


async def test_one_event_is_told_changed_and_deleted(platform: Platform, held: str) -> None:
    given = {"session": held, "type": "USER_EVENT", "occurredAt": soon(seconds=-1), "text": "x"}
    shown = "...on SessionEvent{id version text}"
    made, _ = await mutate(platform, "tom", "createSessionEvent", shown, input=given)
    assert made["text"] == "x"
    changed, _ = await mutate(
        platform,
        "tom",
        "updateSessionEvent",
        shown,
        id=made["id"],
        expectedVersion=made["version"],
        input={"text": "y"},
    )
    assert changed["text"] == "y"
    stale, _ = await mutate(
        platform,
        "tom",
        "updateSessionEvent",
        shown,
        id=made["id"],
        expectedVersion=made["version"],
        input={"text": "z"},
    )
    assert stale["code"] == "CONFLICT"
    gone, _ = await mutate(platform, "tom", "deleteSessionEvent", id=made["id"])
    assert gone["__typename"] == "Deleted"
    far, _ = await mutate(platform, "tom", "createSessionEvent", input={**given, "occurredAt": "2100-01-01T00:00:00Z"})
    assert (far["code"], far["field"]) == ("INVALID", "input.occurredAt")


CHANGES = """query($t:[EntityType!]!,$c:String,$n:Int!){changesSince(types:$t,cursor:$c,first:$n){
cursor hasMore changes{type id deleted node{id}}}}"""


async def test_who_was_offline_is_told_what_changed(platform: Platform, held: str) -> None:
    async def since(who: str, cursor: str | None, first: int = 100) -> Any:
        asked = {"t": ["SESSION", "SESSION_EVENT", "DEVICE"], "c": cursor, "n": first}
        return (await platform.ask(CHANGES, who, **asked))["changesSince"]

    begun = await since("device", None)
    assert begun["changes"] == []
    await report(platform, "device", [event(held, f"e{n}") for n in range(5)])
    page, found = begun, []
    while True:
        page = await since("device", page["cursor"], 2)
        found += page["changes"]
        if not page["hasMore"]:
            break
    assert {one["type"] for one in found} >= {"SESSION", "SESSION_EVENT"}
    assert sum(one["type"] == "SESSION_EVENT" for one in found) == 6
    assert len({one["id"] for one in found}) == len(found)
    assert (await since("eve", begun["cursor"]))["changes"] == []
    await mutate(platform, "tom", "stopSession", id=held)
    await mutate(platform, "maria", "deleteSession", id=held)
    gone = {one["id"]: one for one in (await since("service", begun["cursor"]))["changes"]}
    assert gone[held] == {"type": "SESSION", "id": held, "deleted": True, "node": None}
    assert await platform.refused(CHANGES, "device", t=["SITE"], n=1) == ["INVALID"]
    assert await platform.refused(CHANGES, "device", t=["SESSION"], c="x", n=1) == ["INVALID"]
