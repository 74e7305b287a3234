"""Downloads of stored files, whole or in ranges (RFC 9110), and of public ones."""

import base64
import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Send

from db.storage.storage import Missing, StorageAway
from gateway.protocol.files import HEADERS, Stream, answered, disposition
from resolvers.context import Context, Services
from resolvers.failures import Away
from resolvers.files import files
from schema.fields.scalars import key_of

log = structlog.get_logger("torana")

FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Range", "Content-Length", "Repr-Digest")
"""Headers of our answers that a script of another origin may read."""
PUBLIC = "public, max-age=300"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class StoredFiles:
    """The routes of files that are stored: `/files/{id}/{name}` and `/static/{name}`."""

    services: Services

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/files/{id}/{name}", self._file, methods=["GET", "HEAD"]),
            Route("/static/{name}", self._static, methods=["GET", "HEAD"]),
        ]

    async def _file(self, request: Request) -> Response:
        return await answered(self.services, request, partial(_file, request))

    async def _static(self, request: Request) -> Response:
        return await answered(self.services, request, partial(_static, request), anyone=True)


async def _file(request: Request, ctx: Context) -> Response:
    row = await files.readable(ctx, key_of("File", request.path_params["id"]))
    storage, bounds = ctx.services.files.storage, ctx.services.files.bounds
    headers = {**HEADERS, "Content-Disposition": disposition(row.name)}
    if request.method != "HEAD":
        await files.note(ctx, row)
        link = await storage.link(row.digest, int(bounds.link), headers["Content-Disposition"])
        if link is not None:
            return RedirectResponse(link, 307, {**HEADERS, "Repr-Digest": _digest(row)})
    await _expect_there(ctx, row)
    return _answer(ctx, request, row, headers)


async def _expect_there(ctx: Context, row: Any) -> None:
    """UNAVAILABLE before the first byte where the bytes are missing: what is begun can only break off."""
    if await ctx.services.files.storage.size_of(row.digest) != row.size:
        log.error("file.bytes_missing", digest=row.digest)
        raise Away("the bytes of this file can't be read; tell the operator", seconds=60)


async def _static(request: Request, ctx: Context) -> Response:
    row = await files.public(ctx, request.path_params["name"])
    await _expect_there(ctx, row)
    shown = {"Cache-Control": PUBLIC, "Cross-Origin-Resource-Policy": "cross-origin"}
    return _answer(ctx, request, row, {**HEADERS, **shown, "Content-Disposition": disposition(row.name, shown=True)})


def _answer(ctx: Context, request: Request, row: Any, given: Mapping[str, str]) -> Response:
    """The whole file, the range that was asked for, or that nothing changed."""
    size, tag = row.size, f'"sha256-{row.digest}"'
    headers = {**given, "ETag": tag, "Accept-Ranges": "bytes", "Repr-Digest": _digest(row)}
    if _names(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    status, start, stop = 200, 0, size
    if (wanted := request.headers.get("range")) is not None and request.headers.get("if-range", tag) == tag:
        found = _span(wanted, size)
        if found is not None:
            start, stop = found
            if start >= stop:
                return Response(status_code=416, headers={**given, "Content-Range": f"bytes */{size}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers={**headers, "Content-Type": row.media_type})
    content = ctx.services.files.storage.read(row.digest, start, stop)
    return _Stored(content, status, headers, row.media_type)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """From where to before where a Range header goes; empty when it lies outside. None when it is to be ignored: it has
    several ranges, or another unit."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size if int(found[2]) else 0
    start, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < start:
        return None
    return start, min(last + 1, size)


def _names(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match header has this tag."""
    return header is not None and any(
        one in ("*", tag) for one in (part.strip().removeprefix("W/") for part in header.split(","))
    )


def _digest(row: Any) -> str:
    """The digest of the whole file (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(row.digest)).decode()}:"


class _Stored(Stream):
    """Ends the connection when bytes are missing or the storage goes away, so that a part never looks whole."""

    async def stream_response(self, send: Send) -> None:
        content: Any = self.body_iterator
        async with aclosing(content):
            try:
                await super().stream_response(send)
            except Missing:
                log.error("file.bytes_missing", path=quote(self.headers.get("etag", "")))
            except StorageAway as error:
                log.warning("file.storage_away", error=str(error))
