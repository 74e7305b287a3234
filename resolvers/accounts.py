"""Signing in and out, and one's own account."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.engine import changed
from db.models import Attempts, Credential, CredentialKind, User
from db.types import later, now, uuid7
from resolvers.audit import record
from resolvers.context import Context
from resolvers.failures import Conflict, Invalid, RateLimited, Unauthenticated
from resolvers.feed import user_topic
from resolvers.keyring import Session
from resolvers.passwords import check_new
from resolvers.principals import principal_of
from resolvers.writing import expect, locked, moment_of, signed_in


@dataclass(frozen=True, slots=True)
class Tokens:
    """A new access token (`expires_in` seconds) and the refresh token that follows it, shown once."""

    access_token: str
    refresh_token: str
    expires_in: int
    session: Session


async def log_in(ctx: Context, username: str, password: str) -> Tokens:
    """By username or e-mail. An unknown name and a wrong password get the same answer, after the same work."""
    name = username.strip().lower()
    await _count_attempt(ctx, name)
    known = (
        sa.select(User.id, Credential.id.label("credential_id"), Credential.secret_hash)
        .join(Credential, sa.and_(Credential.user_id == User.id, Credential.kind == CredentialKind.PASSWORD))
        .where(
            sa.or_(User.username == name, User.email == name),
            User.auth_provider == models.AuthProvider.LOCAL,
            User.active,
            User.deleted_at.is_(None),
        )
        .order_by(User.username == name)
    )
    # A username that is another user's e-mail address names the former.
    found = (await ctx.database.rows(known))[-1:]
    stored = found[0] if found else None
    passwords = ctx.services.passwords
    right = await passwords.verify(stored.secret_hash if stored else None, password)
    if not right or stored is None:
        async with ctx.database.write() as session:
            record(session, ctx, "LOG_IN_FAILED", "User", name=name[:150])
        raise Unauthenticated("wrong username or password")
    renewed = await passwords.hash(password) if passwords.outdated(stored.secret_hash) else None
    async with ctx.database.write() as session:
        await _hold(session, stored.id)
        unchanged = sa.update(Credential).where(
            Credential.id == stored.credential_id, Credential.secret_hash == stored.secret_hash
        )
        kept = await session.execute(
            unchanged.values(secret_hash=renewed or stored.secret_hash, last_used_at=now()).returning(Credential.id)
        )
        if kept.first() is None:
            raise Unauthenticated("wrong username or password")  # it was changed while we looked
        await session.execute(sa.delete(Attempts).where(Attempts.key == _account_key(name)))
        await _seen(session, stored.id)
        record(session, ctx, "LOG_IN", "User", stored.id, actor_id=stored.id)
        tokens = _issue(session, ctx, stored.id, uuid7())
    return await _become(ctx, tokens)


async def refresh(ctx: Context, token: str) -> Tokens:
    """Spend a refresh token for the next pair. One that was spent before ends its whole session."""
    tokens = None
    wanted = sa.select(Credential).where(
        Credential.kind == CredentialKind.LOGIN_SESSION, Credential.secret_hash == _digest(token)
    )
    for (user,) in await ctx.database.rows(wanted.with_only_columns(Credential.user_id)):
        async with ctx.database.write() as session:
            active = await _hold(session, user)
            spent = (await session.scalars(wanted)).one_or_none()
            moment = await moment_of(session)
            if spent is None or spent.family is None or spent.expires_at is None:
                pass
            elif spent.last_used_at is not None:
                await _end(session, user, Credential.family == spent.family)
                record(session, ctx, "REFRESH_TOKEN_REUSED", "User", user, actor_id=user)
            elif active and spent.revoked_at is None and spent.expires_at > moment:
                spent.last_used_at = spent.revoked_at = moment
                await session.execute(
                    sa.delete(Credential).where(
                        Credential.user_id == user,
                        Credential.kind == CredentialKind.LOGIN_SESSION,
                        Credential.expires_at < moment,
                    )
                )
                await _seen(session, user)
                tokens = _issue(session, ctx, user, spent.family)
    if tokens is not None:
        return await _become(ctx, tokens)
    raise Unauthenticated("the refresh token is unknown, spent or expired; sign in again")


async def log_out(ctx: Context) -> datetime:
    """End the login session of the access token in use; returns when."""
    user = signed_in(ctx)
    async with ctx.database.write() as session:
        await _hold(session, user)
        await _end(session, user, Credential.family == ctx.principal.session)
        record(session, ctx, "LOG_OUT", "User", user)
        return await moment_of(session)


async def change_password(ctx: Context, old: str, new: str) -> UUID:
    """Asks the old one, and ends every other login session of the user."""
    user = signed_in(ctx)
    check_new(new, "newPassword")
    await _count_attempt(ctx, f"change:{user}")
    mine = sa.select(Credential.id, Credential.secret_hash).where(
        Credential.user_id == user, Credential.kind == CredentialKind.PASSWORD
    )
    stored = next(iter(await ctx.database.rows(mine)), None)
    if not await ctx.services.passwords.verify(stored.secret_hash if stored else None, old) or stored is None:
        raise Invalid("the old password is wrong", field="oldPassword")
    hashed = await ctx.services.passwords.hash(new)
    async with ctx.database.write() as session:
        await _hold(session, user)
        replaced = await session.execute(
            sa.update(Credential)
            .where(Credential.id == stored.id, Credential.secret_hash == stored.secret_hash)
            .values(secret_hash=hashed, version=Credential.version + 1)
        )
        if replaced.rowcount != 1:  # type: ignore[attr-defined]
            raise Conflict("the password was changed meanwhile", field="oldPassword")
        await _end(session, user, Credential.family != ctx.principal.session)
        await session.execute(sa.delete(Attempts).where(Attempts.key == _account_key(f"change:{user}")))
        record(session, ctx, "CHANGE_PASSWORD", "User", user)
    return user


async def update_profile(ctx: Context, expected_version: int, changes: Mapping[str, Any]) -> UUID:
    """Change one's own names, affiliation or profile: only the given attributes, nothing else of the row."""
    user = signed_in(ctx)
    async with ctx.database.write() as session:
        row = await locked(session, ctx, User, user)
        expect(row, expected_version)
        for name in ("first_name", "last_name", "affiliation", "profile"):
            if name in changes:
                _check_length(name, changes[name])
                setattr(row, name, changes[name])
    return user


