"""Tables of messages to people: the templates and the outbox."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Name, choice, now

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.organisation import Participant, Project, Site
    from db.models.services import Service


class Channel(Enum):
    EMAIL = "EMAIL"
    CHAT = "CHAT"
    SERVICE = "SERVICE"


class NotificationState(Enum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"


class NotificationTemplate(Entity):
    """A template that replaces a built-in text: in a project, in a site, or everywhere."""

    __tablename__ = "notification_templates"
    __table_args__ = (
        sa.CheckConstraint("site_id IS NULL OR project_id IS NULL", name="scope"),
        unique("uq_notification_templates_site", "site_id", "key", "channel", "language", where="site_id IS NOT NULL"),
        unique(
            "uq_notification_templates_project",
            "project_id",
            "key",
            "channel",
            "language",
            where="project_id IS NOT NULL",
        ),
        unique(
            "uq_notification_templates_global",
            "key",
            "channel",
            "language",
            where="site_id IS NULL AND project_id IS NULL",
        ),
        sa.Index("ix_notification_templates_by_key", folded("key"), "id"),
    )

    key: Mapped[str] = mapped_column(Name(100))
    key_folded: Mapped[str | None] = folds("key")
    channel: Mapped[Channel] = mapped_column(choice(Channel), default=Channel.EMAIL)
    language: Mapped[str] = mapped_column(sa.String(16), default="en")
    subject: Mapped[str | None] = mapped_column(sa.String(255))
    text: Mapped[str] = mapped_column(sa.Text)
    html: Mapped[str | None] = mapped_column(sa.Text)
    site_id: Mapped[UUID | None] = refers("sites.id", ondelete="CASCADE")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="CASCADE")

    site: Mapped["Site | None"] = relates()
    project: Mapped["Project | None"] = relates()


class Notification(Entity):
    """A message in the outbox. Its texts are made when it is stored. `due_at` is when the next attempt may be made;
    after `expires_at` none is, because its link or code is no longer valid.

    `recipient` is an address, or the name of a chat; `lease_until` keeps two senders from sending it at once.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        sa.Index("ix_notifications_user_id_created_at_id", "user_id", "created_at", "id"),
        sa.Index("ix_notifications_created_at_id", "created_at", "id"),
        sa.Index(
            "ix_notifications_due_at",
            "due_at",
            sqlite_where=sa.text("state = 'PENDING'"),
            postgresql_where=sa.text("state = 'PENDING'"),
        ),
    )

    channel: Mapped[Channel] = mapped_column(choice(Channel), default=Channel.EMAIL)
    template_key: Mapped[str | None] = mapped_column(sa.String(100))
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="CASCADE")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="CASCADE", index=True)
    service_id: Mapped[UUID | None] = refers("services.id", ondelete="CASCADE", index=True)
    recipient: Mapped[str] = mapped_column(sa.String(254))
    subject: Mapped[str | None] = mapped_column(sa.String(255))
    text: Mapped[str] = mapped_column(sa.Text)
    html: Mapped[str | None] = mapped_column(sa.Text)
    headers: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    state: Mapped[NotificationState] = mapped_column(choice(NotificationState), default=NotificationState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=now())
    expires_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(sa.Text)

    user: Mapped["User | None"] = relates()
    participant: Mapped["Participant | None"] = relates()
    service: Mapped["Service | None"] = relates()
