"""At night, by the clocks of a place, sessions that were forgotten end."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from resolvers.sessions import care
from tests.support.platforms import Platform
from tests.support.sessioning import make, run, soon


@pytest.mark.parametrize(
    ("now", "at", "zone", "before"),
    [
        ("2026-03-01T12:00", 0, "UTC", "2026-03-01T00:00"),
        ("2026-03-01T02:59", 3, "UTC", "2026-02-28T00:00"),
        ("2026-03-01T03:00", 3, "UTC", "2026-03-01T00:00"),
        ("2026-03-01T04:30", 0, "America/Toronto", "2026-02-28T05:00"),
        ("2026-03-29T12:00", 0, "Europe/Warsaw", "2026-03-28T23:00"),
    ],
)
def test_the_day_before_is_over_at_the_hour_that_is_set(now: str, at: int, zone: str, before: str) -> None:
    moment, expected = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (now, before))
    assert care.last_night(moment, timedelta(hours=at), ZoneInfo(zone)) == expected


async def test_what_was_forgotten_ends(platform: Platform) -> None:
    tom = platform.world.id("User", "tom")
    planned = await make(platform, "tom", name="planned", startsAt=soon(days=-2))
    begun = await make(platform, "tom", name="begun", startsAt=soon(days=-2), status="IN_PROGRESS", users=[tom])
    fresh = await make(platform, "tom", name="fresh", startsAt=soon(minutes=-1), status="IN_PROGRESS")
    later = await make(platform, "tom", name="later")
    assert await care.tidy(platform.services, datetime.now(UTC) - timedelta(days=1)) >= 2
    query = "query($i:[ID!]!){nodes(ids:$i){...on Session{status durationSeconds events(first:9){nodes{type text}}}}}"
    ids = [one["id"] for one in (planned, begun, fresh, later)]
    found = (await platform.ask(query, "tom", i=ids))["nodes"]
    assert [one["status"] for one in found] == ["CANCELLED", "TERMINATED", "IN_PROGRESS", "NOT_STARTED"]
    assert found[1]["durationSeconds"] >= 2 * 86_400
    assert found[1]["events"]["nodes"][-1] == {"type": "GENERAL_INFO", "text": "forgotten; ended at night"}
    assert await care.tidy(platform.services, datetime.now(UTC) - timedelta(days=1)) == 0
    answer = await run(platform, "tom", "startSession", id=begun["id"])
    assert answer["status"] == "IN_PROGRESS"
