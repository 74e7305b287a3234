"""Downloads of a simulation's files over HTTP: results, pages as CSV, the log, the inputs. Access is as in GraphQL."""

import os
import re
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from db.outages import Unavailable
from gateway.operations.errors import AGAIN, STATUS, internal, of_database, refused
from gateway.operations.responses import encode
from gateway.protocol import formats
from gateway.protocol.asgi import client_of
from gateway.protocol.authentication import CHALLENGES, presented
from gateway.protocol.server import request_id
from gateway.protocol.zip_stream import Member, archive
from resolvers.context import Context, Services
from resolvers.failures import Code, Failure, Forbidden, NotFound, Unauthenticated
from resolvers.identity.principal import Kind, Principal
from resolvers.reading.ranges import numbers_in
from resolvers.simulations import exports
from resolvers.simulations.exports import Chosen
from schema.fields.scalars import key_of, parse_id
from schema.types.simulations.downloads import FOLDER

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
JSON, CSV, TEXT, ZIP = "application/json", "text/csv; charset=utf-8", "text/plain; charset=utf-8", "application/zip"
NAME = 100
"""The most characters of a file name that we give."""
_TEXT = 90
"""The most characters of a line of CSV, or of a number in JSON with its place on the axes."""


@dataclass(frozen=True, slots=True)
class File:
    """The content of a file, and the name to save it as."""

    name: str
    media: str
    content: AsyncIterator[bytes]


Find = Callable[[Context, Any, Request], Awaitable[File]]


@dataclass(frozen=True)
class Downloads:
    """The routes below `FOLDER`. Refusals come before the first byte. When something is gone once it is reached, the
    connection ends, so that an incomplete file never looks whole."""

    services: Services

    @property
    def routes(self) -> list[Route]:
        below: dict[str, Find] = {
            "results.json": _results,
            "estimators/{estimator:path}/pages/{number:int}.csv": _page,
            "log.txt": _log,
            "inputs.zip": _inputs,
            "inputs/{name}": _input,
            "all.zip": _all,
            "{rest:path}": _nothing,
        }
        return [
            Route(f"/{'/'.join(FOLDER)}/{{id}}/{path}", partial(self._answer, find), methods=["GET"])
            for path, find in below.items()
        ]

    async def _answer(self, find: Find, request: Request) -> Response:
        number = os.urandom(16).hex()
        request_id.set(number)
        try:
            principal = await self._principal(request)
            ctx = Context(self.services, principal, client_of(request.scope, request.headers.get("user-agent")))
            row = await exports.simulation(ctx, key_of("Simulation", request.path_params["id"]))
            file = await find(ctx, row, request)
            if request.method != "HEAD":
                await exports.note(ctx, row, file.name)
        except Failure as failure:
            return _told(_STATUS.get(failure.code, 400), refused(failure), number)
        except Exception as error:
            if (known := of_database(error)) is not None:
                return _told(_STATUS.get(known.code, 400), refused(known), number)
            return _told(500, internal(error), number)
        headers = {**HEADERS, "X-Request-Id": number, "Content-Disposition": disposition(file.name)}
        if request.method == "HEAD":
            return Response(headers={**headers, "Content-Type": file.media})
        return _Stream(formats.packed(file.content), headers=headers, media_type=file.media)

    async def _principal(self, request: Request) -> Principal:
        """The principal of the header; or of the ticket, when no header can be sent or it is bad."""
        principal, no_good = await presented(self.services, request.headers.get("authorization"))
        query = request.query_params
        if principal.kind is Kind.ANONYMOUS and exports.TICKET in query:
            address = exports.address_of(request.scope["path"], query.multi_items())
            said = self.services.identity.keys.read_fetch(query[exports.TICKET], address)
            return await self.services.identity.principals.of(said)
        if no_good is not None:
            raise no_good
        if principal.kind is Kind.ANONYMOUS:
            raise Unauthenticated("sign in first, or ask for an address with a ticket by createDownload")
        return principal


class _Stream(StreamingResponse):
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


# Each file ----------------------------------------------------------------------------------------------------------


async def _results(ctx: Context, row: Any, request: Request) -> File:
    asked = request.query_params
    names = [name.strip() for given in asked.getlist("estimators") for name in given.split(",") if name.strip()]
    numbers = None if "pages" not in asked else frozenset(numbers_in(asked["pages"], "pages"))
    chosen = await exports.estimators(ctx, row, names, numbers)
    return File(f"{_title(row)}.json", JSON, formats.results(ctx, chosen))


