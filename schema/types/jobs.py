"""Jobs, their tasks and their logs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from db import models
from db.models import JobState as State
from resolvers.failures import Invalid
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order
from resolvers.work import commands
from schema.fields.connections import among, chosen, conditions, connection, contains, refers, search, since, until
from schema.fields.declarations import Orders
from schema.fields.fields import Info, column, computed, found, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Connection, Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, BigInt, enum, key_of, optional_key
from schema.types.simulations.simulations import ClusterOptions, SimulationType

if TYPE_CHECKING:
    from schema.types.accounts.users import User
    from schema.types.clusters import Cluster
    from schema.types.simulations.simulations import Simulation

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
    NEWEST=(Order(models.Job.submitted_at, descending=True), "The newest first."),
    OLDEST=(Order(models.Job.submitted_at), "The oldest first."),
    LAST_CHANGED=(Order(models.Job.last_update_at, descending=True), "The last changed first."),
    FIRST_CHANGED=(Order(models.Job.last_update_at), "The last changed last."),
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
    """Long-running work, split into tasks. Watch it with `jobUpdated`."""

    key: str = column("The public name: the time of submission, a UUID, and the way it runs.")
    kind: JobKind = column("What it does.")  # type: ignore[valid-type]
    state: JobState = column("Its state.")  # type: ignore[valid-type]
    platform: Platform = column("Where it runs.")  # type: ignore[valid-type]
    title: str = column("The name that its owner gave it.")
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
    last_update_at: datetime = column("When its progress or its state last changed.")
    history: JSON = column("The states that it has had: a list of objects with `state` and `at`.")
    external: JSON | None = column("The ids of its batches in its engine, by the gateway's names for them.")
    options: JSON = column("What was asked of its cluster.")
    merges: int = column("How often results were stored, also before all tasks ended.")
    warnings: JSON | None = column("What went wrong in a job that still has results: a list of texts.")
    owner: Annotated["User", strawberry.lazy("schema.types.accounts.users")] | None = related(
        models.Job.owner, "Who submitted it."
    )
    cluster: Annotated["Cluster", strawberry.lazy("schema.types.clusters")] | None = related(
        models.Job.cluster, "The cluster that runs it; null for the gateway's own machine."
    )
    simulation: Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")] | None = related(
        models.Job.simulation, "The simulation that it runs."
    )
    tasks: Connection["Task"] = connection(
        models.Job.tasks,
        "Its tasks.",
        orders=Orders("TaskOrder", "Orders of tasks.", ORDINAL=(Order(models.Task.ordinal), "By ordinal.")),
    )
    log: Connection["LogEntry"] = connection(
        models.Job.log,
        "The log of its tasks. `jobLog` sends the lines that follow.",
        orders=Orders("LogOrder", "Orders of log lines.", SEQUENCE=(Order(models.LogEntry.sequence), "By `sequence`.")),
        most=1000,
    )

    @computed("Why it failed.", reads=["error"])
    def error(self: Any) -> JobError | None:
        return _error(self)


@node(models.Task)
class Task(Node):
    """A share of a job's work, run by one worker at a time."""

    ordinal: int = column("Its number within the job, from 1.")
    state: JobState = column("Its state.")  # type: ignore[valid-type]
    requested: BigInt = column("The primary particles that it is to simulate.")
    done: BigInt = column("The primary particles that it has simulated; updated at most every 2 s.")
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
    """A line of a job's log."""

    sequence: int = column("Numbers the lines of the job from 1, without a gap.")
    text: str = column("The line; at most 4000 characters are kept.")
    at: datetime = column("When the gateway stored it.")
    task: Task | None = related(models.LogEntry.task, "The task that wrote it.")

    @computed("The place of the line: `jobLog(after:)` sends the lines after it.", reads=["sequence"])
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


@strawberry.type
class JobsMutation:
    @mutation(needs=SIGNED_IN)
    async def cancel_job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]
    ) -> JobResult:
        """Cancel a job of your own. Results that its tasks delivered are merged and kept."""
        key = await commands.cancel_job(info.context, key_of("Job", id))
        return await written(info, "Job", models.Job, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
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

    @mutation(needs=SIGNED_IN)
    async def delete_job(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The job.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a job of your own that has ended, with its tasks and its log. The results of its simulation stay."""
        await commands.delete_job(info.context, key_of("Job", id), expected_version)
        return Deleted(id=id, at=datetime.now(UTC))
