"""For whom specs and keys are changed: for oneself, or for another user by a superadmin or a service that acts for the
users of a provider."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import AuthProvider, PlatformRole, User
from db.outages import Contended
from db.types import uuid7
from db.written import because
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, NotFound, WrongState
from resolvers.identity.principal import Kind
from resolvers.writing.audit import record
from resolvers.writing.rows import seen, signed_in

SUBJECT = 255
"""The most characters of the subject of an external identity: https://openid.net/specs/openid-connect-core-1_0.html"""


@dataclass(frozen=True, slots=True)
class Owner:
    """Another user: by key, or by who they are at an identity provider."""

    user: UUID | None = None
    provider: AuthProvider = AuthProvider.LOCAL
    subject: str = ""


async def owner_there(
    session: AsyncSession, ctx: Context, owner: Owner | None, *, hold: bool = False, disabled: bool = False
) -> UUID | None:
    """The key of the user that is meant; None where there is none yet with this external identity. To `hold` them locks
    their row first, so that what is checked stays so. Without `disabled` they must be active.

    INVALID from a service that does not say for whom, and for what is no external identity; FORBIDDEN for who may not
    act for them; NOT_FOUND for a key of no user, or of one that a service does not act for; STATE for a disabled user.
    """
    principal = ctx.principal
    if owner is None and principal.kind is Kind.SERVICE:
        raise Invalid("a service says for whom: give the owner", field="owner")
    if owner is None or (principal.kind is Kind.USER and owner.user is not None and owner.user == principal.id):
        mine = signed_in(ctx)
        if hold:
            await _held(session, User.id == mine)
        return mine
    if not principal.superadmin and principal.acts_for is None:
        raise Forbidden("only superadmins, and services that act for users, do this for others")
    if owner.user is not None:
        await seen(session, ctx, User, owner.user, field="owner.user")
        user = await _held(session, User.id == owner.user, hold=hold)
    else:
        user = await _held(session, *_identified(ctx, owner), hold=hold)
    if user is None:
        return None
    apart = user.superadmin or user.platform_role is PlatformRole.MANAGER
    if principal.acts_for is not None and (apart or user.auth_provider is not principal.acts_for):
        if owner.user is not None:
            raise NotFound("no User with this id", field="owner.user")
        raise Forbidden("a service does not act for superadmins and managers")
    if not disabled and (not user.active or user.deleted_at is not None):
        raise WrongState("the account of the owner is disabled", field="owner")
    return user.id


async def owner_made(session: AsyncSession, ctx: Context, owner: Owner | None) -> UUID:
    """The key of the user that is meant, whose row is locked, and who is made when nobody has this external identity.
    Errors as of `owner_there`."""
    if (known := await owner_there(session, ctx, owner, hold=True)) is not None:
        return known
    assert owner is not None
    because(session, "who acts for users of a provider tells who they are", User)
    key = uuid7()
    identity = {"auth_provider": owner.provider, "external_subject": owner.subject}
    try:
        async with session.begin_nested():
            session.add(User(id=key, username=f"user-{key}", **identity))
            await session.flush()
    except sa.exc.IntegrityError as error:  # another made them at this moment
        if (known := await owner_there(session, ctx, owner, hold=True)) is None:
            raise Contended("the same user is made by another at this moment") from error
        return known
    record(session, ctx, "SIGN_UP", "User", key, provider=owner.provider.name)
    return key


async def expect_active(session: AsyncSession, user: UUID) -> None:
    """STATE for a disabled user, whose row is locked."""
    held = await _held(session, User.id == user)
    if held is None or not held.active or held.deleted_at is not None:
        raise WrongState("the account of the owner is disabled", field="id")


async def _held(session: AsyncSession, *which: Any, hold: bool = True) -> User | None:
    wanted = sa.select(User).where(*which).execution_options(populate_existing=True)
    return (await session.scalars(wanted.with_for_update(key_share=True) if hold else wanted)).one_or_none()


def for_whom(ctx: Context, owner: UUID) -> dict[str, Any]:
    """What the record tells where someone acts for another."""
    return {} if ctx.principal.kind is Kind.USER and ctx.principal.id == owner else {"owner": owner}


def _identified(ctx: Context, owner: Owner) -> tuple[Any, ...]:
    """What finds the user with an external identity. The subject is compared as it is, as at a sign-in."""
    subject, provider = owner.subject, owner.provider
    if provider is AuthProvider.LOCAL:
        raise Invalid("users of the gateway itself are named by their id", field="owner.externalSubject.provider")
    if ctx.principal.acts_for not in (None, provider):
        raise Forbidden(f"this service does not act for users of {provider.name}")
    plain = subject.isascii() and subject.isprintable() and subject == subject.strip()
    if not plain or not 1 <= len(subject) <= SUBJECT:
        told = f"a subject has 1 to {SUBJECT} characters of ASCII that can be seen, and no spaces around them"
        raise Invalid(told, field="owner.externalSubject.subject", allowed=SUBJECT, value=len(subject))
    return User.auth_provider == provider, User.external_subject == subject
