"""All of a simulation that a principal may read, and that as one zip."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from gateway.protocol.pieces import each, packed, pieces
from gateway.protocol.results import texts
from gateway.protocol.results.documents import results
from gateway.protocol.results.tables import table
from gateway.protocol.zip_stream import Member, archive
from resolvers.context import Context
from resolvers.failures import Forbidden, NotFound
from resolvers.simulations import exports, logs
from resolvers.simulations.exports import Chosen
from resolvers.spelling import apart, safe

PROJECT = "project.json"
"""The editor's project in an archive."""
_TEXT = 90
"""The most characters of a line of CSV, or of a number in JSON with its place on the axes."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is of a simulation. `given` and `files` are none where the principal may not read them. Where the
    `state` is the same, so are all bytes."""

    row: Any
    chosen: Sequence[Chosen]
    given: Any
    job: Any
    tasks: Sequence[Any]
    files: Mapping[str, logs.LogFile]

    @property
    def state(self) -> tuple[Any, ...]:
        given = self.given and (self.given.id, self.given.version)
        job = self.job and tuple(getattr(self.job, name) for name in logs.JOB)
        tasks = tuple(tuple(getattr(task, name) for name in logs.TASK) for task in self.tasks)
        return self.row.id, self.row.version, given, job, tasks, tuple(self.files), *(one.state for one in self.chosen)

    async def members(self, ctx: Context) -> AsyncIterator[Member]:
        """Each file of the archive."""
        most = _TEXT * sum(estimator.values for estimator in self.chosen)
        yield Member("results.json", packed(results(ctx, self.job.key if self.job else None, self.chosen)), most)
        folders: set[str] = set()
        for estimator in self.chosen:
            folder = apart(safe(estimator.row.file_name), folders)
            for number, version in estimator.pages.items():
                page = await exports.page(ctx, *version)
                path, size = f"pages/{folder}/{number}.csv", _TEXT * page.value_count
                yield Member(path, packed(table(ctx, page)), size)
        if self.files:
            yield Member("log.txt", packed(texts.log(partial(logs.lines, ctx, self.job))))
        for path, file in self.files.items():
            yield Member(f"logs/{path}", packed(texts.lines(partial(logs.lines_of, ctx, self.job, file))))
        if self.given is not None:
            for member in _inputs(self.given, "inputs/"):
                yield member


async def contents(ctx: Context, row: Any) -> Contents:
    """What there is of a simulation that the principal may read."""
    chosen, job = await exports.estimators(ctx, row), await logs.latest(ctx, row)
    tasks = [] if job is None else await logs.tasks(ctx, job)
    files = {} if job is None else await logs.files(ctx, job, tasks)
    try:
        given = await exports.inputs(ctx, row)
    except (Forbidden, NotFound):
        given = None
    return Contents(row, chosen, given, job, tasks, files)


def inputs_archive(given: Any, moment: datetime) -> AsyncIterator[bytes]:
    """The input as a zip."""

    async def members() -> AsyncIterator[Member]:
        for member in _inputs(given, ""):
            yield member

    return archive(members(), moment)


def _inputs(given: Any, folder: str) -> Sequence[Member]:
    """The input files, and the editor's project that they were made from."""
    taken: set[str] = set()
    made = [Member(folder + apart(safe(name), taken), each(pieces(text))) for name, text in given.files.items()]
    if given.project is not None:
        text = json.dumps(given.project, ensure_ascii=False, indent=1)
        made.append(Member(folder + apart(PROJECT, taken), each(pieces(text))))
    return made
