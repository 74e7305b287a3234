"""Sessions for tests: made, started, answered by people of the world."""

from datetime import UTC, datetime, timedelta
from typing import Any

from resolvers.identity.principal import Principal
from tests.support.matrix import mutate
from tests.support.platforms import Platform

SHOWN = "...on Session{id version status startsAt endsAt durationSeconds members(first:50){nodes{state expiresAt user{id}participant{id}device{id}}}events(first:50){nodes{type text}}}"


def soon(**after: float) -> str:
    return (datetime.now(UTC) + timedelta(**after)).isoformat()


async def kind_of(platform: Platform) -> str:
    """The type of sessions of the world."""
    found = await platform.ask("{sessionTypes(first:1){nodes{id}}}", "root")
    kind: str = found["sessionTypes"]["nodes"][0]["id"]
    return kind


async def make(platform: Platform, who: str | Principal, **given: Any) -> dict[str, Any]:
    """The answer to `createSession` in the project that people share."""
    given.setdefault("project", platform.world.here.id("Project", "project"))
    given = {"type": await kind_of(platform), "name": "visit", "startsAt": soon(hours=1), **given}
    answer, errors = await mutate(platform, who, "createSession", SHOWN, input=given)
    assert not errors, errors
    return answer


async def run(platform: Platform, who: str | Principal, name: str, **given: Any) -> dict[str, Any]:
    answer, errors = await mutate(platform, who, name, SHOWN, **given)
    assert not errors, errors
    return answer


def states(answer: dict[str, Any]) -> dict[str, str]:
    """The states of those members that one sees, by id."""
    found = {}
    for node in answer["members"]["nodes"]:
        who = next((one["id"] for one in (node["user"], node["participant"], node["device"]) if one), None)
        if who is not None:
            found[who] = node["state"]
    return found


def happened(answer: dict[str, Any]) -> list[str]:
    return [node["type"] for node in answer["events"]["nodes"]]
