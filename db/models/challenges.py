"""Tables of challenges: their phases, who takes part, and teams."""

from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.evaluators import Evaluator
    from db.models.files import File
    from db.models.groups import UserGroup
    from db.models.leaderboards import Leaderboard
    from db.models.organisation import Site
    from db.models.submissions import Submission

DAY = 86_400


class RegistrationMode(Enum):
    NONE = "NONE"
    OPEN = "OPEN"
    APPROVAL = "APPROVAL"


class RegistrationState(Enum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"


class MemberState(Enum):
    INVITED = "INVITED"
    JOINED = "JOINED"


class Challenge(Entity):
    """A challenge. Organisers are the members of one user group, and the administrators of its site. `active` is the
    switch; whether it takes submissions also depends on its days and on its phases. With a `team_size` of 1 there are
    no teams."""

    __tablename__ = "challenges"
    __table_args__ = (
        sa.CheckConstraint("team_size >= 1", name="team_size"),
        sa.Index("ix_challenges_start_date_id", "start_date", "id"),
        sa.Index("ix_challenges_by_label", folded("label"), "id"),
        sa.Index("ix_challenges_organisers_id", "organisers_id"),
        sa.Index("ix_challenges_evaluator_id", "evaluator_id"),
    )

    label: Mapped[str] = mapped_column(Name(100), unique=True)
    label_folded: Mapped[str | None] = folds("label")
    title: Mapped[str] = mapped_column(Name(255), default="", server_default="")
    description: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    start_date: Mapped[date]
    end_date: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    published: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    url: Mapped[str] = mapped_column(sa.String(2000))
    auto_eval: Mapped[bool] = mapped_column(default=True)
    terms: Mapped[str | None] = mapped_column(sa.Text)
    registration_mode: Mapped[RegistrationMode] = mapped_column(
        choice(RegistrationMode), default=RegistrationMode.NONE, server_default="NONE"
    )
    team_size: Mapped[int] = mapped_column(default=1, server_default="1")
    parallel_phases: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    site_id: Mapped[UUID | None] = refers("sites.id", ondelete="SET NULL", index=True)
    organisers_id: Mapped[UUID | None] = refers("user_groups.id", ondelete="SET NULL")
    evaluator_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("evaluators.id", ondelete="SET NULL", use_alter=True)
    )

    site: Mapped["Site | None"] = relates()
    organisers: Mapped["UserGroup | None"] = relates()
    evaluator: Mapped["Evaluator | None"] = relates(foreign_keys="Challenge.evaluator_id")
    evaluators: Mapped[list["Evaluator"]] = relates(back_populates="challenge", foreign_keys="Evaluator.challenge_id")
    phases: Mapped[list["Phase"]] = relates(back_populates="challenge")
    registrations: Mapped[list["Registration"]] = relates(back_populates="challenge")
    teams: Mapped[list["Team"]] = relates(back_populates="challenge")
    leaderboards: Mapped[list["Leaderboard"]] = relates(back_populates="challenge")
    submissions: Mapped[list["Submission"]] = relates(back_populates="challenge")
    files: Mapped[list["File"]] = relates(back_populates="challenge")


class Phase(Entity):
    """A phase of a challenge. Where it has no start or end of its own, the challenge's hold. `window_limit` submissions
    are counted within `window_seconds`, `total_limit` in all, `concurrent_limit` at once: of a person, or of a team. A
    null limit is none."""

    __tablename__ = "phases"
    __table_args__ = (
        sa.UniqueConstraint("challenge_id", "name"),
        sa.CheckConstraint("ends_at IS NULL OR starts_at IS NULL OR ends_at > starts_at", name="ends_at"),
        sa.CheckConstraint("window_limit > 0", name="window_limit"),
        sa.CheckConstraint("window_seconds > 0", name="window_seconds"),
        sa.CheckConstraint("total_limit > 0", name="total_limit"),
        sa.CheckConstraint("concurrent_limit > 0", name="concurrent_limit"),
        sa.Index("ix_phases_challenge_id_ordinal_id", "challenge_id", "ordinal", "id"),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(100))
    ordinal: Mapped[int] = mapped_column(default=1)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    published: Mapped[bool] = mapped_column(default=True)
    window_limit: Mapped[int | None]
    window_seconds: Mapped[int] = mapped_column(default=DAY)
    total_limit: Mapped[int | None]
    concurrent_limit: Mapped[int | None]
    self_evaluation: Mapped[bool] = mapped_column(default=False)
    shows_scores: Mapped[bool] = mapped_column(default=True)
    shows_log: Mapped[bool] = mapped_column(default=True)

    challenge: Mapped[Challenge] = relates(back_populates="phases")
    submissions: Mapped[list["Submission"]] = relates(back_populates="phase")


class Registration(Entity):
    """Somebody who takes part in a challenge, or asks to."""

    __tablename__ = "registrations"
    __table_args__ = (
        sa.UniqueConstraint("challenge_id", "user_id"),
        sa.Index("ix_registrations_user_id", "user_id"),
        sa.Index("ix_registrations_challenge_id_created_at_id", "challenge_id", "created_at", "id"),
        sa.Index("ix_registrations_created_at_id", "created_at", "id"),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    state: Mapped[RegistrationState] = mapped_column(choice(RegistrationState), default=RegistrationState.PENDING)
    message: Mapped[str] = mapped_column(sa.String(2000), default="")
    reason: Mapped[str | None] = mapped_column(sa.String(2000))
    terms_accepted_at: Mapped[datetime | None]

    challenge: Mapped[Challenge] = relates(back_populates="registrations")
    user: Mapped["User"] = relates()


class Team(Entity):
    """People who submit together in a challenge. Its captain invites."""

    __tablename__ = "teams"
    __table_args__ = (
        sa.UniqueConstraint("challenge_id", "name"),
        sa.Index("ix_teams_challenge_id_created_at_id", "challenge_id", "created_at", "id"),
        sa.Index("ix_teams_created_at_id", "created_at", "id"),
        sa.Index("ix_teams_captain_id", "captain_id"),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(100))
    captain_id: Mapped[UUID | None] = refers("users.id", ondelete="SET NULL")

    challenge: Mapped[Challenge] = relates(back_populates="teams")
    captain: Mapped["User | None"] = relates()
    members: Mapped[list["TeamMember"]] = relates(back_populates="team")
    submissions: Mapped[list["Submission"]] = relates(back_populates="team")


class TeamMember(Entity):
    """A member of a team, or somebody who is invited. Of one challenge a user joins one team."""

    __tablename__ = "team_members"
    __table_args__ = (
        sa.UniqueConstraint("team_id", "user_id"),
        sa.Index(
            "uq_team_members_joined",
            "challenge_id",
            "user_id",
            unique=True,
            sqlite_where=sa.text("state = 'JOINED'"),
            postgresql_where=sa.text("state = 'JOINED'"),
        ),
        sa.Index("ix_team_members_user_id", "user_id"),
        sa.Index("ix_team_members_team_id_created_at_id", "team_id", "created_at", "id"),
    )

    team_id: Mapped[UUID] = refers("teams.id", ondelete="CASCADE")
    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    state: Mapped[MemberState] = mapped_column(choice(MemberState), default=MemberState.INVITED)

    team: Mapped[Team] = relates(back_populates="members")
    user: Mapped["User"] = relates()
