"""Tables of jobs, their tasks, task results and logs."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates
from db.models.ordering import folded, last
from db.searching.folding import folds
from db.types import Json, Name, choice, now

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.archives import Archive
    from db.models.clusters import Cluster
    from db.models.organisation import Project
    from db.models.simulations import Simulation
    from db.models.specs import SpecVersion
    from db.models.submissions import Evaluation


class JobKind(Enum):
    SIMULATION = "SIMULATION"
    ARCHIVE = "ARCHIVE"
    SUBMISSION_EVALUATION = "SUBMISSION_EVALUATION"
    PACKAGE_BUILD = "PACKAGE_BUILD"


class Platform(Enum):
    IN_PROCESS = "IN_PROCESS"
    CELERY = "CELERY"
    SLURM = "SLURM"
    EXTERNAL = "EXTERNAL"


class JobState(Enum):
    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    MERGING_QUEUED = "MERGING_QUEUED"
    MERGING_RUNNING = "MERGING_RUNNING"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


SUBJECTS = {
    "simulation": JobKind.SIMULATION,
    "archive": JobKind.ARCHIVE,
    "evaluation": JobKind.SUBMISSION_EVALUATION,
    "spec_version": JobKind.PACKAGE_BUILD,
}
"""The subjects of jobs, by the names of their columns without `_id`: each kind has one."""
TERMINAL = (JobState.CANCELED, JobState.COMPLETED, JobState.FAILED)
_PARTS = sa.text("parts")
_WAITING = sa.text("state = 'PENDING' AND holder IS NULL")
_HELD = sa.text("holder IS NOT NULL")
_UNTOLD = sa.text("untold")
_QUEUED = sa.text("queue_position IS NOT NULL")
_ACTIVE = sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')")


class Job(Erasable, Entity):
    """A job of some kind, about one subject: the row that the foreign key of its kind refers to. Its project is the
    subject's. It is soft-deleted together with its subject.

    `lease_until` belongs to the gateway process that finishes it; tasks have leases of their own. `history` lists each
    state with its moment. `external` holds the engines' names of the batches that were handed to them, and `batches`
    counts those. `merges` counts how often results were stored, also those of unfinished tasks; `parts` says that more
    was delivered since, which is merged after `merge_after`. Of the waiting jobs, those of a higher `priority` come
    first; `queue_position` is written by the dispatcher. Tasks were last handed over at `handed_at`. Jobs of one
    `lane_id` take turns with others as those of one owner do. `untold` says that it ended and that its owner waits for
    a mail about it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        sa.CheckConstraint("(kind = 'SIMULATION') = (simulation_id IS NOT NULL)", name="simulation"),
        sa.CheckConstraint("(kind = 'ARCHIVE') = (archive_id IS NOT NULL)", name="archive"),
        sa.CheckConstraint("(kind = 'SUBMISSION_EVALUATION') = (evaluation_id IS NOT NULL)", name="evaluation"),
        sa.CheckConstraint("(kind = 'PACKAGE_BUILD') = (spec_version_id IS NOT NULL)", name="spec_version"),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        *(
            sa.Index(f"uq_jobs_active_{one}", f"{one}_id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
            for one in SUBJECTS
        ),
        sa.UniqueConstraint("simulation_id", "attempt"),
        sa.Index("uq_jobs_archive_id_attempt", "archive_id", "attempt", unique=True),
        sa.Index("uq_jobs_evaluation_id_attempt", "evaluation_id", "attempt", unique=True),
        sa.Index("uq_jobs_spec_version_id_attempt", "spec_version_id", "attempt", unique=True),
        *(lists(f"ix_jobs_{one}_id_attempt_id", f"{one}_id", "attempt", "id") for one in SUBJECTS),
        lists("ix_jobs_submitted_at_id", "submitted_at", "id"),
        lists("ix_jobs_last_update_at_id", "last_update_at", "id"),
        lists("ix_jobs_ended_at", last("ended_at"), "id"),
        lists("ix_jobs_by_title", folded("title"), "id"),
        lists("ix_jobs_owner_user_id_submitted_at_id", "owner_user_id", "submitted_at", "id"),
        lists("ix_jobs_project_id_submitted_at_id", "project_id", "submitted_at", "id"),
        sa.Index("ix_jobs_owner_user_id_handed_at", "owner_user_id", "handed_at"),
        sa.Index("ix_jobs_lane_id_handed_at", "lane_id", "handed_at"),
        lists("ix_jobs_state_submitted_at_id", "state", "submitted_at", "id"),
        sa.Index("ix_jobs_cluster_id_state_submitted_at", "cluster_id", "state", "submitted_at"),
        sa.Index("ix_jobs_parts", "merge_after", sqlite_where=_PARTS, postgresql_where=_PARTS),
        sa.Index("ix_jobs_untold", "owner_user_id", "ended_at", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
        sa.Index("ix_jobs_queued", "id", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        sa.CheckConstraint("(platform IN ('IN_PROCESS', 'EXTERNAL')) = (cluster_id IS NULL)", name="cluster"),
    )

    key: Mapped[str] = mapped_column(Name(80), unique=True)
    key_folded: Mapped[str | None] = folds("key")
    kind: Mapped[JobKind] = mapped_column(choice(JobKind))
    owner_user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    state: Mapped[JobState] = mapped_column(choice(JobState), default=JobState.PENDING)
    platform: Mapped[Platform] = mapped_column(choice(Platform), default=Platform.IN_PROCESS)
    cluster_id: Mapped[UUID | None] = refers("clusters.id", ondelete="RESTRICT")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    external: Mapped[dict[str, Any]] = mapped_column(default=dict)
    batches: Mapped[int] = mapped_column(default=0)
    title: Mapped[str] = mapped_column(Name(255), default="")
    title_folded: Mapped[str | None] = folds("title")
    attempt: Mapped[int] = mapped_column(default=1)
    priority: Mapped[int] = mapped_column(default=0)
    queue_position: Mapped[int | None]
    handed_at: Mapped[datetime | None]
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
    untold: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    simulation_id: Mapped[UUID | None] = refers("simulations.id", ondelete="RESTRICT")
    archive_id: Mapped[UUID | None] = refers("archives.id", ondelete="RESTRICT")
    evaluation_id: Mapped[UUID | None] = refers("evaluations.id", ondelete="CASCADE")
    spec_version_id: Mapped[UUID | None] = refers("spec_versions.id", ondelete="CASCADE")
    lane_id: Mapped[UUID | None]

    owner: Mapped["User"] = relates()
    project: Mapped["Project | None"] = relates()
    cluster: Mapped["Cluster | None"] = relates()
    simulation: Mapped["Simulation | None"] = relates(back_populates="jobs")
    archive: Mapped["Archive | None"] = relates(back_populates="jobs")
    evaluation: Mapped["Evaluation | None"] = relates(back_populates="jobs")
    spec_version: Mapped["SpecVersion | None"] = relates(back_populates="jobs")
    tasks: Mapped[list["Task"]] = relates(back_populates="job")
    log: Mapped[list["LogEntry"]] = relates(back_populates="job")

    @classmethod
    def subject_column(cls, kind: JobKind) -> Any:
        """The foreign key to the subjects of jobs of this kind."""
        return getattr(cls, f"{next(name for name, one in SUBJECTS.items() if one is kind)}_id")

    @property
    def subject_id(self) -> UUID:
        """The key of the row that it is about."""
        found: UUID = getattr(self, Job.subject_column(self.kind).key)
        return found


class Task(Entity):
    """A task of a job. `holder` names the batch in which it was handed to an engine, for the `handed`th time. Until
    `lease_until`, a waiting task is not handed over again, and a running one belongs to the worker that claimed it, by
    the number that the worker chose (`claim`).

    `attempt` counts the claims, `losses` the runs that ended by themselves without a report, `interruptions` those that
    ended with their host. A worker writes only while it holds the current attempt; `reported` is the number of its last
    report.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        sa.UniqueConstraint("job_id", "ordinal"),
        sa.CheckConstraint("ordinal >= 1", name="ordinal"),
        sa.CheckConstraint("done BETWEEN 0 AND requested", name="done"),
        sa.Index("ix_tasks_job_id_ordinal_id", "job_id", "ordinal", "id"),
        sa.Index("ix_tasks_state_id", "state", "id"),
        sa.Index("ix_tasks_waiting", "job_id", "ordinal", sqlite_where=_WAITING, postgresql_where=_WAITING),
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
    interruptions: Mapped[int] = mapped_column(default=0)
    handed: Mapped[int] = mapped_column(default=0)
    reported: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None] = mapped_column(sa.String(64))
    claim: Mapped[str | None] = mapped_column(sa.String(64))
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))

    job: Mapped[Job] = relates(back_populates="tasks")


class TaskResult(Entity):
    """The results of one task: gzipped JSON, stored until it is merged. Until it is `final`, it holds the results so
    far: those of `primaries`, replaced by the task's next part. Its numbers stand in the JSON, or in the slabs of
    `delivery`. `warnings` are sentences about what is not in it."""

    __tablename__ = "task_results"

    task_id: Mapped[UUID] = refers("tasks.id", ondelete="CASCADE", unique=True)
    primaries: Mapped[int] = mapped_column(sa.BigInteger)
    final: Mapped[bool] = mapped_column(default=True)
    delivery: Mapped[str | None] = mapped_column(sa.String(64))
    warnings: Mapped[list[str]] = mapped_column(default=list)
    data: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)


class TaskSlab(Entity):
    """Numbers that a task delivered apart: compressed doubles (`jobs.results.slabs`). The worker names the delivery;
    `count` is how many numbers they are."""

    __tablename__ = "task_slabs"
    __table_args__ = (
        sa.UniqueConstraint("task_id", "delivery", "number"),
        sa.CheckConstraint("number >= 0", name="number"),
    )

    task_id: Mapped[UUID] = refers("tasks.id", ondelete="CASCADE")
    delivery: Mapped[str] = mapped_column(sa.String(64))
    number: Mapped[int]
    count: Mapped[int]
    data: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)


class LogEntry(Entity):
    """A line of a log. `sequence` numbers the lines of a job without a gap, in the order in which they were stored.
    `file` is the stream or the file of the program that the line is of; None for what the worker or the gateway says.
    """

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
    file: Mapped[str | None] = mapped_column(Name(255))
    text: Mapped[str] = mapped_column(sa.Text)

    job: Mapped[Job] = relates(back_populates="log")
    task: Mapped[Task | None] = relates()
