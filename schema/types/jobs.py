"""Jobs, their tasks and logs; watching them; and what their workers report."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from db import models
from db.models import JobState as State
from resolvers.failures import Invalid
from resolvers.live import job_streams
from resolvers.queue.reports import Line, Report
from resolvers.reading.paging import Order
from resolvers.reading.statements import Where
from resolvers.work import commands, worker_api
from schema.fields.connections import among, chosen, conditions, connection, contains, refers, search, since, until
from schema.fields.declarations import Orders
from schema.fields.fields import Info, column, computed, found, node, related
from schema.fields.inputs import Deleted, DeletedResult
from schema.fields.mutations import SIGNED_IN, WORKER, mutation, written
from schema.fields.nodes import Connection, Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, BigInt, enum, key_of, optional_key
from schema.fields.selection import select
from schema.fields.values import PRINTED, Shape, readable
from schema.types.simulations import ClusterOptions, SimulationType

if TYPE_CHECKING:
    from schema.types.accounts import User
    from schema.types.clusters import Cluster
    from schema.types.simulations import Simulation

JobState = enum(
    State,
    "How far a job or a task is. CANCELED, COMPLETED and FAILED are final.",
    UNKNOWN="Made, not yet submitted.",
    PENDING="Waits to run.",
    RUNNING="Runs.",
    MERGING_QUEUED="All tasks ended; their results wait to be merged.",
    MERGING_RUNNING="The results are being merged.",
    CANCELED="Ended on request; what was delivered is kept.",
    COMPLETED="Ended with results.",
    FAILED="Ended without; `error` says why.",
)
JobKind = enum(models.JobKind, "What a job does.", SIMULATION="Runs a simulation.")
Platform = enum(
    models.Platform,
    "Where a job runs.",
    IN_PROCESS="On the gateway's own machine.",
    CELERY="On a cluster of Celery workers.",
    SLURM="On a cluster that Slurm schedules.",
)

JOB_ORDERS = Orders(
    "JobOrder",
    "Orders of jobs.",
    NEWEST=(Order(models.Job.submitted_at, descending=True), "The latest first."),
    OLDEST=(Order(models.Job.submitted_at), "By time."),
    LAST_CHANGED=(Order(models.Job.last_update_at, descending=True), "The last to come on, or to end, first."),
    FIRST_CHANGED=(Order(models.Job.last_update_at), "The other way around."),
)


@strawberry.type(description="Why a job or a task failed.")
class JobError:
    code: str = strawberry.field(description="For programs, such as PROGRAM_FAILED or TASK_LOST.")
    message: str | None = strawberry.field(description="For people; null for all but the owner and superadmins.")


def _error(row: Any) -> JobError | None:
    """The error of a job's or a task's row."""
    if row.error is None:
        return None
    return JobError(code=row.error["code"], message=row.error["message"] if row.may_error else None)


@node(models.Job)
class Job(Node):
    """Something long-running, in tasks. Watch it with `jobUpdated`."""

    key: str = column("The public name: the time of submission, a UUID, and the way it runs.")
    kind: JobKind = column("What it does.")  # type: ignore[valid-type]
    state: JobState = column("How far it is.")  # type: ignore[valid-type]
    platform: Platform = column("Where it runs.")  # type: ignore[valid-type]
    title: str = column("What its owner calls it.")
    attempt: int = column("Counts the attempts at its subject, from 1.")
    progress: float = column("The share of the work that is done, 0 to 1.")
    estimated_seconds: int | None = column("How many seconds it may still take; null when not known.")
    submitted_at: datetime = column("When it was submitted.")
    queue_position: int | None = column(
        "Its place, from 1, among the jobs that wait for the same cluster; null when it does not wait."
    )
    estimated_start_at: datetime | None = column("When its cluster means to start it; null when it does not say.")
    started_at: datetime | None = column("When its first task started.")
    ended_at: datetime | None = column("When it reached its final state.")
    last_update_at: datetime = column("When it last came on, or into another state.")
    history: JSON = column("Each state it came into: a list of objects with `state` and `at`.")
    external: JSON | None = column("What engines call its batches, by our names for them.")
    options: JSON = column("What its cluster was asked for.")
    merges: int = column("How often results were stored, those of unfinished tasks too.")
    warnings: JSON | None = column("What went wrong in a job that still has results: a list of texts.")
    owner: Annotated["User", strawberry.lazy("schema.types.accounts")] | None = related(
        models.Job.owner, "Who submitted it."
    )
    cluster: Annotated["Cluster", strawberry.lazy("schema.types.clusters")] | None = related(
        models.Job.cluster, "The cluster that runs it; null for the gateway's own machine."
    )
    simulation: Annotated["Simulation", strawberry.lazy("schema.types.simulations")] | None = related(
        models.Job.simulation, "The simulation it runs."
    )
    tasks: Connection["Task"] = connection(
        models.Job.tasks,
        "Its tasks.",
        orders=Orders("TaskOrder", "Orders of tasks.", ORDINAL=(Order(models.Task.ordinal), "By ordinal.")),
    )
    log: Connection["LogEntry"] = connection(
        models.Job.log,
        "What its tasks said. `jobLog` goes on from here.",
        orders=Orders("LogOrder", "Orders of log lines.", SEQUENCE=(Order(models.LogEntry.sequence), "As they came.")),
        most=1000,
    )

    @computed("Why it failed.", reads=["error"])
    def error(self: Any) -> JobError | None:
        return _error(self)


@node(models.Task)
class Task(Node):
    """A share of a job's work, run by one worker at a time."""

    ordinal: int = column("Its number within the job, from 1.")
    state: JobState = column("How far it is.")  # type: ignore[valid-type]
    requested: BigInt = column("The primaries it is to do.")
    done: BigInt = column("The primaries it has done, at most every 2 s anew.")
    attempt: int = column("Counts its runs; 0 before the first.")
    estimated_seconds: int | None = column("How many seconds it may still take; null when not known.")
    started_at: datetime | None = column("When it first started.")
    ended_at: datetime | None = column("When it reached its final state.")
    last_update_at: datetime = column("When its worker last reported progress.")
    job: Job | None = related(models.Task.job, "The job.")

    @computed("Why it failed.", reads=["error"])
    def error(self: Any) -> JobError | None:
        return _error(self)


