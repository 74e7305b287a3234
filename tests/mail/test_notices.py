"""Messages: put in with a change, worded by templates, and sent once by whoever holds them."""

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import jinja2
import pytest
import sqlalchemy as sa
import structlog.testing
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from db import models
from db.models import Channel, Notification, NotificationState, NotificationTemplate
from gateway.app import make_services
from gateway.background.mail_sender import LEASE, PAUSES, Outbox, claim, settle
from gateway.background.mail_sender import Undelivered as Failed
from gateway.background.transports import Delivery
from gateway.settings import SettingsError, load
from gateway.settings.mail import MailServer, read_smtp
from resolvers.failures import Invalid
from resolvers.mail import templates
from resolvers.mail.outbox import OUTBOX, Place, address, post, post_chat, post_text
from tests.support.platforms import Platform
from tests.support.postgres import free_port
from tests.support.serving import Serve

ON_SQLITE = True

SENDER = Address("Torana", addr_spec="torana@gateway.example")
LINK = "https://gateway.example/reset?token=hunter2-secret"
RESET = {"url": LINK, "minutes": 30}

# What the messages arrive at ----------------------------------------------------------------------------------------


class CatchAll:
    """A mail server that keeps whatever comes; `refusals` are its first answers."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.recipients: list[str] = []
        self.refusals: list[str] = []
        self.refused_recipients: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.busy = asyncio.Event()
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refused_recipients:
            return self.refused_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.busy.set()
        await self.open.wait()
        if self.refusals:
            return self.refusals.pop(0)
        self.recipients += envelope.rcpt_tos
        mail = BytesParser(_class=EmailMessage, policy=default).parsebytes(envelope.content)
        self.mails.put_nowait(mail)  # type: ignore[arg-type]
        return "250 OK"

    @property
    def server(self) -> MailServer:
        return read_smtp(f"smtp://127.0.0.1:{self.port}")


@asynccontextmanager
async def listening(kept: CatchAll, **options: Any) -> AsyncIterator[CatchAll]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(kept, loop=loop, **options), "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def catch_all() -> AsyncIterator[CatchAll]:
    async with listening(CatchAll()) as kept:
        yield kept


class Chat:
    """An HTTP server that takes what is posted to it; `answers` are its first statuses, then it is content."""

    def __init__(self) -> None:
        self.posts: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.answers: list[str] = []
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length")
        )
        body = json.loads(await reader.readexactly(length))
        status = self.answers.pop(0) if self.answers else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()
        self.posts.put_nowait((head.split(maxsplit=2)[1], body))


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    taking = Chat()
    server = await asyncio.start_server(taking.take, "127.0.0.1", 0)
    taking.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks/hunter2"
    yield taking
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def sending(
    platform: Platform,
    server: MailServer | None = None,
    *,
    webhooks: dict[str, str] | None = None,
    pauses: tuple[float, ...] = (0.2, 0.2),
    logged: bool = False,
) -> AsyncIterator[Outbox]:
    outbox = Outbox(platform.services, Delivery(server, SENDER, webhooks or {}, logged=logged), pauses=pauses)
    outbox.start()
    try:
        yield outbox
    finally:
        await outbox.close()


async def put(platform: Platform, template: str, person: str | None = "tom", **given: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        user = None if person is None else await session.get(models.User, getattr(platform.world, person))
        await post(session, template, user, **given)


async def add(platform: Platform, *rows: models.Entity) -> None:
    async with platform.services.database.write(as_system="test") as session:
        session.add_all(rows)


async def change(platform: Platform, model: type[models.Entity], **values: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).values(**values))


async def outbox(platform: Platform) -> list[Any]:
    table = Notification.__table__
    return list(await platform.services.database.rows(sa.select(table).order_by(table.c.id)))


async def settled(platform: Platform) -> list[Any]:
    """The messages, once none waits."""
    with platform.services.feed.subscription(OUTBOX) as changes:
        while True:
            rows = await outbox(platform)
            if all(row.state is not NotificationState.PENDING for row in rows):
                return rows
            await changes.next()


# Into the outbox ----------------------------------------------------------------------------------------------------


async def test_a_message_is_put_in_with_the_change_or_not_at_all(platform: Platform) -> None:
    await put(platform, "password_reset", **RESET)
    with pytest.raises(ZeroDivisionError):
        async with platform.services.database.write(as_system="test") as session:
            await post(session, "password_reset", to="eve@torana.example", **RESET)
            raise ZeroDivisionError
    (row,) = await outbox(platform)
    assert (row.recipient, row.template_key, row.user_id) == (
        "tom@torana.example",
        "password_reset",
        platform.world.tom,
    )
    assert (row.state, row.attempts, row.channel) == (NotificationState.PENDING, 0, Channel.EMAIL)
    assert row.subject == "Set a new password"
    assert LINK in row.text
    assert "Hello tom," in row.text


async def test_who_opted_out_gets_only_what_is_about_security(platform: Platform) -> None:
    await change(platform, models.User, notified=False)
    await put(platform, "new_challenge", url="https://x.example")
    await put(platform, "password_reset", **RESET)
    assert [row.template_key for row in await outbox(platform)] == ["password_reset"]


async def test_without_an_address_nothing_is_put_in_and_that_is_logged(platform: Platform) -> None:
    await change(platform, models.User, email=None)
    with structlog.testing.capture_logs() as lines:
        await put(platform, "password_reset", **RESET)
    assert await outbox(platform) == []
    (line,) = [line for line in lines if line["event"] == "notices.no_address"]
    assert line["user"] == str(platform.world.tom)
    assert "hunter2" not in str(lines)


@pytest.mark.parametrize(
    "wrong",
    [
        "a@x.example\nBcc: b@x.example",
        "a@x.example\r\n",
        "a@x.example, b@x.example",
        "A <a@x.example>",
        "a@x.example\x00",
        "a\u2028@x.example",
        "nobody",
        "a@b@c",
        "a" * 250 + "@x.example",
        "",
    ],
)
def test_a_recipient_that_is_not_one_address_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="not an e-mail address"):
        address(wrong)


@pytest.mark.parametrize("wrong", ["units\nBcc: b@x.example", "units\r\n\r\n<script>", "a\x00b", "a\u2028b"])
async def test_a_subject_of_several_lines_is_refused(platform: Platform, wrong: str) -> None:
    with pytest.raises(Invalid, match="one line"):
        await put(platform, "new_challenge", challenge_name=wrong, url="https://x.example")
    with pytest.raises(Invalid, match="one line"):
        async with platform.services.database.write(as_system="test") as session:
            await post_text(session, "New: $name", "text", to="a@x.example", variables={"name": wrong})
    with pytest.raises(Invalid, match="not an e-mail address"):
        async with platform.services.database.write(as_system="test") as session:
            await post_text(session, "New", "text", to="a@x.example", reply_to=f"b@x.example{wrong}")
    assert await outbox(platform) == []


async def test_a_long_subject_is_cut(platform: Platform) -> None:
    await put(platform, "new_challenge", challenge_name="x" * 400, url="https://x.example")
    (row,) = await outbox(platform)
    assert len(row.subject) == 255
    assert row.subject.endswith("…")


async def test_own_words_have_their_variables_in_place(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        given = {"name": "Tom", "when": "noon"}
        await post_text(
            session, "Visit of $name", "At $when, for $5. ${name}, $more", to="a@x.example", variables=given
        )
        await post_text(session, "", "text", to="a@x.example", reply_to="maria@torana.example")
    first, second = await outbox(platform)
    assert (first.subject, first.text, first.template_key) == ("Visit of Tom", "At noon, for $5. Tom, $more", None)
    assert (second.subject, second.headers) == ("(No Subject)", {"Reply-To": "maria@torana.example"})


# Words --------------------------------------------------------------------------------------------------------------

GIVEN = {
    "username": "tom", "url": LINK, "code": "123456", "minutes": 90.0, "challenge_name": "units", "pipeline_name": "p",
    "change": "API_KEY", "jobs": [{"name": "beam", "state": "FAILED", "error": "x"}], "listing": "FAILED: beam (x)",
    "count": 1, "more": 0, "completed": 0, "failed": 1, "canceled": 0,
}  # fmt: skip
MAILS = ("email_verification", "password_reset", "password_changed", "two_factor_code", "invitation", "account_changed",
         "jobs_ended")  # fmt: skip


def test_every_built_in_template_can_be_rendered() -> None:
    for key in (*MAILS, "new_challenge", "new_submission"):
        for language in ("en", "fr") if key in MAILS else ("en",):
            words = templates.built_in(key, Channel.EMAIL, language)
            assert words is not None, (key, language)
            made = words.render(GIVEN)
            assert made.subject
            assert "Subject:" not in made.subject + made.text
            assert made.html is not None
            assert f'lang="{language}"' in made.html
    for key in ("new_submission", "leaderboard_update"):
        words = templates.built_in(key, Channel.CHAT, "en")
        assert words is not None
        assert "units" in words.render(GIVEN).text


@pytest.mark.parametrize(
    ("minutes", "english", "french"),
    [(30, "30 minutes", "30 minutes"), (60.0, "1 hour", "1 heure"), (2880, "2 days", "2 jours"), (0.5, "1 minute", "1 minute")],
)  # fmt: skip
def test_how_long_a_link_holds_is_said_in_words(minutes: float, english: str, french: str) -> None:
    for language, said in (("en", english), ("fr", french)):
        words = templates.built_in("password_reset", Channel.EMAIL, language)
        assert words is not None
        assert f" {said}." in words.render({**GIVEN, "minutes": minutes}).text


def test_a_built_in_template_must_be_given_what_it_names() -> None:
    words = templates.built_in("password_reset", Channel.EMAIL, "en")
    assert words is not None
    with pytest.raises(jinja2.UndefinedError, match="'url' is undefined"):
        words.render({"username": "tom"})


async def test_what_others_wrote_is_escaped_in_html_and_as_it_is_in_text(platform: Platform) -> None:
    await put(platform, "password_reset", None, to="a@x.example", username="<b>&Tom", **RESET)
    (row,) = await outbox(platform)
    assert "Hello &lt;b&gt;&amp;Tom," in row.html
    assert "<b>" not in row.html
    assert "Hello <b>&Tom," in row.text


@pytest.mark.parametrize(
    ("language", "hello"),
    [("fr", "Bonjour"), ("fr-CA", "Bonjour"), ("FR_ca", "Bonjour"), ("en", "Hello"), ("xx", "Hello"), ("../en", "Hello")],
)  # fmt: skip
async def test_a_message_is_in_the_readers_language_or_else_in_english(
    platform: Platform, language: str, hello: str
) -> None:
    await change(platform, models.User, language=language)
    await put(platform, "password_reset", **RESET)
    (row,) = await outbox(platform)
    assert f"{hello} tom," in row.text


async def test_who_is_at_home_in_one_place_is_written_to_in_its_words(platform: Platform) -> None:
    """Tom has a part in one site and one project; Maria in one site and several projects."""
    site = platform.world.site
    for key in ("new_challenge", "password_reset"):
        await add(platform, NotificationTemplate(key=key, text="words of the site", site_id=site))
    async with platform.services.database.write(as_system="test") as session:
        for key in ("tom", "eve"):
            user = await session.get_one(models.User, getattr(platform.world, key))
            await post(session, "new_challenge", user, challenge_name="Vowels", url="https://x.example")
            await post(session, "password_reset", user, place=Place(site=site), **RESET)
    texts = [(row.template_key, row.recipient.partition("@")[0], row.text) for row in await outbox(platform)]
    assert {who for key, who, text in texts if text.strip() == "words of the site"} == {"tom"}
    assert all(text.startswith("Hello") for key, _, text in texts if key == "password_reset"), "these are nobody's"


@pytest.mark.parametrize("key", sorted(templates.SECURITY))
@pytest.mark.parametrize(("who", "place"), [("maria", "project"), ("sita", "site"), ("root", "site")])
async def test_nobody_words_for_a_place_what_lets_somebody_in(
    platform: Platform, who: str, place: str, key: str
) -> None:
    """A link in somebody's own words leads wherever they like, with the secret."""
    given = {"key": key, "subject": "Hello", "text": "https://elsewhere.example/?t={{ url|urlencode }}"}
    place_id = {"project": ("Project", "shared"), "site": ("Site", "site")}[place]
    query = "mutation($i:NewNotificationTemplate!){r:createNotificationTemplate(input:$i){... on Problem{code field}}}"
    answer = await platform.ask(query, who, i={**given, place: platform.world.id(*place_id)})
    assert answer["r"] == {"code": "INVALID", "field": "input.key"}


