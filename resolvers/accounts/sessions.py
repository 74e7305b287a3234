"""Login sessions of users and participants: begin, refresh, list, end."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.locks import in_order
from db.models import Credential, CredentialKind, Participant, Project, User
from db.types import later, now, uuid7
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.context import Context
from resolvers.failures import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from resolvers.identity import session_store
from resolvers.identity.credentials import LIVE
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import ANONYMOUS, Kind, Principal
from resolvers.identity.tokens import Session, digest_of
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import place_of
from resolvers.writing.rows import locked, require, signed_in

CROSSED = timedelta(seconds=10)
"""Seconds within which two pages of one browser may send the cookie that they share, without being taken for a
thief."""
MOST = 100
"""The most login sessions in a list."""

_MODELS: dict[Kind, Any] = {Kind.USER: User, Kind.PARTICIPANT: Participant}
_NAMES = {kind: model.__name__ for kind, model in _MODELS.items()}


@dataclass(frozen=True, slots=True)
class Tokens:
    """A new access token, valid for `expires_in` seconds, and the refresh token, shown once; None where a cookie holds
    it."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    principal: Principal


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login session: from which address and with which program it began, as far as known."""

    family: UUID
    address: str | None
    agent: str | None
    created_at: datetime
    used_at: datetime
    current: bool


# Beginning ----------------------------------------------------------------------------------------------------------


async def begin(session: AsyncSession, ctx: Context, kind: Kind, owner: UUID, **detail: Any) -> Tokens:
    """Begin a login session of someone whose row is locked, in the transaction of `session`; then call `settle`."""
    await _seen(session, kind, owner)
    place = await place_of(session, await session.get_one(_MODELS[kind], owner))
    record(session, ctx, "LOG_IN", _NAMES[kind], owner, actor_id=owner, **detail, **place)
    return await _issue(session, ctx, kind, owner, uuid7())


def settle(ctx: Context, tokens: Tokens) -> Tokens:
    """Call this after the commit: the operation goes on as the user who signed in, and a browser gets its token in a
    cookie."""
    ctx.become(tokens.principal)
    if ctx.browser is None:
        return tokens
    ctx.browser.kept = tokens.refresh_token
    return replace(tokens, refresh_token=None)


def check_browser(ctx: Context) -> None:
    """Refuse a sign-in with a cookie where the answer can't set one."""
    if ctx.browser is not None and ctx.browser.unable:
        raise Invalid("a cookie is set by a plain answer over HTTP only, not by a stream or a socket")


async def refresh(ctx: Context, token: str | None) -> Tokens:
    """Use up a refresh token, or a browser's cookie, for a new pair. A token that was used before ends its login
    session."""
    check_browser(ctx)
    own = token is None and ctx.browser is not None
    if own and ctx.browser is not None:
        token = ctx.browser.sent
    limits = ctx.services.limits
    source = f"refresh:{rate_limits.address_of(ctx)}"
    await rate_limits.count(ctx, {source: limits.sign_ins_per_address}, limits.sign_in_window)
    tokens, crossed = None, False
    wanted = sa.select(Credential).where(
        Credential.kind == CredentialKind.LOGIN_SESSION, Credential.secret_hash == digest_of(token or "")
    )
    owners = wanted.with_only_columns(Credential.user_id, Credential.participant_id)
    for user, participant in await ctx.database.rows(owners):
        kind, owner = (Kind.USER, user) if user is not None else (Kind.PARTICIPANT, participant)
        async with ctx.database.write() as session:
            active = await hold(session, kind, owner)
            spent = (await session.scalars(wanted)).one_or_none()
            moment = await moment_of(session)
            if spent is None or spent.family is None or spent.expires_at is None:
                pass
            elif spent.last_used_at is not None:
                crossed = own and moment - spent.last_used_at < CROSSED
                if not crossed:
                    await session_store.end(session, kind, owner, Credential.family == spent.family)
                    record(session, ctx, "REFRESH_TOKEN_REUSED", _NAMES[kind], owner, actor_id=owner)
            elif active and spent.revoked_at is None and spent.expires_at > moment:
                spent.last_used_at = spent.revoked_at = moment
                old = sa.delete(Credential).where(*session_store.of(kind, owner), Credential.expires_at < moment)
                await in_order(session, old)
                await _seen(session, kind, owner)
                tokens = await _issue(session, ctx, kind, owner, spent.family)
                # Who has a right token guesses nothing, however many sit behind one address.
                await rate_limits.forgive(session, source)
    if tokens is not None:
        return settle(ctx, tokens)
    if crossed:
        raise Conflict("another page of this browser has refreshed the session just now; try again")
    raise Unauthenticated("the refresh token is unknown, spent or expired; sign in again")


async def _issue(session: AsyncSession, ctx: Context, kind: Kind, owner: UUID, family: UUID) -> Tokens:
    because(session, "who proves an identity is signed in", Credential)
    limits = ctx.services.limits
    token = secrets.token_urlsafe(32)
    session.add(
        Credential(
            kind=CredentialKind.LOGIN_SESSION,
            label="refresh",
            secret_hash=digest_of(token),
            algorithm="sha256",
            family=family,
            expires_at=later(limits.refresh_lifetime.total_seconds()),
            client=ctx.client or None,
            **{f"{kind.value}_id": owner},
        )
    )
    lifetime = limits.access_lifetime
    signed = ctx.services.identity.keys.access_token(kind, owner, family, lifetime)
    said = Session(kind, owner, family, datetime.now(UTC) + lifetime)
    # Here, not after the commit: someone may end the session right after it.
    return Tokens(signed, token, int(lifetime.total_seconds()), await principal_of(session, said))


