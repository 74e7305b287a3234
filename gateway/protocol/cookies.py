"""A browser's session cookie: it holds the refresh token, scripts can't read it, and it opens nothing else.

A request asks for it by a header that no form, link or image of another site can send.
"""

from datetime import timedelta
from urllib.parse import urlsplit

from starlette.types import Scope

from gateway.operations.errors import BAD_REQUEST
from gateway.operations.responses import Answer, Refused
from gateway.protocol.asgi import Incoming, Reply
from gateway.settings.server import ServerSettings
from resolvers.context import Browser

NAME = "torana_refresh"
HEADER = "x-torana-session"
PATH = "/graphql"


def browser_of(request: Incoming, scope: Scope, settings: ServerSettings, *, able: bool) -> Browser | None:
    """The browser that keeps its session in a cookie, if the request asks for that; raises Refused for a page of
    another site.

    `able` is true when the answer can set a cookie.
    """
    if (wanted := request.header(HEADER.encode())) is None:
        return None
    if wanted.strip().lower() != "cookie":
        raise _refused(400, f"the header {HEADER} is: cookie")
    if not _from_here(request, scope, settings):
        raise _refused(403, "a session in a cookie is for pages of the gateway's own origin")
    return Browser(_sent(request), unable=not able)


def keep(browser: Browser | None, reply: Reply, scope: Scope, settings: ServerSettings, lifetime: timedelta) -> None:
    """Set the cookie in a reply to what the browser is to hold from now on."""
    if browser is None or browser.kept is None:
        return
    seconds = int(lifetime.total_seconds()) if browser.kept else 0
    public = settings.public_url.startswith("https://")
    secure = "; Secure" if settings.cookie_secure or public or scope.get("scheme") == "https" else ""
    reply.headers["Set-Cookie"] = (
        f"{NAME}={browser.kept}; Max-Age={seconds}; Path={PATH}; HttpOnly; SameSite=Strict{secure}"
    )


def _sent(request: Incoming) -> str | None:
    """The cookie's value; none when there are several, because another host of the domain may have set one."""
    pairs = [part.strip().partition("=") for part in (request.header(b"cookie") or "").split(";")]
    found = {value for name, _, value in pairs if name == NAME}
    return found.pop() if len(found) == 1 else None


def _from_here(request: Incoming, scope: Scope, settings: ServerSettings) -> bool:
    if (site := request.header(b"sec-fetch-site")) is not None and site != "same-origin":
        return False
    if (origin := request.header(b"origin")) is None:
        return True
    public = urlsplit(settings.reached_at)
    own = f"{scope.get('scheme', 'http')}://{request.header(b'host') or ''}"
    return origin in (own, f"{public.scheme}://{public.netloc}")


def _refused(status: int, message: str) -> Refused:
    return Refused(Answer.refusal(status, {"message": message, "extensions": {"code": BAD_REQUEST}}))
