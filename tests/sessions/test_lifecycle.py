"""Sessions are planned, started, ended and taken up again; their members are asked, and answer."""

import pytest

from tests.support.platforms import Platform
from tests.support.sessioning import happened, make, run, states


@pytest.fixture
def people(platform: Platform) -> dict[str, str]:
    world = platform.world
    return {
        "tom": world.id("User", "tom"),
        "maria": world.id("User", "maria"),
        "silo": world.id("User", "silo"),
        "participant": world.here.id("Participant", "participant"),
        "device": world.here.id("Device", "device"),
    }


async def test_a_session_is_planned_started_and_stopped(platform: Platform, people: dict[str, str]) -> None:
    planned = await make(
        platform,
        "tom",
        users=[people["tom"], people["silo"]],
        participants=[people["participant"]],
        devices=[people["device"]],
    )
    assert planned["status"] == "NOT_STARTED"
    assert set(states(planned).values()) == {"INVITED"}
    started = await run(platform, "tom", "startSession", id=planned["id"], expectedVersion=planned["version"])
    assert started["status"] == "IN_PROGRESS"
    assert states(started) == {
        people["tom"]: "JOINED", people["silo"]: "INVITED", people["participant"]: "INVITED", people["device"]: "INVITED",
    }  # fmt: skip
    for who in ("silo", "participant", "device"):
        answer = await run(platform, who, "replyInvite", id=planned["id"], reply="ACCEPT")
        assert states(answer)[people[who]] == "JOINED"
    left = await run(platform, "participant", "leaveSession", id=planned["id"])
    assert states(left)[people["participant"]] == "LEFT"
    ended = await run(platform, "tom", "stopSession", id=planned["id"])
    assert ended["status"] == "COMPLETED"
    assert happened(ended) == ["SESSION_START", *["SESSION_JOIN"] * 4, "SESSION_LEAVE", "SESSION_STOP"]