def test_every_message_with_a_link_or_a_code_is_about_security() -> None:
    for path in templates.FOLDER.glob("*/*"):
        text = path.read_text()
        secret = "{{ code" in text or "lasting(" in text
        assert not secret or path.stem in (*templates.SECURITY, "lasting"), path.name


async def test_a_message_whose_link_no_longer_holds_is_not_sent(platform: Platform) -> None:
    await put(platform, "password_reset", lasting=timedelta(minutes=45), url="https://x.example/#token=1")
    (row,) = await outbox(platform)
    assert "45 minutes" in row.text
    assert row.expires_at - row.created_at == pytest.approx(timedelta(minutes=45), abs=timedelta(seconds=5))
    await change(platform, Notification, expires_at=row.created_at)
    async with platform.services.database.write(as_system="test") as session:
        assert await claim(session, 9, 5) == []
    (row,) = await outbox(platform)
    assert (row.state, row.text) == (NotificationState.FAILED, "")
    assert "no longer good" in row.error


async def test_the_closest_template_is_taken(platform: Platform) -> None:
    world = platform.world
    places: list[dict[str, Any]] = [
        {"project_id": world.apart},
        {},
        {"site_id": world.site},
        {"project_id": world.shared},
    ]
    for number, place in enumerate(places):
        await add(platform, NotificationTemplate(key="new_challenge", text=f"text {number}", **place))
        await put(platform, "new_challenge", place=Place(site=world.site), url=LINK, challenge_name="Vowels")
        await put(platform, "new_challenge", place=Place(project=world.shared), url=LINK, challenge_name="Vowels")
    first, second, *found = [row.text.strip() for row in await outbox(platform)]
    assert first == second
    assert first.startswith("Hello")
    assert found == ["text 1", "text 1", "text 2", "text 2", "text 2", "text 3"]


