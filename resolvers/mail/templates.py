"""The templates of messages: built-in ones, which are files, and stored ones, which administrators write."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, Undefined, nodes
from jinja2.sandbox import SandboxedEnvironment

from db.models import Channel, NotificationTemplate
from resolvers.failures import Invalid

FOLDER = Path(__file__).parent / "words"
"""The files of built-in templates: `<language>/<key>.txt`, whose first line is the subject, `.html` beside it, and
`.chat` for chats."""

SUBJECT = 255
"""The most characters of a subject; the rest is dropped."""
_SOURCE = 20_000

_UNSHOWN = frozenset({"url", "code"})
"""Variables with which anyone could sign in. Subjects are stored and listed, so they are made without these."""

SECURITY = frozenset(
    {
        "account_changed", "email_verification", "invitation", "password_changed", "password_reset", "sign_up_refused",
        "two_factor_code",
    }
)  # fmt: skip
"""Messages that hold a link or a code, or tell of the ways to sign in. Nobody can opt out of them, and their texts are
the built-in ones or superadmins' own: who writes them speaks in the gateway's name."""

_WORDS = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr, nodes.Filter, nodes.Keyword,
    nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat,
)  # fmt: skip
"""The syntax that a stored template may use. Without loops, calls and arithmetic its text is as short as it looks."""
_FILTERS = frozenset(
    {"capitalize", "default", "e", "escape", "int", "lower", "round", "title", "trim", "truncate", "upper", "urlencode"}
)


class Form(Enum):
    TEXT = "txt"
    HTML = "html"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Message:
    """A message: the texts of a template with the values of its variables."""

    subject: str | None
    text: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """The sources of one template. `builtin` ones may use more syntax, and must be given every variable that they
    name."""

    subject: str | None
    text: str
    html: str | None
    channel: Channel
    language: str
    builtin: bool

    def render(self, variables: Mapping[str, Any]) -> Message:
        given = {**variables, "language": self.language}
        shown = {name: value for name, value in given.items() if name not in _UNSHOWN}
        form = Form.TEXT if self.channel is Channel.EMAIL else Form.CHAT
        return Message(
            None if self.subject is None else one_line(self._made(self.subject, Form.TEXT, shown), "subject"),
            self._made(self.text, form, given).strip() + "\n" * (form is Form.TEXT),
            None if self.html is None else self._made(self.html, Form.HTML, given),
        )

    def _made(self, source: str, form: Form, variables: Mapping[str, Any]) -> str:
        return _compiled(source, form, self.builtin).render(variables)


def built_in(key: str, channel: Channel, language: str) -> Wording | None:
    """The template that comes with the gateway, if there is one in this language."""
    files = _files()
    if channel is Channel.CHAT:
        text = files.get(f"{language}/{key}.chat")
        return None if text is None else Wording(None, text, None, channel, language, builtin=True)
    if (text := files.get(f"{language}/{key}.txt")) is None:
        return None
    subject, _, text = text.partition("\n")
    html = files.get(f"{language}/{key}.html")
    return Wording(subject.removeprefix("Subject: "), text, html, channel, language, builtin=True)


def stored(row: NotificationTemplate) -> Wording:
    return Wording(row.subject, row.text, row.html, row.channel, row.language, builtin=False)


def check(subject: str | None, text: str, html: str | None) -> None:
    """Refuse a template that can't be rendered, or that does more than insert variables."""
    for field, source in (("subject", subject), ("text", text), ("html", html)):
        if source is not None:
            _parse(source, field)


def one_line(text: str, field: str) -> str:
    """The text of a header on one line: after a line break a further header of the writer's choice could follow."""
    text = text.strip()
    if not printable(text):
        raise Invalid(f"the {field} of a message is one line without control characters", field=field)
    return text if len(text) <= SUBJECT else text[: SUBJECT - 1] + "…"


def printable(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


@cache
def _files() -> dict[str, str]:
    found = (path for path in FOLDER.glob("*/*") if path.suffix in (".txt", ".html", ".chat"))
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in found}


@cache
def _environment(form: Form, builtin: bool) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        autoescape=form is Form.HTML,
        undefined=StrictUndefined if builtin else Undefined,
        loader=FileSystemLoader(FOLDER) if builtin else None,
        finalize=_for_chat if form is Form.CHAT else None,
        auto_reload=False,
    )
    if not builtin:
        environment.globals.clear()
    return environment


@lru_cache(maxsize=256)
def _compiled(source: str, form: Form, builtin: bool) -> Template:
    if not builtin:
        _parse(source, "template")
    return _environment(form, builtin).from_string(source)


def _parse(source: str, field: str) -> None:
    if len(source) > _SOURCE:
        raise Invalid(f"a template has at most {_SOURCE} characters", field=field)
    try:
        tree = _environment(Form.TEXT, False).parse(source)
    except TemplateError as error:
        raise Invalid(f"line {getattr(error, 'lineno', 1)} of the template: {error.message}", field=field) from None
    except RecursionError:
        raise Invalid("the template is nested too deeply", field=field) from None
    for found in tree.find_all(nodes.Node):
        if not isinstance(found, _WORDS) or (isinstance(found, nodes.Filter) and found.name not in _FILTERS):
            what = f"the filter {found.name}" if isinstance(found, nodes.Filter) else type(found).__name__.lower()
            raise Invalid(f"line {found.lineno} of the template: {what} is not for stored templates", field=field)


def _for_chat(value: Any) -> str:
    """Text of others for a chat: on one line, and without signs that notify a whole channel."""
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\N{ZERO WIDTH SPACE}")
