"""Jobs, their tasks and their logs."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from db import models
from db.models import JobState as State
from resolvers.access.policies.jobs import CANCEL, PRIORITY, RETRY
from resolvers.access.policy import policy_of
from resolvers.failures import Invalid
from resolvers.reading.paging import Order
from resolvers.work import commands
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, BigInt, enum, key_of, optional_key
from schema.lists.connections import connection
from schema.types.simulations.simulations import ClusterOptions

if TYPE_CHECKING:
    pass

JobState = enum(
    State,
    "The state of a job or a task. CANCELED, COMPLETED and FAILED are final.",
    UNKNOWN="It is created and not yet submitted.",
    PENDING="It waits to run.",
    RUNNING="It runs.",
    MERGING_QUEUED="All tasks ended; their results wait to be merged.",
    MERGING_RUNNING="The results are being merged.",
    CANCELED="It was ended on request. Results that were delivered are kept.",
    COMPLETED="It ended with results.",
    FAILED="It ended without results. `error` says why.",
)
JobKind = enum(
    models.JobKind,
    "What a job does.",
    SIMULATION="Runs a simulation.",
    ARCHIVE="Packs results into one zip.",
    SUBMISSION_EVALUATION="Evaluates a submission to a challenge.",
    PACKAGE_BUILD="Builds the packages of a version of a spec.",
)
Platform = enum(
    models.Platform,
    "Where a job runs.",
    IN_PROCESS="On the gateway's own machine.",
    CELERY="On a cluster of Celery workers.",
    SLURM="On a cluster that Slurm schedules.",
    EXTERNAL="At the worker of an organiser of a challenge.",
)


@strawberry.type(description="Why a job or a task failed.")
class JobError:
    code: str = strawberry.field(description="For programs, such as PROGRAM_FAILED or TASK_LOST.")
    message: str | None = strawberry.field(
        description="For people; null for all but the owner, organisers of the challenge and superadmins."
    )


def _error(row: Any) -> JobError | None:
    """The error of a job's or a task's row."""
    if row.error is None:
        return None
    return JobError(code=row.error["code"], message=row.error["message"] if row.may_error else None)


@node(
    models.Job,
    by="-submitted_at",
    orders={"STATE": ("state", "submitted_at")},
    listed="Your jobs and those of your projects.",
)
class Job(Node):
    """Long-running work, split into tasks. Watch it with `jobUpdated`."""

    key: str = column(
        "The public name: the time of submission, a UUID, and the way it runs.", filter=True, search=True, found=True
    )
    kind: JobKind = column("What it does.", filter=True, group=True)  # type: ignore[valid-type]
    state: JobState = column("Its state.", filter=True, group=True)  # type: ignore[valid-type]
    platform: Platform = column("Where it runs.", filter=True, group=True)  # type: ignore[valid-type]
    title: str = column("The name that its owner gave it.", filter=True, order=True, search=True)
    attempt: int = column("Counts the attempts at its subject, from 1.", filter=True, order=True, group=True)
    progress: float = column("The share of the work that is done, 0 to 1.", filter=True, group=True)
    estimated_seconds: int | None = column(
        "How many seconds it may still take; null when not known.", filter=True, group=True
    )
    submitted_at: datetime = column("When it was submitted.", filter=True, order=True, group=True)
    priority: int = column(
        "Of the jobs that wait, those of a higher one go first: 0, and -1 for another attempt, unless an administrator "
        "gave another.",
        filter=True,
        group=True,
    )
    queue_position: int | None = column(
        "Its place, from 1, among the jobs that wait for the same cluster, as the dispatcher last saw it; null when it "
        "does not wait.",
        filter=True,
    )
    estimated_start_at: datetime | None = column("When its cluster means to start it; null when it does not say.")
    started_at: datetime | None = column("When its first task started.", filter=True)
    ended_at: datetime | None = column("When it reached its final state.", filter=True, order=True, group=True)
    last_update_at: datetime = column("When its progress or its state last changed.", filter=True, order=True)
    history: JSON = column("The states that it has had: a list of objects with `state` and `at`.")
    external: JSON | None = column("The ids of its batches in its engine, by the gateway's names for them.")
    options: JSON = column("What was asked of its cluster.")
    merges: int = column("How often results were stored, also before all tasks ended.", filter=True, group=True)
    warnings: JSON | None = column("What went wrong in a job that still has results: a list of texts.")
    owner = related(models.Job.owner, "Who submitted it.", group=True)
    cluster = related(models.Job.cluster, "The cluster that runs it; null for the gateway's own machine.", group=True)
    project = related(models.Job.project, "The project whose users see it: that of its subject.", group=True)
    simulation = related(models.Job.simulation, "The simulation that it runs; null for other kinds.")
    archive = related(models.Job.archive, "The archive that it makes; null for other kinds.")
    evaluation = related(models.Job.evaluation, "The evaluation that it does; null for other kinds.")
    spec_version = related(models.Job.spec_version, "The version whose packages it builds; null for other kinds.")
    tasks = connection(models.Job.tasks, "Its tasks.", order="ordinal")
    log = connection(
        models.Job.log, "The log of its tasks. `jobLog` sends the lines that follow.", order="sequence", most=1000
    )

    @computed("Why it failed.", reads=["error"])
    def error(self: Any) -> JobError | None:
        return _error(self)


@node(models.Task)
class Task(Node):
    """A share of a job's work, run by one worker at a time."""

    ordinal: int = column("Its number within the job, from 1.", filter=True, order=True)
    state: JobState = column("Its state.", filter=True, group=True)  # type: ignore[valid-type]
    requested: BigInt = column(
        "Its share of the work: primary particles to simulate, simulations to pack.", filter=True, group=True
    )
    done: BigInt = column("How much of that is done; updated at most every 2 s.", filter=True, group=True)
    attempt: int = column("Counts its runs; 0 before the first.", filter=True, group=True)
    estimated_seconds: int | None = column(
        "How many seconds it may still take; null when not known.", filter=True, group=True
    )
    started_at: datetime | None = column("When it first started.", filter=True)
    ended_at: datetime | None = column("When it reached its final state.", filter=True)
    last_update_at: datetime = column("When its worker last reported progress.", filter=True)
    job = related(models.Task.job, "The job.", group=True)

    @computed("Why it failed.", reads=["error"])
    def error(self: Any) -> JobError | None:
        return _error(self)


