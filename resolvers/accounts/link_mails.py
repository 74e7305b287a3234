"""Mail links to users, and bound how often anyone may ask for one."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from db.models import AuthProvider, CredentialKind, User
from resolvers.accounts import email_links
from resolvers.accounts.addresses import spellings
from resolvers.context import Context
from resolvers.identity.tokens import digest_of
from resolvers.mail.outbox import address, post
from resolvers.writing import rate_limits
from resolvers.writing.audit import record


async def mail(
    ctx: Context, email: str, action: str, template: str, kind: CredentialKind, lifetime: timedelta, *which: Any
) -> str:
    """Mail a link to the local user of this address who meets `which`; returns the address. When there is none, the
    answer is the same, after the same work."""
    email, typed = spellings(email)
    address(email)
    await throttle(ctx)
    await bound_mails(ctx, f"{kind.value.lower()}:{digest_of(email)}")
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
    """Count an attempt at an operation that is open to anyone: by the client's address, and by the account that is
    tried."""
    limits = ctx.services.limits
    bounds = {rate_limits.source_key(ctx): limits.sign_ins_per_address}
    if tries is None:
        await rate_limits.count(ctx, bounds, limits.sign_in_window)
    else:
        await rate_limits.count_for(ctx, tries, limits.here, limits.anywhere, bounds)


async def bound_mails(ctx: Context, key: str) -> None:
    """Count the mails to an address, whoever asks for them: nobody may be flooded, nor kept from using a link."""
    await rate_limits.count(ctx, {key: ctx.services.limits.mails_per_address}, ctx.services.limits.mail_window)