async def test_a_template_of_the_readers_language_comes_before_a_closer_one_in_english(platform: Platform) -> None:
    await add(platform, NotificationTemplate(key="password_reset", text="in English", site_id=platform.world.site))
    await put(platform, "password_reset", language="fr", site=platform.world.site, **RESET)
    await put(platform, "new_challenge", language="fr", url="https://x.example")
    first, second = await outbox(platform)
    assert "Bonjour" in first.text
    assert "Hello" in second.text


async def test_a_template_without_a_subject_keeps_the_next_one(platform: Platform) -> None:
    await add(platform, NotificationTemplate(key="password_reset", text="see {{ url }}"))
    await put(platform, "password_reset", **RESET)
    (row,) = await outbox(platform)
    assert (row.subject, row.text, row.html) == ("Set a new password", f"see {LINK}\n", None)


async def test_a_stored_template_that_fails_is_passed_over(platform: Platform) -> None:
    await add(platform, NotificationTemplate(key="password_reset", subject="x", text="{{ url", language="en-GB"))
    await add(platform, NotificationTemplate(key="password_reset", subject="x", text="{% if url < 5 %}{% endif %}"))
    with structlog.testing.capture_logs() as lines:
        await put(platform, "password_reset", language="en-GB", site=platform.world.site, **RESET)
    (row,) = await outbox(platform)
    assert row.subject == "Set a new password"
    assert [line["error"] for line in lines if line["event"] == "notices.template_failed"] == ["Invalid", "TypeError"]
    assert "hunter2" not in str(lines)


