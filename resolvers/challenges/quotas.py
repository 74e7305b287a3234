"""How many submissions somebody, or a team, may make in a phase, and how many of those are left."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from db.engine import moment_of
from db.locks import held_in_order
from db.models import MemberState, Phase, Submission, Team, TeamMember, User
from db.types import instant_text
from resolvers.challenges.statuses import ACTIVE
from resolvers.context import Context
from resolvers.failures import Quota
from resolvers.reading.selection import Selection

Reading = AsyncConnection | AsyncSession
_PHASE = Selection(Phase, ("challenge_id", "window_limit", "window_seconds", "total_limit", "concurrent_limit"))


@dataclass(frozen=True, slots=True)
class Usage:
    """What was submitted to a phase of what may be: within the window, in all, and at once. A limit of None is none.
    `resets_at` is when the next one may be submitted, where the window is full."""

    window_limit: int | None
    window_seconds: int
    window_used: int
    resets_at: datetime | None
    total_limit: int | None
    total_used: int
    concurrent_limit: int | None
    concurrent_used: int

    @property
    def left(self) -> int | None:
        """How many more may be submitted now; None for any number."""
        pairs = (
            (self.window_limit, self.window_used),
            (self.total_limit, self.total_used),
            (self.concurrent_limit, self.concurrent_used),
        )
        return min((max(0, limit - used) for limit, used in pairs if limit is not None), default=None)


def _mine(phase: Any, user: UUID, team: UUID | None) -> Any:
    """The submissions that count for somebody: all of their own, by whatever team, and those of the present team.
    Deleted ones count, too: who deletes gets none back."""
    own = Submission.user_id == user
    return sa.and_(Submission.phase_id == phase.id, own if team is None else sa.or_(own, Submission.team_id == team))


async def told(ctx: Context, user: UUID, key: UUID) -> Usage | None:
    """How much of the quota of a phase the user, or the user's team, has used; None for a phase that is not seen."""
    phase = await ctx.loaders.one(_PHASE, key)
    if phase is None:
        return None
    async with ctx.database.read() as connection:
        return await usage(connection, phase, user, await team_of(connection, phase.challenge_id, user))


async def team_of(reading: Reading, challenge: UUID, user: UUID) -> UUID | None:
    """The team that somebody has joined in a challenge."""
    return await reading.scalar(
        sa.select(TeamMember.team_id).where(
            TeamMember.challenge_id == challenge,
            TeamMember.user_id == user,
            TeamMember.state == MemberState.JOINED,
        )
    )


async def usage(reading: Reading, phase: Any, user: UUID, team: UUID | None) -> Usage:
    """How much of the quota of a phase is used, by the database's clock."""
    mine = _mine(phase, user, team)
    since = await moment_of(reading) - timedelta(seconds=phase.window_seconds)
    counted = sa.select(sa.func.count()).select_from(Submission)
    total = await reading.scalar(counted.where(mine, Submission.charged)) or 0
    active = (
        await reading.scalar(counted.where(mine, Submission.status.in_(ACTIVE), Submission.deleted_at.is_(None))) or 0
    )
    wanted = sa.select(Submission.charged_at).where(mine, Submission.charged, Submission.charged_at > since)
    times = list(await reading.scalars(wanted.order_by(Submission.charged_at)))
    resets = None
    if phase.window_limit is not None and len(times) >= phase.window_limit:
        resets = times[len(times) - phase.window_limit] + timedelta(seconds=phase.window_seconds)
    return Usage(
        phase.window_limit, phase.window_seconds, len(times), resets,
        phase.total_limit, total, phase.concurrent_limit, active,
    )  # fmt: skip


async def expect_room(session: AsyncSession, phase: Phase, user: UUID, team: UUID | None) -> None:
    """QUOTA when the submitter has none left. The user, and the team, are locked, so that of several at once each
    counts those before it."""
    await held_in_order(session, User, User.id == user)
    if team is not None:
        await held_in_order(session, Team, Team.id == team)
    used = await usage(session, phase, user, team)
    whose = "the team has" if team is not None else "you have"
    if used.window_limit is not None and used.window_used >= used.window_limit:
        assert used.resets_at is not None
        raise Quota(
            f"{whose} submitted {used.window_used} of {used.window_limit} within {phase.window_seconds} s; the next "
            f"may be submitted at {instant_text(used.resets_at)}",
            field="input.phase",
            limit=used.window_limit,
            used=used.window_used,
            requested=1,
            resetsAt=instant_text(used.resets_at),
        )
    if used.total_limit is not None and used.total_used >= used.total_limit:
        raise Quota(
            f"{whose} submitted all {used.total_limit} that this phase takes",
            field="input.phase",
            limit=used.total_limit,
            used=used.total_used,
            requested=1,
        )
    if used.concurrent_limit is not None and used.concurrent_used >= used.concurrent_limit:
        raise Quota(
            f"{whose} {used.concurrent_used} under way of {used.concurrent_limit} at once; wait for one, or cancel it",
            field="input.phase",
            limit=used.concurrent_limit,
            used=used.concurrent_used,
            requested=1,
        )
