"""Messages that administrators write to the users and participants of their projects and sites."""

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import NotificationTemplate, Participant, User
from resolvers.access.rules import LINKED_SERVICE, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, LimitExceeded, NotFound, WrongState
from resolvers.identity.principal import Kind
from resolvers.mail import templates
from resolvers.mail.outbox import NO_SUBJECT, mailable, post_text
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import require, seen

ADMINISTRATORS = (PROJECT_ADMIN, SITE_ADMIN, LINKED_SERVICE, SUPERADMIN)
"""Who may write to a user, or to a participant."""
MOST, LONGEST = 100, 20_000
"""The most recipients of one call, and the most characters of a text."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is written: words of one's own, or a template with values for its variables."""

    subject: str | None
    text: str | None
    template: UUID | None
    variables: Mapping[str, str]

    async def made(self, session: AsyncSession, ctx: Context) -> Callable[[Mapping[str, str]], tuple[str, str]]:
        """Makes the subject and the text for a recipient. INVALID for neither or both of a text and a template,
        NOT_FOUND for a template that one may not use."""
        if (self.text is None) == (self.template is None):
            raise Invalid("give either a text or a template", field="text")
        if self.template is not None:
            row = await seen(session, ctx, NotificationTemplate, self.template, field="notificationTemplate")
            return partial(self._by_template, row)
        if not self.text or not self.text.strip() or len(self.text) > LONGEST:
            raise Invalid(f"a text has 1 to {LONGEST} characters", field="text")
        return self._by_text

    def _by_text(self, given: Mapping[str, str]) -> tuple[str, str]:
        known = {**self.variables, **given}
        subject, text = (string.Template(one or "").safe_substitute(known) for one in (self.subject, self.text))
        return subject.strip() or NO_SUBJECT, text

    def _by_template(self, row: NotificationTemplate, given: Mapping[str, str]) -> tuple[str, str]:
        made = templates.stored(row).render({**self.variables, **given})
        return self.subject or made.subject or NO_SUBJECT, made.text


async def send(ctx: Context, users: Sequence[UUID], participants: Sequence[UUID], words: Words) -> int:
    """Mail each of these users and participants; replies go to the sender. Users who opted out get none. Returns the
    number of mails.

    `$name` and `$username` in a text, and `name` and `username` in a template, stand for the recipient's. All or
    nobody: INVALID for somebody without an address, and where the sender has none.
    """
    number = len(users) + len(participants)
    if not 1 <= number <= MOST:
        raise LimitExceeded(f"1 to {MOST} recipients", limit="users", allowed=MOST, value=number)
    async with writing(ctx, "SEND", User) as session:
        sender = await session.get(User, ctx.principal.id) if ctx.principal.kind is Kind.USER else None
        people = await _found(session, ctx, User, users, "users")
        people |= await _found(session, ctx, Participant, participants, "participants")
        for row in people.values():
            await require(session, ctx, row, ADMINISTRATORS, "write to")
        if sender is not None and mailable(sender.email) is None:
            raise WrongState("you have no e-mail address that an answer could go to; give your account one")
        made = await words.made(session, ctx)
        for field, row in people.items():
            if mailable(row.email) is None:
                raise Invalid("there is no e-mail address to write to", field=field)
            subject, text = made(_names(row))
            await post_text(
                session,
                subject,
                text,
                row if isinstance(row, User) else None,
                to=None if isinstance(row, User) else row.email,
                reply_to=mailable(None if sender is None else sender.email),
                participant=None if isinstance(row, User) else row.id,
            )
        record(session, ctx, "SEND_NOTIFICATION", "User", None, recipients=number)
        return sum(not isinstance(row, User) or row.notified for row in people.values())


def _names(row: Any) -> dict[str, str]:
    if isinstance(row, User):
        name = " ".join(filter(None, (row.first_name, row.last_name))) or row.username
        return {"name": name, "username": row.username}
    return {"name": row.name, "username": row.username or ""}


async def _found(session: AsyncSession, ctx: Context, model: Any, keys: Sequence[UUID], field: str) -> dict[str, Any]:
    """The rows by their place in the input, each once; NOT_FOUND for one that is not seen."""
    wanted = sa.select(model).where(model.id.in_(keys), visible(model, ctx.principal.profile))
    known = {row.id: row for row in await session.scalars(wanted, dict(ctx.principal.parameters))}
    found: dict[str, Any] = {}
    for n, key in enumerate(keys):
        if key not in known:
            raise NotFound(f"no {model.__name__} with this id", field=f"{field}.{n}")
        if key not in keys[:n]:
            found[f"{field}.{n}"] = known[key]
    return found
