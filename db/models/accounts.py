"""Tables of users, their credentials and preferences, counts of attempts, audit events and server settings."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Entity, Erasable, lists, of_one, refers, relates, unique
from db.searching.folding import folds
from db.types import Json, Name, Value, choice, now

if TYPE_CHECKING:
    from db.models.challenges import Challenge
    from db.models.devices import Device
    from db.models.groups import UserGroup
    from db.models.organisation import Participant
    from db.models.services import Service
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
    API_KEY = "API_KEY"
    STATIC_TOKEN = "STATIC_TOKEN"  # noqa: S105
    TOTP = "TOTP"
    RECOVERY_CODE = "RECOVERY_CODE"
    EMAIL_CODE = "EMAIL_CODE"
    EMAIL_VERIFY = "EMAIL_VERIFY"
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105
    SSH_CERTIFICATE = "SSH_CERTIFICATE"
    CHALLENGE_WORKER = "CHALLENGE_WORKER"
    SPEC_TOKEN = "SPEC_TOKEN"  # noqa: S105
    LOGIN_CODE = "LOGIN_CODE"
    CERTIFICATE = "CERTIFICATE"


OWNERS = ("user_id", "participant_id", "device_id", "service_id", "challenge_id")
"""The owners that a credential may have; exactly one is set."""


class User(Erasable, Entity):
    """A deleted user's name stays reserved."""

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("username", "auth_provider"),
        sa.UniqueConstraint("auth_provider", "external_subject"),
        unique("uq_users_local_email", "email", where="auth_provider = 'LOCAL' AND deleted_at IS NULL"),
        lists("ix_users_created_at_id", "created_at", "id"),
    )

    username: Mapped[str] = mapped_column(Name(150))
    username_folded: Mapped[str | None] = folds("username")
    auth_provider: Mapped[AuthProvider] = mapped_column(choice(AuthProvider), default=AuthProvider.LOCAL)
    external_subject: Mapped[str | None] = mapped_column(sa.String(255))
    email: Mapped[str | None] = mapped_column(Name(254))
    email_folded: Mapped[str | None] = folds("email")
    email_verified: Mapped[bool] = mapped_column(default=False)
    first_name: Mapped[str | None] = mapped_column(Name(150))
    first_name_folded: Mapped[str | None] = folds("first_name")
    last_name: Mapped[str | None] = mapped_column(Name(150))
    last_name_folded: Mapped[str | None] = folds("last_name")
    affiliation: Mapped[str | None] = mapped_column(sa.String(255))
    active: Mapped[bool] = mapped_column(default=True)
    superadmin: Mapped[bool] = mapped_column(default=False)
    platform_role: Mapped[PlatformRole] = mapped_column(choice(PlatformRole), default=PlatformRole.READER)
    profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    notes: Mapped[str | None] = mapped_column(sa.Text)
    language: Mapped[str] = mapped_column(sa.String(16), default="en", server_default="en")
    notified: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    notified_of_jobs: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    last_online_at: Mapped[datetime | None]
    busy: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether they are in a session that is under way."""
    two_factor: Mapped[TwoFactor] = mapped_column(choice(TwoFactor), default=TwoFactor.NONE)
    force_password_change: Mapped[bool] = mapped_column(default=False)
    spec_model_count: Mapped[int] = mapped_column(default=0, server_default="0")
    """The models of the latest versions of their specifications."""

    groups: Mapped[list["UserGroup"]] = relates(secondary="user_group_members", back_populates="users")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="owner")
    specs: Mapped[list["Spec"]] = relates(back_populates="owner")
    credentials: Mapped[list["Credential"]] = relates(back_populates="user")


class Credential(Entity):
    """Something that proves who is asking, of a user, a participant, a device, a service, or the external worker of a
    challenge.

    Of a secret only `secret_hash` is stored. `sealed` holds encrypted what must be read again (the seed of an
    authenticator). `public_key` names an API key. `scopes` bound what a key or token may do; null: all that its owner
    may. `spec_id` bounds a token of specs to one. `made_by_id` is the service that made a key or token for its user: it
    is good as long as that service acts for the user.

    The refresh tokens of a login session are a family: each use marks its row revoked and adds the next one. A row that
    is used twice shows theft, and ends the family.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        sa.CheckConstraint(
            "kind <> 'LOGIN_SESSION' OR (family IS NOT NULL AND expires_at IS NOT NULL)", name="session"
        ),
        sa.CheckConstraint("kind = 'SPEC_TOKEN' OR spec_id IS NULL", name="spec"),
        of_one(*OWNERS),
        unique("uq_credentials_password", "user_id", "kind", "label", where="kind IN ('PASSWORD', 'TOTP')"),
        unique("uq_credentials_participant_password", "participant_id", "label", where="kind = 'PASSWORD'"),
        unique("uq_credentials_secret", "secret_hash", where="kind NOT IN ('PASSWORD', 'TOTP')"),
        sa.UniqueConstraint("public_key"),
        *(sa.Index(f"ix_credentials_{owner}_kind", owner, "kind") for owner in OWNERS),
        sa.Index("ix_credentials_user_id_created_at_id", "user_id", "created_at", "id"),
    )

    user_id: Mapped[UUID | None] = refers("users.id", ondelete="CASCADE")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="CASCADE")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="CASCADE")
    service_id: Mapped[UUID | None] = refers("services.id", ondelete="CASCADE")
    challenge_id: Mapped[UUID | None] = refers("challenges.id", ondelete="CASCADE")
    spec_id: Mapped[UUID | None] = refers("specs.id", ondelete="CASCADE", index=True)
    made_by_id: Mapped[UUID | None] = refers("services.id", ondelete="CASCADE", index=True)
    kind: Mapped[CredentialKind] = mapped_column(choice(CredentialKind))
    label: Mapped[str] = mapped_column(Name(100), default="default")
    label_folded: Mapped[str | None] = folds("label")
    public_key: Mapped[str | None] = mapped_column(sa.String(64))
    secret_hash: Mapped[str | None] = mapped_column(sa.String(255))
    sealed: Mapped[str | None] = mapped_column(sa.Text)
    algorithm: Mapped[str] = mapped_column(sa.String(32))
    scopes: Mapped[list[str] | None] = mapped_column(Json(none_as_null=True))
    family: Mapped[UUID | None] = mapped_column(index=True)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    client: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    user: Mapped[User | None] = relates(back_populates="credentials")
    participant: Mapped["Participant | None"] = relates()
    device: Mapped["Device | None"] = relates()
    service: Mapped["Service | None"] = relates(foreign_keys=[service_id])
    made_by: Mapped["Service | None"] = relates(foreign_keys=[made_by_id])
    challenge: Mapped["Challenge | None"] = relates()
    spec: Mapped["Spec | None"] = relates()


