"""Who signs in, with what, and the record of what mattered."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Entity, Erasable, lists, refers, relates
from db.types import choice, now

if TYPE_CHECKING:
    from db.models.organisation import Membership
    from db.models.simulations import Simulation
    from db.models.specs import Spec


class AuthProvider(Enum):
    LOCAL = "LOCAL"
    KEYCLOAK = "KEYCLOAK"
    COGNITO = "COGNITO"


class PlatformRole(Enum):
    READER = "READER"
    CONTRIBUTOR = "CONTRIBUTOR"
    MANAGER = "MANAGER"


class TwoFactor(Enum):
    NONE = "NONE"
    EMAIL = "EMAIL"
    TOTP = "TOTP"


class CredentialKind(Enum):
    PASSWORD = "PASSWORD"  # noqa: S105
    LOGIN_SESSION = "LOGIN_SESSION"


class User(Erasable, Entity):
    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("username", "auth_provider"),
        sa.UniqueConstraint("auth_provider", "external_subject"),
        sa.Index(
            "uq_users_local_email",
            "email",
            unique=True,
            sqlite_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"),
            postgresql_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"),
        ),
        lists("ix_users_created_at_id", "created_at", "id"),
    )

    username: Mapped[str] = mapped_column(sa.String(150))
    auth_provider: Mapped[AuthProvider] = mapped_column(choice(AuthProvider), default=AuthProvider.LOCAL)
    external_subject: Mapped[str | None] = mapped_column(sa.String(255))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    email_verified: Mapped[bool] = mapped_column(default=False)
    first_name: Mapped[str | None] = mapped_column(sa.String(150))
    last_name: Mapped[str | None] = mapped_column(sa.String(150))
    affiliation: Mapped[str | None] = mapped_column(sa.String(255))
    active: Mapped[bool] = mapped_column(default=True)
    superadmin: Mapped[bool] = mapped_column(default=False)
    platform_role: Mapped[PlatformRole] = mapped_column(choice(PlatformRole), default=PlatformRole.READER)
    profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    notes: Mapped[str | None] = mapped_column(sa.Text)
    last_online_at: Mapped[datetime | None]
    two_factor: Mapped[TwoFactor] = mapped_column(choice(TwoFactor), default=TwoFactor.NONE)
    force_password_change: Mapped[bool] = mapped_column(default=False)

    memberships: Mapped[list["Membership"]] = relates(back_populates="user")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="owner")
    specs: Mapped[list["Spec"]] = relates(back_populates="owner")


class Credential(Entity):
    """A password, or one refresh token of a login session.

    The refresh tokens of a session are a family: each use marks its row revoked and adds the next. A row used twice
    shows theft, and ends the family.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        sa.CheckConstraint(
            "kind <> 'LOGIN_SESSION' OR (family IS NOT NULL AND expires_at IS NOT NULL)", name="session"
        ),
        sa.Index(
            "uq_credentials_password",
            "user_id",
            "label",
            unique=True,
            sqlite_where=sa.text("kind = 'PASSWORD'"),
            postgresql_where=sa.text("kind = 'PASSWORD'"),
        ),
        sa.Index(
            "uq_credentials_refresh",
            "secret_hash",
            unique=True,
            sqlite_where=sa.text("kind = 'LOGIN_SESSION'"),
            postgresql_where=sa.text("kind = 'LOGIN_SESSION'"),
        ),
        sa.Index("ix_credentials_user_id_kind", "user_id", "kind"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    kind: Mapped[CredentialKind] = mapped_column(choice(CredentialKind))
    label: Mapped[str] = mapped_column(sa.String(100), default="default")
    secret_hash: Mapped[str] = mapped_column(sa.String(255))
    algorithm: Mapped[str] = mapped_column(sa.String(32))
    family: Mapped[UUID | None] = mapped_column(index=True)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    client: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))


class Attempts(Base):
    """How often something was tried within a window: sign-ins for an account, and from an address."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    count: Mapped[int]
    since: Mapped[datetime]


class AuditEvent(Entity):
    """Append-only."""

    __tablename__ = "audit_events"
    __table_args__ = (
        sa.Index("ix_audit_events_at_id", "at", "id"),
        sa.Index("ix_audit_events_actor_id_at_id", "actor_id", "at", "id"),
    )

    actor_kind: Mapped[str | None] = mapped_column(sa.String(16))
    actor_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(sa.String(64))
    entity_type: Mapped[str] = mapped_column(sa.String(64))
    entity_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(default=now())
    client: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    detail: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))


__all__ = [
    "Attempts",
    "AuditEvent",
    "AuthProvider",
    "Credential",
    "CredentialKind",
    "PlatformRole",
    "TwoFactor",
    "User",
]
