"""Tables of sessions, their members and events."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, of_one, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.devices import Device
    from db.models.files import File
    from db.models.organisation import Participant, Project, Site
    from db.models.services import Service
    from db.models.simulations import Simulation


class SessionCategory(Enum):
    SERVICE = "SERVICE"
    DATACOLLECT = "DATACOLLECT"
    FILETRANSFER = "FILETRANSFER"
    PROTOCOL = "PROTOCOL"


class SessionStatus(Enum):
    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"


class SessionMemberState(Enum):
    """Whether somebody takes part in a session."""

    INVITED = "INVITED"
    JOINED = "JOINED"
    BUSY = "BUSY"
    REFUSED = "REFUSED"
    TIMED_OUT = "TIMED_OUT"
    LEFT = "LEFT"


_EVENTS = """
    GENERAL_ERROR GENERAL_INFO GENERAL_WARNING SESSION_START SESSION_STOP DEVICE_ON_CHARGE DEVICE_OFF_CHARGE
    DEVICE_LOW_BATT DEVICE_STORAGE_LOW DEVICE_STORAGE_FULL DEVICE_EVENT USER_EVENT SESSION_JOIN SESSION_LEAVE
    SESSION_JOIN_REFUSED SESSION_JOIN_BUSY CUSTOM_1 CUSTOM_2 CUSTOM_3 CUSTOM_4 CUSTOM_5 CUSTOM_6 CUSTOM_7 CUSTOM_8
    CUSTOM_9 CUSTOM_10