class Preference(Entity):
    """A value that an application stores for a user; one for each application."""

    __tablename__ = "preferences"
    __table_args__ = (sa.UniqueConstraint("user_id", "app_tag"),)

    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    app_tag: Mapped[str] = mapped_column(sa.String(100))
    value: Mapped[Any] = mapped_column(Value())

    user: Mapped[User] = relates()


class Attempts(Base):
    """Counts of attempts within a window: sign-ins for an account, and from an address."""

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
        sa.Index("ix_audit_events_project_id_at_id", "project_id", "at", "id"),
        sa.Index("ix_audit_events_site_id_at_id", "site_id", "at", "id"),
    )

    actor_kind: Mapped[str | None] = mapped_column(sa.String(16))
    actor_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(sa.String(64))
    entity_type: Mapped[str] = mapped_column(sa.String(64))
    entity_id: Mapped[UUID | None]
    site_id: Mapped[UUID | None]
    project_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(default=now())
    client: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    detail: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))


class ServerSetting(Entity):
    """A setting that administrators change while the gateway runs; `sealed` ones are encrypted."""

    __tablename__ = "server_settings"
    __table_args__ = (sa.UniqueConstraint("name"),)

    name: Mapped[str] = mapped_column(sa.String(100))
    value: Mapped[str] = mapped_column(sa.Text)


__all__ = [
    "OWNERS",
    "Attempts",
    "AuditEvent",
    "AuthProvider",
    "Credential",
    "CredentialKind",
    "PlatformRole",
    "Preference",
    "ServerSetting",
    "TwoFactor",
    "User",
]
