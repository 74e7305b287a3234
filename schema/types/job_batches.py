"""Cancel, retry and delete several jobs at once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Optional
from uuid import UUID

import strawberry

from db import models
from resolvers.access.policies.jobs import CANCEL, RETRY
from resolvers.access.policy import policy_of
from resolvers.work import commands
from schema.fields.fields import Info
from schema.fields.mutations import SIGNED_IN, mutation
from schema.fields.problems import Problem
from schema.fields.selection import select
from schema.lists import batches
from schema.lists.batches import After, Batch, DeletedBatch, DeletedBatchResult, Done, Ids
from schema.lists.filters import filter_type
from schema.types.jobs import Job

JobFilter: Any = filter_type(models.Job)
Filter = Annotated[
    Optional[JobFilter],  # noqa: UP045  (it is no type yet)
    strawberry.argument(description=batches.FILTER),
]


async def _job(self: Any, info: Info) -> Any:
    return None if self.key is None else await info.context.loaders.one(select(info, models.Job), self.key)


@strawberry.type(description="What became of one of several jobs.")
class JobOutcome:
    id: strawberry.ID = strawberry.field(description="The job, as it was named.")
    key: strawberry.Private[UUID | None]
    job: Job | None = strawberry.field(
        resolver=_job, description="The cancelled job, or the new one that tries it again; null when nothing was done."
    )
    problem: Problem | None = strawberry.field(description="Why nothing was done; null when it was.")


@strawberry.type(description="What became of several jobs.")
class JobBatch(Batch):
    outcomes: list[JobOutcome] = strawberry.field(description=batches.ORDER)

    @classmethod
    def of(cls, done: Done) -> "JobBatch":
        outcomes = [
            JobOutcome(id=strawberry.ID(one.id), key=one.result, problem=batches.told(one)) for one in done.outcomes
        ]
        return cls(**batches.counted(done), outcomes=outcomes)


JobBatchResult = Annotated[
    JobBatch | Problem, strawberry.union("JobBatchResult", description="What became of each job, or why nothing was.")
]


async def _each(
    info: Info, jobs: Ids, filter: Mapping[str, Any] | None, after: str | None, do: Callable[..., Awaitable[Any]]
) -> Done:
    return await batches.each(info, await batches.rows_of(info, models.Job, jobs, filter, after), do, SIGNED_IN)


@strawberry.type
class JobBatchesMutation:
    @mutation(needs=SIGNED_IN, several="jobs", allowed=CANCEL)
    async def cancel_jobs(
        self, info: Info, jobs: Ids = None, filter: Filter = None, after: After = None
    ) -> JobBatchResult:
        """Cancel several jobs, as `cancelJob` does one; one that was cancelled before is refused with STATE. Each is a
        transaction of its own: one that can't be cancelled keeps no other."""
        return JobBatch.of(await _each(info, jobs, filter, after, commands.cancel_job))

    @mutation(needs=SIGNED_IN, several="jobs", allowed=RETRY)
    async def retry_jobs(
        self, info: Info, jobs: Ids = None, filter: Filter = None, after: After = None
    ) -> JobBatchResult:
        """Try several jobs again where they ran, as `retryJob` does one. Each is a transaction of its own: one that
        can't be tried again keeps no other."""
        return JobBatch.of(await _each(info, jobs, filter, after, commands.retry_job))

    @mutation(needs=SIGNED_IN, several="jobs", allowed=policy_of(models.Job).delete)
    async def delete_jobs(
        self, info: Info, jobs: Ids = None, filter: Filter = None, after: After = None
    ) -> DeletedBatchResult:
        """Delete several jobs that have ended, as `deleteJob` does one. Each is a transaction of its own: one that
        can't be deleted keeps no other."""
        return DeletedBatch.of(await _each(info, jobs, filter, after, commands.delete_job))
