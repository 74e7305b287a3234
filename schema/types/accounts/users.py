"""Users, and the record of what mattered."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import strawberry

from db import models
from resolvers.reading.conditions import Where
from resolvers.spelling import global_id
from schema.fields.fields import Info, column, computed, found, node, present, reached
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

AuthProvider = enum(
    models.AuthProvider,
    "Where a user's identity comes from.",
    LOCAL="A password of this gateway.",
    KEYCLOAK="A Keycloak server.",
    COGNITO="Amazon Cognito.",
)
PlatformRole = enum(
    models.PlatformRole,
    "What a user may contribute; each includes the former.",
    READER="Reads.",
    CONTRIBUTOR="Contributes models and datasets.",
    MANAGER="Manages users.",
)
TwoFactor = enum(
    models.TwoFactor,
    "The second factor of a sign-in.",
    NONE="None.",
    EMAIL="A code by e-mail.",
    TOTP="A code of an authenticator app.",
)


@node(models.User, by="created_at", listed="All users; what you see of each depends on what you share.")
class User(Node):
    """A person with an account. Others see a card without names until they share a project."""

    username: str | None = column("The name to sign in with, in lower case.", filter=True, search=True)
    auth_provider: AuthProvider | None = column(  # type: ignore[valid-type]
        "Where the identity comes from.", filter=True, group=True
    )
    external_subject: str | None = column("Who the user is at the identity provider.", filter=True)
    email: str | None = column("The e-mail address, in lower case.", filter=True, search=True)
    email_verified: bool | None = column("Whether the address was confirmed.", filter=True, group=True)
    first_name: str | None = column("Given name.", filter=True, search=True)
    last_name: str | None = column("Family name.", filter=True, search=True)
    affiliation: str | None = column("Institution.", filter=True)
    active: bool | None = column("Whether the account may sign in.", filter=True, group=True)
    superadmin: bool | None = column("Whether the user may do everything.", filter=True, group=True)
    platform_role: PlatformRole | None = column(  # type: ignore[valid-type]
        "What the user may contribute.", filter=True, group=True
    )
    profile: JSON | None = column("What the user says about themself.")
    notes: str | None = column("Notes of administrators. The user does not see them.")
    last_online_at: datetime | None = column("When the user was last online.", filter=True, group=True)
    online = present(models.User)
    presence = reached(models.User)
    language: str | None = column("The language of messages to the user.", filter=True)
    notified: bool | None = column("Whether the user wants messages that are not about security.")
    notified_of_jobs: bool | None = column(
        "Whether the user wants a mail when jobs of their own have completed or failed, or were cancelled by others."
    )
    two_factor: TwoFactor | None = column("The second factor in use.", filter=True, group=True)  # type: ignore[valid-type]
    force_password_change: bool | None = column("Whether the password must be changed at the next sign-in.")
    spec_model_count: int | None = column("How many data models the latest versions of the user's specs have.")

    @computed("How many they may have; null for any number.", reads=["id"])
    def spec_model_limit(self: Any, info: Info) -> int | None:
        limit: int | None = info.context.services.limits.spec_models
        return limit

    groups = connection(models.User.groups, "The groups that the user is in, as far as you see them.", small=True)
    simulations = connection(models.User.simulations, "The user's simulations that you may see.")
    specs = connection(models.User.specs, "The user's specs that you may see.")


@node(models.AuditEvent, by="-at", listed="What you did, and what happened in places that you administer.")
class AuditEvent(Node):
    """The record of an event that matters, such as a sign-in, a refusal or a canceled job. It is never changed or
    deleted."""

    action: str = column("What was done, such as LOG_IN.", filter=True)
    at: datetime = column("When it happened.", filter=True, order=True, group=True)
    actor_kind: str | None = column("What kind of principal did it; null for anonymous.", filter=True)
    entity_type: str = column("The type of the row that it was done to.", filter=True)

    @computed("The id of who did it; null for who has none.", reads=["actor_kind", "actor_id"], filter=True)
    def actor(self: Any) -> strawberry.ID | None:
        known = self.actor_id is not None and self.actor_kind in ("user", "participant", "device", "service")
        return strawberry.ID(global_id(self.actor_kind.title(), self.actor_id)) if known else None

    @computed("The id of the row that it was done to.", reads=["entity_type", "entity_id"])
    def entity(self: Any) -> strawberry.ID | None:
        return None if self.entity_id is None else strawberry.ID(global_id(self.entity_type, self.entity_id))

    client: JSON | None = column("The network address and the program that it was done from.")
    detail: JSON | None = column("Details of the event.")


def _viewer() -> Where:
    return Where(lambda entity, _, __: [entity.id == sa.bindparam("me", type_=entity.id.type)])


@strawberry.type
class AccountsQuery:
    viewer: User | None = found(models.User, "The user who is signed in; null for everyone else.", _viewer)
