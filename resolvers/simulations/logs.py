"""What the latest job of a simulation said, for download: the job, its tasks, and their logs by file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.identity.principal import AccessProfile
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order, Slice
from resolvers.reading.selection import Selection
from resolvers.simulations.exports import every_row, loaders, there
from resolvers.spelling import apart, safe

LINES = 1_000
"""Lines that are read at once."""
OTHERWISE = "output"
"""The name for lines of no file: what the program wrote to its terminal."""

JOB = ("key", "state", "platform", "attempt", "submitted_at", "started_at", "ended_at", "log_length")
TASK = ("ordinal", "state", "requested", "done", "started_at", "ended_at", "last_update_at")
"""What is told of jobs and tasks."""

_JOB, _TASK = Selection(models.Job, JOB), Selection(models.Task, TASK)
_LINE = Selection(models.LogEntry, ("text", "sequence"))
_LATEST, _BY_ORDINAL = Order(models.Job.attempt, descending=True), Order(models.Task.ordinal)
_BY_SEQUENCE = Order(models.LogEntry.sequence)


@dataclass(frozen=True, slots=True)
class LogFile:
    """The lines of a task, or of the gateway for None, that stand in a file."""

    task: int | None
    task_id: UUID | None
    file: str | None


async def latest(ctx: Context, simulation: Any) -> Any:
    """The latest job, or None where the principal sees none."""
    jobs = await loaders(ctx).page(models.Simulation.jobs, simulation, Slice(_LATEST, 1), _JOB)
    return jobs.nodes[0] if jobs.nodes else None


async def job(ctx: Context, simulation: Any) -> Any:
    """The latest job, if the principal sees lines of its log; else NOT_FOUND."""
    row = there(await latest(ctx, simulation), "Job")
    first = await loaders(ctx).page(models.Job.log, row, Slice(_BY_SEQUENCE, 1), _LINE)
    there(first.nodes[0] if first.nodes else None, "LogEntry")
    return row


async def tasks(ctx: Context, job: Any) -> list[Any]:
    """The tasks of a job in their order."""
    return [task async for task in every_row(ctx, models.Job.tasks, job, _BY_ORDINAL, _TASK, together=LINES)]


async def files(ctx: Context, job: Any, tasks: Sequence[Any]) -> Mapping[str, LogFile]:
    """The files of a job's log, by their paths: the number of the task (0 for the gateway's own lines) and a name that
    no other file of the task has."""
    line = models.LogEntry
    ordinals = {task.id: task.ordinal for task in tasks}
    found = sa.select(line.task_id, line.file).where(line.job_id == job.id, visible(line, ctx.principal.profile))
    rows = await ctx.database.rows(found.distinct(), dict(ctx.principal.parameters))
    made = [LogFile(ordinals.get(row.task_id), row.task_id, row.file) for row in rows]
    taken: set[str] = set()
    made.sort(key=lambda file: (file.task or 0, file.file or ""))
    return {apart(f"{file.task or 0}/{safe(file.file or OTHERWISE)}", taken): file for file in made}


async def lines(ctx: Context, job: Any) -> AsyncIterator[tuple[int | None, str]]:
    """All lines in the order in which they came, each with the number of its task."""
    ordinals = {task.id: task.ordinal for task in await tasks(ctx, job)}
    async for line in every_row(ctx, models.Job.log, job, _BY_SEQUENCE, _LINE, together=LINES):
        if line.sequence > job.log_length:  # it came since
            return
        yield ordinals.get(line.task_id), line.text


async def lines_of(ctx: Context, job: Any, file: LogFile) -> AsyncIterator[str]:
    """The lines of a file."""
    where = Where(_in_file, {"file_task": file.task_id, "file_name": file.file})
    async for line in every_row(ctx, models.Job.log, job, _BY_SEQUENCE, _LINE, where, LINES):
        if line.sequence > job.log_length:  # it came since
            return
        yield line.text


def _in_file(entity: Any, suffix: str, _: AccessProfile) -> list[Any]:
    task = sa.bindparam(f"file_task{suffix}", type_=entity.task_id.type)
    name = sa.bindparam(f"file_name{suffix}", type_=entity.file.type)
    return [entity.task_id.is_not_distinct_from(task), entity.file.is_not_distinct_from(name)]


async def file(ctx: Context, simulation: Any, path: str) -> tuple[Any, LogFile]:
    """The latest job and a file of its log, by its path; NOT_FOUND for another path."""
    row = await job(ctx, simulation)
    known = await files(ctx, row, await tasks(ctx, row))
    if path not in known:
        raise NotFound(f"no log of this name; there are: {', '.join(list(known)[:20])}", field="name")
    return row, known[path]
