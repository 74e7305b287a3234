"""Messages that administrators write to the users of their projects and sites."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from db.models import User
from resolvers.access.rules import LINKED_SERVICE, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, LimitExceeded, NotFound
from resolvers.identity.principal import Kind
from resolvers.mail.outbox import mailable, post_text
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import require

ADMINISTRATORS = (PROJECT_ADMIN, SITE_ADMIN, LINKED_SERVICE, SUPERADMIN)
"""Who may write to a user."""
MOST, LONGEST = 100, 20_000
"""The most users of one call, and the most characters of a text."""


async def send(ctx: Context, users: Sequence[UUID], subject: str, text: str) -> int:
    """Mail each user; replies go to the sender. Users who opted out get none. Returns the number of mails.

    `$name` and `$username` in the text stand for the user's. All or nobody: INVALID for a user without an address.
    """
    if not 1 <= len(users) <= MOST:
        raise LimitExceeded(f"1 to {MOST} users", limit="users", allowed=MOST, value=len(users))
    async with writing(ctx, "SEND", User) as session:
        sender = await session.get(User, ctx.principal.id) if ctx.principal.kind is Kind.USER else None
        found = sa.select(User).where(User.id.in_(users), visible(User, ctx.principal.profile))
        known = {user.id: user for user in await session.scalars(found, dict(ctx.principal.parameters))}
        for n, key in enumerate(users):
            if (user := known.get(key)) is None:
                raise NotFound("no User with this id", field=f"users.{n}")
            await require(session, ctx, user, ADMINISTRATORS, "write to")
        if not subject.strip() or not text.strip() or len(text) > LONGEST:
            raise Invalid(f"a subject, and a text of at most {LONGEST} characters", field="text")
        for n, key in enumerate(users):
            user = known[key]
            if user.email is None:
                raise Invalid("this user has no e-mail address", field=f"users.{n}")
            name = " ".join(filter(None, (user.first_name, user.last_name))) or user.username
            words = {"name": name, "username": user.username}
            await post_text(
                session,
                subject,
                text,
                user,
                reply_to=mailable(None if sender is None else sender.email),
                variables=words,
            )
        record(session, ctx, "SEND_NOTIFICATION", "User", None, recipients=len(users))
        return sum(user.notified for user in known.values())
