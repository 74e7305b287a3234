"""New passwords: changed by the owner, reset by a link, or set by an administrator."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.locks import in_order
from db.models import Attempts, AuthProvider, Credential, CredentialKind, User
from db.types import now
from db.written import because
from resolvers.access.policies.accounts import ACCOUNT
from resolvers.accounts import email_links, participant_passwords, reauthentication, sessions
from resolvers.accounts.link_mails import mail, throttle
from resolvers.accounts.participant_passwords import put
from resolvers.accounts.reauthentication import prove
from resolvers.context import Context
from resolvers.failures import Conflict, Forbidden, Invalid, WrongState
from resolvers.feed import principal_topic
from resolvers.identity import session_store
from resolvers.identity.principal import Kind
from resolvers.mail.outbox import post
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require

_ENDED = (CredentialKind.PASSWORD_RESET, CredentialKind.EMAIL_CODE)
"""The kinds of credentials that end with a new password."""


async def change(ctx: Context, old: str, new: str) -> UUID:
    """Change one's own password, by the old one. All other login sessions of the user end."""
    user, principal = sessions.person(ctx), ctx.principal
    names = sa.select(User.username, User.email, User.first_name, User.last_name).where(User.id == user)
    stored = await prove(ctx, user, old, "oldPassword")
    await ctx.services.identity.passwords.check(new, "newPassword", *(await ctx.database.rows(names))[0])
    if await ctx.services.identity.passwords.verify(stored.secret_hash, new):
        raise Invalid("the new password is the old one", field="newPassword")
    hashed = await ctx.services.identity.passwords.hash(new)
    async with ctx.database.write() as session:
        row = await _held(session, user)
        replaced: Any = await session.execute(
            sa.update(Credential)
            .where(Credential.id == stored.id, Credential.secret_hash == stored.secret_hash)
            .values(secret_hash=hashed, version=Credential.version + 1)
        )
        if replaced.rowcount != 1:
            raise Conflict("the password was changed meanwhile", field="oldPassword")
        row.force_password_change = False
        await _follow(session, row, Credential.family != principal.session)
        record(session, ctx, "CHANGE_PASSWORD", "User", user)
        if principal.session is not None:
            principal = await sessions.renewed(session, ctx)
    ctx.become(principal)
    return user


async def request_reset(ctx: Context, email: str) -> str:
    """Mail a link that sets a new password; returns the address. The answer is the same when nobody has an account
    there."""
    kind, lifetime = CredentialKind.PASSWORD_RESET, ctx.services.limits.reset_lifetime
    return await mail(ctx, email, "REQUEST_PASSWORD_RESET", "password_reset", kind, lifetime)


async def invite(ctx: Context, email: str) -> str:
    """Mail a link by which a newly created user chooses the first password; returns the address."""
    kind, lifetime = CredentialKind.PASSWORD_RESET, ctx.services.limits.invitation_lifetime
    return await mail(ctx, email, "INVITE", "invitation", kind, lifetime)


async def reset(ctx: Context, token: str, new: str) -> datetime:
    """Set the password by a link, which also confirms the address. All login sessions end. Returns when."""
    await throttle(ctx)
    participant = await participant_passwords.owner(ctx, token)
    if participant is not None:
        return await participant_passwords.reset(ctx, participant, token, new)
    user = await email_links.owner(ctx, CredentialKind.PASSWORD_RESET, token)
    names = sa.select(User.username, User.email, User.first_name, User.last_name).where(User.id == user)
    await ctx.services.identity.passwords.check(new, "newPassword", *(await ctx.database.rows(names))[0])
    hashed = await ctx.services.identity.passwords.hash(new)
    async with ctx.database.write() as session:
        row = await _held(session, user)
        row.email_verified |= await email_links.spend(session, CredentialKind.PASSWORD_RESET, token, row)
        await put(session, hashed, user_id=user)
        row.force_password_change = False
        await _follow(session, row)
        await _end_keys(session, user)
        record(session, ctx, "RESET_PASSWORD", "User", user, actor_id=user)
        return await moment_of(session)


async def set_for_user(ctx: Context, user: UUID, new: str) -> UUID:
    """Set the password of a user whom the principal administers. The user must change it at the next sign-in."""
    if user == ctx.principal.id:
        raise Forbidden("your own password is changed by changePassword")
    async with writing(ctx, "SET_PASSWORD", User, user) as session:
        row = await _administered(session, ctx, user)
    await ctx.services.identity.passwords.check(
        new, "newPassword", row.username, row.email, row.first_name, row.last_name
    )
    hashed = await ctx.services.identity.passwords.hash(new)
    async with writing(ctx, "SET_PASSWORD", User, user) as session:
        row = await _administered(session, ctx, user)
        await put(session, hashed, user_id=user)
        row.force_password_change = True
        await _follow(session, row)
        await _end_keys(session, user)
        record(session, ctx, "SET_PASSWORD", "User", user)
    return user


async def _administered(session: AsyncSession, ctx: Context, user: UUID) -> User:
    """The user, locked, if the principal may set the password. This is checked before the new password is compared with
    the user's names and hashed, and again when it is stored."""
    row = await locked(session, ctx, User, user, field="id")
    await require(session, ctx, row, ACCOUNT, "set the password of")
    if row.auth_provider is not AuthProvider.LOCAL:
        raise WrongState("this user's identity comes from elsewhere", field="id")
    return row


async def _held(session: AsyncSession, user: UUID) -> User:
    row = await sessions.held(session, user)
    if row is None or row.auth_provider is not AuthProvider.LOCAL:
        raise WrongState("this account has no password here")
    return row


async def _end_keys(session: AsyncSession, user: UUID) -> None:
    """Revoke all keys of the user: who sets a password without the old one may be recovering a stolen account, and a
    thief may have made keys."""
    keys = (Credential.user_id == user, Credential.kind == CredentialKind.API_KEY, Credential.revoked_at.is_(None))
    ended = sa.update(Credential).where(*keys).values(revoked_at=now())
    await in_order(session, ended)


async def _follow(session: AsyncSession, user: User, *which: Any) -> None:
    """What follows a new password: login sessions (only `which`) and links end, and the owner is told by mail."""
    because(session, "links, keys and counted tries end with the password before", User, Credential, Attempts)
    await session_store.end(session, Kind.USER, user.id, *which)
    gone = sa.delete(Credential).where(Credential.user_id == user.id, Credential.kind.in_(_ENDED))
    await in_order(session, gone)
    await rate_limits.forget(session, reauthentication.tries(user.id))
    changed(session, principal_topic(user.id))
    await post(session, "password_changed", user)
