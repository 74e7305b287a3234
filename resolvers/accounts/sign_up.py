"""Creating an account for oneself. The answers don't tell who has an account."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import AuthProvider, Credential, CredentialKind, User
from db.types import uuid7
from db.written import because
from resolvers.accounts import email_links
from resolvers.accounts.addresses import canonical, spellings
from resolvers.accounts.link_mails import bound_mails, throttle
from resolvers.accounts.profile import checked_columns
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.identity.tokens import digest_of
from resolvers.identity.usernames import check_username
from resolvers.mail.outbox import post
from resolvers.writing.audit import record


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What someone gives who signs up; `columns` are names, affiliation and language."""

    username: str
    email: str
    password: str
    columns: dict[str, str | None] = field(default_factory=dict)


async def sign_up(ctx: Context, given: NewAccount) -> str:
    """Create an account whose address must be confirmed; returns the address that mail goes to.

    When the name or the address is taken, the mail says that someone tried. Nothing else differs.
    """
    if not ctx.services.entrance.sign_up:
        raise Forbidden("accounts are made by administrators here")
    username, email = given.username.strip().lower(), canonical(given.email, "input.email")
    spelled = spellings(given.email)
    check_username(username)
    columns = checked_columns(given.columns)
    await throttle(ctx)
    await bound_mails(ctx, f"signup:{digest_of(email)}")
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
    """Create the rows of a new account; returns the link that confirms its address."""
    because(session, "anyone makes an account, where the settings let them", User, Credential)
    session.add(user)
    await session.flush()
    session.add(Credential(user_id=user.id, kind=CredentialKind.PASSWORD, secret_hash=hashed, algorithm="argon2id"))
    return await email_links.make(session, ctx, CredentialKind.EMAIL_VERIFY, user, ctx.services.limits.verify_lifetime)


def _nobody() -> User:
    """A user for work that is rolled back."""
    return User(username=f"~{uuid7().hex}", email=f"{uuid7().hex}@nobody.invalid")