async def test_a_stored_subject_shows_no_code_and_no_link(platform: Platform) -> None:
    words = NotificationTemplate(
        key="two_factor_code", subject="{{ code }}{{ url }} for {{ username }}", text="{{ code }}"
    )
    await add(platform, words)
    await put(platform, "two_factor_code", code="123456", minutes=10)
    (row,) = await outbox(platform)
    assert (row.subject, row.text) == ("for tom", "123456\n")


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in username %}{% for b in username %}x{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ username.upper() }}",
        "{{ username['x'] }}",
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ username|center(1000000000) }}",
        "{{ url|safe }}",
        "{% set a = 1 %}",
        "{% include 'layout.html' %}",
        "{% extends 'layout.html' %}",
        "{% macro m() %}{% endmacro %}",
        "{{ range(10) }}",
        "{{ unclosed",
        "{{ x|nonsense }}",
        "x" * 100_001,
    ],
)
def test_a_stored_template_may_only_put_words_in_their_places(source: str) -> None:
    with pytest.raises(Invalid) as refused:
        templates.check("subject", source, None)
    assert refused.value.field == "text"


def test_a_stored_template_may_have_conditions_and_filters() -> None:
    source = (
        "{% if url is defined and minutes > 5 %}{{ url|urlencode }}{% else %}{{ name|default('you')|upper }}{% endif %}"
    )
    templates.check(None, source, source)


# Out of it ----------------------------------------------------------------------------------------------------------


async def test_a_mail_arrives_as_text_and_html(platform: Platform, catch_all: CatchAll) -> None:
    async with sending(platform, catch_all.server):
        await put(platform, "two_factor_code", language="fr", code="123456", minutes=10)
        mail = await catch_all.mails.get()
        (row,) = await settled(platform)
    assert catch_all.recipients == ["tom@torana.example"]
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "Torana <torana@gateway.example>", "tom@torana.example", "Votre code de connexion",
    )  # fmt: skip
    assert mail["Message-ID"] == f"<{row.id}@gateway.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] is not None
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "valable 10 minutes" in text.get_content()
    assert "<strong>123456</strong>" in html.get_content()
    assert (row.state, row.attempts, row.error) == (NotificationState.SENT, 1, None)
    assert row.sent_at is not None


