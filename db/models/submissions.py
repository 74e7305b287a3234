"""Tables of submissions and their evaluations."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates, unique
from db.types import Json, Name, choice, now

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.challenges import Challenge, Phase, Team
    from db.models.evaluators import Evaluator, EvaluatorVersion
    from db.models.files import File, Upload
    from db.models.jobs import Job


class SubmissionStatus(Enum):
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    VALIDATING = "VALIDATING"
    INVALID = "INVALID"
    NO_EVAL = "NO_EVAL"
    NO_AUTO_EVAL = "NO_AUTO_EVAL"
    ON_QUEUE = "ON_QUEUE"
    EVALUATING = "EVALUATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    EXCLUDED = "EXCLUDED"
    WITHDRAWN = "WITHDRAWN"


class ReevaluationState(Enum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELED = "CANCELED"


_BOUNDED = sa.text("status_ends_at IS NOT NULL")
_OPEN = sa.text("ended_at IS NULL")


class Submission(Erasable, Entity):
    """What somebody, or a team, submitted to a phase. `history` lists each status with its moment and reason. A status
    that waits for something ends at `status_ends_at`. `charged` says that it counts in the quota, from `charged_at` on.
    `submitted_at` is when its last byte came. Its scores are those of the evaluation `evaluation_id`."""

    __tablename__ = "submissions"
    __table_args__ = (
        lists("ix_submissions_created_at_id", "created_at", "id"),
        lists("ix_submissions_user_id_created_at_id", "user_id", "created_at", "id"),
        lists("ix_submissions_challenge_id_created_at_id", "challenge_id", "created_at", "id"),
        lists("ix_submissions_phase_id_created_at_id", "phase_id", "created_at", "id"),
        lists("ix_submissions_team_id_created_at_id", "team_id", "created_at", "id"),
        sa.Index("ix_submissions_evaluator_id", "evaluator_id"),
        sa.Index("ix_submissions_evaluation_id", "evaluation_id"),
        sa.Index("ix_submissions_status_ends_at", "status_ends_at", sqlite_where=_BOUNDED, postgresql_where=_BOUNDED),
    )

    public_id: Mapped[str] = mapped_column(Name(80), unique=True)
    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="RESTRICT")
    phase_id: Mapped[UUID] = refers("phases.id", ondelete="RESTRICT")
    user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    team_id: Mapped[UUID | None] = refers("teams.id", ondelete="RESTRICT")
    evaluator_id: Mapped[UUID | None] = refers("evaluators.id", ondelete="SET NULL")
    auto_eval: Mapped[bool] = mapped_column(default=True)
    author_label: Mapped[str | None] = mapped_column(Name(255))
    status: Mapped[SubmissionStatus] = mapped_column(choice(SubmissionStatus), default=SubmissionStatus.UPLOADING)
    status_changed_at: Mapped[datetime] = mapped_column(default=now())
    status_ends_at: Mapped[datetime | None]
    reason: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    history: Mapped[list[dict[str, Any]]] = mapped_column(Json(), default=list)
    submitted_at: Mapped[datetime | None]
    charged: Mapped[bool] = mapped_column(default=True)
    charged_at: Mapped[datetime] = mapped_column(default=now())
    chosen: Mapped[bool] = mapped_column(default=False)
    has_scores: Mapped[bool] = mapped_column(default=False)
    evaluation_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("evaluations.id", ondelete="SET NULL", use_alter=True)
    )
    archived_at: Mapped[datetime | None]

    challenge: Mapped["Challenge"] = relates(back_populates="submissions")
    phase: Mapped["Phase"] = relates(back_populates="submissions")
    owner: Mapped["User"] = relates()
    team: Mapped["Team | None"] = relates(back_populates="submissions")
    evaluator: Mapped["Evaluator | None"] = relates()
    evaluation: Mapped["Evaluation | None"] = relates(foreign_keys="Submission.evaluation_id")
    evaluations: Mapped[list["Evaluation"]] = relates(
        back_populates="submission", foreign_keys="Evaluation.submission_id"
    )
    files: Mapped[list["File"]] = relates(back_populates="submission")
    uploads: Mapped[list["Upload"]] = relates(back_populates="submission")


class Reevaluation(Entity):
    """All completed submissions of a phase, evaluated again with one version of an evaluator. Their scores are replaced
    together, once all have ended."""

    __tablename__ = "reevaluations"
    __table_args__ = (
        sa.Index("ix_reevaluations_created_at_id", "created_at", "id"),
        sa.Index("ix_reevaluations_phase_id_created_at_id", "phase_id", "created_at", "id"),
        sa.Index("ix_reevaluations_evaluator_version_id", "evaluator_version_id"),
        sa.Index("ix_reevaluations_user_id", "user_id"),
        sa.Index("ix_reevaluations_challenge_id", "challenge_id"),
        unique("uq_reevaluations_running", "phase_id", where="state = 'RUNNING'"),
    )

    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    phase_id: Mapped[UUID] = refers("phases.id", ondelete="CASCADE")
    evaluator_version_id: Mapped[UUID] = refers("evaluator_versions.id", ondelete="CASCADE")
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="SET NULL")
    state: Mapped[ReevaluationState] = mapped_column(choice(ReevaluationState), default=ReevaluationState.RUNNING)
    total: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None]

    phase: Mapped["Phase"] = relates()
    evaluator_version: Mapped["EvaluatorVersion"] = relates()
    user: Mapped["User | None"] = relates()
    evaluations: Mapped[list["Evaluation"]] = relates(back_populates="reevaluation")


class Evaluation(Entity):
    """One evaluation of a submission, by one version of an evaluator: a job does it. `scores` are all, `owner_scores`
    what of them its submitter may see. `digests` has the SHA-256 of submission, program and reference data.
    `external_version` is what a worker of an organiser said of itself."""

    __tablename__ = "evaluations"
    __table_args__ = (
        sa.UniqueConstraint("submission_id", "number"),
        unique("uq_evaluations_open", "submission_id", where="ended_at IS NULL"),
        sa.Index("ix_evaluations_created_at_id", "created_at", "id"),
        sa.Index("ix_evaluations_submission_id_number_id", "submission_id", "number", "id"),
        sa.Index("ix_evaluations_challenge_id_created_at_id", "challenge_id", "created_at", "id"),
        sa.Index("ix_evaluations_evaluator_version_id", "evaluator_version_id"),
        sa.Index("ix_evaluations_reevaluation_id_created_at_id", "reevaluation_id", "created_at", "id"),
        sa.Index("ix_evaluations_open", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    submission_id: Mapped[UUID] = refers("submissions.id", ondelete="CASCADE")
    challenge_id: Mapped[UUID] = refers("challenges.id", ondelete="CASCADE")
    number: Mapped[int]
    evaluator_version_id: Mapped[UUID] = refers("evaluator_versions.id", ondelete="RESTRICT")
    reevaluation_id: Mapped[UUID | None] = refers("reevaluations.id", ondelete="SET NULL")
    extra_arguments: Mapped[list[str]] = mapped_column(default=list)
    external_version: Mapped[str | None] = mapped_column(Name(255))
    digests: Mapped[dict[str, Any]] = mapped_column(default=dict)
    scores: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    owner_scores: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    ended_at: Mapped[datetime | None]

    submission: Mapped[Submission] = relates(back_populates="evaluations", foreign_keys="Evaluation.submission_id")
    challenge: Mapped["Challenge"] = relates()
    evaluator_version: Mapped["EvaluatorVersion"] = relates()
    reevaluation: Mapped[Reevaluation | None] = relates(back_populates="evaluations")
    jobs: Mapped[list["Job"]] = relates(back_populates="evaluation")
