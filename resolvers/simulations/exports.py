"""The files of a simulation for download, read piece by piece as the principal may see them.

Reads go through the loaders, one page of numbers at a time, so memory does not grow with the size of a result.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from resolvers.access.policy import policy_of
from resolvers.access.rules import unreadable
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, NotFound
from resolvers.reading.conditions import Where
from resolvers.reading.loaders import Loaders
from resolvers.reading.paging import MOST, Order, Slice
from resolvers.reading.relationships import Relationship
from resolvers.reading.selection import Selection
from resolvers.writing.audit import record

FOLDER = ("downloads", "simulations")
"""Below it, by its global id, what there is of a simulation."""
NAMED = 20
"""The most estimators that a message names."""

_SIMULATION = Selection(models.Simulation, ("title", "created_at", "project_id"))
_ESTIMATOR = Selection(models.Estimator, ("name", "file_name", "meta"))
_NUMBER = Selection(models.Page, ("number", "value_count"))
_PAGE = Selection(
    models.Page,
    (
        "number", "name", "dimension", "unit", "meta", "data_values", "axis1_name", "axis1_unit", "axis1_values",
        "axis2_name", "axis2_unit", "axis2_values",
    ),
)  # fmt: skip
_JOB = Selection(models.Job, ())
_TASK = Selection(models.Task, ("ordinal",))
_LINE = Selection(models.LogEntry, ("text", "sequence"))
_READERS = policy_of(models.SimulationSetup).fields["files"]
_INPUT = Selection(models.SimulationSetup, ("files",), (("files", _READERS),))
_BY_NAME, _BY_NUMBER = Order(models.Estimator.name_folded), Order(models.Page.number)
_LATEST, _BY_ORDINAL = Order(models.Job.attempt, descending=True), Order(models.Task.ordinal)
_BY_SEQUENCE = Order(models.LogEntry.sequence)
LINES = 1_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """An estimator, with the keys of its wanted pages by number; `values` counts their numbers."""

    row: Any
    pages: Mapping[int, UUID]
    values: int


async def simulation(ctx: Context, key: UUID) -> Any:
    """The simulation's row; NOT_FOUND when there is none that the principal may see."""
    return _there(await _loaders(ctx).one(_SIMULATION, key), "Simulation")


async def note(ctx: Context, simulation: Any, name: str) -> None:
    """Record that a file is downloaded."""
    async with ctx.database.write() as session:
        project, site = simulation.project_id, None
        if project is not None:
            site = await session.scalar(sa.select(models.Project.site_id).where(models.Project.id == project))
        record(session, ctx, "DOWNLOAD", "Simulation", simulation.id, file=name, project_id=project, site_id=site)


async def estimators(
    ctx: Context, simulation: Any, names: Collection[str] = (), numbers: Collection[int] | None = None
) -> list[Chosen]:
    """The estimators of a simulation: all, or those with one of the names or files. Each comes with its pages that have
    one of the numbers. INVALID for a name that no estimator has."""
    every = [row async for row in _all(ctx, models.Simulation.estimators, simulation, _BY_NAME, _ESTIMATOR)]
    known = {text for row in every for text in (row.name, row.file_name)}
    if unknown := sorted(set(names) - known):
        there = ", ".join(row.name for row in every[:NAMED])
        raise Invalid(
            f"no estimator is called {unknown[0][:80]}; there are: {there or 'none'}",
            field="estimators",
            allowed=[row.name for row in every[:NAMED]],
        )
    found = []
    for row in every:
        if names and not {row.name, row.file_name}.intersection(names):
            continue
        pages = [page async for page in _all(ctx, models.Estimator.pages, row, _BY_NUMBER, _NUMBER)]
        wanted = [page for page in pages if numbers is None or page.number in numbers]
        found.append(Chosen(row, {p.number: p.id for p in wanted}, sum(p.value_count for p in wanted)))
    if numbers is not None and found and not any(chosen.pages for chosen in found):
        raise NotFound("no page has one of these numbers", field="pages")
    return found


async def estimator(ctx: Context, simulation: Any, *, key: UUID | None = None, file: str = "") -> Any:
    """The row of an estimator of the simulation, by its key or its file."""
    where = Where.equal(models.Estimator.id, key) if key else Where.equal(models.Estimator.file_name, file)
    slice = Slice(_BY_NAME, 1)
    page = await _loaders(ctx).page(models.Simulation.estimators, simulation, slice, _ESTIMATOR, where)
    return _there(page.nodes[0] if page.nodes else None, "Estimator")


async def page_numbered(ctx: Context, estimator: Any, number: int) -> UUID:
    """The key of a page."""
    slice, where = Slice(_BY_NUMBER, 1), Where.equal(models.Page.number, number)
    page = await _loaders(ctx).page(models.Estimator.pages, estimator, slice, _NUMBER, where)
    found: UUID = _there(page.nodes[0] if page.nodes else None, "Page").id
    return found


async def page(ctx: Context, key: UUID) -> Any:
    """A page with its numbers, which are not cached."""
    rows = await _loaders(ctx).among(_PAGE, [key], None)
    return _there(rows[0] if rows else None, "Page")


async def inputs(ctx: Context, simulation: Any) -> Mapping[str, str]:
    """The input files, by name; FORBIDDEN for a principal who may only see the simulation."""
    row = _there(await _loaders(ctx).related(models.Simulation.input, simulation, _INPUT), "SimulationSetup")
    if not row.may_files:
        raise Forbidden(unreadable("SimulationSetup", "inputFiles", _READERS))
    files: Mapping[str, str] = row.files
    return files


async def log(ctx: Context, simulation: Any) -> AsyncIterator[tuple[int | None, str]]:
    """The log lines of the latest job, each with the number of its task. NOT_FOUND when the principal sees no job; this
    is raised before any line is read."""
    loaders = _loaders(ctx)
    jobs = await loaders.page(models.Simulation.jobs, simulation, Slice(_LATEST, 1), _JOB)
    job = _there(jobs.nodes[0] if jobs.nodes else None, "Job")
    first = await loaders.page(models.Job.log, job, Slice(_BY_SEQUENCE, 1), _LINE)
    _there(first.nodes[0] if first.nodes else None, "LogEntry")
    return _lines(ctx, job)


async def _lines(ctx: Context, job: Any) -> AsyncIterator[tuple[int | None, str]]:
    ordinals = {task.id: task.ordinal async for task in _all(ctx, models.Job.tasks, job, _BY_ORDINAL, _TASK, LINES)}
    async for line in _all(ctx, models.Job.log, job, _BY_SEQUENCE, _LINE, LINES):
        yield ordinals.get(line.task_id), line.text


def _loaders(ctx: Context) -> Loaders:
    """Loaders that cache nothing beyond one read."""
    return ctx.fork().loaders


async def _all(
    ctx: Context, relationship: Relationship, row: Any, order: Order, selection: Selection, together: int = MOST
) -> AsyncIterator[Any]:
    """The rows that a relationship leads to, in an order."""
    after: tuple[Any, ...] | None = None
    while True:
        page = await _loaders(ctx).page(relationship, row, Slice(order, together, after), selection)
        for one in page.nodes:
            yield one
        if not page.more:
            return
        after = tuple(getattr(page.nodes[-1], name) for name in order.names)


def _there(row: Any, typename: str) -> Any:
    if row is None:
        raise NotFound(f"no {typename} of this kind that you may see")
    return row
