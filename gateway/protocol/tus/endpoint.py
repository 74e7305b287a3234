"""Resumable uploads over HTTP: tus 1.0.0 (https://tus.io/protocols/resumable-upload) at `/uploads`, with the extensions
creation, creation-with-upload, expiration, termination, checksum and concatenation; and the parts of a manifest."""

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import format_datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from starlette.types import Receive, Scope, Send

from db.models import UploadState
from gateway.operations.errors import internal, of_outage, refused
from gateway.operations.responses import encode
from gateway.protocol.asgi import Incoming, Reply
from gateway.protocol.authentication import CHALLENGES, presented
from gateway.protocol.server import request_id
from gateway.protocol.tus import headers as headers_of
from gateway.protocol.tus.body import Body, Broken
from gateway.protocol.tus.headers import Terms
from resolvers.context import Context, Services
from resolvers.failures import Code, Failure, Invalid, Locked, NotFound, Unauthenticated, WrongState
from resolvers.files import leases, parts, receiving, uploads
from resolvers.files.grants import PLACE, granted
from resolvers.files.leases import Held, NotHeld, Standing
from resolvers.files.receiving import WrongChecksum
from resolvers.identity.principal import Kind, Principal
from schema.fields.mutations import UPLOADER

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,concatenation"
HEADERS = (
    "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Checksum", "Upload-Concat",
    "Upload-Expires", "Upload-Grant", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size",
    "Tus-Checksum-Algorithm", "Location", "X-HTTP-Method-Override", "X-Requested-With", "X-Request-Id",
)  # fmt: skip
"""The headers of the protocol, which scripts of other origins may send and read."""
_STATUS = {
    Code.UNAUTHENTICATED: 401,
    Code.TOKEN_EXPIRED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.INVALID: 400,
    Code.CONFLICT: 409,
    Code.STATE: 403,
    Code.QUOTA: 413,
    Code.LIMIT_EXCEEDED: 413,
    Code.LOCKED: 423,
    Code.RATE_LIMITED: 429,
    Code.UNAVAILABLE: 503,
    Code.TIMEOUT: 503,
}
_NUMBER = re.compile("[1-9][0-9]{0,8}")
MEDIA = "application/offset+octet-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """A request about an upload. `own` is the upload of its grant, if it has one."""

    ctx: Context
    incoming: Incoming
    receive: Receive
    own: UUID | None


Answer = Callable[[Request], Awaitable[Reply]]


class Uploads:
    """Everything at `/uploads`, as an ASGI application."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = os.urandom(16).hex()
        request_id.set(number)
        incoming = Incoming(scope, receive)
        try:
            reply = await self._answered(scope["path"], incoming, receive)
        except Broken:
            return
        reply.headers |= {"Tus-Resumable": VERSION, "X-Request-Id": number, "Cache-Control": "no-store"}
        if incoming.method == "HEAD":
            reply.body = b""
        await reply(scope, receive, send)

    async def _answered(self, path: str, incoming: Incoming, receive: Receive) -> Reply:
        method = (incoming.header(b"x-http-method-override") or incoming.method).upper()
        if method == "OPTIONS":
            return self._options()
        try:
            key, answer, tus = _route(method, path)
            headers_of.check_once(incoming)
            if tus and incoming.header(b"tus-resumable") != VERSION:
                told = Invalid(f"this speaks tus {VERSION}", field="Tus-Resumable", allowed=[VERSION])
                return _told(told, 412, {"Tus-Version": VERSION})
            principal, own = await self._principal(incoming)
            if key is not None and own not in (None, key):
                raise Unauthenticated("the grant is for another upload")
            changes = method not in ("HEAD", "GET") and principal.kind is not Kind.WORKER
            if changes and await self._services.locking.read_only():
                raise Locked("the gateway is locked: nothing may change for now")
            return await answer(Request(Context(self._services, principal, incoming.client), incoming, receive, own))
        except Failure as failure:
            return _told(failure, _status(failure))
        except NotHeld:
            return _told(Held("another request brings bytes of this upload; try again", seconds=1), 423)
        except Broken:
            raise
        except Exception as error:
            if (known := of_outage(error)) is not None:
                return _told(known, _status(known))
            return Reply(500, _JSON, encode({"errors": [internal(error)]}))

    def _options(self) -> Reply:
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(self._services.files.bounds.upload),
            "Tus-Checksum-Algorithm": ",".join(headers_of.ALGORITHMS),
        }
        return Reply(204, _JSON, headers=headers)

    async def _principal(self, incoming: Incoming) -> tuple[Principal, UUID | None]:
        """Who asks: by a grant, with the upload that it is for; or by credentials."""
        own: UUID | None = None
        if (token := incoming.header(b"upload-grant")) is not None:
            said = self._services.identity.keys.read_fetch(token)
            own, principal = granted(said), await self._services.identity.principals.of(said)
        else:
            principal, no_good = await presented(self._services, incoming.header(b"authorization"))
            if no_good is not None:
                raise no_good
        UPLOADER.admit(principal)
        return principal, own


def _route(method: str, path: str) -> tuple[UUID | None, Answer, bool]:
    """The upload, what answers, and whether that is of the protocol of tus."""
    rest = path.removeprefix(PLACE).strip("/").split("/")
    if rest == [""] and method == "POST":
        return None, _create, True
    try:
        key = UUID(rest[0])
    except ValueError:
        raise NotFound(uploads.MISSING, field="id") from None
    if len(rest) == 1 and method in _OF_ONE:
        return key, partial(_OF_ONE[method], key), method != "GET"
    if len(rest) == 3 and rest[1] == "parts" and _NUMBER.fullmatch(rest[2]) and method == "PUT":
        return key, partial(_part, key, int(rest[2])), False
    raise NotFound("there is no such address", field="path")


