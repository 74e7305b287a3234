"""Tables of leaderboards: what they show, their builds, and the entries of each build."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Name, choice

if TYPE_CHECKING:
    from db.models.challenges import Challenge, Phase
    from db.models.files import File
    from db.models.submissions import Submission


class Counting(Enum):
    BEST = "BEST"
    LATEST = "LATEST"
    ALL = "ALL"
    CHOSEN = "CHOSEN"


_DUE = sa.text("due_at IS NOT NULL")


class Leaderboard(Entity):
    """A ranking of a challenge, or of one phase of it. `columns` say what is shown of the scores, and to whom;
    `public_columns` are those that everyone knows of. It is ranked by one column, then by `ties`. Its entries are those
    of the build `build_id`. It is built again when that is requested, and at `due_at`, when what it may show
    changes."""

    __tablename__ = "leaderboards"
    __table_args__ = (
        sa.Index("ix_leaderboards_by_label", folded("label"), "id"),
        sa.Index("ix_leaderboards_challenge_id_by_label", "challenge_id", folded("label"), "id"),
        sa.Index("ix_leaderboards_build_id", "build_id"),
        sa.Index("ix_leaderboards_phase_id", "phase_id"),
        sa.Index("ix_leaderboards_due_at", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    phase_id: Mapped[UUID | None] = refers("phases.id", ondelete="SET NULL")
    label: Mapped[str] = mapped_column(Name(100), unique=True)
    label_folded: Mapped[str | None] = folds("label")
    title: Mapped[str] = mapped_column(Name(255), default="", server_default="")
    entry_file: Mapped[str] = mapped_column(sa.String(255), default="scores.json")
    archived: Mapped[bool] = mapped_column(default=False)
    static_files: Mapped[bool] = mapped_column(default=False)
    sorting_key: Mapped[str | None] = mapped_column(sa.String(255))
    external_entries: Mapped[str | None] = mapped_column(sa.String(2000))
    columns: Mapped[list[dict[str, Any]]] = mapped_column(Json(), default=list, server_default="[]")
    public_columns: Mapped[list[dict[str, Any]]] = mapped_column(Json(), default=list, server_default="[]")
    rank_by: Mapped[str | None] = mapped_column(sa.String(100))
    ties: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    counting: Mapped[Counting] = mapped_column(choice(Counting), default=Counting.ALL, server_default="ALL")
    hidden: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    embargo_ends_at: Mapped[datetime | None]
    anonymity_ends_at: Mapped[datetime | None]
    reveal_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    built_at: Mapped[datetime | None]
    build_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("leaderboard_builds.id", ondelete="SET NULL", use_alter=True)
    )

    challenge: Mapped["Challenge"] = relates(back_populates="leaderboards")
    phase: Mapped["Phase | None"] = relates()
    build: Mapped["LeaderboardBuild | None"] = relates(foreign_keys="Leaderboard.build_id")
    builds: Mapped[list["LeaderboardBuild"]] = relates(
        back_populates="leaderboard", foreign_keys="LeaderboardBuild.leaderboard_id"
    )
    entries: Mapped[list["LeaderboardEntry"]] = relates(
        primaryjoin="Leaderboard.build_id == foreign(LeaderboardEntry.build_id)"
    )
    external: Mapped[list["ExternalEntry"]] = relates(back_populates="leaderboard")


class LeaderboardRequest(Entity):
    """A request to build a leaderboard again. Whoever builds it removes those that it saw, so that none is lost, and
    nobody waits for another who asks."""

    __tablename__ = "leaderboard_requests"
    __table_args__ = (sa.Index("ix_leaderboard_requests_leaderboard_id", "leaderboard_id"),)

    leaderboard_id: Mapped[UUID] = refers("leaderboards.id", ondelete="CASCADE")
    reason: Mapped[str] = mapped_column(sa.String(255), default="")


class LeaderboardBuild(Entity):
    """A leaderboard as it was built at a moment: `reason` says why."""

    __tablename__ = "leaderboard_builds"
    __table_args__ = (
        sa.UniqueConstraint("leaderboard_id", "number"),
        sa.Index("ix_leaderboard_builds_leaderboard_id_number_id", "leaderboard_id", "number", "id"),
    )

    leaderboard_id: Mapped[UUID] = refers("leaderboards.id", ondelete="CASCADE")
    number: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(255), default="")
    entry_count: Mapped[int] = mapped_column(default=0)

    leaderboard: Mapped[Leaderboard] = relates(back_populates="builds", foreign_keys="LeaderboardBuild.leaderboard_id")
    entries: Mapped[list["LeaderboardEntry"]] = relates(back_populates="build")


class ExternalEntry(Entity):
    """An entry from outside: a baseline, which has no rank, or a result of another year. `key` is its name in its
    source, so that it is not taken twice."""

    __tablename__ = "external_entries"
    __table_args__ = (
        sa.UniqueConstraint("leaderboard_id", "key"),
        sa.Index("ix_external_entries_leaderboard_id_created_at_id", "leaderboard_id", "created_at", "id"),
    )

    leaderboard_id: Mapped[UUID] = refers("leaderboards.id", ondelete="CASCADE")
    key: Mapped[str] = mapped_column(sa.String(255))
    data: Mapped[dict[str, Any]]
    author_label: Mapped[str | None] = mapped_column(sa.String(255))
    baseline: Mapped[bool] = mapped_column(default=False)

    leaderboard: Mapped[Leaderboard] = relates(back_populates="external")


class LeaderboardEntry(Entity):
    """A place in a build. `rank` is the competition rank: 1, 1, 3; null for baselines and for missing scores. `data`
    and `author_label` are what everyone may see, with `owner_` what its submitter may, with `organiser_` all."""

    __tablename__ = "leaderboard_entries"
    __table_args__ = (
        sa.UniqueConstraint("build_id", "position"),
        sa.CheckConstraint("position >= 1", name="position"),
        sa.Index("ix_leaderboard_entries_build_id_position_id", "build_id", "position", "id"),
        sa.Index("ix_leaderboard_entries_leaderboard_id_position_id", "leaderboard_id", "position", "id"),
        sa.Index("ix_leaderboard_entries_submission_id", "submission_id"),
        sa.Index("ix_leaderboard_entries_user_id", "user_id"),
        sa.Index("ix_leaderboard_entries_team_id", "team_id"),
    )

    leaderboard_id: Mapped[UUID] = refers("leaderboards.id", ondelete="CASCADE")
    build_id: Mapped[UUID | None] = refers("leaderboard_builds.id", ondelete="CASCADE")
    position: Mapped[int]
    rank: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    owner_data: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    organiser_data: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    author_label: Mapped[str | None] = mapped_column(sa.String(255))
    organiser_label: Mapped[str | None] = mapped_column(sa.String(255))
    external: Mapped[bool] = mapped_column(default=False)
    baseline: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    submission_id: Mapped[UUID | None] = refers("submissions.id", ondelete="SET NULL")
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="SET NULL")
    team_id: Mapped[UUID | None] = refers("teams.id", ondelete="SET NULL")

    leaderboard: Mapped[Leaderboard] = relates()
    build: Mapped[LeaderboardBuild | None] = relates(back_populates="entries")
    files: Mapped[list["File"]] = relates(
        primaryjoin="LeaderboardEntry.submission_id == foreign(File.submission_id)",
    )
    submission: Mapped["Submission | None"] = relates()
