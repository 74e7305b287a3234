"""Files of a simulation for plain links in a browser, which can send no header."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from resolvers.accounts.tickets import ticket
from resolvers.failures import Invalid
from resolvers.reading.ranges import numbers_in
from resolvers.simulations import exports
from schema.fields.fields import Info
from schema.fields.mutations import FETCHER, mutation
from schema.fields.problems import Problem
from schema.fields.scalars import enum, key_of


class _Kind(Enum):
    RESULTS = "results.json"
    DOCUMENT = "simulation.json"
    PAGE = "pages"
    LOG = "log.txt"
    LOG_FILE = "logs"
    INPUTS = "inputs.zip"
    INPUT = "inputs"
    ALL = "all.zip"


DownloadKind = enum(
    _Kind,
    "A file of a simulation.",
    name="DownloadKind",
    RESULTS="`results.json`: all estimators with their pages, or those that are named.",
    DOCUMENT="`simulation.json`: the simulation with its results, in the shape that YAPTIDE's editor loads.",
    PAGE="One page as CSV: `estimator` and `page` name it.",
    LOG="`log.txt`: what its latest job said.",
    LOG_FILE="The log of one file of a task: `file` names it, such as `1/shieldhit_0001.log`.",
    INPUTS="`inputs.zip`: all that it was given.",
    INPUT="One input file: `file` names it.",
    ALL="`all.zip`: all of this that you may read.",
)


@strawberry.type(description="An address that a browser may open as it is.")
class Download:
    url: str = strawberry.field(description="The address, for this file alone; who has it gets what you may see.")
    expires_at: datetime = strawberry.field(description="Until then a download can be begun.")


DownloadResult = Annotated[
    Download | Problem, strawberry.union("DownloadResult", description="The address, or why not.")
]


@strawberry.type
class DownloadsMutation:
    @mutation(needs=FETCHER, always=True)
    async def create_download(
        self,
        info: Info,
        simulation: Annotated[strawberry.ID, strawberry.argument(description="Of which simulation.")],
        kind: Annotated[DownloadKind, strawberry.argument(description="Which file.")],  # type: ignore[valid-type]
        estimator: Annotated[
            str | None, strawberry.argument(description="For PAGE: the estimator, by its file or its id.")
        ] = None,
        page: Annotated[int | None, strawberry.argument(description="For PAGE: its number.")] = None,
        file: Annotated[str | None, strawberry.argument(description="For INPUT and LOG_FILE: its name.")] = None,
        estimators: Annotated[
            list[str] | None,
            strawberry.argument(description="For RESULTS: only these estimators, by name or file."),
        ] = None,
        pages: Annotated[
            str | None, strawberry.argument(description="For RESULTS: only pages of these numbers, such as `1-3,5`.")
        ] = None,
    ) -> DownloadResult:
        """Make an address from which a browser fetches a file without any header, for a few minutes. It changes
        nothing, so it goes on while the gateway is locked. Programs send their `Authorization` header instead."""
        key = key_of("Simulation", simulation, "simulation")
        given = {"estimator": estimator, "page": page, "file": file, "estimators": estimators, "pages": pages}
        _only(kind, {name for name, value in given.items() if value is not None})
        end: tuple[Any, ...] = (kind.value,)  # type: ignore[attr-defined]
        query: list[tuple[str, str]] = []
        if kind is _Kind.PAGE:
            end = ("estimators", estimator or "", "pages", f"{page}.csv")
        elif kind is _Kind.INPUT:
            end = ("inputs", file or "")
        elif kind is _Kind.LOG_FILE:
            end = ("logs", file or "")
        if estimators:
            query += [("estimators", name) for name in estimators]
        if pages is not None:
            numbers_in(pages, "pages")
            query.append(("pages", pages))
        await exports.simulation(info.context, key)
        made = ticket(info.context, (*exports.FOLDER, simulation, *end), query)
        return Download(url=made.url, expires_at=made.expires_at)


_NEEDED = {_Kind.PAGE: {"estimator", "page"}, _Kind.INPUT: {"file"}, _Kind.LOG_FILE: {"file"}}
_TAKEN = {**_NEEDED, _Kind.RESULTS: {"estimators", "pages"}}


def _only(kind: _Kind, given: set[str]) -> None:
    """Refuse arguments that say nothing about a file of this kind, and the lack of those that name it."""
    taken = _TAKEN.get(kind, set())
    if (missing := sorted(_NEEDED.get(kind, set()) - given)) or (further := sorted(given - taken)):
        wrong = missing[0] if missing else further[0]
        words = f"takes {' and '.join(sorted(taken))}" if taken else "takes no further arguments"
        raise Invalid(f"a download of kind {kind.name} {words}", field=wrong)
