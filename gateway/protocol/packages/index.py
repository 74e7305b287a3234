"""The package index: `/simple/` has the specs of whose credential it is, `/simple/~{owner}/` those that another user
shares. pip and uv send the pair of an API key by HTTP Basic.

What is not there and what may not be seen are answered alike, also for files: by 404, or by a redirect to the upstream
index of the settings, so that one index address serves own names first and all others.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.protocol.files import answered
from gateway.protocol.negotiation import accepted, choose
from gateway.protocol.packages import pages
from gateway.protocol.packages.kept import Kept
from gateway.protocol.packages.throttle import Throttle
from gateway.protocol.ranged import unchanged
from gateway.protocol.stored_files import stored
from gateway.settings.specs import SpecSettings
from resolvers.context import Context, Services
from resolvers.failures import NotFound, Unauthenticated
from resolvers.files import files
from resolvers.identity.principal import Kind
from resolvers.specs import index
from resolvers.specs.names import sought

ROOT = "/simple"
METADATA = ".metadata"
METHODS = ["GET", "HEAD"]
_FORMER = re.compile(r"/(?P<name>[^/]+)/(?P<file>[^/]*)")
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_LATEST = {pages.JSON_LATEST: pages.JSON, pages.HTML_LATEST: pages.HTML}
SIGN_IN = "give an API key or a token of specs by HTTP Basic: http://pk_...:sk_...@host or http://__token__:tk_...@host"

Make = Callable[[Context, Request], Awaitable[Response]]


@dataclass(frozen=True)
class PackageIndex:
    """The routes of the index."""

    services: Services
    settings: SpecSettings
    throttle: Throttle = field(init=False)
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        object.__setattr__(self, "throttle", Throttle(self.settings.package_requests))

    @property
    def routes(self) -> list[Route]:
        """Those of the index, and those of an index of OpenAlchemy's package service, which redirect to them."""
        paths: dict[str, Make] = {
            "": _to_slash,
            "/": self._root,
            "/{name}": _to_slash,
            "/{name}/": self._project,
            "/{name}/{file}": self._file,
        }
        owned = [(f"{ROOT}/~{{owner}}{path}", make) for path, make in paths.items()]
        plain = [(f"{ROOT}{path}", make) for path, make in paths.items()]
        return [
            self._route(path, make if make is _to_slash else self._signed_in(make)) for path, make in (*owned, *plain)
        ]

    def _route(self, path: str, make: Make) -> Route:
        async def respond(request: Request) -> Response:
            async def made(ctx: Context) -> Response:
                return await make(ctx, request)

            found = await answered(self.services, request, made, optional=True, scheme="Basic")
            found.headers.setdefault("Vary", HEADERS["Vary"])
            return found

        return Route(path, respond, methods=METHODS)

    def _signed_in(self, make: Make) -> Make:
        """The same for who signed in, and not too often."""

        async def respond(ctx: Context, request: Request) -> Response:
            if ctx.principal.kind is Kind.ANONYMOUS:
                raise Unauthenticated(SIGN_IN)
            self.throttle.count(ctx.principal.credential or ctx.principal.id)
            return await make(ctx, request)

        return respond

    async def _root(self, ctx: Context, request: Request) -> Response:
        if (media := _media(request)) is None:
            return _not_acceptable()
        owner = await index.owner_of(ctx, request.path_params.get("owner"))
        names = [] if owner is None else await index.names(ctx, owner)
        return _page(request, media, pages.root(names, media), names)

    async def _project(self, ctx: Context, request: Request) -> Response:
        if (media := _media(request)) is None:
            return _not_acceptable()
        name = request.path_params["name"]
        known = sought(name)
        if known and known != name:
            return _moved(request, name, known)
        if (spec := await _spec(ctx, request, known)) is None:
            return await self._elsewhere(ctx, request)
        state = (spec.state, media)
        if _tag(state) in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={**HEADERS, "ETag": _tag(state)})
        if (page := self.kept.get(state)) is None:
            if not (packages := await index.distributions(ctx, spec)):
                return await self._elsewhere(ctx, request)
            page = pages.project(spec, packages, media)
            self.kept.put(state, page)
        return _page(request, media, page, state)

    async def _file(self, ctx: Context, request: Request) -> Response:
        file = request.path_params["file"]
        known = sought(request.path_params["name"])
        spec = await _spec(ctx, request, known)
        if spec is None or "\0" in file:
            return await self._elsewhere(ctx, request)
        packages = await index.distributions(ctx, spec, file.removesuffix(METADATA))
        if not packages:
            return await self._elsewhere(ctx, request)
        (package,) = packages
        first = request.method == "GET" and package.fetched_at is None
        if first and not await index.note_fetched(ctx, package.version_key, package.file):
            return await self._elsewhere(ctx, request)
        if file.endswith(METADATA):
            metadata = await index.metadata(ctx, spec, package.version_key)
            return _page(request, "text/plain", metadata, metadata)
        answer = await stored(ctx, request, await files.readable(ctx, package.file))
        if request.method == "GET" and answer.status_code in (200, 206):
            answer.headers["Cache-Control"] = "private, max-age=86400, immutable"  # it was fetched, so it stays
        return answer

    async def _elsewhere(self, ctx: Context, request: Request) -> Response:
        """The answer for what is not here, or may not be seen. What one's own spec does not have is nowhere else:
        another's package would be installed in its place."""
        name, file = request.path_params["name"], request.path_params.get("file", "")
        if self.settings.package_upstream is None or "owner" in request.path_params:
            raise NotFound("there is no such package")
        own, known = await index.owner_of(ctx, None), sought(name)
        if own is not None and known and await index.held(ctx, own, known):
            raise NotFound("your spec of this name has no such package")
        base = str(self.settings.package_upstream).rstrip("/")
        return RedirectResponse(f"{base}/{quote(name, safe='')}/{quote(file, safe='')}", 302, HEADERS)