@node(models.LogEntry)
class LogEntry(Node):
    """A line that a task said."""

    sequence: int = column("Numbers the lines of the job from 1, without a gap.")
    text: str = column("The line; at most 4000 characters are kept.")
    at: datetime = column("When the gateway stored it.")
    task: Task | None = related(models.LogEntry.task, "The task that said it.")

    @computed("Where a log goes on: `jobLog(after:)` sends what follows this line.", reads=["sequence"])
    def cursor(self: Any) -> str:
        return LOG_ORDER.cursor(self)


LOG_ORDER = Order(models.LogEntry.sequence)


@strawberry.input(description="Which jobs.")
class JobFilter:
    state: list[JobState] | None = chosen(models.Job.state, "In one of these states.")  # type: ignore[valid-type]
    kind: list[JobKind] | None = chosen(models.Job.kind, "Of one of these kinds.")  # type: ignore[valid-type]
    platform: list[Platform] | None = chosen(  # type: ignore[valid-type]
        models.Job.platform, "On one of these platforms."
    )
    title: str | None = contains(models.Job.title, "Part of the title, in any case.")
    text: str | None = search("Part of the title or the key, in any case.", models.Job.title, models.Job.key)
    submitted_since: datetime | None = since(models.Job.submitted_at, "Submitted at this moment or later.")
    submitted_until: datetime | None = until(models.Job.submitted_at, "Submitted before this moment.")
    cluster: strawberry.ID | None = refers("Cluster", "On this cluster.", models.Job.cluster)
    owner: strawberry.ID | None = refers("User", "Submitted by this user.", models.Job.owner)
    sim_type: list[SimulationType] | None = among(  # type: ignore[valid-type]
        "For one of these programs.", models.Job.simulation, models.Simulation.sim_type
    )
    simulation: strawberry.ID | None = refers("Simulation", "Of this simulation.", models.Job.simulation)


