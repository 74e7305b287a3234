"""Send the messages of the outbox. Any number of processes may: each message is held by a lease while one sends it.

Each message leaves at least once. It leaves twice only when a process dies after sending it and before noting so.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import Notification, NotificationState
from db.outages import Contended, Unavailable, finished, tried_again
from db.types import now
from gateway.background.transports import Delivery, Undelivered
from resolvers.context import Services
from resolvers.mail.outbox import OUTBOX
from resolvers.steps import guarded

log = structlog.get_logger("torana.outbox")

PAUSES = (60.0, 300.0, 1_800.0, 7_200.0, 43_200.0)
"""Seconds before the second attempt and each further one; a message that fails once more is given up."""
LEASE = 300.0
"""The lease in seconds: longer than any sending."""
SLOTS = 4
"""The most messages that are sent at once."""
POLL = 60.0
"""Seconds after which the outbox is read again for messages of other processes, whatever was heard of them."""
AWAY = 1.0
"""Seconds after which a database that was away is tried again."""
GRACE = 10.0
"""Seconds at the end for messages that are being sent."""

# Written out, as the index over waiting messages is found by no parameter.
_WAITING = Notification.state == sa.literal(
    NotificationState.PENDING, Notification.state.expression.type, literal_execute=True
)


class Outbox:
    """Sends messages until `close`."""

    def __init__(self, services: Services, delivery: Delivery, *, pauses: Sequence[float] = PAUSES) -> None:
        self._services = services
        self._delivery = delivery
        self._pauses = tuple(pauses)
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._readable = True
        """Whether the SQLite files may still hold texts that the rows no longer have."""

    def start(self) -> None:
        if not self._delivery.mails:
            log.warning("outbox.no_mail_server", set="TORANA_SMTP_URL")
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Take no more messages, and wait for those that are being sent. One that takes too long waits for its lease to
        end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=GRACE)
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._delivery.close()

    async def _work(self) -> None:
        with self._services.feed.subscription(OUTBOX) as changes:
            while True:
                wait = await guarded(self._fill, "outbox", away=AWAY, failed=1.0) or 0.0
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await changes.next()

    async def _fill(self) -> float:
        """Begin to send messages that are due, as far as there is room; returns the seconds until more are due."""
        if (free := SLOTS - len(self._sending)) <= 0:
            return POLL
        if (wait := await self._until_due()) <= 0:
            async with self._services.database.write(as_system="the outbox notes what it sends") as session:
                claimed = await claim(session, free, len(self._pauses))
            self._readable = True  # some may have been given up
            for message in claimed:
                sending = asyncio.create_task(self._send(message))
                self._sending.add(sending)
                sending.add_done_callback(self._ended)
            wait = POLL if len(claimed) == free else await self._until_due()
        if self._readable and not self._sending:
            self._readable = not await self._services.database.forget()
            wait = min(wait, 1.0) if self._readable else wait
        return min(max(wait, 0.1), POLL)  # one that is due and was not claimed is in another process's hands

    def _ended(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        self._services.feed.publish([OUTBOX])

    async def _until_due(self) -> float:
        free_at = sa.case(
            (Notification.lease_until > Notification.due_at, Notification.lease_until), else_=Notification.due_at
        )
        ((moment, due),) = await self._services.database.rows(sa.select(now(), sa.func.min(free_at)).where(_WAITING))
        return POLL if due is None else (due - moment).total_seconds()

    async def _send(self, message: Notification) -> None:
        failure: Undelivered | None = None
        try:
            await self._delivery.deliver(message)
        except Undelivered as error:
            failure = error
        except Exception as error:
            log.error("outbox.delivery_failed", message=str(message.id), error=type(error).__name__)
            failure = Undelivered("an error of the gateway")
        try:
            await self._noted(message, failure)
            self._readable = True
        except (OSError, Contended, sa.exc.SQLAlchemyError) as error:
            log.error("outbox.not_noted", message=str(message.id), error=type(error).__name__)

    async def _noted(self, message: Notification, failure: Undelivered | None) -> None:
        """Note the result of an attempt, while the message is leased. A database that is away is waited for; a sender
        that is stopped notes it first."""
        until = time.monotonic() + LEASE / 2
        while True:
            try:
                return await finished(tried_again(partial(self._settle, message, failure)))
            except Unavailable:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(AWAY)

    async def _settle(self, message: Notification, failure: Undelivered | None) -> None:
        async with self._services.database.write(as_system="the outbox notes what it sends") as session:
            await settle(session, message, failure, self._pauses)


async def claim(session: AsyncSession, number: int, retries: int) -> list[Notification]:
    """Lease up to `number` messages that are due, those that wait longest first."""
    moment = await moment_of(session)
    free = sa.or_(Notification.lease_until.is_(None), Notification.lease_until <= moment)
    due = (
        sa.select(Notification)
        .where(_WAITING, Notification.due_at <= moment, free)
        .order_by(Notification.due_at, Notification.id)
        .limit(number)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for message in (await session.scalars(due)).all():
        if message.attempts > retries:  # the last attempt took its gateway with it, or lost the database
            _end(message, NotificationState.FAILED, "the last attempt did not end")
            continue
        if message.expires_at is not None and message.expires_at <= moment:
            said = f" ({message.error})" if message.error else ""
            _end(message, NotificationState.FAILED, f"what it holds is no longer good{said}")
            continue
        message.attempts += 1
        message.lease_until = moment + timedelta(seconds=LEASE)
        claimed.append(message)
    return claimed


async def settle(
    session: AsyncSession, sent: Notification, failure: Undelivered | None, pauses: Sequence[float]
) -> None:
    """Note how an attempt ended, unless somebody else holds the message by now."""
    message = await session.get(Notification, sent.id, with_for_update=True)
    if message is None or message.state is not NotificationState.PENDING or message.lease_until != sent.lease_until:
        return
    moment = await moment_of(session)
    if failure is None:
        message.sent_at = moment
        _end(message, NotificationState.SENT, None)
    elif failure.final or message.attempts > len(pauses):
        _end(message, NotificationState.FAILED, str(failure))
        log.warning("outbox.given_up", message=str(message.id), template=message.template_key, error=str(failure))
    else:
        message.lease_until, message.error = None, str(failure)
        message.due_at = moment + timedelta(seconds=pauses[message.attempts - 1])


def _end(message: Notification, state: NotificationState, error: str | None) -> None:
    """End a message and erase its texts: nobody reads them again, and links and codes in them must not stay in the
    database."""
    message.state, message.error, message.lease_until = state, error, None
    message.text, message.html = "", None
