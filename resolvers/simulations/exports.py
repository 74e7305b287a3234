"""What of a simulation is downloaded, read row by row as the principal may see it, so that memory does not grow with
the size of a result."""

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from resolvers.access.policy import policy_of
from resolvers.access.rules import unreadable
from resolvers.context import Context
from resolvers.failures import Away, Forbidden, Invalid, NotFound
from resolvers.reading.conditions import Where
from resolvers.reading.loaders import Loaders
from resolvers.reading.paging import MOST, Order, Slice
from resolvers.reading.relationships import Relationship
from resolvers.reading.selection import Selection
from resolvers.spelling import between_commas
from resolvers.writing.audit import record

FOLDER = ("downloads", "simulations")
"""Below it, by its global id, what there is of a simulation."""
PAGES = ("downloads", "pages")
"""Below it, by its global id, a page alone."""
NAMED = 20
"""The most estimators that a message names."""

_SIMULATION = Selection(models.Simulation, ("title", "created_at", "project_id", "sim_type", "input_type", "version"))
_ESTIMATOR = Selection(models.Estimator, ("name", "file_name", "meta", "version", "simulation_id"))
_NUMBER = Selection(models.Page, ("number", "value_count", "version"))
_AXES = tuple(f"axis{number}_{of}" for number in (1, 2, 3) for of in ("name", "unit", "values"))
_PAGE = Selection(
    models.Page,
    (
        "number", "name", "dimension", "unit", "meta", "value_count", "content", "version", "data_values",
        "data_errors", *_AXES,
    ),
)  # fmt: skip
_READERS = policy_of(models.SimulationSetup).fields["files"]
_INPUT = Selection(
    models.SimulationSetup,
    ("files", "project", "total_primaries", "version"),
    (("files", _READERS), ("project", policy_of(models.SimulationSetup).fields["project"])),
)
_BY_NAME, _BY_NUMBER = Order(models.Estimator.name_folded), Order(models.Page.number)


Version = tuple[UUID, int]
"""The key of a row, and its version."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An estimator, with its wanted pages by number: the key and the version of each. `values` counts their numbers.
    Where its `state` is the same, so are the numbers."""

    row: Any
    pages: Mapping[int, Version]
    values: int

    @property
    def state(self) -> tuple[Any, ...]:
        return self.row.id, self.row.version, *self.pages.values()


async def simulation(ctx: Context, key: UUID) -> Any:
    """The simulation's row; NOT_FOUND when there is none that the principal may see."""
    return there(await loaders(ctx).one(_SIMULATION, key), "Simulation")


async def note(ctx: Context, simulation: Any, name: str) -> None:
    """Record that a file is downloaded."""
    async with ctx.database.write() as session:
        project, site = simulation.project_id, None
        if project is not None:
            site = await session.scalar(sa.select(models.Project.site_id).where(models.Project.id == project))
        record(session, ctx, "DOWNLOAD", "Simulation", simulation.id, file=name, project_id=project, site_id=site)


async def estimators(
    ctx: Context, simulation: Any, names: Sequence[str] = (), numbers: Container[int] | None = None
) -> list[Chosen]:
    """The estimators of a simulation: all, or those with one of the names or files. Each text has a name, or some
    between commas. Each comes with its pages that have one of the numbers. INVALID for a name that no estimator has."""
    every = [row async for row in every_row(ctx, models.Simulation.estimators, simulation, _BY_NAME, _ESTIMATOR)]
    known = {text for row in every for text in (row.name, row.file_name)}
    asked = {name for text in names for name in ([text] if text in known else between_commas(text))}
    if unknown := sorted(asked - known):
        there = ", ".join(row.name for row in every[:NAMED])
        raise Invalid(
            f"no estimator is called {unknown[0][:80]}; there are: {there or 'none'}",
            field="estimators",
            allowed=[row.name for row in every[:NAMED]],
        )
    found = []
    for row in every:
        if asked and not {row.name, row.file_name}.intersection(asked):
            continue
        pages = [page async for page in every_row(ctx, models.Estimator.pages, row, _BY_NUMBER, _NUMBER)]
        wanted = [page for page in pages if numbers is None or page.number in numbers]
        versions = {page.number: (page.id, page.version) for page in wanted}
        found.append(Chosen(row, versions, sum(page.value_count for page in wanted)))
    if numbers is not None and found and not any(chosen.pages for chosen in found):
        raise NotFound("no page has one of these numbers", field="pages")
    return found


async def estimator(ctx: Context, simulation: Any, *, key: UUID | None = None, file: str = "") -> Any:
    """The row of an estimator of the simulation, by its key or its file."""
    where = Where.equal(models.Estimator.id, key) if key else Where.equal(models.Estimator.file_name, file)
    slice = Slice(_BY_NAME, 1)
    page = await loaders(ctx).page(models.Simulation.estimators, simulation, slice, _ESTIMATOR, where)
    return there(page.nodes[0] if page.nodes else None, "Estimator")


async def page_numbered(ctx: Context, estimator: Any, number: int) -> UUID:
    """The key of a page."""
    slice, where = Slice(_BY_NUMBER, 1), Where.equal(models.Page.number, number)
    page = await loaders(ctx).page(models.Estimator.pages, estimator, slice, _NUMBER, where)
    found: UUID = there(page.nodes[0] if page.nodes else None, "Page").id
    return found


async def page(ctx: Context, key: UUID, version: int | None = None) -> Any:
    """A page with its numbers, or where they are; it is not cached. Raises UNAVAILABLE when it is of another version
    than the one that is asked for."""
    rows = await loaders(ctx).among(_PAGE, [key], None)
    row = there(rows[0] if rows else None, "Page")
    if version is not None and row.version != version:
        raise Away("the results were replaced while they were read", seconds=1)
    return row


async def estimator_of(ctx: Context, page: Any) -> Any:
    """The row of a page's estimator."""
    return there(await loaders(ctx).one(_ESTIMATOR, page.estimator_id), "Estimator")


async def inputs(ctx: Context, simulation: Any) -> Any:
    """The row of the input, with its `files` and the editor's `project`; FORBIDDEN for a principal who may only see the
    simulation."""
    row = there(await loaders(ctx).related(models.Simulation.input, simulation, _INPUT), "SimulationSetup")
    if not row.may_files:
        raise Forbidden(unreadable("SimulationSetup", "inputFiles", _READERS))
    return row


def loaders(ctx: Context) -> Loaders:
    """Loaders that cache nothing beyond one read."""
    return ctx.fork().loaders


async def every_row(
    ctx: Context,
    relationship: Relationship,
    row: Any,
    order: Order,
    selection: Selection,
    where: Where | None = None,
    together: int = MOST,
) -> AsyncIterator[Any]:
    """The rows that a relationship leads to, in an order."""
    after: tuple[Any, ...] | None = None
    while True:
        page = await loaders(ctx).page(relationship, row, Slice(order, together, after), selection, where)
        for one in page.nodes:
            yield one
        if not page.more:
            return
        after = tuple(getattr(page.nodes[-1], name) for name in order.names)


def there(row: Any, typename: str) -> Any:
    """The row; NOT_FOUND for none."""
    if row is None:
        raise NotFound(f"no {typename} of this kind that you may see")
    return row
