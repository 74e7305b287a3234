"""What tasks delivered, as it waits to be merged: estimators, and their numbers piece by piece."""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import numpy as np
import orjson
import sqlalchemy as sa

from db.engine import Database
from db.models import Job, JobState, Task, TaskResult, TaskSlab
from jobs.results import slabs
from jobs.results.estimators import Checked, Estimator, Numbers, Page, Run, read, series_of
from jobs.results.sums import Array

MEMORY = 1_000_000
"""Numbers of decoded results that are kept to be read again."""
SLABS = 8
"""Slabs of numbers that are kept."""
ANY = 2**62
"""What was delivered was checked when it came."""


def packed(checked: Checked) -> bytes:
    """Checked results, as they wait."""
    return gzip.compress(orjson.dumps(checked.estimators, default=msgspec.to_builtins), 3)


@dataclass(frozen=True, slots=True)
class Source:
    """The results of one task."""

    key: UUID
    task: UUID
    ordinal: int
    primaries: int
    delivery: str | None
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Result:
    """The estimators of a task, and their pages by file name and number."""

    estimators: Sequence[Estimator]
    pages: Mapping[tuple[str, int], Page]


@dataclass
class Delivered:
    """The results of the tasks of a job. Of numbers, only some are held in memory."""

    database: Database
    sources: Sequence[Source]
    _decoded: dict[UUID, Result] = field(default_factory=dict)
    _numbers: int = 0
    _slabs: "OrderedDict[tuple[UUID, int], Array]" = field(default_factory=OrderedDict)

    @classmethod
    async def of_job(cls, database: Database, job: UUID) -> "Delivered":
        """Results of tasks that ended well, are running, or were cancelled."""
        counted = Task.state.in_((JobState.COMPLETED, JobState.RUNNING, JobState.CANCELED))
        columns = (
            TaskResult.id, TaskResult.task_id, Task.ordinal, TaskResult.primaries, TaskResult.delivery,
            TaskResult.warnings,
        )  # fmt: skip
        wanted = sa.select(*columns).join(Task, Task.id == TaskResult.task_id).join(Job, Job.id == Task.job_id)
        rows = await database.rows(wanted.where(Job.id == job, counted).order_by(Task.ordinal))
        return cls(database, [Source(*row) for row in rows])

    async def result(self, source: Source) -> Result:
        """The estimators of a task; none when they were replaced since."""
        if (found := self._decoded.get(source.key)) is not None:
            return found
        same = (TaskResult.id == source.key, TaskResult.delivery.is_not_distinct_from(source.delivery))
        rows = await self.database.rows(sa.select(TaskResult.data).where(*same))
        if not rows:
            return Result((), {})
        made = await asyncio.to_thread(_decoded, rows[0].data)
        size = sum(
            len(one) for e in made.estimators for page in e.pages for one in series_of(page) if isinstance(one, list)
        )
        if self._numbers + size <= MEMORY:
            self._numbers += size
            self._decoded[source.key] = made
        return made

    async def axes(self, source: Source, page: Page) -> list[Array]:
        """The values of a page's axes."""
        return [await self.numbers(source, axis.values, 0, len(axis.values)) for axis in page.axes]

    async def numbers(self, source: Source, series: Numbers, start: int, stop: int) -> Array:
        """Some of a series, NaN for null. Raises LookupError when they were replaced since."""
        if not isinstance(series, Run):
            return np.array([np.nan if one is None else one for one in series[start:stop]], dtype=np.float64)
        found = np.empty(stop - start)
        place, end = series.first + start, series.first + stop
        filled = 0
        while place < end:
            number, inside = divmod(place, slabs.NUMBERS)
            more = (await self._slab(source, number))[inside : inside + end - place]
            if not len(more):
                raise LookupError("a slab is gone")
            found[filled : filled + len(more)] = more
            filled, place = filled + len(more), place + len(more)
        return found

    async def _slab(self, source: Source, number: int) -> Array:
        key = (source.key, number)
        if (held := self._slabs.get(key)) is None:
            which = (TaskSlab.task_id == source.task, TaskSlab.delivery == source.delivery, TaskSlab.number == number)
            rows = await self.database.rows(sa.select(TaskSlab.data).where(*which))
            if not rows:
                raise LookupError("a slab is gone")
            held = self._slabs[key] = np.frombuffer(await asyncio.to_thread(slabs.unpacked, rows[0].data), dtype="<f8")
            while len(self._slabs) > SLABS:
                self._slabs.popitem(last=False)
        self._slabs.move_to_end(key)
        return held


def _decoded(data: bytes) -> Result:
    found = read(orjson.loads(gzip.decompress(data)), numbers=ANY, largest=ANY).estimators
    return Result(found, {(one.file_name, page.number): page for one in found for page in one.pages})
