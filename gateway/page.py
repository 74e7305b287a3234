"""The explorer page: built from `explorer/`, served from here under a policy that lets it load nothing else."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "explorer" / "dist"

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
    """The page itself, or why there is none."""
    if not built():
        return HTMLResponse(NOT_BUILT, 503, HEADERS)
    return FileResponse(FOLDER / "index.html", headers={**HEADERS, "Cache-Control": "no-cache"}, media_type="text/html")


class Assets(StaticFiles):
    """The page's files."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, check_dir=False)

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response: Response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(HEADERS)
        return response


def wanted(scope: Scope) -> bool:
    """Whether a browser asks for the page: it wants HTML, and sends no operation."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    request = Request(scope)
    asked = {"query", "documentId", "extensions"} & request.query_params.keys()
    return not asked and "text/html" in request.headers.get("accept", "")