"""
SessionEventType = Enum("SessionEventType", {name: name for name in _EVENTS.split()})  # type: ignore[misc]


class SessionType(Erasable, Entity):
    __tablename__ = "session_types"
    __table_args__ = (
        lists("ix_session_types_by_name", folded("name"), "id"),
        sa.Index("ix_session_types_service_id", "service_id"),
        sa.Index("ix_session_types_updated_at_id", "updated_at", "id"),
    )

    service_id: Mapped[UUID | None] = refers("services.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    online: Mapped[bool]
    color: Mapped[str] = mapped_column(sa.String(7))
    category: Mapped[SessionCategory] = mapped_column(choice(SessionCategory))
    config: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    sessions: Mapped[list["Session"]] = relates(back_populates="type")
    service: Mapped["Service | None"] = relates(foreign_keys=[service_id])
    services: Mapped[list["Service"]] = relates(secondary="session_type_services", back_populates="session_types")
    sites: Mapped[list["Site"]] = relates(secondary="session_type_sites", back_populates="session_types")
    projects: Mapped[list["Project"]] = relates(secondary="session_type_projects", back_populates="session_types")


class SessionTypeSite(Entity):
    """A type of sessions in a site."""

    __tablename__ = "session_type_sites"
    __table_args__ = (
        sa.UniqueConstraint("site_id", "session_type_id"),
        sa.Index("ix_session_type_sites_session_type_id_site_id", "session_type_id", "site_id"),
    )

    site_id: Mapped[UUID] = refers("sites.id", ondelete="CASCADE")
    session_type_id: Mapped[UUID] = refers("session_types.id", ondelete="CASCADE")


class SessionTypeProject(Entity):
    """A type of sessions in a project; it must be in the project's site."""

    __tablename__ = "session_type_projects"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "session_type_id"),
        sa.Index("ix_session_type_projects_session_type_id_project_id", "session_type_id", "project_id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="CASCADE")
    session_type_id: Mapped[UUID] = refers("session_types.id", ondelete="CASCADE")


class SessionTypeService(Entity):
    """A service that helps in sessions of a type, besides the one that runs them."""

    __tablename__ = "session_type_services"
    __table_args__ = (
        sa.UniqueConstraint("service_id", "session_type_id"),
        sa.Index("ix_session_type_services_session_type_id_service_id", "session_type_id", "service_id"),
    )

    service_id: Mapped[UUID] = refers("services.id", ondelete="CASCADE")
    session_type_id: Mapped[UUID] = refers("session_types.id", ondelete="CASCADE")


CREATORS = ("creator_id", "creator_participant_id", "creator_device_id", "creator_service_id")
"""Who may have made a session; exactly one is set. `creator_id` is a user."""

_PLANNED = "status = 'NOT_STARTED' AND deleted_at IS NULL"
_UNDER_WAY = "status = 'IN_PROGRESS' AND deleted_at IS NULL"


class Session(Erasable, Entity):
    __tablename__ = "sessions"
    __table_args__ = (
        sa.CheckConstraint("duration_seconds >= 0", name="duration"),
        sa.CheckConstraint("ends_at IS NULL OR ends_at >= starts_at", name="end"),
        of_one(*CREATORS),
        lists("ix_sessions_starts_at_id", "starts_at", "id"),
        lists("ix_sessions_by_name", folded("name"), "id"),
        lists("ix_sessions_project_id_starts_at_id", "project_id", "starts_at", "id"),
        lists("ix_sessions_type_id_starts_at_id", "type_id", "starts_at", "id"),
        lists("ix_sessions_creator_id", "creator_id"),
        *(lists(f"ix_sessions_{who}_starts_at_id", who, "starts_at", "id") for who in CREATORS[1:]),
        lists("ix_sessions_ends_at_id", "ends_at", "id"),
        sa.Index("ix_sessions_updated_at_id", "updated_at", "id"),
        *(
            sa.Index(f"ix_sessions_{name}", "starts_at", sqlite_where=sa.text(of), postgresql_where=sa.text(of))
            for name, of in (("planned", _PLANNED), ("under_way", _UNDER_WAY))
        ),
    )

    type_id: Mapped[UUID] = refers("session_types.id", ondelete="RESTRICT")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="RESTRICT")
    creator_id: Mapped[UUID | None] = refers("users.id", ondelete="RESTRICT")
    creator_participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="RESTRICT")
    creator_device_id: Mapped[UUID | None] = refers("devices.id", ondelete="RESTRICT")
    creator_service_id: Mapped[UUID | None] = refers("services.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    """When it is planned to end; once it ended, when it did."""
    resumed_at: Mapped[datetime | None]
    """When it was last started, while it is under way."""
    duration_seconds: Mapped[int] = mapped_column(default=0)
    status: Mapped[SessionStatus] = mapped_column(choice(SessionStatus), default=SessionStatus.NOT_STARTED)
    comments: Mapped[str | None] = mapped_column(sa.Text)
    parameters: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    type: Mapped[SessionType] = relates(back_populates="sessions")
    project: Mapped["Project | None"] = relates(back_populates="sessions")
    creator: Mapped["User | None"] = relates()
    creator_participant: Mapped["Participant | None"] = relates()
    creator_device: Mapped["Device | None"] = relates()
    creator_service: Mapped["Service | None"] = relates()
    members: Mapped[list["SessionMember"]] = relates(back_populates="session")
    events: Mapped[list["SessionEvent"]] = relates(back_populates="session")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="session")
    files: Mapped[list["File"]] = relates(back_populates="session")


_COUNTED = sa.text("seq IS NOT NULL")
REPORTERS = ("user_id", "participant_id", "device_id", "service_id")
"""Who may have told of an event; at most one is set."""


class SessionEvent(Erasable, Entity):
    """Something that happened in a session. `occurred_at` is by the clock of who tells of it, `created_at` is when it
    came. `client_id` and `seq` are given by who tells: the first names the event, the second counts."""

    __tablename__ = "session_events"
    __table_args__ = (
        lists("ix_session_events_session_id_occurred_at_id", "session_id", "occurred_at", "id"),
        lists("ix_session_events_occurred_at_id", "occurred_at", "id"),
        sa.Index("ix_session_events_session_id_updated_at_id", "session_id", "updated_at", "id"),
        *(
            unique(f"uq_session_events_{who}", who, "client_id", where=f"{who} IS NOT NULL AND client_id IS NOT NULL")
            for who in REPORTERS
        ),
        sa.Index("ix_session_events_seq", "device_id", "seq", sqlite_where=_COUNTED, postgresql_where=_COUNTED),
    )

    session_id: Mapped[UUID] = refers("sessions.id", ondelete="CASCADE")
    type: Mapped[SessionEventType] = mapped_column(choice(SessionEventType))
    occurred_at: Mapped[datetime]
    text: Mapped[str | None] = mapped_column(sa.Text)
    context: Mapped[str | None] = mapped_column(sa.Text)
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="SET NULL")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="SET NULL")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="SET NULL")
    service_id: Mapped[UUID | None] = refers("services.id", ondelete="SET NULL")
    client_id: Mapped[str | None] = mapped_column(sa.String(64))
    seq: Mapped[int | None] = mapped_column(sa.BigInteger)

    user: Mapped["User | None"] = relates()
    participant: Mapped["Participant | None"] = relates()
    device: Mapped["Device | None"] = relates()
    service: Mapped["Service | None"] = relates()
    session: Mapped[Session] = relates(back_populates="events")


_ASKED = sa.text("expires_at IS NOT NULL")
MEMBERS = ("user_id", "participant_id", "device_id")
"""Who may be a member of a session; exactly one is set."""


class SessionMember(Erasable, Entity):
    """Somebody in a session, or invited into it. `expires_at` is set while an answer is waited for: then it times
    out."""

    __tablename__ = "session_members"
    __table_args__ = (
        of_one(*MEMBERS),
        *(unique(f"uq_session_members_{m}", "session_id", m, where="deleted_at IS NULL") for m in MEMBERS),
        *(lists(f"ix_session_members_{m}_id", m, "id") for m in MEMBERS),
        lists("ix_session_members_session_id_id", "session_id", "id"),
        sa.Index("ix_session_members_expires_at", "expires_at", sqlite_where=_ASKED, postgresql_where=_ASKED),
        sa.Index("ix_session_members_updated_at_id", "updated_at", "id"),
    )

    session_id: Mapped[UUID] = refers("sessions.id", ondelete="CASCADE")
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="RESTRICT")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="RESTRICT")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="RESTRICT")
    state: Mapped[SessionMemberState] = mapped_column(
        choice(SessionMemberState), default=SessionMemberState.INVITED, server_default="INVITED"
    )
    expires_at: Mapped[datetime | None]

    session: Mapped[Session] = relates(back_populates="members")
    user: Mapped["User | None"] = relates()
    participant: Mapped["Participant | None"] = relates(back_populates="memberships")
    device: Mapped["Device | None"] = relates()
