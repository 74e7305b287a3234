"""Users, and the record of what mattered."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import strawberry

from db import models
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order
from schema.fields.connections import chosen, connection, equal, refers, search, since, until
from schema.fields.declarations import Orders
from schema.fields.fields import column, computed, found, node, present
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON, enum, global_id

if TYPE_CHECKING:
    from schema.types.groups import UserGroup
    from schema.types.simulations.simulations import Simulation
    from schema.types.specs import Spec

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


USER_ORDERS = Orders(
    "UserOrder",
    "Orders of users.",
    OLDEST=(Order(models.User.created_at), "By the time of joining."),
    NEWEST=(Order(models.User.created_at, descending=True), "The last to join first."),
)
AUDIT_ORDERS = Orders(
    "AuditEventOrder",
    "Orders of audit events.",
    NEWEST=(Order(models.AuditEvent.at, descending=True), "The newest first."),
    OLDEST=(Order(models.AuditEvent.at), "The oldest first."),
)


@node(models.User)
class User(Node):
    """A person with an account. Others see a card without names until they share a project."""

    username: str | None = column("The name to sign in with, in lower case.")
    auth_provider: AuthProvider | None = column(  # type: ignore[valid-type]
        "Where the identity comes from."
    )
    email: str | None = column("The e-mail address, in lower case.")
    email_verified: bool | None = column("Whether the address was confirmed.")
    first_name: str | None = column("Given name.")
    last_name: str | None = column("Family name.")
    affiliation: str | None = column("Institution.")
    active: bool | None = column("Whether the account may sign in.")
    superadmin: bool | None = column("Whether the user may do everything.")
    platform_role: PlatformRole | None = column(  # type: ignore[valid-type]
        "What the user may contribute."
    )
    profile: JSON | None = column("What the user says about themself.")
    notes: str | None = column("Notes of administrators. The user does not see them.")
    last_online_at: datetime | None = column("When the user was last online.")
    online = present(models.User)
    language: str | None = column("The language of messages to the user.")
    notified: bool | None = column("Whether the user wants messages that are not about security.")
    two_factor: TwoFactor | None = column("The second factor in use.")  # type: ignore[valid-type]
    force_password_change: bool | None = column("Whether the password must be changed at the next sign-in.")
    groups: Connection[Annotated["UserGroup", strawberry.lazy("schema.types.groups")]] = connection(
        models.User.groups,
        "The groups that the user is in, as far as you see them.",
        orders=Orders(
            "LinkedUserGroupOrder", "Orders of a user's groups.", NAME=(Order(models.UserGroup.name), "By name.")
        ),
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")]] = (
        connection(
            models.User.simulations,
            "The user's simulations that you may see.",
            orders=Orders(
                "UserSimulationOrder",
                "Orders of a user's simulations.",
                NEWEST=(Order(models.Simulation.created_at, descending=True), "The newest first."),
                OLDEST=(Order(models.Simulation.created_at), "The oldest first."),
            ),
        )
    )
    specs: Connection[Annotated["Spec", strawberry.lazy("schema.types.specs")]] = connection(
        models.User.specs,
        "The user's specs that you may see.",
        orders=Orders(
            "UserSpecOrder",
            "Orders of a user's specs.",
            NAME=(Order(models.Spec.canonical_name), "By name."),
        ),
    )


@node(models.AuditEvent)
class AuditEvent(Node):
    """The record of an event that matters, such as a sign-in, a refusal or a canceled job. It is never changed or
    deleted."""

    action: str = column("What was done, such as LOG_IN.")
    at: datetime = column("When it happened.")
    actor_kind: str | None = column("What kind of principal did it; null for anonymous.")
    entity_type: str = column("The type of the row that it was done to.")

    @computed("The id of who did it; null for who has none.", reads=["actor_kind", "actor_id"])
    def actor(self: Any) -> strawberry.ID | None:
        known = self.actor_id is not None and self.actor_kind in ("user", "participant", "device", "service")
        return strawberry.ID(global_id(self.actor_kind.title(), self.actor_id)) if known else None

    @computed("The id of the row that it was done to.", reads=["entity_type", "entity_id"])
    def entity(self: Any) -> strawberry.ID | None:
        return None if self.entity_id is None else strawberry.ID(global_id(self.entity_type, self.entity_id))

    client: JSON | None = column("The network address and the program that it was done from.")
    detail: JSON | None = column("Details of the event.")


@strawberry.input(description="Which users.")
class UserFilter:
    text: str | None = search(
        "Part of the username, a name or the e-mail address, where you may see it, in any case.",
        models.User.username,
        models.User.first_name,
        models.User.last_name,
        models.User.email,
    )
    active: bool | None = equal(models.User.active, "Those who may sign in, or may not; found where you may see that.")
    group: strawberry.ID | None = refers("UserGroup", "In this group.", models.User.groups)
    project: strawberry.ID | None = refers(
        "Project",
        "With a role in this project, by a grant that you see.",
        models.User.groups,
        models.UserGroup.grants,
        models.RoleGrant.role,
        models.Role.project,
    )


@strawberry.input(description="Which audit events.")
class AuditEventFilter:
    action: list[str] | None = chosen(models.AuditEvent.action, "One of these actions, such as LOG_IN_FAILED.")
    actor: strawberry.ID | None = refers("User", "Done by this user.", models.AuditEvent.actor_id)
    actor_kind: str | None = equal(models.AuditEvent.actor_kind, "Done by this kind of principal.")
    entity_type: str | None = equal(models.AuditEvent.entity_type, "Done to this type.")
    since: datetime | None = since(models.AuditEvent.at, "At this moment or later.")
    until: datetime | None = until(models.AuditEvent.at, "Before this moment.")


def _viewer() -> Where:
    return Where(lambda entity, _, __: [entity.id == sa.bindparam("me", type_=entity.id.type)])


@strawberry.type
class AccountsQuery:
    viewer: User | None = found(models.User, "The user who is signed in; null for everyone else.", _viewer)
    users: Connection[User] = connection(
        models.User, "All users; what you see of each depends on what you share.", orders=USER_ORDERS, filter=UserFilter
    )
    audit_events: Connection[AuditEvent] = connection(
        models.AuditEvent,
        "What you did, and what happened in places that you administer.",
        orders=AUDIT_ORDERS,
        filter=AuditEventFilter,
    )
