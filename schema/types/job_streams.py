"""Watching jobs, their logs and their results."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum
from typing import Annotated, Any, Optional

import strawberry

from db import models
from resolvers.live import job_streams
from schema.fields.fields import Info
from schema.fields.scalars import key_of
from schema.fields.selection import select
from schema.lists.filters import conditions, filter_type
from schema.types.jobs import LOG_ORDER, Job, LogEntry
from schema.types.simulations.simulations import Simulation

JobFilter: Any = filter_type(models.Job)


class Joining(Enum):
    """What is sent first to somebody who joins others that ask the same."""

    NOW = "what is now"
    NEXT = "nothing"
    ALL = "what the others were sent"


SHARED = {
    "jobUpdated": Joining.NOW,
    "partialResults": Joining.NOW,
    "jobsChanged": Joining.NEXT,
    "jobLog": Joining.ALL,
}
"""The subscriptions that are run once for all who ask the same."""


@strawberry.type
class JobStreamsSubscription:
    @strawberry.subscription(
        description="A job: first as it is now, then after each change, until its final state. Progress is sent at "
        "most every 2 s."
    )
    async def job_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]
    ) -> AsyncGenerator[Job, None]:
        async with aclosing(job_streams.job(info.context, key_of("Job", id), select(info, models.Job))) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(
        description="Each job that changes from now on, of those that you see and that meet the filter. "
        "After a break, ask `jobs` what was missed."
    )
    async def jobs_changed(
        self,
        info: Info,
        filter: Annotated[
            Optional[JobFilter],  # noqa: UP045  (it is no type yet)
            strawberry.argument(description="Only jobs that meet it."),
        ] = None,
    ) -> AsyncGenerator[Job, None]:
        changed = job_streams.jobs(info.context, select(info, models.Job), conditions(models.Job, filter))
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(
        description="A simulation: first as it is, then whenever results were stored, those of unfinished tasks too, "
        "until its latest job has ended."
    )
    async def partial_results(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")]
    ) -> AsyncGenerator[Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")], None]:
        key = key_of("Simulation", id)
        stored = job_streams.results(info.context, key, select(info, models.Simulation))
        async with aclosing(stored) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(
        description="A job's log, line by line, from the start or after a cursor, until the job ended. "
        "After a break, go on with the `cursor` of the last line: none is lost and none repeated."
    )
    async def job_log(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        after: Annotated[str | None, strawberry.argument(description="Only lines after this cursor.")] = None,
    ) -> AsyncGenerator[LogEntry, None]:
        place = None if after is None else LOG_ORDER.place(after, "after")
        lines = job_streams.job_log(info.context, key_of("Job", id), select(info, models.LogEntry), LOG_ORDER, place)
        async with aclosing(lines) as rows:
            async for row in rows:
                yield row
