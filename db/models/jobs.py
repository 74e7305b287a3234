"""Tables of jobs, their tasks, task results and logs."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, column_property, mapped_column

from db.models.base import Entity, refers, relates
from db.models.ordering import folded, last
from db.searching.folding import folds
from db.types import Json, Name, choice, now

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.clusters import Cluster
    from db.models.simulations import Simulation


class JobKind(Enum):
    SIMULATION = "SIMULATION"


class Platform(Enum):
    IN_PROCESS = "IN_PROCESS"
    CELERY = "CELERY"
    SLURM = "SLURM"


class JobState(Enum):
    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    MERGING_QUEUED = "MERGING_QUEUED"
    MERGING_RUNNING = "MERGING_RUNNING"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


TERMINAL = (JobState.CANCELED, JobState.COMPLETED, JobState.FAILED)
_PARTS = sa.text("parts")
_WAITING = sa.text("state = 'PENDING' AND holder IS NULL")
_HELD = sa.text("holder IS NOT NULL")
_ACTIVE = sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')")


class Job(Entity):
    """A job. `lease_until` belongs to the gateway process that merges its results; tasks have leases of their own.

    `history` lists each state with its moment. `external` holds the engines' names of the batches that were handed to
    them, and `batches` counts those. `merges` counts how often results were stored, also those of unfinished tasks;
    `parts` says that more was delivered since, which is merged after `merge_after`.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        sa.CheckConstraint("kind <> 'SIMULATION' OR simulation_id IS NOT NULL", name="subject"),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        sa.Index(
            "uq_jobs_active", "kind", "simulation_id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
        ),
        sa.UniqueConstraint("simulation_id", "attempt"),
        sa.Index("ix_jobs_submitted_at_id", "submitted_at", "id"),
        sa.Index("ix_jobs_last_update_at_id", "last_update_at", "id"),
        sa.Index("ix_jobs_ended_at", last("ended_at"), "id"),
        sa.Index("ix_jobs_by_title", folded("title"), "id"),
        sa.Index("ix_jobs_owner_user_id_submitted_at_id", "owner_user_id", "submitted_at", "id"),
        sa.Index("ix_jobs_simulation_id_attempt_id", "simulation_id", "attempt", "id"),
        sa.Index("ix_jobs_state_submitted_at_id", "state", "submitted_at", "id"),
        sa.Index("ix_jobs_cluster_id_state_submitted_at", "cluster_id", "state", "submitted_at"),
        sa.Index("ix_jobs_parts", "merge_after", sqlite_where=_PARTS, postgresql_where=_PARTS),
        sa.CheckConstraint("(platform = 'IN_PROCESS') = (cluster_id IS NULL)", name="cluster"),
    )

    key: Mapped[str] = mapped_column(Name(80), unique=True)
    key_folded: Mapped[str | None] = folds("key")
    kind: Mapped[JobKind] = mapped_column(choice(JobKind))
    owner_user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    state: Mapped[JobState] = mapped_column(choice(JobState), default=JobState.PENDING)
    platform: Mapped[Platform] = mapped_column(choice(Platform), default=Platform.IN_PROCESS)
    cluster_id: Mapped[UUID | None] = refers("clusters.id", ondelete="RESTRICT")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    external: Mapped[dict[str, Any]] = mapped_column(default=dict)
    batches: Mapped[int] = mapped_column(default=0)
    title: Mapped[str] = mapped_column(Name(255), default="")
    title_folded: Mapped[str | None] = folds("title")
    attempt: Mapped[int] = mapped_column(default=1)
    progress: Mapped[float] = mapped_column(default=0.0)
    estimated_seconds: Mapped[int | None]
    submitted_at: Mapped[datetime] = mapped_column(default=now())
    estimated_start_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    history: Mapped[list[dict[str, Any]]] = mapped_column(Json(), default=list)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    warnings: Mapped[list[str]] = mapped_column(default=list)
    cancel_requested_at: Mapped[datetime | None]
    last_update_at: Mapped[datetime] = mapped_column(default=now())
    lease_until: Mapped[datetime | None]
    log_length: Mapped[int] = mapped_column(default=0)
    parts: Mapped[bool] = mapped_column(default=False)
    merges: Mapped[int] = mapped_column(default=0)
    merge_after: Mapped[datetime | None]
    simulation_id: Mapped[UUID | None] = refers("simulations.id", ondelete="RESTRICT")

    if TYPE_CHECKING:
        queue_position: Mapped[int | None]

    owner: Mapped["User"] = relates()
    cluster: Mapped["Cluster | None"] = relates()
    simulation: Mapped["Simulation | None"] = relates(back_populates="jobs")
    tasks: Mapped[list["Task"]] = relates(back_populates="job")
    log: Mapped[list["LogEntry"]] = relates(back_populates="job")


