"""Downloads of a simulation's files over HTTP: results, pages as CSV, logs, inputs. Access is as in GraphQL."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from gateway.protocol.files import CSV, JSON, TEXT, ZIP, File, Note, answer
from gateway.protocol.pieces import each, pieces
from gateway.protocol.results import texts
from gateway.protocol.results.documents import results
from gateway.protocol.results.simulation_archive import contents, inputs_archive
from gateway.protocol.results.simulation_document import document
from gateway.protocol.results.tables import table
from gateway.protocol.zip_stream import archive
from resolvers.context import Context, Services
from resolvers.failures import Failure, Invalid, NotFound
from resolvers.reading.ranges import numbers_in
from resolvers.simulations import exports, logs
from resolvers.spelling import safe
from schema.fields.scalars import key_of, parse_id

Find = Callable[[Context, Any, Request], Awaitable[File]]
"""Finds a file of a simulation's row."""


@dataclass(frozen=True)
class Downloads:
    """The routes below `FOLDER`, and that of a page alone."""

    services: Services

    @property
    def routes(self) -> list[Route]:
        below: dict[str, Find] = {
            "results.json": _results,
            "simulation.json": _document,
            "estimators/{estimator:path}/pages/{number:int}.csv": _page,
            "log.txt": _log,
            "logs/{name:path}": _log_file,
            "inputs.zip": _inputs,
            "inputs/{name}": _input,
            "all.zip": _all,
            "{rest:path}": _nothing,
        }
        found: dict[str, Callable[[Context, Request], Awaitable[tuple[File, Note]]]] = {
            f"/{'/'.join(exports.FOLDER)}/{{id}}/{path}": partial(_found, find) for path, find in below.items()
        }
        found[f"/{'/'.join(exports.PAGES)}/{{id}}/{{name}}"] = _page_alone
        return [
            Route(path, partial(answer, self.services, find), methods=["GET", "HEAD"]) for path, find in found.items()
        ]


async def _found(find: Find, ctx: Context, request: Request) -> tuple[File, Note]:
    row = await exports.simulation(ctx, key_of("Simulation", request.path_params["id"]))
    file = await find(ctx, row, request)
    return file, partial(exports.note, ctx, row, file.name)


async def _results(ctx: Context, row: Any, request: Request) -> File:
    asked = request.query_params
    pages = ",".join(asked.getlist("pages"))
    numbers = None if "pages" not in asked else frozenset(numbers_in(pages, "pages"))
    chosen = await exports.estimators(ctx, row, asked.getlist("estimators"), numbers)
    job = await logs.latest(ctx, row)
    key = job.key if job else None
    state = key, *(one.state for one in chosen)
    return File(f"{_title(row)}.json", JSON, partial(results, ctx, key, chosen), state)


async def _document(ctx: Context, row: Any, _: Request) -> File:
    held = await contents(ctx, row)
    made = partial(document, ctx, row, held)
    return File(f"{_title(row)}-simulation.json", JSON, made, held.state)


async def _page(ctx: Context, row: Any, request: Request) -> File:
    named, number = request.path_params["estimator"], request.path_params["number"]
    estimator = await exports.estimator(ctx, row, **_named(named))
    page = await exports.page(ctx, await exports.page_numbered(ctx, estimator, number))
    return _table(ctx, row, estimator, page, request)


async def _page_alone(ctx: Context, request: Request) -> tuple[File, Note]:
    page = await exports.page(ctx, key_of("Page", request.path_params["id"]))
    estimator = await exports.estimator_of(ctx, page)
    row = await exports.simulation(ctx, estimator.simulation_id)
    file = _table(ctx, row, estimator, page, request)
    return file, partial(exports.note, ctx, row, file.name)


def _table(ctx: Context, row: Any, estimator: Any, page: Any, request: Request) -> File:
    bom = _yes(request, "bom")
    name = f"{_title(row)}-{safe(estimator.file_name)}-{page.number}.csv"
    return File(name, CSV, partial(table, ctx, page, bom=bom), (page.id, page.version, bom))


def _yes(request: Request, name: str) -> bool:
    """A parameter that is 1, or 0 as without it; INVALID for anything else."""
    given = request.query_params.get(name, "0")
    if given not in ("0", "1"):
        raise Invalid(f"{name} is 0 or 1", field=name, allowed=["0", "1"])
    return given == "1"


def _named(estimator: str) -> dict[str, Any]:
    """An estimator in the URL: a file may have any name; a name that looks like an id is taken for an id."""
    try:
        typename, key = parse_id(estimator)
    except Failure:
        return {"file": estimator}
    return {"key": key} if typename == "Estimator" else {"file": estimator}


async def _log(ctx: Context, row: Any, _: Request) -> File:
    job = await logs.job(ctx, row)
    made = partial(texts.log, partial(logs.lines, ctx, job))
    return File(f"{_title(row)}-log.txt", TEXT, made, (job.id, job.log_length))


async def _log_file(ctx: Context, row: Any, request: Request) -> File:
    path = request.path_params["name"]
    job, file = await logs.file(ctx, row, path)
    made = partial(texts.lines, partial(logs.lines_of, ctx, job, file))
    return File(safe(path.replace("/", "-")), TEXT, made, (job.id, job.log_length, path))


async def _inputs(ctx: Context, row: Any, _: Request) -> File:
    given = await exports.inputs(ctx, row)
    made = partial(inputs_archive, given, row.created_at)
    return File(f"{_title(row)}-inputs.zip", ZIP, made, (given.id, given.version))


async def _input(ctx: Context, row: Any, request: Request) -> File:
    name = request.path_params["name"]
    given = await exports.inputs(ctx, row)
    if name not in given.files:
        raise NotFound(f"no input file of this name; there are: {', '.join(sorted(given.files))}", field="name")
    text = given.files[name]
    size = len(text.encode(errors="replace"))
    return File(safe(name), TEXT, lambda: each(pieces(text)), (given.id, given.version, name), size)


async def _all(ctx: Context, row: Any, _: Request) -> File:
    held = await contents(ctx, row)
    made = partial(_zip, ctx, row, held)
    return File(f"{_title(row)}.zip", ZIP, made, held.state)


def _zip(ctx: Context, row: Any, held: Any) -> Any:
    return archive(held.members(ctx), row.created_at)


async def _nothing(ctx: Context, row: Any, request: Request) -> File:
    raise NotFound("there is no such file of a simulation")


def _title(row: Any) -> str:
    return safe(row.title, "simulation")