async def test_what_was_sent_keeps_no_words(platform: Platform, catch_all: CatchAll) -> None:
    async with sending(platform, catch_all.server):
        await put(platform, "password_reset", **RESET)
        (row,) = await settled(platform)
    assert (row.text, row.html, row.subject) == ("", None, "Set a new password")
    assert "hunter2" not in str(row)


def read_from_files(platform: Platform, text: bytes) -> list[str]:
    """The files of an SQLite database that hold a text."""
    file = platform.services.database.file
    return [] if file is None else [path.name for path in file.parent.iterdir() if text in path.read_bytes()]


@pytest.mark.parametrize("refusal", [None, "550 5.1.1 no such user"])
async def test_the_files_hold_no_link_once_its_mail_was_sent_or_given_up(
    platform: Platform, catch_all: CatchAll, refusal: str | None
) -> None:
    if platform.services.database.dialect != "sqlite":
        pytest.skip("PostgreSQL's files are read by nobody else")
    catch_all.refusals = [refusal] * 5 if refusal else []
    for _ in range(5):
        await put(platform, "password_reset", security=True, **RESET)
    assert read_from_files(platform, b"hunter2")
    async with sending(platform, catch_all.server):
        await settled(platform)
        async with asyncio.timeout(30):
            while read_from_files(platform, b"hunter2"):  # until the log was emptied, right after
                await asyncio.sleep(0.02)
    await platform.services.database.dispose()
    assert read_from_files(platform, b"hunter2") == []


async def test_what_waited_before_the_start_is_sent(platform: Platform, catch_all: CatchAll) -> None:
    await put(platform, "password_reset", **RESET)
    async with sending(platform, catch_all.server):
        await catch_all.mails.get()


async def test_a_reply_goes_to_who_wrote_the_words(platform: Platform, catch_all: CatchAll) -> None:
    async with sending(platform, catch_all.server):
        async with platform.services.database.write(as_system="test") as session:
            await post_text(session, "Hi", "text", to="a@x.example", reply_to="maria@torana.example")
        assert (await catch_all.mails.get())["Reply-To"] == "maria@torana.example"


async def test_a_refused_mail_is_tried_again(platform: Platform, catch_all: CatchAll) -> None:
    catch_all.refusals = [f"451 4.3.0 try later {LINK}", "421 4.7.0 still not"]
    async with sending(platform, catch_all.server):
        await put(platform, "password_reset", **RESET)
        mail = await catch_all.mails.get()
        (row,) = await settled(platform)
    assert mail["Subject"] == "Set a new password"
    assert (row.state, row.attempts, row.error) == (NotificationState.SENT, 3, None)


async def test_what_fails_again_and_again_is_given_up(platform: Platform, catch_all: CatchAll) -> None:
    catch_all.refusals = [f"451 4.3.0 try later {LINK}"] * 9
    async with sending(platform, catch_all.server):
        await put(platform, "password_reset", **RESET)
        (row,) = await settled(platform)
    assert (row.state, row.attempts, row.error) == (NotificationState.FAILED, 3, "the mail server answered 451 4.3.0")
    assert "hunter2" not in str(row)
    assert len(catch_all.refusals) == 6


@pytest.mark.parametrize("where", ["refusals", "refused_recipients"])
async def test_a_mail_server_that_refuses_for_good_is_not_asked_again(
    platform: Platform, catch_all: CatchAll, where: str
) -> None:
    setattr(catch_all, where, [f"550 5.1.1 no such user {LINK}"])
    async with sending(platform, catch_all.server):
        await put(platform, "password_reset", **RESET)
        (row,) = await settled(platform)
    assert (row.state, row.attempts, row.error) == (NotificationState.FAILED, 1, "the mail server answered 550 5.1.1")


async def test_a_mail_server_that_is_away_is_tried_again(platform: Platform) -> None:
    async with sending(platform, read_smtp(f"smtp://127.0.0.1:{free_port()}")):
        await put(platform, "password_reset", **RESET)
        (row,) = await settled(platform)
    assert (row.attempts, row.error) == (3, "the mail server could not be used: SMTPConnectError")


async def test_the_pauses_grow_and_then_it_is_given_up(platform: Platform) -> None:
    assert PAUSES == (60, 300, 1_800, 7_200, 43_200)
    await put(platform, "password_reset", **RESET)
    waited = []
    for _ in range(6):
        await change(platform, Notification, due_at=datetime(2026, 1, 1, tzinfo=UTC))
        async with platform.services.database.write(as_system="test") as session:
            (held,) = await claim(session, 9, len(PAUSES))
        async with platform.services.database.write(as_system="test") as session:
            await settle(session, held, Failed("no"), PAUSES)
        (row,) = await outbox(platform)
        waited.append((row.due_at - held.lease_until).total_seconds() + LEASE)
    assert waited[:5] == pytest.approx(PAUSES, abs=30)
    assert (row.state, row.attempts, row.error) == (NotificationState.FAILED, 6, "no")