class Task(Entity):
    """A task of a job. `holder` names the batch in which it was handed to an engine, for the `handed`th time. Until
    `lease_until`, a waiting task is not handed over again, and a running one belongs to the worker that claimed it, by
    the number that the worker chose (`claim`).

    `attempt` counts the claims, `losses` the runs that ended without a report. A worker writes only while it holds the
    current attempt; `reported` is the number of its last report.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        sa.UniqueConstraint("job_id", "ordinal"),
        sa.CheckConstraint("ordinal >= 1", name="ordinal"),
        sa.CheckConstraint("done BETWEEN 0 AND requested", name="done"),
        sa.Index("ix_tasks_job_id_ordinal_id", "job_id", "ordinal", "id"),
        sa.Index("ix_tasks_state_id", "state", "id"),
        sa.Index("ix_tasks_waiting", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        sa.Index("ix_tasks_holder", "holder", sqlite_where=_HELD, postgresql_where=_HELD),
    )

    job_id: Mapped[UUID] = refers("jobs.id", ondelete="CASCADE")
    ordinal: Mapped[int]
    state: Mapped[JobState] = mapped_column(choice(JobState), default=JobState.PENDING)
    requested: Mapped[int] = mapped_column(sa.BigInteger)
    done: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    estimated_seconds: Mapped[int | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    last_update_at: Mapped[datetime] = mapped_column(default=now())
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    handed: Mapped[int] = mapped_column(default=0)
    reported: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None] = mapped_column(sa.String(64))
    claim: Mapped[str | None] = mapped_column(sa.String(64))
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    job: Mapped[Job] = relates(back_populates="tasks")


class TaskResult(Entity):
    """The results of one task: gzipped JSON, stored until it is merged. Until it is `final`, it holds the results so
    far: those of `primaries`, replaced by the task's next part."""

    __tablename__ = "task_results"

    task_id: Mapped[UUID] = refers("tasks.id", ondelete="CASCADE", unique=True)
    primaries: Mapped[int] = mapped_column(sa.BigInteger)
    final: Mapped[bool] = mapped_column(default=True)
    data: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)


class LogEntry(Entity):
    """A line of a log. `sequence` numbers the lines of a job without a gap, in the order in which they were stored."""

    __tablename__ = "log_entries"
    __table_args__ = (
        sa.UniqueConstraint("task_id", "attempt", "line"),
        sa.Index("uq_log_entries_job_id_sequence", "job_id", "sequence", unique=True),
        sa.Index("ix_log_entries_job_id_sequence_id", "job_id", "sequence", "id"),
    )

    job_id: Mapped[UUID] = refers("jobs.id", ondelete="CASCADE")
    task_id: Mapped[UUID | None] = refers("tasks.id", ondelete="CASCADE")
    attempt: Mapped[int] = mapped_column(default=0)
    line: Mapped[int] = mapped_column(default=0)
    sequence: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=now())
    text: Mapped[str] = mapped_column(sa.Text)

    job: Mapped[Job] = relates(back_populates="log")
    task: Mapped[Task | None] = relates()


def _position() -> sa.ColumnElement[int | None]:
    """The position of a waiting job among those that wait for the same cluster; null for others."""
    before = Job.__table__.alias().c
    same = sa.or_(before.cluster_id == Job.cluster_id, sa.and_(before.cluster_id.is_(None), Job.cluster_id.is_(None)))
    earlier = sa.tuple_(before.submitted_at, before.id) < sa.tuple_(Job.submitted_at, Job.id)
    waiting = before.state == JobState.PENDING
    counted = sa.select(sa.func.count() + 1).where(waiting, same, earlier).correlate(Job)
    return sa.case((Job.state == JobState.PENDING, counted.scalar_subquery()))


Job.queue_position = column_property(_position(), deferred=True)
