"""Tables of challenges and their leaderboards."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name


class Challenge(Entity):
    __tablename__ = "challenges"
    __table_args__ = (
        sa.Index("ix_challenges_start_date_id", "start_date", "id"),
        sa.Index("ix_challenges_by_label", folded("label"), "id"),
    )

    label: Mapped[str] = mapped_column(Name(100), unique=True)
    label_folded: Mapped[str | None] = folds("label")
    start_date: Mapped[date]
    end_date: Mapped[date | None]
    active: Mapped[bool]
    url: Mapped[str] = mapped_column(sa.String(2000))
    auto_eval: Mapped[bool] = mapped_column(default=True)
    site_id: Mapped[UUID | None] = refers("sites.id", ondelete="SET NULL", index=True)

    leaderboards: Mapped[list["Leaderboard"]] = relates(back_populates="challenge")


class Leaderboard(Entity):
    __tablename__ = "leaderboards"
    __table_args__ = (
        sa.Index("ix_leaderboards_by_label", folded("label"), "id"),
        sa.Index("ix_leaderboards_challenge_id_by_label", "challenge_id", folded("label"), "id"),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    label: Mapped[str] = mapped_column(Name(100), unique=True)
    label_folded: Mapped[str | None] = folds("label")
    entry_file: Mapped[str] = mapped_column(sa.String(255))
    archived: Mapped[bool]
    static_files: Mapped[bool]
    sorting_key: Mapped[str | None] = mapped_column(sa.String(255))
    external_entries: Mapped[str | None] = mapped_column(sa.String(2000))
    built_at: Mapped[datetime | None]

    challenge: Mapped[Challenge] = relates(back_populates="leaderboards")
    entries: Mapped[list["LeaderboardEntry"]] = relates(back_populates="leaderboard")


class LeaderboardEntry(Entity):
    __tablename__ = "leaderboard_entries"
    __table_args__ = (
        sa.UniqueConstraint("leaderboard_id", "position"),
        sa.CheckConstraint("position >= 1", name="position"),
        sa.Index("ix_leaderboard_entries_leaderboard_id_position_id", "leaderboard_id", "position", "id"),
    )

    leaderboard_id: Mapped[UUID] = refers("leaderboards.id", ondelete="CASCADE")
    position: Mapped[int]
    data: Mapped[dict[str, Any]]
    author_label: Mapped[str | None] = mapped_column(sa.String(255))
    external: Mapped[bool] = mapped_column(default=False)

    leaderboard: Mapped[Leaderboard] = relates(back_populates="entries")
