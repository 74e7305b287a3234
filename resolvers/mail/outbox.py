"""The outbox: a message is stored in the transaction of the change that it tells of, and sent afterwards."""

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.engine import changed
from db.models import Channel, Notification, NotificationState, NotificationTemplate
from db.types import later
from db.written import because
from resolvers.failures import Invalid
from resolvers.mail import templates
from resolvers.mail.templates import Message, Wording
from resolvers.retention import Sweep

log = structlog.get_logger("torana.notices")

OUTBOX = "outbox"
"""The topic of a message that waits to be sent."""
ENGLISH = "en"
NO_SUBJECT = "(No Subject)"

_ADDRESS = re.compile(r'[^\s@<>()\[\]\\,;:"]+@[^\s@<>()\[\]\\,;:"]+')
"""Exactly one address: no name, no list, no comment."""


@dataclass(frozen=True, slots=True)
class Place:
    """The site and project whose templates are used, besides those that hold everywhere."""

    site: UUID | None = None
    project: UUID | None = None


EVERYWHERE = Place()


async def post(
    session: AsyncSession,
    template: str,
    user: models.User | None = None,
    *,
    to: str | None = None,
    language: str | None = None,
    lasting: timedelta | None = None,
    place: Place | None = None,
    **variables: Any,
) -> None:
    """Put a message made from a template into the outbox, in the transaction of `session`.

    A user who opted out (`User.notified` false) gets only messages about security (`templates.SECURITY`). Without an
    address no message is stored; this is logged. The language is by default the user's.

    Templates are looked up by language first, English last. For each language the project's template comes first, then
    the site's, then the one that holds everywhere, then the built-in text. The place is by default the one site or
    project that the user has a part in, if there is just one; messages about security have none.

    The variable `username` is set when there is a user, and `minutes` when the message's link or code is valid for a
    time (`lasting`). After that time it is no longer sent.
    """
    if (recipient := _recipient(user, to, template)) is None:
        return
    if template in templates.SECURITY:
        place = EVERYWHERE
    elif place is None:
        place = EVERYWHERE if user is None else await _home(session, user.id)
    expires_at = None
    if lasting is not None:
        variables["minutes"] = lasting.total_seconds() / 60
        expires_at = later(lasting.total_seconds())
    if user is not None:
        variables.setdefault("username", user.username)
        language = language or user.language
    message = await _compose(session, template, Channel.EMAIL, language or ENGLISH, place, variables)
    _put(session, Channel.EMAIL, recipient, message, template=template, user=user, expires_at=expires_at)


async def _home(session: AsyncSession, user: UUID) -> Place:
    """The place of a user: the one site, and the one project, in which its groups have roles."""
    held = (
        sa.select(sa.func.coalesce(models.Role.site_id, models.Project.site_id), models.Role.project_id)
        .select_from(models.UserGroupMember)
        .join(models.RoleGrant, models.RoleGrant.user_group_id == models.UserGroupMember.user_group_id)
        .join(models.Role, models.Role.id == models.RoleGrant.role_id)
        .outerjoin(models.Project, models.Project.id == models.Role.project_id)
        .where(
            models.UserGroupMember.user_id == user,
            models.RoleGrant.deleted_at.is_(None),
            models.Role.service_id == models.CORE,
        )
        .distinct()
    )
    rows = (await session.execute(held)).all()
    sites, projects = ({row[n] for row in rows} - {None} for n in (0, 1))
    return Place(
        sites.pop() if len(sites) == 1 else None, projects.pop() if len(projects) == 1 and len(sites) <= 1 else None
    )


class Change(Enum):
    """Changes of an account that a user is told of, because they let somebody in or lock somebody out."""

    TWO_FACTOR_SET_UP = "TWO_FACTOR_SET_UP"
    TWO_FACTOR_GONE = "TWO_FACTOR_GONE"
    RECOVERY_CODES = "RECOVERY_CODES"
    API_KEY = "API_KEY"


async def tell(session: AsyncSession, user: models.User, change: Change, **variables: Any) -> None:
    """Mail a user that the ways to sign in to the account have changed."""
    await post(session, "account_changed", user, change=change.value, **variables)


async def post_text(
    session: AsyncSession,
    subject: str,
    text: str,
    user: models.User | None = None,
    *,
    to: str | None = None,
    reply_to: str | None = None,
    variables: Mapping[str, str] | None = None,
    participant: UUID | None = None,
) -> None:
    """Put a message in someone's own words into the outbox, to a user, or `to` an address, which may be that of a
    participant. `$name` stands for a variable; unknown ones stay as they are."""
    if (recipient := _recipient(user, to, None)) is None:
        return
    given = variables or {}
    subject = templates.one_line(string.Template(subject).safe_substitute(given), "subject")
    message = Message(subject or NO_SUBJECT, string.Template(text).safe_substitute(given))
    headers = None if reply_to is None else {"Reply-To": address(reply_to, "replyTo")}
    _put(session, Channel.EMAIL, recipient, message, user=user, headers=headers, participant=participant)


