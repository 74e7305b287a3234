"""The transports of messages: mail over SMTP, a chat's incoming webhook, or, in the demo, the log."""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import aiosmtplib
import httpx2
import structlog

from db.models import Channel, Notification
from gateway.settings.mail import MailServer, MailSettings, sender_of

log = structlog.get_logger("torana.outbox")

MAIL_SECONDS = 60.0
CHAT_SECONDS = 10.0

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
"""The status codes of RFC 3463, in which a mail server says what it means."""


class Undelivered(Exception):
    """A message could not be sent. The reason quotes nothing of the server's answer, because servers quote links and
    addresses.

    `final`: it would be refused again.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Delivery:
    """Sends messages. With `logged`, a message without a transport is written to the log, links and codes included."""

    def __init__(
        self, server: MailServer | None, sender: Address | None, webhooks: Mapping[str, str], *, logged: bool = False
    ) -> None:
        self._server = server
        self._sender = sender
        self._webhooks = webhooks
        self._logged = logged
        self._client = httpx2.AsyncClient(follow_redirects=False, timeout=CHAT_SECONDS)

    @classmethod
    def of(cls, settings: MailSettings) -> "Delivery":
        return cls(settings.server, settings.sender, settings.webhooks, logged=settings.mail_log)

    @property
    def mails(self) -> bool:
        return self._server is not None

    async def close(self) -> None:
        await self._client.aclose()

    async def deliver(self, message: Notification) -> None:
        """Send a message; returns once it was accepted; raises Undelivered."""
        if message.channel is Channel.EMAIL and self._server is not None and self._sender is not None:
            await self._mail(self._server, self._sender, message)
        elif message.channel is Channel.CHAT and message.recipient in self._webhooks:
            await self._chat(self._webhooks[message.recipient], message)
        elif message.channel is Channel.SERVICE:
            await self._call(message)
        elif self._logged:
            log.info(message.channel.name.lower(), to=message.recipient, subject=message.subject, text=message.text)
        elif message.channel is Channel.EMAIL:
            raise Undelivered("no mail server is set", final=True)
        else:
            raise Undelivered("no webhook is set for this chat", final=True)

    async def _mail(self, server: MailServer, sender: Address, message: Notification) -> None:
        try:
            mail = made(message, sender)
        except (ValueError, IndexError):  # the parser of headers raises the latter for some wrong addresses
            raise Undelivered("its headers are not a mail's", final=True) from None
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=server.starttls,
            username=server.username,
            password=server.password,
            local_hostname=sender.domain,
            timeout=MAIL_SECONDS / 2,
        )
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                await client.connect()
                await client.send_message(mail, sender=sender.addr_spec, recipients=[message.recipient])
        except (OSError, TimeoutError, aiosmtplib.SMTPException, ValueError) as error:
            raise _refusal(error) from None
        else:
            # It was accepted: what goes wrong with the good-bye is nobody's concern.
            with contextlib.suppress(OSError, aiosmtplib.SMTPException):
                await client.quit(timeout=5)
        finally:
            client.close()

    async def _chat(self, url: str, message: Notification) -> None:
        address, shown = sender_of(url)
        await self._post("chat", address, json={"text": message.text, **shown})

    async def _call(self, message: Notification) -> None:
        """Call the endpoint of a service. The id of the call is the same each time that it is tried."""
        headers = {"Content-Type": "application/json", "Torana-Call": str(message.id), **(message.headers or {})}
        await self._post("service", message.recipient, content=message.text.encode(), headers=headers)

    async def _post(self, whom: str, address: str, **body: Any) -> None:
        try:
            async with (
                asyncio.timeout(CHAT_SECONDS),
                self._client.stream("POST", address, **body) as answer,
            ):
                status = answer.status_code
        except (OSError, TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Undelivered(f"the {whom} could not be reached: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise Undelivered(f"the {whom} answered {status}")


def made(message: Notification, sender: Address) -> EmailMessage:
    """The mail of a message. Its Message-ID is always the same, so that a receiver recognises a second copy. Raises
    ValueError."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = Address(addr_spec=message.recipient)
    mail["Subject"] = message.subject or ""
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    for name, value in (message.headers or {}).items():
        mail[name] = value
    mail.set_content(message.text)
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html")
    return mail


def _refusal(error: Exception) -> Undelivered:
    """Why a mail was refused, by the server's codes. A code that begins with 5, for the recipient or the content, is
    final."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if not isinstance(error, aiosmtplib.SMTPResponseException):
        own = type(error) in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported)  # the client's words
        return Undelivered(f"the mail server could not be used: {error if own else type(error).__name__}")
    meant = _ENHANCED.match(error.message)
    final = error.code >= 500 and isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    return Undelivered(f"the mail server answered {error.code}{f' {meant[0]}' if meant else ''}", final=final)
