"""Downloads of stored files, whole or in ranges (RFC 9110), and of public ones."""

import base64
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Send

from db.storage.storage import Missing, StorageAway
from gateway.protocol.files import HEADERS, SIGN_IN, Stream, answered, disposition
from gateway.protocol.ranged import part_of, unchanged
from resolvers.context import Context, Services
from resolvers.failures import Away, NotFound, Unauthenticated
from resolvers.files import files
from resolvers.identity.principal import Kind
from resolvers.sessions import assets
from resolvers.specs import index
from schema.fields.scalars import key_of

log = structlog.get_logger("torana")

FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Range", "Content-Length", "Repr-Digest")
"""Headers of our answers that a script of another origin may read."""
PUBLIC = "public, max-age=300"
GRANT = "grant"
"""The query parameter that holds a grant of assets."""


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
        return await answered(self.services, request, partial(_file, request), optional=True)

    async def _static(self, request: Request) -> Response:
        return await answered(self.services, request, partial(_static, request), anyone=True)


async def _file(request: Request, ctx: Context) -> Response:
    key = key_of("File", request.path_params["id"])
    if ctx.principal.kind is Kind.ANONYMOUS and GRANT in request.query_params:
        ctx = await _granted(ctx, request.query_params[GRANT], key)
    row = await _readable(ctx, key)
    if row.address is not None:
        return RedirectResponse(row.address, 307, HEADERS)
    if request.method == "GET" and row.spec_version_id is not None:
        await index.note_fetched(ctx, row.spec_version_id, row.id)
    return await stored(ctx, request, row)


async def _granted(ctx: Context, token: str, key: UUID) -> Context:
    """The context of who made a grant, for a file that it is for."""
    said = ctx.services.identity.keys.read_fetch(token)
    if key not in assets.granted(said):
        raise Unauthenticated("the grant is for other files")
    return Context(ctx.services, await ctx.services.identity.principals.of(said), ctx.client)


async def stored(ctx: Context, request: Request, row: Any) -> Response:
    """The bytes of a file, or where the storage has them. The download is put on record."""
    storage, bounds = ctx.services.files.storage, ctx.services.files.bounds
    headers = {**HEADERS, "Content-Disposition": disposition(row.name)}
    if request.method != "HEAD":
        if ctx.principal.kind is not Kind.ANONYMOUS:  # what everyone may read is not put on record
            await files.note(ctx, row)
        link = await storage.link(row.digest, int(bounds.link), headers["Content-Disposition"])
        if link is not None:
            return RedirectResponse(link, 307, {**HEADERS, "Repr-Digest": _digest(row)})
    await _expect_there(ctx, row)
    return _answer(ctx, request, row, headers)


async def _readable(ctx: Context, key: UUID) -> Any:
    """The row of the file; UNAUTHENTICATED for who did not sign in and does not see it."""
    try:
        return await files.readable(ctx, key)
    except NotFound:
        if ctx.principal.kind is Kind.ANONYMOUS:
            raise Unauthenticated(SIGN_IN) from None
        raise


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
    if unchanged(request.headers, tag):
        return Response(status_code=304, headers=headers)
    part = part_of(request.headers, tag, size)
    if part.status == 416:
        return Response(status_code=416, headers={**given, **part.headers})
    headers |= part.headers
    if request.method == "HEAD":
        return Response(status_code=part.status, headers={**headers, "Content-Type": row.media_type})
    content = ctx.services.files.storage.read(row.digest, part.start, part.stop)
    return _Stored(content, part.status, headers, row.media_type)


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
