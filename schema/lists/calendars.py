"""The filter of calendars: rows that have a part in a time, which is told by the clocks of a place."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import strawberry

from resolvers.failures import Invalid
from resolvers.reading import filters
from resolvers.reading.filters import AllOf, AnyOf, Condition
from schema.fields.declarations import Lasting
from schema.lists.comparisons import Column, Reading, input_of

LONGEST = timedelta(days=3_660)
"""The longest time that may be asked for."""
_ZONE = "UTC"

Time = input_of(
    "TimeFilter",
    "A time by the clocks of a place: from a day or moment up to another, which is no part of it.",
    {
        "from_": strawberry.field(name="from", description="A day or moment there: 2026-03-01, or 2026-03-01T09:30."),
        "to": strawberry.field(description="A day or moment there, after `from`."),
        "time_zone": strawberry.field(
            description="The time zone of the place, such as America/Toronto.", default=_ZONE
        ),
    },
    {"from_": str, "to": str, "time_zone": str},
)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def read(model: Any, lasting: Lasting, reading: Reading, given: Mapping[str, Any], path: str) -> Condition:
    """The rows that last into a time: those that start before its end, and end after its start. One whose end is not
    known lasts no longer than its start, unless it is going on."""
    zone = given.get("timeZone") or _ZONE
    if zone not in _zones():
        raise Invalid(
            "no time zone of the IANA database has this name; one is such as America/Toronto", field=f"{path}.timeZone"
        )
    first, last = (_moment(given[name], zone, f"{path}.{name}") for name in ("from", "to"))
    if last <= first:
        raise Invalid("`to` is after `from`", field=f"{path}.to")
    if last - first > LONGEST:
        raise Invalid(f"a time has at most {LONGEST.days} days", field=f"{path}.to")
    start, end = Column(model, lasting.start), Column(model, lasting.end)
    key, value = lasting.going
    ways: list[Condition] = [
        end.compared(filters.after, reading, first),
        start.compared(filters.least, reading, first),
    ]
    if first <= datetime.now(UTC):
        ways.append(Column(model, key).compared(filters.equal, reading, value))
    return AllOf((start.compared(filters.before, reading, last), AnyOf(tuple(ways))))


def _moment(text: str, zone: str, path: str) -> datetime:
    """A day or moment by the clocks of a zone; one that they leave out in spring is taken to be an hour later."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            raise ValueError
        return found.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        told = "a day or moment without an offset, such as 2026-03-01 or 2026-03-01T09:30"
        raise Invalid(told, field=path) from None