async def _page(ctx: Context, row: Any, request: Request) -> File:
    named, number = request.path_params["estimator"], request.path_params["number"]
    estimator = await exports.estimator(ctx, row, **_named(named))
    key = await exports.page_numbered(ctx, estimator, number)
    name = f"{_title(row)}-{safe(estimator.file_name)}-{number}.csv"
    return File(name, CSV, formats.each(formats.table(await exports.page(ctx, key))))


def _named(estimator: str) -> dict[str, Any]:
    """An estimator in the URL: a file may have any name; a name that looks like an id is taken for an id."""
    try:
        typename, key = parse_id(estimator)
    except Failure:
        return {"file": estimator}
    return {"key": key} if typename == "Estimator" else {"file": estimator}


async def _log(ctx: Context, row: Any, _: Request) -> File:
    return File(f"{_title(row)}-log.txt", TEXT, formats.log(await exports.log(ctx, row)))


async def _inputs(ctx: Context, row: Any, _: Request) -> File:
    files = await exports.inputs(ctx, row)

    async def members() -> AsyncIterator[Member]:
        for name, text in files.items():
            yield Member(safe(name), formats.each(formats.pieces(text)))

    return File(f"{_title(row)}-inputs.zip", ZIP, archive(members(), row.created_at))


async def _input(ctx: Context, row: Any, request: Request) -> File:
    name = request.path_params["name"]
    files = await exports.inputs(ctx, row)
    if name not in files:
        raise NotFound(f"no input file of this name; there are: {', '.join(sorted(files))}", field="name")
    return File(name, TEXT, formats.each(formats.pieces(files[name])))


async def _all(ctx: Context, row: Any, _: Request) -> File:
    chosen = await exports.estimators(ctx, row)
    return File(f"{_title(row)}.zip", ZIP, archive(_members(ctx, row, chosen), row.created_at))


async def _members(ctx: Context, row: Any, chosen: Sequence[Chosen]) -> AsyncIterator[Member]:
    most = _TEXT * sum(estimator.values for estimator in chosen)
    yield Member("results.json", formats.packed(formats.results(ctx, chosen)), most)
    folders: set[str] = set()
    for estimator in chosen:
        folder = _new(safe(estimator.row.file_name), folders)
        for number, key in estimator.pages.items():
            made = formats.table(await exports.page(ctx, key))
            yield Member(f"pages/{folder}/{number}.csv", formats.packed(formats.each(made)))
    try:
        yield Member("log.txt", formats.packed(formats.log(await exports.log(ctx, row))))
    except NotFound:
        log.debug("download.without_log")
    try:
        files = await exports.inputs(ctx, row)
    except (Forbidden, NotFound):
        return
    for name, text in files.items():
        yield Member(f"inputs/{safe(name)}", formats.each(formats.pieces(text)))


async def _nothing(ctx: Context, row: Any, request: Request) -> File:
    raise NotFound("there is no such file of a simulation")


# Names --------------------------------------------------------------------------------------------------------------


def _new(name: str, taken: set[str]) -> str:
    """A name that differs from those before it, also when case is ignored."""
    made, n = name, 1
    while made.lower() in taken:
        n += 1
        made = f"{name}-{n}"
    taken.add(made.lower())
    return made


def _title(row: Any) -> str:
    return safe(row.title, "simulation")


def safe(name: str, otherwise: str = "file") -> str:
    """A name that is valid on every system: no path, no invisible characters, not hidden."""
    shown = "".join("_" if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in name)
    return re.sub(r'[/\\:*?"<>|]', "_", shown)[:NAME].strip(" .") or otherwise


def disposition(name: str) -> str:
    """The Content-Disposition header for this file name (RFC 6266): in any letters, and in ASCII for clients that can't
    read those."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", plain) or "download"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _told(status: int, error: Any, number: str) -> Response:
    headers = {**HEADERS, "X-Request-Id": number}
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGES[Code[error["extensions"]["code"]]]
    if (wait := error["extensions"].get("retryAfterSeconds")) is not None:
        headers["Retry-After"] = str(wait)
    return Response(encode({"errors": [error]}), status, headers, f"{JSON}; charset=utf-8")
