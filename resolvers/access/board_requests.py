"""Ask for leaderboards to be built again."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import Leaderboard, LeaderboardRequest
from db.written import because
from resolvers.feed import BOARDS


async def ask(session: AsyncSession, challenge: UUID, reason: str) -> None:
    """Ask that all leaderboards of a challenge be built again, but those of the archive."""
    wanted = sa.select(Leaderboard.id).where(
        Leaderboard.challenge_id == challenge, Leaderboard.archived.is_(sa.false())
    )
    await ask_for(session, list(await session.scalars(wanted.order_by(Leaderboard.id))), reason)


async def ask_for(session: AsyncSession, boards: list[UUID], reason: str) -> None:
    """Ask that these leaderboards be built again."""
    if not boards:
        return
    because(session, "a leaderboard is to be built again", LeaderboardRequest)
    session.add_all(LeaderboardRequest(leaderboard_id=board, reason=reason) for board in boards)
    await session.flush()
    changed(session, BOARDS)
