"""Confirming one's e-mail address by a link that is mailed to it."""

from datetime import datetime

from db.engine import changed, moment_of
from db.models import CredentialKind, User
from db.written import because
from resolvers.accounts import email_links, sessions
from resolvers.accounts.link_mails import mail, throttle
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.feed import principal_topic
from resolvers.writing.audit import record


async def resend(ctx: Context, email: str) -> str:
    """Mail a new link that confirms the address; the former one ends. The answer is the same when there is none to
    confirm."""
    unverified = (User.email_verified.is_(False),)
    kind, lifetime = CredentialKind.EMAIL_VERIFY, ctx.services.limits.verify_lifetime
    return await mail(ctx, email, "RESEND_VERIFICATION", "email_verification", kind, lifetime, *unverified)


async def verify(ctx: Context, token: str) -> datetime:
    """Confirm the address that the link of this token was mailed to; returns when. A repeated call returns the same
    moment."""
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
