"""Settings of sessions at work: answers to invitations, events, and when forgotten sessions end."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from gateway.settings.group import Group

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class SessionSettings(Group):
    reply_seconds: float = Field(30.0, gt=0, description="Seconds in which somebody asked into a session may answer.")
    events_per_minute: int = Field(
        30_000, gt=0, description="Events of sessions that one user, device or service may tell of in a minute."
    )
    tidy_sessions_at: str = Field(
        "00:00", description="When sessions that were forgotten the day before end: HH:MM in the time zone."
    )
    time_zone: str = Field("UTC", description="The time zone of that, such as Europe/Warsaw.")

    @field_validator("tidy_sessions_at")
    @classmethod
    def _a_clock(cls, text: str) -> str:
        if not _CLOCK.fullmatch(text):
            raise ValueError("a time of day is HH:MM, from 00:00 to 23:59")
        return text

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, text: str) -> str:
        if text not in available_timezones():
            raise ValueError("no time zone of the IANA database has this name")
        return text

    @property
    def tidied_at(self) -> timedelta:
        """Since midnight."""
        hours, minutes = self.tidy_sessions_at.split(":")
        return timedelta(hours=int(hours), minutes=int(minutes))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
