"""Signing in and out: passwords, second factors, tokens, and one's login sessions."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from db import models
from resolvers.accounts import api_keys, sessions, sign_in, two_factor
from resolvers.identity.principal import Duty as Must
from resolvers.identity.principal import Kind
from schema.fields.fields import Info
from schema.fields.mutations import ANYONE, IN_PERSON, mutation, written
from schema.fields.problems import Problem
from schema.fields.scalars import enum
from schema.types.accounts.client_versions import GivenClient, expect
from schema.types.accounts.users import TwoFactor, User
from schema.types.organisation import Participant

Duty = enum(
    Must,
    "What a user must do first.",
    name="Duty",
    VERIFY_EMAIL="Confirm the e-mail address, by the link that was mailed.",
    CHANGE_PASSWORD="Change the password.",  # noqa: S106
    SET_UP_TWO_FACTOR="Set up a second factor. A site of the user requires it.",
)
PrincipalKind = enum(
    Kind,
    "A kind of client.",
    name="PrincipalKind",
    ANONYMOUS="A client that is not signed in.",
    USER="A user.",
    PARTICIPANT="A participant.",
    DEVICE="A device.",
    SERVICE="A service.",
    WORKER="A worker, with the token of its task.",
    LINK="A client with a link to a simulation.",
    CHALLENGE_WORKER="An external worker of a challenge.",
    SPEC_TOKEN="A client with a token of specs.",  # noqa: S106
)


class _Scope(Enum):
    READ = api_keys.READ
    WRITE = api_keys.WRITE


KeyScope = enum(
    _Scope,
    "What a key may do.",
    name="KeyScope",
    READ="Queries and subscriptions; every key may.",
    WRITE="Mutations.",
)


def _duties(info: Info) -> list[Must]:
    return sorted(info.context.principal.duties, key=lambda duty: duty.name)


@strawberry.type(description="A new pair of tokens.")
class Tokens:
    access_token: str = strawberry.field(description="Goes into the header `Authorization: Bearer ...`.")
    refresh_token: str | None = strawberry.field(
        description="Gives the next pair through `refresh`, once. Using it twice ends the login session. Null where "
        "the client asked, by the header `X-Torana-Session: cookie`, to have it kept in a cookie."
    )
    expires_in: int = strawberry.field(description="For how many seconds the access token is valid.")

    @strawberry.field(description="What the user must do first. Before that, little else is allowed.")
    def duties(self, info: Info) -> list[Duty]:  # type: ignore[valid-type]
        return _duties(info)

    @strawberry.field(description="The user who signed in; null for a participant.")
    async def viewer(self, info: Info) -> User | None:
        principal = info.context.principal
        if principal.kind is not Kind.USER:
            return None
        return await written(info, "User", models.User, principal.id)  # type: ignore[no-any-return]

    @strawberry.field(description="The participant who signed in; null for a user.")
    async def participant(self, info: Info) -> Participant | None:
        principal = info.context.principal
        if principal.kind is not Kind.PARTICIPANT:
            return None
        return await written(info, "Participant", models.Participant, principal.id)  # type: ignore[no-any-return]


@strawberry.type(description="The password was right; a second factor is needed to sign in.")
class TwoFactorNeeded:
    method: TwoFactor = strawberry.field(  # type: ignore[valid-type]
        description="Where the code comes from. A recovery code does as well."
    )
    ticket: str = strawberry.field(description="Goes with the code to `completeTwoFactor`; works once.")
    expires_in: int = strawberry.field(description="For how many seconds the ticket is valid.")


@strawberry.type(description="The login session is ended.")
class LoggedOut:
    at: datetime = strawberry.field(description="When it was done.")


@strawberry.type(description="It is done.")
class Done:
    at: datetime = strawberry.field(description="When, by the clock of the gateway.")


@strawberry.type(description="A second factor that waits for its first code.")
class TwoFactorSetup:
    method: TwoFactor = strawberry.field(description="Where the codes come from.")  # type: ignore[valid-type]
    uri: str | None = strawberry.field(
        description="For an authenticator, to be shown as a QR code: `otpauth://totp/...`. Null for codes by e-mail."
    )
    key: str | None = strawberry.field(
        description="The secret in `uri`, to be typed into an authenticator. Null for codes by e-mail."
    )


@strawberry.type(description="Codes to use in place of the second factor, each once. They are shown only now.")
class RecoveryCodes:
    codes: list[str] = strawberry.field(description="Ten, to be kept in a safe place.")


@strawberry.type(description="The client that is signed in.")
class SignedIn:
    kind: PrincipalKind = strawberry.field(description="The kind of client.")  # type: ignore[valid-type]
    duties: list[Duty] = strawberry.field(  # type: ignore[valid-type]
        description="What the user must do first. Before that, little else is allowed."
    )
    scopes: list[KeyScope] | None = strawberry.field(  # type: ignore[valid-type]
        description="What the key in use may be used for; null for everything."
    )
    expires_at: datetime | None = strawberry.field(description="When the token or key in use expires; null for never.")


LogInResult = Annotated[
    Tokens | TwoFactorNeeded | Problem,
    strawberry.union("LogInResult", description="Tokens, or the second factor that is needed, or why not."),
]
TokensResult = Annotated[Tokens | Problem, strawberry.union("TokensResult", description="Tokens, or why not.")]
LogOutResult = Annotated[LoggedOut | Problem, strawberry.union("LogOutResult", description="When, or why not.")]
DoneResult = Annotated[Done | Problem, strawberry.union("DoneResult", description="That it is done, or why not.")]
SetupResult = Annotated[
    TwoFactorSetup | Problem, strawberry.union("TwoFactorSetupResult", description="What to set up, or why not.")
]
CodesResult = Annotated[
    RecoveryCodes | Problem, strawberry.union("RecoveryCodesResult", description="The codes, or why not.")
]
Password = Annotated[str, strawberry.argument(description="The password.")]
OwnPassword = Annotated[str, strawberry.argument(description="Your password, asked once more.")]


def _tokens(issued: sessions.Tokens) -> Tokens:
    return Tokens(access_token=issued.access_token, refresh_token=issued.refresh_token, expires_in=issued.expires_in)


@strawberry.type
class SigningQuery:
    @strawberry.field(description="The client that is signed in; null for others. It also answers users with duties.")
    async def signed_in(self, info: Info) -> SignedIn | None:
        principal = info.context.principal
        if principal.kind is Kind.ANONYMOUS:
            return None
        return SignedIn(
            kind=principal.kind,
            duties=_duties(info),
            scopes=None if principal.scopes is None else [_Scope(scope) for scope in sorted(principal.scopes)],
            expires_at=principal.expires_at,
        )


@strawberry.type
class SigningMutation:
    @mutation(needs=ANYONE, always=True)
    async def log_in(
        self,
        info: Info,
        username: Annotated[str, strawberry.argument(description="The username or e-mail address, in any case.")],
        password: Password,
        code: Annotated[
            str | None, strawberry.argument(description="A code of the second factor, if you have it at hand.")
        ] = None,
        client: GivenClient = None,
    ) -> LogInResult:
        """Sign in. The answer does not tell an unknown name from a wrong password. Too many attempts are
        RATE_LIMITED."""
        await expect(info, client)
        found = await sign_in.log_in(info.context, username, password, code)
        if isinstance(found, sessions.Tokens):
            return _tokens(found)
        return TwoFactorNeeded(method=found.method, ticket=found.ticket, expires_in=found.expires_in)

    @mutation(needs=ANYONE, always=True)
    async def complete_two_factor(
        self,
        info: Info,
        ticket: Annotated[str, strawberry.argument(description="The one that `logIn` gave.")],
        code: Annotated[str, strawberry.argument(description="A code of the second factor, or a recovery code.")],
    ) -> TokensResult:
        """Sign in with the second factor. Each code works once; five wrong ones within an hour are RATE_LIMITED."""
        return _tokens(await sign_in.complete(info.context, ticket, code))

    @mutation(needs=ANYONE, always=True)
    async def log_in_participant(
        self,
        info: Info,
        username: Annotated[str, strawberry.argument(description="The participant's username, in any case.")],
        password: Password,
        client: GivenClient = None,
    ) -> TokensResult:
        """Sign in as a participant, as far as a project lets them."""
        await expect(info, client)
        return _tokens(await sign_in.log_in_participant(info.context, username, password))

    @mutation(needs=ANYONE, always=True)
    async def refresh(
        self,
        info: Info,
        refresh_token: Annotated[
            str | None,
            strawberry.argument(
                description="The one given last. Left out by a browser that keeps it in a cookie and sends the header "
                "`X-Torana-Session: cookie`."
            ),
        ] = None,
    ) -> TokensResult:
        """Exchange a refresh token for a new pair of tokens. Each refresh token works once."""
        return _tokens(await sessions.refresh(info.context, refresh_token))

    @mutation(needs=IN_PERSON, always=True)
    async def log_out(self, info: Info) -> LogOutResult:
        """End the login session in use. Its tokens stop working at once."""
        return LoggedOut(at=await sessions.log_out(info.context))

    @mutation(needs=IN_PERSON)
    async def set_up_two_factor(
        self,
        info: Info,
        method: Annotated[TwoFactor, strawberry.argument(description="TOTP or EMAIL.")],  # type: ignore[valid-type]
        password: Annotated[
            str | None, strawberry.argument(description="Your password, to replace a second factor that is in use.")
        ] = None,
    ) -> SetupResult:
        """Set up a second factor. It is in use once `confirmTwoFactor` was given its first code."""
        begun = await two_factor.set_up(info.context, method, password)
        return TwoFactorSetup(method=begun.method, uri=begun.address, key=begun.seed)

    @mutation(needs=IN_PERSON)
    async def confirm_two_factor(
        self, info: Info, code: Annotated[str, strawberry.argument(description="The first code.")]
    ) -> CodesResult:
        """Put the second factor to use that was set up. The answer has new recovery codes."""
        return RecoveryCodes(codes=list(await two_factor.confirm(info.context, code)))

    @mutation(needs=IN_PERSON)
    async def disable_two_factor(self, info: Info, password: OwnPassword) -> DoneResult:
        """Remove your second factor. STATE when a site that you have a part in requires one."""
        return Done(at=await two_factor.disable(info.context, password))

    @mutation(needs=IN_PERSON)
    async def new_recovery_codes(self, info: Info, password: OwnPassword) -> CodesResult:
        """Create ten new recovery codes. The former ones end."""
        return RecoveryCodes(codes=list(await two_factor.renew_codes(info.context, password)))