@node(models.LogEntry)
class LogEntry(Node):
    """A line of a job's log."""

    sequence: int = column("Numbers the lines of the job from 1, without a gap.", filter=True, order=True)
    text: str = column("The line; of a longer one, the first 4000 characters, which end with `[cut: ...]`.")
    file: str | None = column(
        "The file of the task that it is of: `stdout`, `stderr`, or the name of a log of the program's own; null for "
        "what the worker or the gateway says.",
        filter=True,
    )
    at: datetime = column("When the gateway stored it.", filter=True)
    task = related(models.LogEntry.task, "The task that wrote it.")

    @computed("The place of the line: `jobLog(after:)` sends the lines after it.", reads=["sequence"])
    def cursor(self: Any) -> str:
        return LOG_ORDER.cursor(self)


LOG_ORDER = Order(models.LogEntry.sequence)


JobResult = Annotated[Job | Problem, strawberry.union("JobResult", description="The job, or why not.")]


@strawberry.type
class JobsMutation:
    @mutation(needs=SIGNED_IN, allowed=CANCEL)
    async def cancel_job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]
    ) -> JobResult:
        """Cancel a job. Results that its tasks delivered are merged and kept. One that is CANCELED already stays as it
        is."""
        key = await commands.cancel_job(info.context, key_of("Job", id), twice=True)
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN, allowed=RETRY)
    async def retry_job(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        cluster: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="Where to run it now; left out: where it ran; null: on the gateway's own machine."
            ),
        ] = strawberry.UNSET,
        options: Annotated[
            ClusterOptions | None,
            strawberry.argument(description="What is asked of that cluster. Give it together with `cluster`."),
        ] = None,
    ) -> JobResult:
        """Run a job again that FAILED or was CANCELED. This is a new job, with the next attempt."""
        elsewhere = None
        if cluster is not strawberry.UNSET:
            elsewhere = optional_key("Cluster", cluster, "cluster"), vars(options) if options else {}
        elif options is not None:
            raise Invalid("options go with the cluster that they are for", field="options")
        key = await commands.retry_job(info.context, key_of("Job", id), elsewhere)
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN, allowed=PRIORITY)
    async def set_job_priority(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        priority: Annotated[int, strawberry.argument(description="From -10 to 10; jobs of a higher one go first.")],
        expected_version: AnyVersion = None,
    ) -> JobResult:
        """Let a job that waits go before others, or after them."""
        key = await commands.set_priority(info.context, key_of("Job", id), priority, expected_version)
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN, allowed=policy_of(models.Job).delete)
    async def delete_job(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a job that has ended, with its tasks and its log. The results of its simulation stay."""
        return Deleted(id=id, at=await commands.delete_job(info.context, key_of("Job", id), expected_version))
