"""Files over HTTP: what asks for one is known by its header or by a ticket, and the file is sent as it is made."""

import hashlib
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from db.outages import Unavailable
from gateway.operations.errors import AGAIN, STATUS, internal, of_outage, refused
from gateway.operations.responses import encode
from gateway.protocol.asgi import client_of
from gateway.protocol.authentication import CHALLENGES, presented
from gateway.protocol.pieces import cut, length, packed
from gateway.protocol.ranged import part_of, unchanged, wants_part
from gateway.protocol.server import request_id
from resolvers.accounts import tickets
from resolvers.context import Context, Services
from resolvers.failures import Code, Failure, Unauthenticated
from resolvers.identity.principal import ANONYMOUS, Kind, Principal

log = structlog.get_logger("torana")

HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_STATUS = {
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    **{code: STATUS[code.name] for code in (Code.UNAUTHENTICATED, Code.TOKEN_EXPIRED, *AGAIN)},
}
"""The HTTP status of more codes than a GraphQL answer has, because a file has no errors beside it."""
SIGN_IN = "sign in first, or ask for an address with a ticket by createDownload, createExport or File.downloadUrl"
JSON, CSV, TEXT, ZIP = "application/json", "text/csv; charset=utf-8", "text/plain; charset=utf-8", "application/zip"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is made as it is sent: the name to save it as, and its content, each time anew. Where its `state` is
    the same, so are its bytes; `size` is their number where it is known; `headers` go with it."""

    name: str
    media: str
    content: Callable[[], AsyncIterator[bytes]]
    state: Any = None
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        """Its entity tag."""
        if self.state is None:
            return None
        return f'"{hashlib.sha256(repr((self.media, self.state)).encode()).hexdigest()[:32]}"'


Note = Callable[[], Awaitable[None]]
"""Puts the download on record."""
Find = Callable[[Context, Request], Awaitable[tuple[File, Note]]]


async def answer(services: Services, find: Find, request: Request) -> Response:
    """The file that `find` finds. Refusals come before the first byte. When something is gone once it is reached, the
    connection ends, so that an incomplete file never looks whole."""

    async def make(ctx: Context) -> Response:
        file, note = await find(ctx, request)
        return await sent(file, request, note)

    return await answered(services, request, make)


async def sent(file: File, request: Request, note: Note) -> Response:
    """The whole file, the part that was asked for, or that nothing changed. To know where a part ends, a file of
    unknown length is made once before."""
    headers, tag = {**HEADERS, "Content-Disposition": disposition(file.name), **file.headers}, file.tag
    size = file.size
    if tag is not None:
        headers |= {"ETag": tag, "Accept-Ranges": "bytes"}
        if unchanged(request.headers, tag):
            return Response(status_code=304, headers=headers)
    head = request.method == "HEAD"
    if size is None and tag is not None and not head and wants_part(request.headers, tag):
        size = await length(file.content())
    if size is None or tag is None:
        if head:
            return Response(headers={**headers, "Content-Type": file.media})
        await note()
        return Stream(packed(file.content()), headers=headers, media_type=file.media)
    part = part_of(request.headers, tag, size)
    headers |= part.headers
    if head or part.status == 416:
        return Response(status_code=part.status, headers={**headers, "Content-Type": file.media})
    await note()
    content = cut(file.content(), part.start, part.stop) if part.status == 206 else file.content()
    return Stream(packed(content), part.status, headers, file.media)


async def answered(
    services: Services,
    request: Request,
    make: Callable[[Context], Awaitable[Response]],
    *,
    anyone: bool = False,
    optional: bool = False,
    scheme: str | None = None,
) -> Response:
    """What `make` answers to the principal of a request; a failure is told as a GraphQL answer tells it. With `anyone`
    nobody is looked for, and with `optional` nobody needs to sign in. `scheme` is that by which clients are asked to,
    where it is not Bearer."""
    number = os.urandom(16).hex()
    request_id.set(number)
    try:
        principal = ANONYMOUS if anyone else await _principal(services, request, optional)
        made = await make(Context(services, principal, client_of(request.scope, request.headers.get("user-agent"))))
        made.headers["X-Request-Id"] = number
        return made
    except Failure as failure:
        return _told(_STATUS.get(failure.code, 400), refused(failure), number, scheme)
    except Exception as error:
        if (known := of_outage(error)) is not None:
            return _told(_STATUS.get(known.code, 400), refused(known), number)
        return _told(500, internal(error), number)


async def _principal(services: Services, request: Request, optional: bool) -> Principal:
    """The principal of the header; or of the ticket, when no header can be sent or it is bad."""
    principal, no_good = await presented(services, request.headers.get("authorization"))
    query = request.query_params
    if principal.kind is Kind.ANONYMOUS and tickets.TICKET in query:
        address = tickets.address_of(request.scope["path"], query.multi_items())
        said = services.identity.keys.read_fetch(query[tickets.TICKET], address)
        return await services.identity.principals.of(said)
    if no_good is not None:
        raise no_good
    if principal.kind is Kind.ANONYMOUS and not optional:
        raise Unauthenticated(SIGN_IN)
    return principal


class Stream(StreamingResponse):
    """Stops the reading when the sending ends, however it ends."""

    async def stream_response(self, send: Send) -> None:
        content: Any = self.body_iterator
        async with aclosing(content):
            try:
                await super().stream_response(send)
            except (Failure, Unavailable) as failure:
                log.info("download.broken", why=str(failure))
            except OSError:
                raise
            except Exception as error:
                internal(error)


def disposition(name: str, *, shown: bool = False) -> str:
    """The Content-Disposition header for this file name (RFC 6266): in any letters, and in ASCII for clients that can't
    read those. The file is to be saved, or `shown`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", plain) or "download"
    return f"{'inline' if shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _told(status: int, error: Any, number: str, scheme: str | None = None) -> Response:
    headers = {**HEADERS, "X-Request-Id": number}
    if status == 401:
        own = scheme and f'{scheme} realm="torana", charset="UTF-8"'
        headers["WWW-Authenticate"] = own or CHALLENGES[Code[error["extensions"]["code"]]]
    if (wait := error["extensions"].get("retryAfterSeconds")) is not None:
        headers["Retry-After"] = str(wait)
    return Response(encode({"errors": [error]}), status, headers, f"{JSON}; charset=utf-8")