# Listing and ending -------------------------------------------------------------------------------------------------


async def mine(ctx: Context) -> Sequence[LoginSession]:
    """One's own live login sessions, the latest first; none for a key."""
    if ctx.principal.session is None or ctx.principal.id is None:
        return []
    return await _held(ctx, ctx.principal.kind, ctx.principal.id)


async def of_user(ctx: Context, user: UUID) -> Sequence[LoginSession]:
    """The login sessions of a user whom the principal administers."""
    async with writing(ctx, "READ_SESSIONS", User, user) as session:
        row = await locked(session, ctx, User, user, field="user")
        await require(session, ctx, row, policy_of(User).update, "see the login sessions of")
    return await _held(ctx, Kind.USER, user)


async def _held(ctx: Context, kind: Kind, owner: UUID) -> Sequence[LoginSession]:
    live = (
        sa.select(Credential.family, Credential.client, Credential.created_at)
        .where(*session_store.of(kind, owner), LIVE)
        .order_by(Credential.created_at.desc(), Credential.id.desc())
        .limit(MOST)
    )
    return [_login(row, ctx.principal.session) for row in await ctx.database.rows(live)]


def _login(row: Any, current: UUID | None) -> LoginSession:
    client = row.client or {}
    # The key of a family holds the millisecond at which it was made (RFC 9562, 5.7).
    began = datetime.fromtimestamp((row.family.int >> 80) / 1000, UTC)
    return LoginSession(row.family, client.get("ip"), client.get("agent"), began, row.created_at, row.family == current)


async def log_out(ctx: Context) -> datetime:
    """End the login session of the access token in use; returns when."""
    owner = signed_in(ctx)
    async with ctx.database.write() as session:
        await hold(session, ctx.principal.kind, owner)
        await session_store.end(session, ctx.principal.kind, owner, Credential.family == ctx.principal.session)
        record(session, ctx, "LOG_OUT", _NAMES[ctx.principal.kind], owner)
        moment = await moment_of(session)
    _clear(ctx)
    return moment


async def close(ctx: Context, family: UUID) -> None:
    """End one of one's own login sessions."""
    if not await _close(ctx, Credential.family == family):
        raise NotFound("no login session of yours has this id", field="id")
    if family == ctx.principal.session:
        _clear(ctx)


async def close_others(ctx: Context) -> int:
    """End all of one's login sessions but this one; returns how many."""
    return await _close(ctx, Credential.family != ctx.principal.session)


async def _close(ctx: Context, which: Any) -> int:
    owner = signed_in(ctx)
    kind = ctx.principal.kind
    async with ctx.database.write() as session:
        await hold(session, kind, owner)
        count = await session_store.end(session, kind, owner, which)
        if count:
            record(session, ctx, "CLOSE_SESSION", _NAMES[kind], owner, count=count)
        return count


async def close_all(ctx: Context, user: UUID) -> int:
    """End all login sessions of a user whom the principal administers; returns how many."""
    async with writing(ctx, "CLOSE_SESSION", User, user) as session:
        row = await locked(session, ctx, User, user, field="user")
        await require(session, ctx, row, policy_of(User).update, "close sessions of")
        count = await session_store.end(session, Kind.USER, user)
        record(session, ctx, "CLOSE_SESSION", "User", user, count=count)
        return count


def _clear(ctx: Context) -> None:
    """The session of this request has ended: what follows in it has no principal, and the browser drops its cookie."""
    ctx.become(ANONYMOUS)
    if ctx.browser is not None and not ctx.browser.unable:
        ctx.browser.kept = ""


# For whatever changes sign-ins --------------------------------------------------------------------------------------


def person(ctx: Context) -> UUID:
    """The key of the user who signed in."""
    if ctx.principal.kind is not Kind.USER:
        raise Forbidden("this is for users")
    return signed_in(ctx)


async def hold(session: AsyncSession, kind: Kind, owner: UUID) -> bool:
    """Lock the owner, so that changes to sign-ins happen one after another; returns whether the owner may sign in."""
    if kind is Kind.USER:
        return await held(session, owner) is not None
    wanted = (
        sa.select(
            Participant.enabled, Participant.login_enabled, Participant.deleted_at, Project.enabled, Project.deleted_at
        )
        .join(Project, Project.id == Participant.project_id)
        .where(Participant.id == owner)
        .with_for_update(of=Participant, key_share=True)
    )
    row = (await session.execute(wanted)).one_or_none()
    return row is not None and tuple(row) == (True, True, None, True, None)


async def held(session: AsyncSession, user: UUID) -> User | None:
    """A user who may sign in, locked."""
    row = await session.scalar(sa.select(User).where(User.id == user).with_for_update(key_share=True))
    return row if row is not None and row.active and row.deleted_at is None else None


async def renewed(session: AsyncSession, ctx: Context) -> Principal:
    """The principal, looked up anew after what the transaction did. Go on as this one once it is committed."""
    principal = ctx.principal
    assert principal.id is not None
    assert principal.session is not None
    said = Session(principal.kind, principal.id, principal.session, principal.expires_at or datetime.now(UTC))
    return replace(await principal_of(session, said), expires_at=principal.expires_at)


async def _seen(session: AsyncSession, kind: Kind, owner: UUID) -> None:
    """Store the moment of the sign-in. `updated_at` stays as it is: more people may read that."""
    because(session, "the moment of a sign-in is noted", User, Participant)
    model: Any = User if kind is Kind.USER else Participant
    noted = sa.update(model).where(model.id == owner).values(last_online_at=now(), updated_at=model.updated_at)
    await session.execute(noted.execution_options(synchronize_session=False))
