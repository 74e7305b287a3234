"""Tables of evaluators, and of their versions, which never change."""

from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.challenges import Challenge
    from db.models.clusters import Cluster
    from db.models.files import File


class Executor(Enum):
    PYTHON = "PYTHON"
    BASH = "BASH"
    SBATCH = "SBATCH"
    CONTAINER = "CONTAINER"
    EXTERNAL = "EXTERNAL"


class EvaluatorFileRole(Enum):
    PROGRAM = "PROGRAM"
    REFERENCE = "REFERENCE"
    GIVEN = "GIVEN"


class Evaluator(Entity):
    """What computes the scores of submissions. That of a challenge is looked after by its organisers; without a
    challenge it is the platform's. `current_version_id` is the version that new evaluations are made with."""

    __tablename__ = "evaluators"
    __table_args__ = (
        sa.UniqueConstraint("label", "host"),
        sa.Index("ix_evaluators_by_label", folded("label"), "id"),
        sa.Index("ix_evaluators_challenge_id_by_label", "challenge_id", folded("label"), "id"),
        sa.Index("ix_evaluators_current_version_id", "current_version_id"),
    )

    label: Mapped[str] = mapped_column(Name(100))
    label_folded: Mapped[str | None] = folds("label")
    host: Mapped[str] = mapped_column(sa.String(255), default="")
    challenge_id: Mapped[UUID | None] = refers("challenges.id", ondelete="CASCADE")
    current_version_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("evaluator_versions.id", ondelete="SET NULL", use_alter=True)
    )

    challenge: Mapped["Challenge | None"] = relates(back_populates="evaluators", foreign_keys="Evaluator.challenge_id")
    versions: Mapped[list["EvaluatorVersion"]] = relates(
        back_populates="evaluator", foreign_keys="EvaluatorVersion.evaluator_id"
    )
    current_version: Mapped["EvaluatorVersion | None"] = relates(foreign_keys="Evaluator.current_version_id")


class EvaluatorVersion(Entity):
    """A version of an evaluator: a program of the registry by its name, or one of the files, with arguments and bounds.
    With an `entry_point` the submission is a program itself: that file of it is run first, without the reference data,
    and what it writes is evaluated. `digest` is the SHA-256 of all that decides the scores."""

    __tablename__ = "evaluator_versions"
    __table_args__ = (
        sa.UniqueConstraint("evaluator_id", "number"),
        sa.CheckConstraint("number >= 1", name="number"),
        sa.Index("ix_evaluator_versions_evaluator_id_number_id", "evaluator_id", "number", "id"),
        sa.Index("ix_evaluator_versions_cluster_id", "cluster_id"),
    )

    evaluator_id: Mapped[UUID] = refers("evaluators.id", ondelete="CASCADE")
    number: Mapped[int]
    executor: Mapped[Executor] = mapped_column(choice(Executor))
    program: Mapped[str | None] = mapped_column(sa.String(255))
    executor_arguments: Mapped[list[str]] = mapped_column(default=list)
    arguments: Mapped[list[str]] = mapped_column(default=list)
    entry_point: Mapped[str | None] = mapped_column(sa.String(255))
    scores_schema: Mapped[dict[str, Any]] = mapped_column(default=dict)
    bounds: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cluster_id: Mapped[UUID | None] = refers("clusters.id", ondelete="RESTRICT")
    digest: Mapped[str] = mapped_column(sa.String(64))

    evaluator: Mapped[Evaluator] = relates(back_populates="versions", foreign_keys="EvaluatorVersion.evaluator_id")
    cluster: Mapped["Cluster | None"] = relates()
    files: Mapped[list["EvaluatorFile"]] = relates(back_populates="version_of")


class EvaluatorFile(Entity):
    """A file that a version of an evaluator needs: its program, reference data, or what a submitted program is
    given."""

    __tablename__ = "evaluator_files"
    __table_args__ = (
        sa.UniqueConstraint("evaluator_version_id", "file_id", "role"),
        sa.Index("ix_evaluator_files_evaluator_version_id_id", "evaluator_version_id", "id"),
        sa.Index("ix_evaluator_files_file_id", "file_id"),
    )

    evaluator_version_id: Mapped[UUID] = refers("evaluator_versions.id", ondelete="CASCADE")
    file_id: Mapped[UUID] = refers("files.id", ondelete="RESTRICT")
    role: Mapped[EvaluatorFileRole] = mapped_column(choice(EvaluatorFileRole))

    version_of: Mapped[EvaluatorVersion] = relates(back_populates="files")
    file: Mapped["File"] = relates()
