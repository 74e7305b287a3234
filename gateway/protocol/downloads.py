"""Downloads of a simulation's files over HTTP: results, pages as CSV, the log, the inputs. Access is as in GraphQL."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from starlette.requests import Request
from starlette.routing import Route

from gateway.protocol import formats
from gateway.protocol.files import CSV, JSON, TEXT, ZIP, File, Note, answer
from gateway.protocol.zip_stream import Member, archive
from resolvers.context import Context, Services
from resolvers.failures import Failure, Forbidden, NotFound
from resolvers.reading.ranges import numbers_in
from resolvers.simulations import exports
from resolvers.simulations.exports import Chosen
from resolvers.spelling import between_commas, safe
from schema.fields.scalars import key_of, parse_id

log = structlog.get_logger("torana")

_TEXT = 90
"""The most characters of a line of CSV, or of a number in JSON with its place on the axes."""


Find = Callable[[Context, Any, Request], Awaitable[File]]
"""Finds a file of a simulation's row."""


@dataclass(frozen=True)
class Downloads:
    """The routes below `FOLDER`."""

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
            Route(
                f"/{'/'.join(exports.FOLDER)}/{{id}}/{path}",
                partial(answer, self.services, partial(_found, find)),
                methods=["GET"],
            )
            for path, find in below.items()
        ]


async def _found(find: Find, ctx: Context, request: Request) -> tuple[File, Note]:
    row = await exports.simulation(ctx, key_of("Simulation", request.path_params["id"]))
    file = await find(ctx, row, request)
    return file, partial(exports.note, ctx, row, file.name)


# Each file ----------------------------------------------------------------------------------------------------------


async def _results(ctx: Context, row: Any, request: Request) -> File:
    asked = request.query_params
    names = between_commas(",".join(asked.getlist("estimators")))
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