def _check_length(name: str, value: Any) -> None:
    most = getattr(User.__table__.c[name].type, "length", None)
    if most is not None and value is not None and len(value) > most:
        first, *others = name.split("_")
        raise Invalid(f"at most {most} characters are kept", field=f"input.{first}{''.join(map(str.title, others))}")


async def create_user(
    session: AsyncSession, username: str, password_hash: str, *, email: str | None = None, **columns: Any
) -> User:
    """A local user with a password, in the transaction of `session`. Names and addresses are kept in lower case."""
    user = User(username=username.lower(), email=email.lower() if email else None, **columns)
    session.add(user)
    await session.flush()
    session.add(
        Credential(user_id=user.id, kind=CredentialKind.PASSWORD, secret_hash=password_hash, algorithm="argon2id")
    )
    return user


def _issue(session: AsyncSession, ctx: Context, user: UUID, family: UUID) -> Tokens:
    limits = ctx.services.limits
    token = secrets.token_urlsafe(32)
    session.add(
        Credential(
            user_id=user,
            kind=CredentialKind.LOGIN_SESSION,
            label="refresh",
            secret_hash=_digest(token),
            algorithm="sha256",
            family=family,
            expires_at=later(limits.refresh_lifetime.total_seconds()),
            client=ctx.client or None,
        )
    )
    lifetime = limits.access_lifetime
    signed = ctx.services.keys.access_token(user, family, lifetime)
    return Tokens(signed, token, int(lifetime.total_seconds()), Session(user, family, datetime.now(UTC) + lifetime))


async def _become(ctx: Context, tokens: Tokens) -> Tokens:
    """What follows in this operation is done as the user who signed in."""
    ctx.become(await principal_of(ctx.database, tokens.session))
    return tokens


async def _hold(session: AsyncSession, user: UUID) -> bool:
    """Lock the user, so that what changes sign-ins happens one after another; returns whether it may sign in."""
    live = sa.select(User.active, User.deleted_at).where(User.id == user).with_for_update()
    row = (await session.execute(live)).one_or_none()
    return row is not None and row.active and row.deleted_at is None


async def _end(session: AsyncSession, user: UUID, which: Any) -> None:
    """End login sessions of a user; their sockets and streams hear of it."""
    await session.execute(
        sa.update(Credential)
        .where(
            Credential.user_id == user,
            Credential.kind == CredentialKind.LOGIN_SESSION,
            Credential.revoked_at.is_(None),
            which,
        )
        .values(revoked_at=now())
        .execution_options(synchronize_session=False)
    )
    changed(session, user_topic(user))


async def _seen(session: AsyncSession, user: UUID) -> None:
    """Note the sign-in, and leave `updated_at`, which more people may read."""
    noted = sa.update(User).where(User.id == user).values(last_online_at=now(), updated_at=User.updated_at)
    await session.execute(noted.execution_options(synchronize_session=False))


def _digest(token: str) -> str:
    """A refresh token has 256 random bits: one round of a hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def _account_key(name: str) -> str:
    return f"account:{hashlib.sha256(name.encode()).hexdigest()}"


async def _count_attempt(ctx: Context, name: str) -> None:
    """Count before the password is looked at, so that attempts side by side all count."""
    limits = ctx.services.limits
    bounds = {_account_key(name): limits.sign_ins_per_account}
    if address := ctx.client.get("ip"):
        bounds[f"address:{address}"] = limits.sign_ins_per_address
    insert = postgresql.insert if ctx.database.dialect == "postgresql" else sqlite.insert
    over = Attempts.since < later(-limits.sign_in_window)
    tried: dict[str, int] = {}
    async with ctx.database.write() as session:
        for key in sorted(bounds):
            statement = insert(Attempts).values(key=key, count=1, since=now())
            counted = statement.on_conflict_do_update(
                index_elements=[Attempts.key],
                set_={
                    "count": sa.case((over, 1), else_=Attempts.count + 1),
                    "since": sa.case((over, now()), else_=Attempts.since),
                },
            )
            tried[key] = (await session.scalars(counted.returning(Attempts.count))).one()
    if any(tried[key] > most for key, most in bounds.items()):
        raise RateLimited(
            f"too many attempts; wait {limits.sign_in_window} seconds", retryAfterSeconds=limits.sign_in_window
        )
