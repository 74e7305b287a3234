"""Secret links in mails. A link works once and for a limited time, and a newer link of its kind replaces it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import in_order
from db.models import Credential, CredentialKind, User
from db.types import later, now
from db.written import because
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.identity.credentials import LIVE
from resolvers.identity.tokens import digest_of

PAGES = {CredentialKind.EMAIL_VERIFY: "verify-email", CredentialKind.PASSWORD_RESET: "reset-password"}
"""The path of each kind of link, below the gateway's address."""


async def make(session: AsyncSession, ctx: Context, kind: CredentialKind, user: User, lifetime: timedelta) -> str:
    """Create a link for a user, which replaces the former one.

    It is bound to the address that it is mailed to. It starts with the configured address of the gateway, never with
    the Host of a request. The secret stands behind a `#`, which browsers send to no server.
    """
    token = secrets.token_urlsafe(32)
    await drop(session, user.id, kind)
    session.add(
        Credential(
            user_id=user.id,
            kind=kind,
            label=digest_of(user.email or ""),
            secret_hash=digest_of(token),
            algorithm="sha256",
            expires_at=later(lifetime.total_seconds()),
        )
    )
    await session.flush()
    return f"{ctx.services.entrance.address}/{PAGES[kind]}#token={token}"


async def owner(ctx: Context, kind: CredentialKind, token: str) -> UUID:
    """The user whose link this is; INVALID for a link that is not valid."""
    wanted = sa.select(Credential.user_id).where(*_live(kind, token))
    for (user,) in await ctx.database.rows(wanted):
        return user  # type: ignore[no-any-return]
    raise _over()


async def spend(
    session: AsyncSession, kind: CredentialKind, token: str, user: User, *, keep: datetime | None = None
) -> bool:
    """Use up the link of a locked user; returns whether it went to the user's present address. INVALID for a link that
    is not valid. With `keep`, the present moment, the link is kept as used until it would have expired."""
    because(session, "a link holds once, and only the latest", Credential)
    this = (*_live(kind, token), Credential.user_id == user.id)
    used: Any = sa.delete(Credential) if keep is None else sa.update(Credential).values(revoked_at=keep)
    used = used.where(*this).returning(Credential.label).execution_options(synchronize_session=False)
    label = await session.scalar(used)
    if label is None:
        raise _over()
    return user.email is not None and label == digest_of(user.email)


async def confirmed(ctx: Context, token: str) -> datetime | None:
    """When the link of this token confirmed the address that its user still has; None for any other token."""
    wanted = (
        sa.select(Credential.revoked_at, Credential.label, User.email)
        .join(User, User.id == Credential.user_id)
        .where(
            Credential.kind == CredentialKind.EMAIL_VERIFY,
            Credential.secret_hash == digest_of(token),
            Credential.revoked_at.is_not(None),
            Credential.expires_at > now(),
            User.email_verified,
            User.deleted_at.is_(None),
        )
    )
    for row in await ctx.database.rows(wanted):
        if row.label == digest_of(row.email or ""):
            return row.revoked_at  # type: ignore[no-any-return]
    return None


async def drop(session: AsyncSession, user: UUID, kind: CredentialKind) -> None:
    because(session, "a link holds once, and only the latest", Credential)
    gone = sa.delete(Credential).where(Credential.user_id == user, Credential.kind == kind)
    await in_order(session, gone)


@asynccontextmanager
async def kept_if(session: AsyncSession, keep: bool) -> AsyncIterator[None]:
    """Roll back what is done inside unless `keep` is true, so that an answer about nobody takes the same work."""
    point = await session.begin_nested()
    try:
        yield
        await session.flush()
    except BaseException:
        await point.rollback()
        raise
    await (point.commit() if keep else point.rollback())


def _live(kind: CredentialKind, token: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Credential.kind == kind,
        Credential.secret_hash == digest_of(token),
        LIVE,
    )


def _over() -> Invalid:
    return Invalid(
        "the link does not hold: it was used, a newer one was sent, or its time is over; ask for another", field="token"
    )
