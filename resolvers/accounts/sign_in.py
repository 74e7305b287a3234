"""Signing in with a password, and the second factor that follows it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside
from db.models import (
    Attempts,
    AuthProvider,
    Credential,
    CredentialKind,
    Participant,
    Project,
    TwoFactor,
    User,
)
from db.types import now
from db.written import because
from resolvers.accounts import one_time_codes, sessions
from resolvers.accounts.addresses import canonical, spellings
from resolvers.accounts.link_mails import throttle
from resolvers.accounts.sessions import Tokens
from resolvers.context import Context
from resolvers.failures import Unauthenticated
from resolvers.identity.principal import Kind
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.rate_limits import Tries

WRONG = "wrong username or password"


@dataclass(frozen=True, slots=True)
class TwoFactorNeeded:
    """The password was right, and a second factor is needed. `ticket` goes with it, for `expires_in` seconds."""

    method: TwoFactor
    ticket: str
    expires_in: int


# Users --------------------------------------------------------------------------------------------------------------


async def log_in(ctx: Context, username: str, password: str, code: str | None = None) -> Tokens | TwoFactorNeeded:
    """Sign in by username or e-mail. An unknown name and a wrong password get the same answer, after the same work."""
    sessions.check_browser(ctx)
    name, typed = spellings(username)
    await throttle(ctx, _tries(name))
    known = (
        sa.select(
            User.id,
            User.two_factor,
            Credential.id.label("credential_id"),
            Credential.secret_hash,
            Credential.version,
        )
        .join(Credential, sa.and_(Credential.user_id == User.id, Credential.kind == CredentialKind.PASSWORD))
        .where(
            sa.or_(User.username == typed, User.email.in_((name, typed))),
            User.auth_provider == AuthProvider.LOCAL,
            User.active,
            User.deleted_at.is_(None),
        )
        .order_by(User.username == typed, User.email == typed)
    )
    # A username that is another user's e-mail address names the former.
    stored = await _verified(ctx, "User", known, name, password)
    if code is not None and stored.two_factor is not TwoFactor.NONE:
        await one_time_codes.count(ctx, stored.id)
    renewed = await _renewed(ctx, stored.secret_hash, password)
    tokens: Tokens | None = None
    async with ctx.database.write() as session:
        user = await sessions.held(session, stored.id)
        if user is None or not await _unchanged(session, stored, renewed):
            raise Unauthenticated(WRONG)  # it was changed while we looked
        if user.two_factor is not TwoFactor.NONE and code is None:
            if user.two_factor is TwoFactor.EMAIL:
                await one_time_codes.send(session, ctx, user, one_time_codes.Use.SIGN_IN)
            lifetime = ctx.services.limits.ticket_lifetime
            ticket = ctx.services.identity.keys.ticket(user.id, stored.credential_id, stored.version, lifetime)
            return TwoFactorNeeded(user.two_factor, ticket, int(lifetime.total_seconds()))
        if user.two_factor is TwoFactor.NONE or code is None:
            tokens = await _enter(session, ctx, user)
        else:
            tokens = await _second(session, ctx, user, code)
    return _entered(ctx, tokens)


async def complete(ctx: Context, ticket: str, code: str) -> Tokens:
    """Sign in with the second factor that a ticket waits for. The ticket works once, and for the password it was
    given for."""
    sessions.check_browser(ctx)
    said = ctx.services.identity.keys.read_ticket(ticket)
    await throttle(ctx)
    await one_time_codes.count(ctx, said.owner)
    async with ctx.database.write() as session:
        user = await sessions.held(session, said.owner)
        password = sa.select(Credential.id).where(
            Credential.id == said.password,
            Credential.user_id == said.owner,
            Credential.kind == CredentialKind.PASSWORD,
            Credential.version == said.version,
        )
        if user is None or user.two_factor is TwoFactor.NONE or await session.scalar(password) is None:
            raise Unauthenticated("the ticket is not valid, or no longer; sign in again")
        tokens = await _second(session, ctx, user, code)
        if tokens is not None:
            await _spend(session, said.number)
    return _entered(ctx, tokens)


async def _second(session: AsyncSession, ctx: Context, user: User, code: str) -> Tokens | None:
    """The tokens for a right code; None for a wrong one, which is recorded."""
    by = await one_time_codes.accept(session, ctx, user, code)
    if by is None:
        record(session, ctx, "TWO_FACTOR_FAILED", "User", user.id)
        return None
    return await _enter(session, ctx, user, second=by)


async def _enter(session: AsyncSession, ctx: Context, user: User, **detail: Any) -> Tokens:
    """Begin a login session, and clear the attempts from this address before it."""
    names = [_tries(spellings(name)[0]) for name in (user.username, user.email) if name]
    await rate_limits.entered(session, ctx, *names, one_time_codes.tries(user.id))
    return await sessions.begin(session, ctx, Kind.USER, user.id, **detail)


def _tries(name: str) -> Tries:
    """Attempts are counted by the typed name: counts by account would tell which names belong to one account."""
    return Tries("account", name)


def _entered(ctx: Context, tokens: Tokens | None) -> Tokens:
    if tokens is None:
        raise Unauthenticated("wrong code")
    return sessions.settle(ctx, tokens)


async def _spend(session: AsyncSession, number: UUID) -> None:
    """Use up a ticket, while its user is locked."""
    because(session, "a ticket is used once", Attempts)
    attempt = f"ticket:{number}"
    if await session.get(Attempts, attempt) is not None:
        raise Unauthenticated("the ticket was used; sign in again")
    session.add(Attempts(key=attempt, count=1, since=now()))


# Participants -------------------------------------------------------------------------------------------------------


async def log_in_participant(ctx: Context, username: str, password: str) -> Tokens:
    """As `log_in`, for a participant who may sign in."""
    sessions.check_browser(ctx)
    name = username.strip().lower()
    tries = Tries("participant", f"participant {name}")
    await throttle(ctx, tries)
    known = (
        sa.select(Participant.id, Credential.id.label("credential_id"), Credential.secret_hash)
        .join(Project, Project.id == Participant.project_id)
        .join(
            Credential,
            sa.and_(Credential.participant_id == Participant.id, Credential.kind == CredentialKind.PASSWORD),
        )
        .where(
            Participant.username == name,
            Participant.enabled,
            Participant.login_enabled,
            Participant.deleted_at.is_(None),
            Project.enabled,
            Project.deleted_at.is_(None),
        )
    )
    stored = await _verified(ctx, "Participant", known, name, password)
    renewed = await _renewed(ctx, stored.secret_hash, password)
    async with ctx.database.write() as session:
        if not await sessions.hold(session, Kind.PARTICIPANT, stored.id) or not await _unchanged(
            session, stored, renewed
        ):
            raise Unauthenticated(WRONG)
        await rate_limits.entered(session, ctx, tries)
        tokens = await sessions.begin(session, ctx, Kind.PARTICIPANT, stored.id)
    return sessions.settle(ctx, tokens)


# Both ---------------------------------------------------------------------------------------------------------------


async def _verified(ctx: Context, what: str, known: Any, name: str, password: str) -> Any:
    """The row whose password this is. A wrong password and a missing row get the same answer, after the same work."""
    found = (await ctx.database.rows(known))[-1:]
    stored = found[0] if found else None
    right = await ctx.services.identity.passwords.verify(stored.secret_hash if stored else None, password)
    if right and stored is not None:
        return stored
    async with ctx.database.write() as session:
        aside(session)
        record(session, ctx, "LOG_IN_FAILED", what, None if stored is None else stored.id, name=name[:150])
    raise Unauthenticated(WRONG)


async def _renewed(ctx: Context, stored: str, password: str) -> str:
    """The hash to store: made again when today's parameters differ."""
    return (
        await ctx.services.identity.passwords.hash(password)
        if ctx.services.identity.passwords.outdated(stored)
        else stored
    )


async def _unchanged(session: AsyncSession, stored: Any, renewed: str) -> bool:
    """Whether the password is still the one that was checked; its use is stored."""
    because(session, "who proves a password has its hash renewed", Credential)
    same = sa.update(Credential).where(
        Credential.id == stored.credential_id, Credential.secret_hash == stored.secret_hash
    )
    noted = same.values(secret_hash=renewed, last_used_at=now()).returning(Credential.id)
    return (await session.execute(noted)).first() is not None


async def create_user(
    session: AsyncSession, username: str, password_hash: str, *, email: str | None = None, **columns: Any
) -> User:
    """Create a local user with a password, in the transaction of `session`. The name is stored in lower case."""
    because(session, "an operator makes users", User, Credential)
    user = User(username=username.lower(), email=canonical(email) if email else None, **columns)
    session.add(user)
    await session.flush()
    session.add(
        Credential(user_id=user.id, kind=CredentialKind.PASSWORD, secret_hash=password_hash, algorithm="argon2id")
    )
    return user