async def _spec(ctx: Context, request: Request, name: str) -> index.Listed | None:
    owner: UUID | None = await index.owner_of(ctx, request.path_params.get("owner")) if name else None
    return None if owner is None else await index.listed(ctx, owner, name)


async def _to_slash(_: Context, request: Request) -> Response:
    return RedirectResponse(f"{quote(request.url.path)}/", 301, HEADERS)


def former(otherwise: ASGIApp) -> ASGIApp:
    """Redirects the addresses of an index of OpenAlchemy's package service, of what nothing else takes."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" and scope["method"] in METHODS else ""
        found = _FORMER.fullmatch(path)
        known = sought(found["name"]) if found else ""
        if not found or not known or (found["file"] and not found["file"].endswith(index.ENDS)):
            await otherwise(scope, receive, send)
            return
        moved = RedirectResponse(f"{ROOT}/{known}/{quote(found['file'], safe='')}", 301, HEADERS)
        await moved(scope, receive, send)

    return answer


def _moved(request: Request, name: str, known: str) -> Response:
    path = request.url.path.removesuffix("/").removesuffix(name)
    return RedirectResponse(f"{quote(path)}{known}/", 301, HEADERS)


def _media(request: Request) -> str | None:
    """The media type of the page; None for a client that takes none of those that there are."""
    header = request.headers.get("accept")
    found = pages.PLAIN if not header else choose(accepted(header), pages.OFFERED)
    return None if found is None else _LATEST.get(found, found)


def _not_acceptable() -> Response:
    return Response(f"this is told as one of {', '.join(pages.OFFERED)}", 406, HEADERS, "text/plain")


def _page(request: Request, media: str, content: bytes, state: object) -> Response:
    headers = {**HEADERS, "ETag": _tag(state)}
    if unchanged(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    kind = f"{media}; charset=utf-8" if media.startswith("text/") else media
    return Response(content, headers=headers, media_type=kind)


def _tag(state: object) -> str:
    return f'"{hashlib.sha256(repr(state).encode()).hexdigest()[:32]}"'