async def _create(request: Request) -> Reply:
    ctx, own, terms = request.ctx, request.own, Terms.read(request.incoming)
    if terms.concat is not None and terms.concat.of:
        whole = terms.new_upload() if own is None else own
        standing = Standing.of(await uploads.put_together(ctx, whole, terms.concat.of))
    elif terms.concat is not None and own is not None:
        new = replace(await uploads.like(ctx, own), size=terms.size, meta=terms.meta, partial=True)
        standing = Standing.of(await uploads.create(ctx, new))
    elif own is not None:
        if terms.size is not None:
            await leases.declare(ctx, own, terms.size)
        standing = await leases.standing(ctx, own)
    else:
        standing = Standing.of(await uploads.create(ctx, terms.new_upload()))
    headers = {"Location": f"{PLACE}/{standing.key}"}
    if request.incoming.header(b"content-type") == MEDIA and standing.state is UploadState.OPEN:
        standing = await _received(request, standing.key, standing.received)
    return Reply(201, _JSON, headers={**headers, **_progress(standing)})


async def _head(key: UUID, request: Request) -> Reply:
    standing = await leases.standing(request.ctx, key)
    if standing.state is UploadState.FAILED:
        return _told(WrongState("the file was not taken; begin another upload", state=standing.state.name), 410)
    headers = _progress(standing)
    headers |= {"Upload-Defer-Length": "1"} if standing.size is None else {"Upload-Length": str(standing.size)}
    if standing.meta:
        headers["Upload-Metadata"] = standing.meta
    if standing.partial:
        headers["Upload-Concat"] = "partial"
    return Reply(200, _JSON, headers=headers)


async def _get(key: UUID, request: Request) -> Reply:
    """How far an upload is, for clients of manifests."""
    standing = await leases.standing(request.ctx, key)
    return Reply(200, _JSON, orjson.dumps(_shown(standing, await parts.lacking(request.ctx, key))))


async def _patch(key: UUID, request: Request) -> Reply:
    if request.incoming.header(b"content-type") != MEDIA:
        return _told(Invalid(f"the body is sent as {MEDIA}", field="Content-Type", allowed=[MEDIA]), 415)
    offset = headers_of.number(request.incoming, "Upload-Offset")
    if offset is None:
        raise Invalid("Upload-Offset is needed", field="Upload-Offset")
    if (size := headers_of.number(request.incoming, "Upload-Length")) is not None:
        await leases.declare(request.ctx, key, size)
    return Reply(204, _JSON, headers=_progress(await _received(request, key, offset)))


async def _delete(key: UUID, request: Request) -> Reply:
    await uploads.end(request.ctx, key)
    return Reply(204, _JSON)


async def _part(key: UUID, ordinal: int, request: Request) -> Reply:
    body = Body(request.receive)
    length = headers_of.number(request.incoming, "Content-Length")
    standing, lacking = await parts.receive_part(request.ctx, key, ordinal, length, body.pieces())
    return Reply(200, _JSON, orjson.dumps(_shown(standing, lacking)))


_OF_ONE: Mapping[str, Callable[[UUID, Request], Awaitable[Reply]]] = {
    "HEAD": _head,
    "PATCH": _patch,
    "DELETE": _delete,
    "GET": _get,
}


async def _received(request: Request, key: UUID, offset: int) -> Standing:
    """Take the body; what came before the connection broke is kept."""
    length, checksum = headers_of.number(request.incoming, "Content-Length"), headers_of.checksum(request.incoming)
    body = Body(request.receive)
    async with receiving.receiving(request.ctx, key, offset, length, checksum) as at:
        at.on_wanted(body.stop)
        try:
            async for piece in body.pieces():
                if len(piece) > at.left:
                    raise Invalid("more bytes came than the upload has", field="body", allowed=at.left)
                await at.take(piece)
        except Broken:
            await at.broken()
            raise
        if body.stopped:
            await at.broken()
            raise Held("another request goes on with this upload", seconds=1)
        return await at.finish()


_JSON = "application/json; charset=utf-8"


def _progress(standing: Standing) -> dict[str, str]:
    headers = {"Upload-Offset": str(standing.received)}
    if standing.state is UploadState.OPEN:
        headers["Upload-Expires"] = format_datetime(standing.expires_at, usegmt=True)
    return headers


def _shown(standing: Standing, lacking: list[int]) -> Mapping[str, Any]:
    return {
        "id": str(standing.key),
        "state": standing.state.name,
        "received": standing.received,
        "size": standing.size,
        "lacking": lacking,
    }


def _status(failure: Failure) -> int:
    if isinstance(failure, WrongChecksum):
        return 460
    if isinstance(failure, Held):
        return 423
    if failure.code is Code.STATE and failure.details.get("state") == UploadState.EXPIRED.name:
        return 410
    return _STATUS.get(failure.code, 400)


def _told(failure: Failure, status: int, headers: Mapping[str, str] | None = None) -> Reply:
    given = dict(headers or {})
    if status == 401:
        given["WWW-Authenticate"] = CHALLENGES[failure.code]
    if (wait := failure.extensions.get("retryAfterSeconds")) is not None:
        given["Retry-After"] = str(wait)
    if (offset := failure.details.get("offset")) is not None:
        given["Upload-Offset"] = str(offset)
    return Reply(status, _JSON, encode({"errors": [refused(failure)]}), headers=given)
