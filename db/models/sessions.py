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
    from db.models.organisation import Participant, Project
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


_EVENTS = """
    GENERAL_ERROR GENERAL_INFO GENERAL_WARNING SESSION_START SESSION_STOP DEVICE_ON_CHARGE DEVICE_OFF_CHARGE
    DEVICE_LOW_BATT DEVICE_STORAGE_LOW DEVICE_STORAGE_FULL DEVICE_EVENT USER_EVENT SESSION_JOIN SESSION_LEAVE
    SESSION_JOIN_REFUSED SESSION_JOIN_BUSY CUSTOM_1 CUSTOM_2 CUSTOM_3 CUSTOM_4 CUSTOM_5 CUSTOM_6 CUSTOM_7 CUSTOM_8
    CUSTOM_9 CUSTOM_10
"""
SessionEventType = Enum("SessionEventType", {name: name for name in _EVENTS.split()})  # type: ignore[misc]


class SessionType(Erasable, Entity):
    __tablename__ = "session_types"
    __table_args__ = (lists("ix_session_types_by_name", folded("name"), "id"),)

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    online: Mapped[bool]
    color: Mapped[str] = mapped_column(sa.String(7))
    category: Mapped[SessionCategory] = mapped_column(choice(SessionCategory))
    config: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    sessions: Mapped[list["Session"]] = relates(back_populates="type")


class Session(Erasable, Entity):
    __tablename__ = "sessions"
    __table_args__ = (
        sa.CheckConstraint("duration_seconds >= 0", name="duration"),
        lists("ix_sessions_starts_at_id", "starts_at", "id"),
        lists("ix_sessions_by_name", folded("name"), "id"),
        lists("ix_sessions_project_id_starts_at_id", "project_id", "starts_at", "id"),
        lists("ix_sessions_type_id_starts_at_id", "type_id", "starts_at", "id"),
        lists("ix_sessions_creator_id", "creator_id"),
    )

    type_id: Mapped[UUID] = refers("session_types.id", ondelete="RESTRICT")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="RESTRICT")
    creator_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    starts_at: Mapped[datetime]
    duration_seconds: Mapped[int] = mapped_column(default=0)
    status: Mapped[SessionStatus] = mapped_column(choice(SessionStatus), default=SessionStatus.NOT_STARTED)
    comments: Mapped[str | None] = mapped_column(sa.Text)
    parameters: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    type: Mapped[SessionType] = relates(back_populates="sessions")
    project: Mapped["Project | None"] = relates(back_populates="sessions")
    creator: Mapped["User"] = relates()
    members: Mapped[list["SessionMember"]] = relates(back_populates="session")
    events: Mapped[list["SessionEvent"]] = relates(back_populates="session")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="session")
    files: Mapped[list["File"]] = relates(back_populates="session")


class SessionEvent(Erasable, Entity):
    __tablename__ = "session_events"
    __table_args__ = (
        lists("ix_session_events_session_id_occurred_at_id", "session_id", "occurred_at", "id"),
        lists("ix_session_events_occurred_at_id", "occurred_at", "id"),
    )

    session_id: Mapped[UUID] = refers("sessions.id", ondelete="CASCADE")
    type: Mapped[SessionEventType] = mapped_column(choice(SessionEventType))
    occurred_at: Mapped[datetime]
    text: Mapped[str | None] = mapped_column(sa.Text)
    context: Mapped[str | None] = mapped_column(sa.Text)

    session: Mapped[Session] = relates(back_populates="events")


MEMBERS = ("user_id", "participant_id", "device_id")
"""Who may be a member of a session; exactly one is set."""


class SessionMember(Erasable, Entity):
    __tablename__ = "session_members"
    __table_args__ = (
        of_one(*MEMBERS),
        *(unique(f"uq_session_members_{m}", "session_id", m, where="deleted_at IS NULL") for m in MEMBERS),
        *(lists(f"ix_session_members_{m}_id", m, "id") for m in MEMBERS),
        lists("ix_session_members_session_id_id", "session_id", "id"),
    )

    session_id: Mapped[UUID] = refers("sessions.id", ondelete="CASCADE")
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="RESTRICT")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="RESTRICT")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="RESTRICT")

    session: Mapped[Session] = relates(back_populates="members")
    user: Mapped["User | None"] = relates()
    participant: Mapped["Participant | None"] = relates(back_populates="memberships")
    device: Mapped["Device | None"] = relates()