@pytest.mark.both
async def test_two_senders_send_each_message_once(platform: Platform, catch_all: CatchAll) -> None:
    other = make_services(platform.settings)
    if platform.services.database.dialect == "postgresql":  # SQLite is for one process
        await other.database.start()
        second = Outbox(other, Delivery(catch_all.server, SENDER, {}))
    else:
        second = Outbox(platform.services, Delivery(catch_all.server, SENDER, {}))
    second.start()
    number = 30
    async with sending(platform, catch_all.server):
        async with platform.services.database.write(as_system="test") as session:
            for n in range(number):
                await post(session, "new_challenge", to=f"user{n}@x.example", url="https://x.example")
        for _ in range(number):
            await catch_all.mails.get()
        await second.close()
    await other.database.dispose()
    assert sorted(catch_all.recipients) == sorted(f"user{n}@x.example" for n in range(number))
    rows = await outbox(platform)
    assert {(row.state, row.attempts) for row in rows} == {(NotificationState.SENT, 1)}


async def test_what_another_holds_is_left_to_it_until_its_lease_ends(platform: Platform, catch_all: CatchAll) -> None:
    await put(platform, "password_reset", **RESET)
    async with platform.services.database.write(as_system="test") as session:
        (held,) = await claim(session, 9, 5)
    async with platform.services.database.write(as_system="test") as session:
        assert await claim(session, 9, 5) == []
    await change(platform, Notification, lease_until=datetime.now(UTC) + timedelta(seconds=0.3))
    async with sending(platform, catch_all.server):
        await catch_all.mails.get()
    async with platform.services.database.write(as_system="test") as session:  # the first comes back too late
        await settle(session, held, Failed("late", final=True), PAUSES)
    (row,) = await outbox(platform)
    assert (row.state, row.attempts) == (NotificationState.SENT, 2)


async def test_a_message_whose_sender_dies_each_time_is_given_up(platform: Platform) -> None:
    await put(platform, "password_reset", **RESET)
    await change(platform, Notification, attempts=6)
    async with platform.services.database.write(as_system="test") as session:
        assert await claim(session, 9, len(PAUSES)) == []
    (row,) = await outbox(platform)
    assert (row.state, row.error) == (NotificationState.FAILED, "the last attempt did not end")


async def test_at_the_end_what_is_on_its_way_arrives(platform: Platform, catch_all: CatchAll) -> None:
    catch_all.open.clear()
    async with sending(platform, catch_all.server) as sender:
        await put(platform, "password_reset", **RESET)
        await catch_all.busy.wait()
        closing = asyncio.create_task(sender.close())
        catch_all.open.set()
        await closing
    (row,) = await outbox(platform)
    assert row.state is NotificationState.SENT
    assert platform.services.feed.subscribers == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "x\nBcc: b@x.example"},
        {"recipient": "a@x.example\nBcc: b@x.example"},
        {"recipient": "a@x.example, b@x.example"},
        {"headers": {"Reply-To": "a@x.example\r\nBcc: b@x.example"}},
    ],
)
async def test_a_row_with_a_header_in_a_header_does_not_leave(
    platform: Platform, catch_all: CatchAll, wrong: dict[str, Any]
) -> None:
    await add(platform, Notification(**{"recipient": "a@x.example", "subject": "x", "text": "x", **wrong}))
    async with sending(platform, catch_all.server):
        (row,) = await settled(platform)
    assert (row.state, row.attempts, row.error) == (NotificationState.FAILED, 1, "its headers are not a mail's")
    assert catch_all.mails.empty()


async def test_the_gateway_sends_what_is_in_its_outbox(serve: Serve, backend: str, catch_all: CatchAll) -> None:
    gateway = await serve(backend, smtp_url=f"smtp://127.0.0.1:{catch_all.port}", mail_from="torana@gateway.example")
    async with gateway.services.database.write(as_system="test") as session:
        await post(session, "email_verification", to="new@x.example", **RESET)
    mail = await catch_all.mails.get()
    assert mail["To"] == "new@x.example"


# Passwords of the mail server ---------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file


