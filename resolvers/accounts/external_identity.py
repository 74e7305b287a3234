"""Users of external identity providers: find a user by the subject of the token, or create one, and take over its
claims."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside, changed
from db.models import AuthProvider, User, UserGroup, UserGroupMember
from db.searching.folding import composed
from db.written import because
from resolvers.accounts import sessions
from resolvers.accounts.addresses import canonical
from resolvers.context import Context, Services
from resolvers.failures import Conflict, Failure, Invalid, Unauthenticated
from resolvers.feed import principal_topic
from resolvers.identity.principal import ANONYMOUS, Kind
from resolvers.identity.providers import Provider
from resolvers.writing.audit import record
from resolvers.writing.rows import stored

log = structlog.get_logger("torana.oidc")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as a verified token describes them. `columns` has what it says of the user, `groups` for each mapped group
    whether they are in it."""

    provider: AuthProvider
    subject: str
    username: str | None
    columns: Mapping[str, Any]
    groups: Mapping[str, bool]


def read(provider: Provider, claims: Mapping[str, Any]) -> Identity:
    """The identity in the claims of a verified id token; UNAUTHENTICATED when it lacks what the settings require."""
    provider.admit(claims)
    claimed = provider.claimed(claims)
    named = {"first_name": _text(claims, "given_name", 150), "last_name": _text(claims, "family_name", 150)}
    columns: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if (email := _email(claims)) is not None:
        columns |= {"email": email, "email_verified": claims.get("email_verified") in (True, "true")}
    groups: dict[str, bool] = {}
    for value, group in provider.groups.items():
        groups[group] = groups.get(group, False) or value in claimed
    return Identity(
        AuthProvider[provider.provider],
        claims["sub"],
        (_text(claims, provider.username_claim, 150) or "").lower() or None,
        columns,
        groups,
    )


async def sign_in(ctx: Context, provider: Provider, claims: Mapping[str, Any]) -> sessions.Tokens:
    """Begin a login session of the user with this identity. A new user is created only where the settings allow it."""
    try:
        identity = read(provider, claims)
        async with ctx.database.write() as session:
            user = await _present(session, ctx, provider, identity)
            if user is None:
                raise Unauthenticated("no user of this gateway has this identity")
            if not user.active or user.deleted_at is not None:
                raise Unauthenticated("this account is disabled")
            tokens = await sessions.begin(session, ctx, Kind.USER, user.id, provider=provider.name)
    except Failure as failure:
        async with ctx.database.write() as session:
            aside(session)
            record(
                session,
                ctx,
                "LOG_IN_FAILED",
                "User",
                provider=provider.name,
                subject=claims["sub"],
                why=failure.message,
            )
        raise
    ctx.become(tokens.principal)
    return tokens


async def learn(services: Services, provider: Provider, claims: Mapping[str, Any]) -> None:
    """Update a user from a verified access token, as a sign-in does. What the token leaves out stays as it is."""
    identity = read(provider, claims)
    if not provider.tells_groups(claims):
        identity = replace(identity, groups={})
    if "email_verified" not in claims:
        told = {name: value for name, value in identity.columns.items() if not name.startswith("email")}
        identity = replace(identity, columns=told)
    async with services.database.write() as session:
        await _present(session, Context(services, ANONYMOUS), provider, identity)


async def _present(session: AsyncSession, ctx: Context, provider: Provider, identity: Identity) -> User | None:
    """The user with this identity, updated from its provider; created where the settings allow it."""
    because(session, "the provider of an identity tells who its people are", User, UserGroupMember)
    user = await _found(session, identity)
    if user is None:
        if not provider.sign_up or identity.username is None:
            return None
        user = await _made(session, identity)
        record(session, ctx, "SIGN_UP", "User", user.id, actor_id=user.id, provider=provider.name)
    if user.active and user.deleted_at is None:
        await _renew(session, user, identity)
        await _join(session, user.id, identity.groups)
        changed(session, principal_topic(user.id))
    return user


async def _found(session: AsyncSession, identity: Identity) -> User | None:
    wanted = sa.select(User).where(User.auth_provider == identity.provider, User.external_subject == identity.subject)
    return (await session.scalars(wanted.with_for_update(key_share=True))).one_or_none()


async def _made(session: AsyncSession, identity: Identity) -> User:
    if await _taken(session, identity):
        raise Conflict("another user has this username")
    user = User(
        username=identity.username, auth_provider=identity.provider, external_subject=identity.subject,
        **identity.columns,
    )  # fmt: skip
    session.add(user)
    await stored(session, User)
    return user


async def _renew(session: AsyncSession, user: User, identity: Identity) -> None:
    """Update a user with what changed at the provider. A username that someone else has stays as it was."""
    for name, value in identity.columns.items():
        if getattr(user, name) != value:
            setattr(user, name, value)
    if identity.username not in (None, user.username) and not await _taken(session, identity):
        user.username = identity.username
    await stored(session, User)


async def _taken(session: AsyncSession, identity: Identity) -> bool:
    others = sa.select(User.id).where(User.username == identity.username, User.auth_provider == identity.provider)
    return (await session.execute(others)).first() is not None


async def _join(session: AsyncSession, user: UUID, groups: Mapping[str, bool]) -> None:
    """Add a user to the mapped groups, and remove them from those that the identity no longer has. Other groups are not
    touched."""
    for name, member in groups.items():
        found = (await session.scalars(_called(name))).all()
        if len(found) != 1:
            log.warning("oidc.no_group", group=name, found=len(found))
            continue
        group = found[0]
        held = sa.select(UserGroupMember).where(UserGroupMember.user_group_id == group, UserGroupMember.user_id == user)
        link = (await session.scalars(held)).one_or_none()
        if member and link is None:
            session.add(UserGroupMember(user_group_id=group, user_id=user))
        elif not member and link is not None:
            await session.delete(link)
    await session.flush()


def _called(name: str) -> Any:
    """The groups that the settings name by id or name. A name means only a group that a superadmin made: others could
    name a group so and draw people into it."""
    there = sa.select(UserGroup.id).where(UserGroup.deleted_at.is_(None))
    try:
        kind, _, key = b64decode(name, validate=True).decode().partition(":")
        if kind == "UserGroup":
            return there.where(UserGroup.id == UUID(key))
    except ValueError:
        pass
    own = sa.exists().where(User.id == UserGroup.creator_id, sa.not_(User.superadmin))
    return there.where(UserGroup.name == name, sa.not_(own))


def _email(claims: Mapping[str, Any]) -> str | None:
    """The claimed address, unless no mail can go there."""
    value = _text(claims, "email", 254)
    try:
        return None if value is None else canonical(value)
    except Invalid:
        log.warning("oidc.no_address")
        return None


def _text(claims: Mapping[str, Any], name: str, most: int) -> str | None:
    """A claim, if it is a text and can be stored whole."""
    value = claims.get(name)
    value = composed(value.strip()) if isinstance(value, str) else ""
    return value if 0 < len(value) <= most and value.isprintable() else None