JobResult = Annotated[Job | Problem, strawberry.union("JobResult", description="The job, or why not.")]


def _job(
    id: Annotated[strawberry.ID | None, strawberry.argument(description="The job's id.")] = None,
    key: Annotated[str | None, strawberry.argument(description="The job's key.")] = None,
) -> Where:
    if (id is None) == (key is None):
        raise Invalid("give id or key, not both", field="id")
    return Where.equal(models.Job.key, key) if id is None else Where.equal(models.Job.id, key_of("Job", id))


@strawberry.type(description="The jobs in one state.")
class JobTotal:
    state: JobState = strawberry.field(description="The state.")  # type: ignore[valid-type]
    count: int = strawberry.field(description="How many jobs are in it.")


@strawberry.type
class JobsQuery:
    jobs: Connection[Job] = connection(
        models.Job, "Your jobs and those of your projects.", orders=JOB_ORDERS, filter=JobFilter
    )

    @strawberry.field(description="How many of the jobs that you see are in each state.")
    async def job_totals(
        self,
        info: Info,
        filter: Annotated[JobFilter | None, strawberry.argument(description="Only jobs that meet it.")] = None,
    ) -> list["JobTotal"]:
        found = await commands.totals(info.context, conditions(filter))
        return [JobTotal(state=state, count=number) for state, number in found.items()]

    job: Job | None = found(models.Job, "One job, or null: by its id or its key.", _job)


@strawberry.type(description="All that a worker needs to run the task that it claimed.")
class WorkerAssignment:
    token: str = strawberry.field(description="With this it reports and delivers, while it holds the task.")
    program: JSON = strawberry.field(description="How the program is started, told its progress, and its results read.")
    files: JSON = strawberry.field(description="The input files: an object of name to text.")
    checksums: JSON = strawberry.field(description="Their SHA-256 in hexadecimal digits, by name.")
    ordinal: int = strawberry.field(description="The task's number; it tells the seeds apart.")
    attempt: int = strawberry.field(description="Which run of the task this is.")
    requested: BigInt = strawberry.field(description="The primaries to do.")
    lease_seconds: float = strawberry.field(description="A worker that says nothing for so long loses the task.")
    report_seconds: float = strawberry.field(description="Reports are wanted this far apart.")
    silence_seconds: float = strawberry.field(description="A program that says nothing for so long is to be ended.")


@strawberry.input(description="A line that a task said.")
class LineInput:
    number: int = strawberry.field(
        description="Counts the lines of this run from 1; a number sent twice is stored once."
    )
    text: str = strawberry.field(description="The line.", metadata=PRINTED)


@strawberry.type(description="The report was taken.")
class WorkerReceipt:
    state: JobState = strawberry.field(description="The state of the job.")  # type: ignore[valid-type]


_RESULTS = Shape(list, None)
"""Their reader checks each, and the bound is that of a worker's request."""


