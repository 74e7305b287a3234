"""Serve the explorer page, built from `explorer/`, and the small pages that links in mails lead to.

A content security policy lets the explorer load nothing from elsewhere.
"""

import hashlib
import html
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parents[1] / "explorer" / "dist"

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

NOT_BUILT = """<!doctype html><html lang="en"><title>Torana</title>
<p>The explorer page is not built: it needs Node.js 20 or newer. <code>make install</code> builds it.</p>
<p>The endpoint works: send GraphQL by POST to this address.</p></html>"""


def built() -> bool:
    return (FOLDER / "index.html").is_file()


def show() -> Response:
    """The explorer page, or why there is none."""
    if not built():
        return HTMLResponse(NOT_BUILT, 503, HEADERS)
    return FileResponse(FOLDER / "index.html", headers={**HEADERS, "Cache-Control": "no-cache"}, media_type="text/html")


class Assets(StaticFiles):
    """The files of the explorer page."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, check_dir=False)

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response: Response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(HEADERS)
        return response


def wanted(scope: Scope) -> bool:
    """Whether a browser asks for the page: it accepts HTML, and sends no operation."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    request = Request(scope)
    asked = {"query", "documentId", "extensions"} & request.query_params.keys()
    return not asked and "text/html" in request.headers.get("accept", "")


# Links in mails -----------------------------------------------------------------------------------------------------

PAGES = Path(__file__).parents[1] / "pages"
LINK_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}
_FIELDS = """<label>New password
<input name="password" type="password" autocomplete="new-password" minlength="12" maxlength="1024" required></label>
<label>The same again
<input name="again" type="password" autocomplete="new-password" required></label>
"""
_VERIFY = """mutation VerifyEmail($token: String!) {
  result: verifyEmail(token: $token) { __typename ... on Problem { message } }
}"""
_RESET = """mutation ResetPassword($token: String!, $password: String!) {
  result: resetPassword(token: $token, newPassword: $password) { __typename ... on Problem { message } }
}"""
DOCUMENTS = {hashlib.sha256(text.encode()).hexdigest(): text for text in (_VERIFY, _RESET)}
"""The documents of these pages by hash; they run also where only trusted documents are accepted."""


def _link(path: str, title: str, button: str, document: str, done: str, fields: str = "") -> Route:
    """A page that does nothing before its button is pressed, because programs that read mails also open links."""
    text = (PAGES / "link.html").read_text()
    given = {
        "title": title,
        "button": button,
        "document": html.escape(document, quote=True),
        "done": done,
        "fields": fields,
    }
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value)

    async def show(_: Request) -> Response:
        return HTMLResponse(text, headers=LINK_HEADERS)

    return Route(path, show, methods=["GET"])


def _file(name: str, media: str) -> Route:
    async def show(_: Request) -> Response:
        return FileResponse(PAGES / name, headers=LINK_HEADERS, media_type=media)

    return Route(f"/pages/{name}", show, methods=["GET"])


LINKS = (
    _link("/verify-email", "Confirm your e-mail address", "Confirm", _VERIFY, "The address is confirmed."),
    _link("/reset-password", "Set a new password", "Set the password", _RESET, "The password is set.", _FIELDS),
    _file("link.js", "text/javascript"),
    _file("link.css", "text/css"),
)