async def test_a_password_goes_over_tls(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    signed_in = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        signed_in.append((data.login, data.password, session.ssl is not None))
        return AuthResult(success=True)

    async with (
        listening(CatchAll(), tls_context=context, authenticator=authenticate, auth_required=True) as kept,
        sending(platform, read_smtp(f"smtp://tom:p%40ss@127.0.0.1:{kept.port}")),
    ):
        await put(platform, "password_reset", **RESET)
        await kept.mails.get()
    assert signed_in == [(b"tom", b"p@ss", True)]


async def test_a_password_does_not_go_to_a_server_without_tls(platform: Platform, catch_all: CatchAll) -> None:
    async with sending(platform, read_smtp(f"smtp://tom:hunter2@127.0.0.1:{catch_all.port}"), pauses=()):
        await put(platform, "new_challenge", url="https://x.example")
        (row,) = await settled(platform)
    assert row.state is NotificationState.FAILED
    assert "STARTTLS" in row.error
    assert "hunter2" not in row.error


# Chat ---------------------------------------------------------------------------------------------------------------

SUBMITTED = {"username": "tom", "pipeline_name": "<!channel> @all\nx", "challenge_name": "units"}


async def test_a_chat_gets_one_line_that_calls_nobody(platform: Platform, chat: Chat) -> None:
    async with sending(platform, webhooks={"default": chat.url}):
        async with platform.services.database.write(as_system="test") as session:
            await post_chat(session, "new_submission", **SUBMITTED)
        path, body = await chat.posts.get()
        (row,) = await settled(platform)
    assert path == "/hooks/hunter2"
    assert body == {"text": "tom submitted &lt;!channel&gt; @\u200ball x to units."}
    assert (row.state, row.channel, row.recipient) == (NotificationState.SENT, Channel.CHAT, "default")


async def test_a_webhook_says_where_and_as_whom_it_posts(platform: Platform, chat: Chat) -> None:
    async with sending(platform, webhooks={"default": f"{chat.url}#channel=town-square&username=Torana%202"}):
        async with platform.services.database.write(as_system="test") as session:
            await post_chat(session, "new_submission", **SUBMITTED)
        path, body = await chat.posts.get()
        await settled(platform)
    assert path == "/hooks/hunter2"
    assert (body["channel"], body["username"]) == ("town-square", "Torana 2")


async def test_a_chats_words_can_be_replaced(platform: Platform) -> None:
    await add(platform, NotificationTemplate(key="new_submission", channel=Channel.CHAT, text="{{ username }}: new!"))
    async with platform.services.database.write(as_system="test") as session:
        await post_chat(session, "new_submission", "other", **SUBMITTED)
    (row,) = await outbox(platform)
    assert (row.text, row.recipient) == ("tom: new!", "other")


async def test_a_chat_that_refuses_is_tried_again_and_no_redirect_is_followed(platform: Platform, chat: Chat) -> None:
    chat.answers = ["500 No", f"307 Temporary Redirect\r\nLocation: {chat.url}/elsewhere", "200 OK"]
    async with sending(platform, webhooks={"default": chat.url}):
        async with platform.services.database.write(as_system="test") as session:
            await post_chat(session, "leaderboard_update", challenge_name="units", url="https://x.example")
        (row,) = await settled(platform)
    assert (row.state, row.attempts) == (NotificationState.SENT, 3)
    assert [chat.posts.get_nowait()[0] for _ in range(3)] == ["/hooks/hunter2"] * 3


async def test_why_a_chat_was_not_reached_does_not_tell_its_address(platform: Platform, chat: Chat) -> None:
    chat.answers = ["404 Not Found"]
    webhooks = {"gone": chat.url, "away": f"http://127.0.0.1:{free_port()}/hooks/hunter2"}
    async with sending(platform, webhooks=webhooks, pauses=()):
        async with platform.services.database.write(as_system="test") as session:
            for name in ("gone", "away", "unknown"):
                await post_chat(session, "leaderboard_update", name, challenge_name="u", url="https://x.example")
        rows = await settled(platform)
    assert [row.error for row in rows] == [
        "the chat answered 404", "the chat could not be reached: ConnectError", "no webhook is set for this chat",
    ]  # fmt: skip


# Settings -----------------------------------------------------------------------------------------------------------


async def test_without_a_mail_server_that_is_said_once_and_nothing_waits(platform: Platform) -> None:
    with structlog.testing.capture_logs() as lines:
        async with sending(platform):
            await put(platform, "password_reset", **RESET)
            await put(platform, "new_challenge", url="https://x.example")
            rows = await settled(platform)
    assert {(row.state, row.error, row.text) for row in rows} == {
        (NotificationState.FAILED, "no mail server is set", "")
    }
    assert [line["event"] for line in lines if line["event"] == "outbox.no_mail_server"] == ["outbox.no_mail_server"]
    assert "hunter2" not in str(lines)


async def test_the_demo_writes_its_mails_to_the_log(platform: Platform) -> None:
    with structlog.testing.capture_logs() as lines:
        async with sending(platform, logged=True):
            await put(platform, "password_reset", **RESET)
            (row,) = await settled(platform)
    (line,) = [line for line in lines if line["event"] == "email"]
    assert (line["to"], line["subject"], line["log_level"]) == ("tom@torana.example", "Set a new password", "info")
    assert LINK in line["text"]
    assert row.state is NotificationState.SENT


async def test_a_mail_that_leaves_is_not_written_to_the_log(platform: Platform, catch_all: CatchAll) -> None:
    with structlog.testing.capture_logs() as lines:
        async with sending(platform, catch_all.server, logged=True):
            await put(platform, "password_reset", **RESET)
            await settled(platform)
    assert "hunter2" not in str(lines)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25, False, None, None, None)),
        ("smtp://mail.example:2525?starttls=1", MailServer("mail.example", 2525, False, True, None, None)),
        ("smtp://u:p%2F@mail.example", MailServer("mail.example", 587, False, True, "u", "p/")),
        ("smtp://u:p@mail.example:25?starttls=0", MailServer("mail.example", 25, False, False, "u", "p")),
        ("smtps://u:p@[::1]", MailServer("::1", 465, True, False, "u", "p")),
    ],
)
def test_a_mail_server_is_read_from_its_url(url: str, server: MailServer) -> None:
    assert read_smtp(url) == server


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"smtp_url": "http://u:hunter2@mail.example"}, "TORANA_SMTP_URL"),
        ({"smtp_url": "smtp://u:hunter2@mail.example:many"}, "TORANA_SMTP_URL"),
        ({"smtp_url": "smtps://u:hunter2@mail.example?starttls=1"}, "TORANA_SMTP_URL"),
        ({"smtp_url": "smtp://u:hunter2@mail.example?tls=1"}, "TORANA_SMTP_URL"),
        ({"smtp_url": "smtp://u:hunter2@mail.example"}, "TORANA_MAIL_FROM"),
        ({"mail_from": "hunter"}, "TORANA_MAIL_FROM"),
        ({"mail_from": "a@x.example\nBcc: b@x.example"}, "TORANA_MAIL_FROM"),
        ({"chat_webhooks": "https://chat.example/hooks/hunter2"}, "TORANA_CHAT_WEBHOOKS"),
        ({"chat_webhooks": "a=ftp://chat.example/hunter2"}, "TORANA_CHAT_WEBHOOKS"),
        ({"chat_webhooks": "a=https://chat.example/hunter2#colour=red"}, "TORANA_CHAT_WEBHOOKS"),
        ({"chat_webhooks": "a=https://chat.example/hunter2#channel="}, "TORANA_CHAT_WEBHOOKS"),
        ({"public_url": "gateway.example"}, "TORANA_PUBLIC_URL"),
    ],
)
def test_a_wrong_setting_is_told_without_its_value(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load(**given)
    assert "hunter2" not in str(refused.value)


def test_settings_say_where_mail_and_chat_go() -> None:
    settings = load(
        smtp_url="smtp://mail.example", mail_from="Torana <torana@gateway.example>", public_url="https://gateway.example/",
        chat_webhooks="default=https://chat.example/hooks/a=b, ops=https://chat.example/hooks/c",
    )  # fmt: skip
    assert settings.server.reached_at == "https://gateway.example"
    assert Delivery.of(settings.mail).mails
    assert settings.mail.sender == SENDER
    assert settings.mail.webhooks == {
        "default": "https://chat.example/hooks/a=b", "ops": "https://chat.example/hooks/c",
    }  # fmt: skip
    assert "mail.example" not in repr(settings)
    assert load(host="0.0.0.0", port=9000).server.reached_at == "http://127.0.0.1:9000"


async def test_users_say_themselves_whether_they_want_messages(platform: Platform) -> None:
    query = "mutation($c:ProfileChanges!){updateProfile(expectedVersion:1,input:$c){... on User{language notified} ... on Problem{code field}}}"
    told = (await platform.ask(query, "tom", c={"notified": None}))["updateProfile"]
    assert told == {"code": "INVALID", "field": "input.notified"}
    changed = (await platform.ask(query, "tom", c={"notified": False, "language": "fr"}))["updateProfile"]
    assert changed == {"language": "fr", "notified": False}


@pytest.mark.parametrize(
    "source", ["{{" + "(" * 400 + "1" + ")" * 400 + "}}", "{{ " + "not " * 3_000 + "name }}", "x" * 20_001]
)
def test_a_template_that_is_nested_deeply_or_long_is_refused(source: str) -> None:
    with pytest.raises(Invalid):
        templates.check("subject", source, None)
