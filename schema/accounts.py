"""Users, and signing in."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
import strawberry

from db import models
from resolvers import accounts
from resolvers.access import (
    ACTOR,
    ADMINISTERS_USER,
    SELF,
    SHARES_PROJECT,
    SUPERADMIN,
)
from resolvers.paging import Order
from resolvers.statements import Where
from schema.declarations import Orders
from schema.fields import Info, column, found, node
from schema.lists import connection
from schema.mutations import ANYONE, SIGNED_IN, mutation, written
from schema.nodes import Connection, Node
from schema.problems import Problem
from schema.scalars import JSON, enum

if TYPE_CHECKING:
    from schema.organisation import Membership
    from schema.simulations import Simulation
    from schema.specs import Spec

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
    TOTP="A code of an authenticator.",
)

PEOPLE = (SELF, SHARES_PROJECT, SUPERADMIN)
PRIVATE = (SELF, ADMINISTERS_USER, SUPERADMIN)

USER_ORDERS = Orders(
    "UserOrder",
    "Orders of users.",
    OLDEST=(Order(models.User.created_at), "By the time of joining."),
    NEWEST=(Order(models.User.created_at, descending=True), "The last to join first."),
)
AUDIT_ORDERS = Orders(
    "AuditEventOrder",
    "Orders of audit events.",
    NEWEST=(Order(models.AuditEvent.at, descending=True), "The latest first."),
    OLDEST=(Order(models.AuditEvent.at), "By time."),
)


@node(models.User)
class User(Node):
    """A person with an account. Others see a card without names until they share a project."""

    username: str | None = column("The name to sign in with, in lower case.", needs=PEOPLE)
    auth_provider: AuthProvider | None = column(  # type: ignore[valid-type]
        "Where the identity comes from.", needs=(SELF, SUPERADMIN)
    )
    email: str | None = column("The e-mail address, in lower case.", needs=PRIVATE)
    email_verified: bool | None = column("Whether the address was confirmed.", needs=(SELF, SUPERADMIN))
    first_name: str | None = column("Given name.", needs=PEOPLE)
    last_name: str | None = column("Family name.", needs=PEOPLE)
    affiliation: str | None = column("Institution.", needs=PEOPLE)
    active: bool | None = column("Whether the account may sign in.", needs=(SELF, SUPERADMIN))
    superadmin: bool | None = column("Whether the user may do everything.", needs=(SELF, SUPERADMIN))
    platform_role: PlatformRole | None = column(  # type: ignore[valid-type]
        "What the user may contribute.", needs=(SELF, SUPERADMIN)
    )
    profile: JSON | None = column("Whatever the user keeps about themself.", needs=PRIVATE)
    notes: str | None = column("What administrators noted about the user, not shown to the user.", needs=(SUPERADMIN,))
    last_online_at: datetime | None = column("The last sign-in.", needs=PEOPLE)
    two_factor: TwoFactor | None = column("The second factor in use.", needs=(SELF, SUPERADMIN))  # type: ignore[valid-type]
    force_password_change: bool | None = column(
        "Whether the password must be changed at the next sign-in.", needs=(SELF, SUPERADMIN)
    )
    memberships: Connection[Annotated["Membership", strawberry.lazy("schema.organisation")]] = connection(
        models.User.memberships,
        "The projects that the user belongs to, as far as you see them.",
        orders=Orders(
            "UserMembershipOrder",
            "Orders of a user's memberships.",
            OLDEST=(Order(models.Membership.id), "By the time of joining."),
        ),
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.simulations")]] = connection(
        models.User.simulations,
        "The user's simulations that you may see.",
        orders=Orders(
            "UserSimulationOrder",
            "Orders of a user's simulations.",
            NEWEST=(Order(models.Simulation.created_at, descending=True), "The latest first."),
            OLDEST=(Order(models.Simulation.created_at), "By time."),
        ),
    )
    specs: Connection[Annotated["Spec", strawberry.lazy("schema.specs")]] = connection(
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
    """What happened and mattered: sign-ins, refusals, cancelled jobs. Nothing changes or deletes one."""

    action: str = column("What was done, such as LOG_IN.")
    at: datetime = column("When.")
    actor_kind: str | None = column("What kind of principal did it: user or worker; null for anonymous.")
    entity_type: str = column("What it was done to.")
    client: JSON | None = column("The address and program it was done from.", needs=(ACTOR, SUPERADMIN))
    detail: JSON | None = column("More about it.")


@strawberry.type(description="A new pair of tokens.")
class Tokens:
    access_token: str = strawberry.field(description="Goes into the header `Authorization: Bearer ...`.")
    refresh_token: str = strawberry.field(
        description="Gives the next pair through `refresh`, once. Using it twice ends the login session."
    )
    expires_in: int = strawberry.field(description="Seconds for which the access token holds.")

    @strawberry.field(description="Who signed in.")
    async def viewer(self, info: Info) -> User:
        assert info.context.principal.id is not None
        return await written(info, "User", models.User, info.context.principal.id)  # type: ignore[no-any-return]


@strawberry.type(description="The login session ended.")
class LoggedOut:
    at: datetime = strawberry.field(description="When.")


@strawberry.input(description="What one may change of oneself. What is left out stays.")
class ProfileInput:
    first_name: str | None = strawberry.field(default=strawberry.UNSET, description="Given name.")
    last_name: str | None = strawberry.field(default=strawberry.UNSET, description="Family name.")
    affiliation: str | None = strawberry.field(default=strawberry.UNSET, description="Institution.")


LogInResult = Annotated[Tokens | Problem, strawberry.union("LogInResult", description="Tokens, or why not.")]
RefreshResult = Annotated[Tokens | Problem, strawberry.union("RefreshResult", description="Tokens, or why not.")]
LogOutResult = Annotated[LoggedOut | Problem, strawberry.union("LogOutResult", description="When, or why not.")]
UserResult = Annotated[User | Problem, strawberry.union("UserResult", description="The user, or why not.")]

ExpectedVersion = Annotated[
    int, strawberry.argument(description="The `version` you read; a newer one is a CONFLICT and changes nothing.")
]


def _viewer() -> Where:
    return Where("viewer", lambda entity, _: [entity.id == sa.bindparam("me", type_=entity.id.type)])


@strawberry.type
class AccountsQuery:
    viewer: User | None = found(models.User, "Who you are; null when you are not signed in.", _viewer)
    users: Connection[User] = connection(models.User, "All users.", orders=USER_ORDERS)
    audit_events: Connection[AuditEvent] = connection(
        models.AuditEvent, "What you did that was recorded.", orders=AUDIT_ORDERS
    )


def _tokens(issued: accounts.Tokens) -> Tokens:
    return Tokens(access_token=issued.access_token, refresh_token=issued.refresh_token, expires_in=issued.expires_in)


@strawberry.type
class AccountsMutation:
    @mutation(needs=ANYONE)
    async def log_in(
        self,
        info: Info,
        username: Annotated[str, strawberry.argument(description="The username or e-mail address, in any case.")],
        password: Annotated[str, strawberry.argument(description="The password.")],
    ) -> LogInResult:
        """Sign in. An unknown name and a wrong password are not told apart; too many attempts are RATE_LIMITED."""
        return _tokens(await accounts.log_in(info.context, username, password))

    @mutation(needs=ANYONE)
    async def refresh(
        self,
        info: Info,
        refresh_token: Annotated[str, strawberry.argument(description="The one given last.")],
    ) -> RefreshResult:
        """Spend a refresh token for a new pair of tokens."""
        return _tokens(await accounts.refresh(info.context, refresh_token))

    @mutation(needs=SIGNED_IN)
    async def log_out(self, info: Info) -> LogOutResult:
        """End the login session whose access token is in use: no token of it works from now on."""
        return LoggedOut(at=await accounts.log_out(info.context))

    @mutation(needs=SIGNED_IN)
    async def change_password(
        self,
        info: Info,
        old_password: Annotated[str, strawberry.argument(description="The present password.")],
        new_password: Annotated[str, strawberry.argument(description="12 to 1024 characters.")],
    ) -> UserResult:
        """Change one's own password; all other login sessions end."""
        key = await accounts.change_password(info.context, old_password, new_password)
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def update_profile(
        self,
        info: Info,
        expected_version: ExpectedVersion,
        input: Annotated[ProfileInput, strawberry.argument(description="What changes.")],
    ) -> UserResult:
        """Change one's own names or affiliation."""
        changes = {k: v for k, v in vars(input).items() if v is not strawberry.UNSET}
        key = await accounts.update_profile(info.context, expected_version, changes)
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]
