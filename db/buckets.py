"""Buckets of time: the hour, day, week or month that a moment is in, by the clocks of a time zone."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from db.types import instant_text


class Bucket(Enum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def start(moment: datetime, bucket: Bucket, zone: str) -> datetime:
    """The first moment of the bucket. An hour that clocks show twice is two; a day without midnight begins when clocks
    are put forward."""
    try:
        return _start(moment, bucket, ZoneInfo(zone))
    except OverflowError:  # at the ends of the calendar
        return datetime(1, 1, 1, tzinfo=UTC) if moment.year == 1 else moment


def _start(moment: datetime, bucket: Bucket, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    if bucket is Bucket.HOUR:
        return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    first = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if bucket is Bucket.WEEK:
        first -= timedelta(days=first.weekday())
    elif bucket is Bucket.MONTH:
        first = first.replace(day=1)
    return first.astimezone(UTC)


@lru_cache(maxsize=10_000)
def of_text(text: str | None, bucket: str, zone: str) -> str | None:
    """The same of texts, as SQLite stores moments; a function of its connections."""
    return None if text is None else instant_text(start(datetime.fromisoformat(text), Bucket(bucket), zone))
