"""Settings of mail and chat messages: where they are sent, and from which address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from gateway.settings.group import Group
from resolvers.spelling import between_commas

_ADDRESS = re.compile(r"(?:(?P<name>[^<>@]*)<(?P<of>[^<>\s]+@[^<>\s]+)>|(?P<bare>[^<>\s]+@[^<>\s]+))")


@dataclass(frozen=True, slots=True)
class MailServer:
    """The mail server. `starttls` None: used when the server offers it."""

    host: str
    port: int
    tls: bool
    starttls: bool | None
    username: str | None
    password: str | None


def read_smtp(url: str) -> MailServer:
    """`smtp://user:password@host:587?starttls=1`, or `smtps://`; raises ValueError, whose text quotes nothing.

    A password goes over an encrypted connection, unless `starttls=0` says that it need not.
    """
    try:
        parts = urlsplit(url)
        port, asked = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("a mail server looks like smtp://user:password@host:587?starttls=1") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("a mail server looks like smtp://user:password@host:587?starttls=1, or smtps://host")
    tls, said = parts.scheme == "smtps", asked.pop("starttls", [""])[-1]
    if asked or said not in ("", "0", "1") or (tls and said):
        raise ValueError("the one option of smtp:// is starttls=1 or starttls=0; smtps:// has none")
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    starttls = False if tls or said == "0" else True if said == "1" or username else None
    return MailServer(
        parts.hostname, port or (465 if tls else 587 if starttls else 25), tls, starttls, username, password
    )


def read_sender(text: str) -> Address:
    """`address` or `Name <address>`; raises ValueError."""
    if (found := _ADDRESS.fullmatch(text.strip())) is None:
        raise ValueError("a sender looks like torana@example.org or Torana <torana@example.org>")
    return Address(display_name=(found["name"] or "").strip(' "'), addr_spec=found["of"] or found["bare"])


def read_webhooks(text: str) -> dict[str, str]:
    """`name=https://...`, comma-separated, each perhaps with `#channel=...&username=...`; raises ValueError, whose text
    quotes no address."""
    found: dict[str, str] = {}
    for part in between_commas(text):
        name, _, url = part.partition("=")
        if not name.strip() or urlsplit(url.strip()).scheme not in ("http", "https"):
            raise ValueError("webhooks look like name=https://chat.example/hooks/key, comma-separated")
        sender_of(url.strip())
        found[name.strip()] = url.strip()
    return found


def sender_of(url: str) -> tuple[str, dict[str, str]]:
    """The address of a webhook, and as whom and where it posts: `channel` and `username`, which are written behind `#`.
    Raises ValueError."""
    address, _, text = url.partition("#")
    try:
        given = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=2)
    except ValueError:
        given = [("", "")]
    if any(name not in ("channel", "username") or not value for name, value in given):
        raise ValueError("behind # a webhook has channel=name, username=name, or both with & between")
    return address, dict(given)


class MailSettings(Group):
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="The mail server, smtp://user:password@host:587?starttls=1 or smtps://...; a password wants TLS unless starttls=0.",
    )
    mail_from: str = Field(
        "",
        validate_default=True,
        description="The sender of mails, as torana@example.org or Torana <torana@example.org>.",
    )
    mail_log: bool = Field(
        False, description="Write mails that have no server to the log, with their links: for trying things out only."
    )
    chat_webhooks: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of Mattermost or Slack, as name=url, comma-separated, each perhaps with #channel=name&username=name; the chat called default is used where none is named.",
    )

    job_mail_seconds: float = Field(
        300.0,
        ge=0,
        description="For how many seconds jobs that ended are gathered into one mail to their owner, who wants such mails.",
    )

    @field_validator("smtp_url", "chat_webhooks")
    @classmethod
    def _read(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if text := value.get_secret_value():
            read_smtp(text) if info.field_name == "smtp_url" else read_webhooks(text)
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str, info: ValidationInfo) -> str:
        if value:
            read_sender(value)
        elif (server := info.data.get("smtp_url")) and server.get_secret_value():
            raise ValueError("a mail server is set, so a sender is needed")
        return value

    @property
    def server(self) -> MailServer | None:
        url = self.smtp_url.get_secret_value()
        return read_smtp(url) if url else None

    @property
    def sender(self) -> Address | None:
        return read_sender(self.mail_from) if self.mail_from else None

    @property
    def webhooks(self) -> Mapping[str, str]:
        """The address of each chat, by its name."""
        return read_webhooks(self.chat_webhooks.get_secret_value())
