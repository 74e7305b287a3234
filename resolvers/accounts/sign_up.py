"""Making an account for oneself, and confirming its address. Nobody learns here who has one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.folding import composed
from db.models import AuthProvider, Credential, CredentialKind, User
from db.types import uuid7
from db.written import because
from resolvers.accounts import email_links, sessions
from resolvers.accounts.addresses import canonical, spellings
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid
from resolvers.feed import principal_topic
from resolvers.identity.tokens import digest_of
from resolvers.identity.usernames import check_username
from resolvers.mail.outbox import address, post
from resolvers.writing import rate_limits
from resolvers.writing.audit import record

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}")


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What someone gives of themself; `columns` are names, affiliation and language."""

    username: str
    email: str
    password: str
    columns: dict[str, str | None] = field(default_factory=dict)


async def sign_up(ctx: Context, given: NewAccount) -> str:
    """Make an account whose address is to be confirmed; returns the address that mail goes to.

    With a name or an address that is taken, the mail says that someone tried; nothing else differs.
    """
    if not ctx.services.entrance.sign_up:
        raise Forbidden("accounts are made by administrators here")
    username, email = given.username.strip().lower(), canonical(given.email, "input.email")
    spelled = spellings(given.email)
    check_username(username)
    columns = checked_columns(given.columns)
    await throttle(ctx)
    await _bound_mails(ctx, f"signup:{digest_of(email)}")
    names = (columns.get("first_name"), columns.get("last_name"))
    await ctx.services.identity.passwords.check(given.password, "input.password", username, email, *names)
    hashed = await ctx.services.identity.passwords.hash(given.password)
    known = sa.select(User.id, User.email, User.deleted_at).where(
        sa.or_(User.username == username, sa.and_(User.email.in_(spelled), User.deleted_at.is_(None))),
        User.auth_provider == AuthProvider.LOCAL,
    )
    taken = await ctx.database.rows(known)
    async with ctx.database.write() as session:
        made, url = None, ""
        try:
            async with email_links.kept_if(session, not taken):
                made = User(username=username, email=email, **columns) if not taken else _nobody()
                url = await _prepare(session, ctx, made, hashed)
        except IntegrityError:  # someone else took it meanwhile
            taken = await ctx.database.rows(known)
        if made is not None and not taken:
            lasting = ctx.services.limits.verify_lifetime
            await post(session, "email_verification", made, lasting=lasting, url=url)
            record(session, ctx, "SIGN_UP", "User", made.id, actor_id=made.id)
        else:
            has = any(row.email in spelled and row.deleted_at is None for row in taken)
            language = columns.get("language") or "en"
            await post(session, "sign_up_refused", to=email, language=language, name=None if has else username)
            record(session, ctx, "SIGN_UP_REFUSED", "User")
    return email


async def _prepare(session: AsyncSession, ctx: Context, user: User, hashed: str) -> str:
    """The rows of a new account; returns the link that confirms its address."""
    because(session, "anyone makes an account, where the settings let them", User, Credential)
    session.add(user)
    await session.flush()
    session.add(Credential(user_id=user.id, kind=CredentialKind.PASSWORD, secret_hash=hashed, algorithm="argon2id"))
    return await email_links.make(session, ctx, CredentialKind.EMAIL_VERIFY, user, ctx.services.limits.verify_lifetime)


async def resend(ctx: Context, email: str) -> str:
    """Mail another link that confirms the address; the former ends. The same answer for whoever has none to confirm."""
    unverified = (User.email_verified.is_(False),)
    kind, lifetime = CredentialKind.EMAIL_VERIFY, ctx.services.limits.verify_lifetime
    return await mail(ctx, email, "RESEND_VERIFICATION", "email_verification", kind, lifetime, *unverified)


async def verify(ctx: Context, token: str) -> datetime:
    """Confirm the address that the link of this token went to; returns when, the same for a link that did so before."""
    await throttle(ctx)
    try:
        return await _confirm(ctx, token)
    except Invalid:
        if (before := await email_links.confirmed(ctx, token)) is None:
            raise
        return before


