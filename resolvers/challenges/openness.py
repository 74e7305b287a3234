"""Whether a phase takes submissions: by the switch, the days of the challenge and the moments of the phase. The
database is asked, by its own clock."""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import Challenge, Phase
from db.types import instant_text
from resolvers.failures import WrongState


def starts_at(challenge: Challenge, phase: Phase) -> datetime:
    """When submissions are taken from: the later of both starts. A day begins at midnight, UTC."""
    own = _midnight(challenge.start_date)
    return own if phase.starts_at is None else max(own, phase.starts_at)


def ends_at(challenge: Challenge, phase: Phase) -> datetime | None:
    """When that ends: the earlier of both ends; None for never. The last day of a challenge belongs to it."""
    own = None if challenge.end_date is None else _midnight(challenge.end_date + timedelta(days=1))
    return min((end for end in (own, phase.ends_at) if end is not None), default=None)


def is_active(challenge: Challenge, today: date) -> bool:
    """Whether a challenge is switched on, has begun, and is not over."""
    over = challenge.end_date is not None and challenge.end_date < today
    return challenge.active and challenge.start_date <= today and not over


def late(challenge: Challenge, phase: Phase, moment: datetime) -> dict[str, str] | None:
    """Why a phase takes nothing at a moment, with a code; None where it does."""
    if not challenge.active:
        return {"code": "CLOSED", "message": f"the challenge {challenge.label} takes no submissions"}
    if (start := starts_at(challenge, phase)) > moment:
        return {"code": "NOT_OPEN", "message": f"submissions are taken from {instant_text(start)}"}
    if (end := ends_at(challenge, phase)) is not None and end <= moment:
        return {"code": "LATE", "message": f"submissions were taken until {instant_text(end)}"}
    return None


async def expect_open(session: AsyncSession, challenge: Challenge, phase: Phase) -> None:
    """STATE for a phase that takes nothing now."""
    if (why := late(challenge, phase, await moment_of(session))) is not None:
        raise WrongState(why["message"], field="input.phase", state=why["code"])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
