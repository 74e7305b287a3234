"""Whom the scores of a challenge are for. This is the one place that says what each audience sees; whatever shows
scores stores or reads what it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import Leaderboard, Submission
from jobs.scores.columns import Audience, Column, for_audience, for_submitter, picked, read

ANONYMOUS = "anonymous"
"""What stands for an author whose name is not shown yet."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What each audience sees of an entry."""

    everyone: dict[str, Any]
    owner: dict[str, Any]
    organisers: dict[str, Any]
    label: str | None
    own_label: str | None


@dataclass(frozen=True)
class Sight:
    """How a leaderboard is seen at a moment."""

    columns: Sequence[Column]
    revealed: bool
    anonymous: bool

    @classmethod
    def of(cls, board: Leaderboard, moment: datetime) -> "Sight":
        revealed = board.reveal_at is not None and board.reveal_at <= moment
        anonymous = board.anonymity_ends_at is not None and board.anonymity_ends_at > moment
        return cls(read(board.columns), revealed, anonymous)

    @cached_property
    def _everyone(self) -> Sequence[str] | None:
        return for_audience(self.columns, Audience.ALL, revealed=self.revealed)

    @cached_property
    def _owner(self) -> Sequence[str] | None:
        return for_audience(self.columns, Audience.OWNER, revealed=self.revealed)

    def shown(self, scores: dict[str, Any], author: str | None, *, named: bool) -> Shown:
        """What is seen of an entry. The author of what came from outside is `named` in any case."""
        everyone = picked(scores, self._everyone)
        owner = everyone if self._owner == self._everyone else picked(scores, self._owner)
        label = author if named or not self.anonymous else ANONYMOUS
        return Shown(everyone, owner, scores, label, author)


def due(board: Leaderboard, moment: datetime) -> datetime | None:
    """The next moment at which a leaderboard shows something else."""
    times = (board.reveal_at, board.anonymity_ends_at, board.embargo_ends_at)
    return min((at for at in times if at is not None and at > moment), default=None)


async def sights(session: AsyncSession, challenge: UUID) -> list[tuple[Sequence[Column], bool]]:
    """The columns of all leaderboards of a challenge, each with whether it is revealed."""
    moment = await moment_of(session)
    boards = await session.scalars(sa.select(Leaderboard).where(Leaderboard.challenge_id == challenge))
    found = [Sight.of(board, moment) for board in boards]
    return [(sight.columns, sight.revealed) for sight in found]


async def for_owner(session: AsyncSession, submission: Submission, scores: Mapping[str, Any]) -> dict[str, Any]:
    """What of its scores a submitter sees. Whether the phase shows scores at all is asked when they are read."""
    return seen(scores, await sights(session, submission.challenge_id))


def seen(scores: Mapping[str, Any], boards: Sequence[tuple[Sequence[Column], bool]]) -> dict[str, Any]:
    """What of its scores a submitter sees, by the columns of the challenge's leaderboards."""
    return for_submitter(dict(scores), boards)
