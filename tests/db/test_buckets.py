"""The first moments of buckets, where clocks are changed and at the ends of the calendar."""

from datetime import UTC, datetime

import pytest

from db.buckets import Bucket, of_text, start

NIGHTS = [
    ("2026-10-25T00:30:00+00:00", "HOUR", "Europe/Zurich", "2026-10-25T00:00:00+00:00"),
    ("2026-10-25T01:30:00+00:00", "HOUR", "Europe/Zurich", "2026-10-25T01:00:00+00:00"),
    ("2026-10-25T22:59:00+00:00", "DAY", "Europe/Zurich", "2026-10-24T22:00:00+00:00"),
    ("2026-03-29T21:59:00+00:00", "DAY", "Europe/Zurich", "2026-03-28T23:00:00+00:00"),
    ("2026-11-01T05:30:00+00:00", "DAY", "America/Havana", "2026-11-01T04:00:00+00:00"),
    ("2026-11-01T04:30:00+00:00", "DAY", "America/Havana", "2026-11-01T04:00:00+00:00"),
    ("2026-03-08T12:00:00+00:00", "DAY", "America/Havana", "2026-03-08T05:00:00+00:00"),
    ("2026-12-31T18:29:00+00:00", "HOUR", "Asia/Kolkata", "2026-12-31T17:30:00+00:00"),
    ("2026-12-31T18:30:00+00:00", "MONTH", "Asia/Kolkata", "2026-12-31T18:30:00+00:00"),
    ("2026-11-29T12:00:00+00:00", "WEEK", "UTC", "2026-11-23T00:00:00+00:00"),
]


@pytest.mark.parametrize(("moment", "bucket", "zone", "first"), NIGHTS)
def test_a_bucket_begins_with_its_first_moment(moment: str, bucket: str, zone: str, first: str) -> None:
    assert start(datetime.fromisoformat(moment), Bucket[bucket], zone) == datetime.fromisoformat(first)


@pytest.mark.parametrize("zone", ["Europe/Zurich", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)])
@pytest.mark.parametrize("bucket", Bucket)
def test_the_ends_of_the_calendar_are_in_a_bucket(moment: datetime, bucket: Bucket, zone: str) -> None:
    assert start(moment, bucket, zone).tzinfo is not None


def test_a_text_has_one_and_nothing_has_none() -> None:
    assert of_text("2026-11-29T12:34:56.000000Z", "day", "UTC") == "2026-11-29T00:00:00.000000Z"
    assert of_text(None, "day", "UTC") is None
