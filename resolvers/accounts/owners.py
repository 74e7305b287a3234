"""For whom specs and keys are changed: for oneself, or for another user by a superadmin or a service that acts for the
users of a provider."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import AuthProvider, PlatformRole, User
from db.outages import Contended
from db.searching.folding import composed
from db.types import uuid7
from db.written import because
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, NotFound, WrongState
from resolvers.identity.principal import Kind
from resolvers.identity.usernames import check_username
from resolvers.writing.audit import record
from resolvers.writing.rows import seen, signed_in

SUBJECT = 255
"""The most characters of the subject of an external identity."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Another user: by key, or by who they are at an identity provider."""

    user: UUID | None = None
    provider: AuthProvider = AuthProvider.LOCAL
    subject: str = ""


async def owner_there(session: AsyncSession, ctx: Context, owner: Owner | None) -> UUID | None:
    """The key of the user that is meant; None where there is none yet with this external identity.

    INVALID from a service that does not say for whom, and for what is no external identity; FORBIDDEN for who may not
    act for them; NOT_FOUND for a key of no user, or of one that a service does not act for; STATE for a disabled user.
    """
    principal = ctx.principal
    if owner is None:
        if principal.kind is Kind.SERVICE:
            raise Invalid("a service says for whom: give the owner", field="owner")
        return signed_in(ctx)
    if principal.kind is Kind.USER and owner.user is not None and owner.user == principal.id:
        return principal.id
    if not principal.superadmin and principal.acts_for is None:
        raise Forbidden("only superadmins, and services that act for users, do this for others")
    if owner.user is not None:
        user = await seen(session, ctx, User, owner.user, field="owner.user")
    else:
        found = await _identified(session, ctx, owner)
        if found is None:
            return None
        user = found
    if principal.acts_for is not None and (
        user.auth_provider is not principal.acts_for or user.superadmin or user.platform_role is PlatformRole.MANAGER
    ):
        if owner.user is not None:
            raise NotFound("no User with this id", field="owner.user")
        raise Forbidden("a service does not act for superadmins and managers")
    if not user.active or user.deleted_at is not None:
        raise WrongState("the account of the owner is disabled", field="owner")
    return user.id


async def owner_made(session: AsyncSession, ctx: Context, owner: Owner | None) -> UUID:
    """The key of the user that is meant, who is made when nobody has this external identity. Errors as of
    `owner_there`."""
    if (known := await owner_there(session, ctx, owner)) is not None:
        return known
    assert owner is not None
    because(session, "who acts for users of a provider tells who they are", User)
    given = {"auth_provider": owner.provider, "external_subject": _subject(owner)}
    user = User(id=uuid7(), username=await _username(session, owner), **given)
    try:
        async with session.begin_nested():
            session.add(user)
            await session.flush()
    except sa.exc.IntegrityError as error:  # another made them at this moment
        if (known := await owner_there(session, ctx, owner)) is None:
            raise Contended("another user has the same name since this moment") from error
        return known
    record(session, ctx, "SIGN_UP", "User", user.id, provider=owner.provider.name)
    return user.id


def for_whom(ctx: Context, owner: UUID) -> dict[str, Any]:
    """What the record tells where someone acts for another."""
    return {} if ctx.principal.kind is Kind.USER and ctx.principal.id == owner else {"owner": owner}


async def _identified(session: AsyncSession, ctx: Context, owner: Owner) -> User | None:
    subject, provider = _subject(owner), owner.provider
    if provider is AuthProvider.LOCAL:
        raise Invalid("users of the gateway itself are named by their id", field="owner.externalSubject.provider")
    if ctx.principal.acts_for not in (None, provider):
        raise Forbidden(f"this service does not act for users of {provider.name}")
    named = sa.select(User).where(User.auth_provider == provider, User.external_subject == subject)
    return (await session.scalars(named)).one_or_none()


def _subject(owner: Owner) -> str:
    subject = composed(owner.subject.strip())
    if not 1 <= len(subject) <= SUBJECT or not subject.isprintable():
        told = f"a subject has 1 to {SUBJECT} characters that can be seen"
        raise Invalid(told, field="owner.externalSubject.subject", allowed=SUBJECT, value=len(subject))
    return subject


async def _username(session: AsyncSession, owner: Owner) -> str:
    """The subject, if it can be a username of the provider that nobody has. The first sign-in brings the real one."""
    name = _subject(owner).lower()
    try:
        check_username(name)
    except Invalid:
        return f"user-{uuid7()}"
    taken = sa.select(User.id).where(User.username == name, User.auth_provider == owner.provider)
    return name if await session.scalar(taken) is None else f"user-{uuid7()}"