async def _confirm(ctx: Context, token: str) -> datetime:
    user = await email_links.owner(ctx, CredentialKind.EMAIL_VERIFY, token)
    principal = ctx.principal
    async with ctx.database.write() as session:
        row, moment = await sessions.held(session, user), await moment_of(session)
        if row is None or not await email_links.spend(session, CredentialKind.EMAIL_VERIFY, token, row, keep=moment):
            raise Invalid("the link is for an address that the account no longer has", field="token")
        because(session, "who has the link confirms the address", User)
        row.email_verified = True
        changed(session, principal_topic(user))
        record(session, ctx, "VERIFY_EMAIL", "User", user, actor_id=user)
        if principal.id == user and principal.session is not None:
            principal = await sessions.renewed(session, ctx)
    ctx.become(principal)
    return moment


async def mail(
    ctx: Context, email: str, action: str, template: str, kind: CredentialKind, lifetime: timedelta, *which: Any
) -> str:
    """Mail a link to the local user of this address who meets `which`; returns the address. The same answer after the
    same work where there is none."""
    email, typed = spellings(email)
    address(email)
    await throttle(ctx)
    await _bound_mails(ctx, f"{kind.value.lower()}:{digest_of(email)}")
    wanted = sa.select(User).where(
        User.email.in_((email, typed)),
        User.auth_provider == AuthProvider.LOCAL,
        User.active,
        User.deleted_at.is_(None),
        *which,
    )
    wanted = wanted.order_by(User.email != typed).limit(1)
    known = await ctx.database.rows(wanted.with_only_columns(User.id))
    async with ctx.database.write() as session:
        # For an address that nobody has, all is done for someone else, and undone.
        other = sa.select(User).order_by(User.id).limit(1).with_for_update(skip_locked=True, key_share=True)
        user = await session.scalar(wanted.with_for_update(key_share=True) if known else other)
        if user is not None:
            async with email_links.kept_if(session, bool(known)):
                url = await email_links.make(session, ctx, kind, user, lifetime)
                await post(session, template, user, to=email, lasting=lifetime, url=url)
        record(session, ctx, action, "User", user.id if known and user is not None else None)
    return email


async def throttle(ctx: Context, tries: rate_limits.Tries | None = None) -> None:
    """Count an attempt of what anyone may try: by its address, and for the account that is tried."""
    limits = ctx.services.limits
    bounds = {rate_limits.source_key(ctx): limits.sign_ins_per_address}
    if tries is None:
        await rate_limits.count(ctx, bounds, limits.sign_in_window)
    else:
        await rate_limits.count_for(ctx, tries, limits.here, limits.anywhere, bounds)


async def _bound_mails(ctx: Context, key: str) -> None:
    """Count what is mailed to an address, whoever asks for it: nobody may be flooded, nor kept from using a link."""
    await rate_limits.count(ctx, {key: ctx.services.limits.mails_per_address}, ctx.services.limits.mail_window)


def _nobody() -> User:
    """A user to do work for that is undone."""
    return User(username=f"~{uuid7().hex}", email=f"{uuid7().hex}@nobody.invalid")


def checked_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Names of a user, an affiliation and a language in NFC; INVALID for those that no message could hold."""
    columns = {name: composed(value) if isinstance(value, str) else value for name, value in columns.items()}
    for name, value in columns.items():
        if not isinstance(value, str):
            continue
        most = getattr(User.__table__.c[name].type, "length", None)
        if (most is not None and len(value) > most) or not value.isprintable():
            first, *others = name.split("_")
            where = f"input.{first}{''.join(map(str.title, others))}"
            raise Invalid(f"at most {most} characters that can be seen are kept", field=where)
    language = columns.get("language")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise Invalid("a language looks like en or pt-BR", field="input.language")
    return columns