@strawberry.type
class JobsMutation:
    @mutation(needs=SIGNED_IN)
    async def cancel_job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]
    ) -> JobResult:
        """End a job of one's own; results that its tasks delivered are merged and kept."""
        key = await commands.cancel_job(info.context, key_of("Job", id))
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def retry_job(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        cluster_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="Where to run it now; left out: where it ran; null: on the gateway's own machine."
            ),
        ] = strawberry.UNSET,
        options: Annotated[
            ClusterOptions | None,
            strawberry.argument(description="What that cluster is asked for; of use with `clusterId` alone."),
        ] = None,
    ) -> JobResult:
        """Run again what FAILED or was CANCELED: a new job, one attempt higher."""
        elsewhere = None
        if cluster_id is not strawberry.UNSET:
            elsewhere = optional_key("Cluster", cluster_id, "clusterId"), vars(options) if options else {}
        elif options is not None:
            raise Invalid("options go with the cluster that they are for", field="options")
        key = await commands.retry_job(info.context, key_of("Job", id), elsewhere)
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def delete_job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]
    ) -> DeletedResult:
        """Remove a job of one's own that has ended, with its tasks and its log; results of its simulation stay."""
        await commands.delete_job(info.context, key_of("Job", id))
        return Deleted(id=id, at=datetime.now(UTC))

    @mutation(needs=WORKER, always=True)
    async def worker_report(
        self,
        info: Info,
        number: Annotated[
            int | None,
            strawberry.argument(description="Counts this run's reports from 1; an earlier one sent later is ignored."),
        ] = None,
        done: Annotated[BigInt | None, strawberry.argument(description="Primaries done so far.")] = None,
        estimated_seconds: Annotated[
            int | None, strawberry.argument(description="Seconds that the task may still take.")
        ] = None,
        lines: Annotated[list[LineInput], strawberry.argument(description="New log lines, at most 2000.")] = [],  # noqa: B006
        error: Annotated[
            str | None,
            strawberry.argument(description="The program failed for this reason; the task ends.", metadata=PRINTED),
        ] = None,
    ) -> WorkerReceipt:
        """Report progress and log lines, and keep the task. STATE means that this run is no longer wanted: stop."""
        said = [Line(line.number, readable(line.text)) for line in lines]
        report = Report(number, done, estimated_seconds, said, error and readable(error))
        return WorkerReceipt(state=await worker_api.report(info.context, report))

    @mutation(needs=WORKER, always=True)
    async def worker_put_results(
        self,
        info: Info,
        estimators: Annotated[
            JSON,
            strawberry.argument(
                description=_RESULTS.described("Estimators, in YAPTIDE's shape."), metadata=_RESULTS.metadata
            ),
        ],
        done: Annotated[
            BigInt | None,
            strawberry.argument(description="They are of so many primaries only; the task goes on and sends more."),
        ] = None,
    ) -> WorkerReceipt:
        """Deliver the task's results, and end it; with `done`, what it has so far. The same again changes nothing."""
        return WorkerReceipt(state=await worker_api.put_results(info.context, estimators, done=done))

    @mutation(needs=WORKER, always=True)
    async def worker_claim(
        self,
        info: Info,
        number: Annotated[
            str, strawberry.argument(description="The worker's own, 8 to 64 characters: with it, it may ask again.")
        ],
    ) -> WorkerAssignment:
        """Take the task that the worker was started for. STATE means that another has it, or that it is over: stop."""
        task = await worker_api.claim(info.context, number)
        return WorkerAssignment(
            token=task.token,
            program=JSON(task.program),
            files=JSON(task.files),
            checksums=JSON(task.checksums),
            ordinal=task.ordinal,
            attempt=task.attempt,
            requested=BigInt(task.requested),
            lease_seconds=task.lease,
            report_seconds=task.interval,
            silence_seconds=task.silence,
        )

    @mutation(needs=WORKER, always=True)
    async def worker_collect(
        self,
        info: Info,
        reason: Annotated[
            str, strawberry.argument(description="How the batch ended, for its owner.", metadata=PRINTED)
        ],
    ) -> WorkerReceipt:
        """Tell that all tasks of a batch have ended: those that did not say so wait again, or failed."""
        return WorkerReceipt(state=await worker_api.collect(info.context, readable(reason)))


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
class JobsSubscription:
    @strawberry.subscription(
        description="A job: first as it is, then after each change, until its final state. Progress at most every 2 s."
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
        filter: Annotated[JobFilter | None, strawberry.argument(description="Only jobs that meet it.")] = None,
    ) -> AsyncGenerator[Job, None]:
        changed = job_streams.jobs(info.context, select(info, models.Job), conditions(filter))
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(
        description="A simulation: first as it is, then whenever results were stored, those of unfinished tasks too, "
        "until its latest job has ended."
    )
    async def partial_results(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The simulation.")]
    ) -> AsyncGenerator[Annotated["Simulation", strawberry.lazy("schema.types.simulations")], None]:
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