async def post_chat(session: AsyncSession, template: str, chat: str = "default", **variables: Any) -> None:
    """Put a message for the chat of this name into the outbox, in the transaction of `session`."""
    message = await _compose(session, template, Channel.CHAT, ENGLISH, EVERYWHERE, variables)
    _put(session, Channel.CHAT, chat, message, template=template)


def address(text: str, field: str = "email") -> str:
    """The e-mail address as given; refuses a text that is not exactly one address."""
    if len(text) > 254 or not _ADDRESS.fullmatch(text) or not templates.printable(text):
        raise Invalid("not an e-mail address", field=field)
    return text


def mailable(stored: str | None) -> str | None:
    """The address of a row, unless it is older than the rules and no mail can go there."""
    return stored if stored and stored.isascii() and _ADDRESS.fullmatch(stored) else None


def _recipient(user: models.User | None, to: str | None, template: str | None) -> str | None:
    if user is not None and not user.notified and template not in templates.SECURITY:
        return None
    found = to or mailable(user.email if user is not None else None)
    if not found:
        log.info("notices.no_address", template=template, user=None if user is None else str(user.id))
        return None
    return address(found)


def _put(
    session: AsyncSession,
    channel: Channel,
    recipient: str,
    message: Message,
    *,
    template: str | None = None,
    user: models.User | None = None,
    headers: dict[str, Any] | None = None,
    expires_at: Any = None,
    participant: UUID | None = None,
) -> None:
    because(session, "a message is posted with what it tells of", Notification)
    session.add(
        Notification(
            channel=channel,
            template_key=template,
            user_id=None if user is None else user.id,
            participant_id=participant,
            recipient=recipient,
            subject=message.subject,
            text=message.text,
            html=message.html,
            headers=headers,
            expires_at=expires_at,
        )
    )
    changed(session, OUTBOX)


async def _compose(
    session: AsyncSession,
    key: str,
    channel: Channel,
    language: str,
    place: Place,
    variables: Mapping[str, Any],
) -> Message:
    """The message by the first template that can be rendered: a broken stored template must not keep people out."""
    message: Message | None = None
    languages = _languages(language)
    found = await _stored(session, key, channel, languages, place)
    for words in _wordings(key, channel, languages, found):
        try:
            made = words.render(variables)
        except Exception as error:
            if words.builtin:
                raise
            log.warning("notices.template_failed", template=key, language=words.language, error=type(error).__name__)
            continue
        # One that says nothing of the subject keeps the one of the next.
        message = made if message is None else replace(message, subject=made.subject)
        if message.subject or channel is Channel.CHAT:
            return message
    if message is None:
        raise LookupError(f"no template {key} for {channel.name}")
    return replace(message, subject=NO_SUBJECT)


def _languages(language: str) -> list[str]:
    """The languages to try: `fr-CA` is French too, and English is always the last."""
    return list(dict.fromkeys((language, re.split("[-_]", language)[0].lower(), ENGLISH)))


def _wordings(
    key: str, channel: Channel, languages: Sequence[str], found: Sequence[NotificationTemplate]
) -> Iterator[Wording]:
    for language in languages:
        yield from (templates.stored(row) for row in found if row.language == language)
        if (words := templates.built_in(key, channel, language)) is not None:
            yield words


async def _stored(
    session: AsyncSession, key: str, channel: Channel, languages: Sequence[str], place: Place
) -> Sequence[NotificationTemplate]:
    """The templates that replace a built-in one here, the closest first."""
    row = NotificationTemplate
    scopes = [sa.and_(row.site_id.is_(None), row.project_id.is_(None))]
    if place.project is not None:
        of_project = sa.select(models.Project.site_id).where(models.Project.id == place.project).scalar_subquery()
        scopes += [row.project_id == place.project, row.site_id == of_project]
    if place.site is not None:
        scopes.append(row.site_id == place.site)
    wanted = sa.select(row).where(row.key == key, row.channel == channel, row.language.in_(languages), sa.or_(*scopes))
    return sorted(await session.scalars(wanted), key=lambda t: (t.project_id is None, t.site_id is None))


def sweep(days: float) -> Sweep:
    """The sweep of messages that are older than so many days, except those that are still to be sent."""
    sent = Notification.state != NotificationState.PENDING
    return Sweep.of_rows(Notification, days, lambda before: sa.and_(sent, Notification.created_at < before))
