"""Tables of files, the bytes that they stand for, and the uploads that bring them."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.archives import Archive
    from db.models.challenges import Challenge
    from db.models.devices import Device
    from db.models.jobs import Task
    from db.models.organisation import Participant, Project
    from db.models.services import Service
    from db.models.sessions import Session
    from db.models.simulations import Simulation
    from db.models.specs import SpecVersion
    from db.models.submissions import Submission


class FilePurpose(Enum):
    SESSION_ASSET = "SESSION_ASSET"
    DATASET = "DATASET"
    ARCHIVE = "ARCHIVE"
    PUBLIC = "PUBLIC"
    OUTPUT = "OUTPUT"
    SUBMISSION_INPUT = "SUBMISSION_INPUT"
    SUBMISSION_OUTPUT = "SUBMISSION_OUTPUT"
    EVALUATOR_PROGRAM = "EVALUATOR_PROGRAM"
    REFERENCE_DATA = "REFERENCE_DATA"
    CHALLENGE_DATA = "CHALLENGE_DATA"
    SPEC_PACKAGE = "SPEC_PACKAGE"


class FileState(Enum):
    CHECKING = "CHECKING"
    READY = "READY"
    REFUSED = "REFUSED"
    QUARANTINED = "QUARANTINED"


class ChecksumAlgorithm(Enum):
    SHA256 = "SHA256"
    MD5 = "MD5"


class UploadState(Enum):
    OPEN = "OPEN"
    ASSEMBLING = "ASSEMBLING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


_UNDER_WAY = sa.text("state IN ('OPEN', 'ASSEMBLING', 'FAILED')")
_ASSEMBLING = sa.text("state = 'ASSEMBLING'")
_NAMED = "purpose = 'PUBLIC' AND state = 'READY' AND deleted_at IS NULL"


class Blob(Entity):
    """Stored bytes, named by their SHA-256 in hexadecimal digits. Files refer to them; what none refers to any more is
    removed by a sweep."""

    __tablename__ = "blobs"
    __table_args__ = (sa.CheckConstraint("size >= 0", name="size"),)

    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    size: Mapped[int] = mapped_column(sa.BigInteger)


class File(Erasable, Entity):
    """A file. `blob_id` is set when the bytes are in place and their hash was checked; `refusal` says why they were not
    taken. `project_id` is that of the subject."""

    __tablename__ = "files"
    __table_args__ = (
        sa.CheckConstraint("size > 0", name="size"),
        sa.CheckConstraint(
            "(state IN ('READY', 'QUARANTINED')) = (blob_id IS NOT NULL OR address IS NOT NULL)", name="ready"
        ),
        lists("ix_files_created_at_id", "created_at", "id"),
        lists("ix_files_by_name", folded("name"), "id"),
        lists("ix_files_owner_user_id_created_at_id", "owner_user_id", "created_at", "id"),
        lists("ix_files_service_id_created_at_id", "service_id", "created_at", "id"),
        lists("ix_files_participant_id_created_at_id", "participant_id", "created_at", "id"),
        lists("ix_files_device_id_created_at_id", "device_id", "created_at", "id"),
        lists("ix_files_project_id_created_at_id", "project_id", "created_at", "id"),
        lists("ix_files_session_id_created_at_id", "session_id", "created_at", "id"),
        lists("ix_files_simulation_id_created_at_id", "simulation_id", "created_at", "id"),
        lists("ix_files_submission_id_created_at_id", "submission_id", "created_at", "id"),
        lists("ix_files_challenge_id_created_at_id", "challenge_id", "created_at", "id"),
        lists("ix_files_spec_version_id_by_name", "spec_version_id", folded("name"), "id"),
        sa.Index("ix_files_task_id", "task_id"),
        sa.Index("ix_files_blob_id", "blob_id"),
        sa.Index("ix_files_expires_at", "expires_at"),
        sa.Index("ix_files_deleted_at", "deleted_at"),
        unique("uq_files_public_name", "name", where=_NAMED),
        unique("uq_files_archive_id", "archive_id", where="archive_id IS NOT NULL"),
    )

    purpose: Mapped[FilePurpose] = mapped_column(choice(FilePurpose))
    state: Mapped[FileState] = mapped_column(choice(FileState), default=FileState.CHECKING)
    name: Mapped[str] = mapped_column(Name(128))
    name_folded: Mapped[str | None] = folds("name")
    media_type: Mapped[str] = mapped_column(sa.String(128))
    size: Mapped[int] = mapped_column(sa.BigInteger)
    digest: Mapped[str | None] = mapped_column(sa.String(64))
    blob_id: Mapped[UUID | None] = refers("blobs.id", ondelete="RESTRICT")
    refusal: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    owner_user_id: Mapped[UUID | None] = refers("users.id", ondelete="RESTRICT")
    service_id: Mapped[UUID | None] = refers("services.id", ondelete="SET NULL")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="RESTRICT")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="RESTRICT")
    session_id: Mapped[UUID | None] = refers("sessions.id", ondelete="CASCADE")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    archive_id: Mapped[UUID | None] = refers("archives.id", ondelete="CASCADE")
    simulation_id: Mapped[UUID | None] = refers("simulations.id", ondelete="CASCADE")
    submission_id: Mapped[UUID | None] = refers("submissions.id", ondelete="CASCADE")
    challenge_id: Mapped[UUID | None] = refers("challenges.id", ondelete="CASCADE")
    spec_version_id: Mapped[UUID | None] = refers("spec_versions.id", ondelete="CASCADE")
    task_id: Mapped[UUID | None] = refers("tasks.id", ondelete="SET NULL")
    recorded_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    address: Mapped[str | None] = mapped_column(sa.Text)
    """Where the bytes are, if its service keeps them."""

    owner: Mapped["User | None"] = relates()
    service: Mapped["Service | None"] = relates()
    participant: Mapped["Participant | None"] = relates()
    device: Mapped["Device | None"] = relates()
    blob: Mapped[Blob | None] = relates()
    session: Mapped["Session | None"] = relates(back_populates="files")
    project: Mapped["Project | None"] = relates()
    archive: Mapped["Archive | None"] = relates(back_populates="file")
    simulation: Mapped["Simulation | None"] = relates(back_populates="outputs")
    submission: Mapped["Submission | None"] = relates(back_populates="files")
    challenge: Mapped["Challenge | None"] = relates(back_populates="files")
    spec_version: Mapped["SpecVersion | None"] = relates(back_populates="files")
    task: Mapped["Task | None"] = relates()


class Upload(Entity):
    """Bytes on their way in. `received` of them are stored; they lie under the keys of `segments`, in this order, where
    several were put together, else under the upload's own. `size` is null while the client does not know it; then
    `coming` has what the present request announced.

    Whoever holds the lease may write: a request that brings bytes, or the check after the last one. `wanted` asks a
    request that holds it to stop. `digest` is set once the bytes were checked, before they get their place. A worker's
    upload belongs to the attempt of its task.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        sa.CheckConstraint("size IS NULL OR size > 0", name="size"),
        sa.CheckConstraint("received >= 0 AND (size IS NULL OR received <= size)", name="received"),
        sa.Index("ix_uploads_created_at_id", "created_at", "id"),
        sa.Index("ix_uploads_owner_user_id_created_at_id", "owner_user_id", "created_at", "id"),
        sa.Index("ix_uploads_expires_at", "expires_at", sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
        sa.Index("ix_uploads_assembling", "id", sqlite_where=_ASSEMBLING, postgresql_where=_ASSEMBLING),
        sa.Index("ix_uploads_task_id", "task_id"),
        sa.Index("ix_uploads_file_id", "file_id"),
        sa.Index("ix_uploads_session_id", "session_id"),
        sa.Index("ix_uploads_project_id", "project_id"),
        sa.Index("ix_uploads_service_id", "service_id"),
        sa.Index("ix_uploads_participant_id", "participant_id"),
        sa.Index("ix_uploads_device_id", "device_id"),
        sa.Index("ix_uploads_archive_id", "archive_id"),
        sa.Index("ix_uploads_simulation_id", "simulation_id"),
        sa.Index("ix_uploads_submission_id", "submission_id"),
        sa.Index("ix_uploads_challenge_id", "challenge_id"),
    )

    purpose: Mapped[FilePurpose] = mapped_column(choice(FilePurpose))
    state: Mapped[UploadState] = mapped_column(choice(UploadState), default=UploadState.OPEN)
    name: Mapped[str] = mapped_column(sa.String(128))
    media_type: Mapped[str] = mapped_column(sa.String(128))
    size: Mapped[int | None] = mapped_column(sa.BigInteger)
    received: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    coming: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    checksum: Mapped[str | None] = mapped_column(sa.String(64))
    checksum_algorithm: Mapped[ChecksumAlgorithm | None] = mapped_column(choice(ChecksumAlgorithm))
    meta: Mapped[str | None] = mapped_column("metadata", sa.Text)
    partial: Mapped[bool] = mapped_column(default=False)
    segments: Mapped[list[str] | None] = mapped_column(Json(none_as_null=True))
    refusal: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    owner_user_id: Mapped[UUID | None] = refers("users.id", ondelete="CASCADE")
    service_id: Mapped[UUID | None] = refers("services.id", ondelete="CASCADE")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="CASCADE")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="CASCADE")
    task_id: Mapped[UUID | None] = refers("tasks.id", ondelete="CASCADE")
    task_attempt: Mapped[int | None]
    session_id: Mapped[UUID | None] = refers("sessions.id", ondelete="CASCADE")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    archive_id: Mapped[UUID | None] = refers("archives.id", ondelete="CASCADE")
    simulation_id: Mapped[UUID | None] = refers("simulations.id", ondelete="CASCADE")
    submission_id: Mapped[UUID | None] = refers("submissions.id", ondelete="CASCADE")
    challenge_id: Mapped[UUID | None] = refers("challenges.id", ondelete="SET NULL")
    file_id: Mapped[UUID | None] = refers("files.id", ondelete="SET NULL")
    recorded_at: Mapped[datetime | None]
    file_expires_at: Mapped[datetime | None]
    """When its file is to be removed."""
    holder: Mapped[str | None] = mapped_column(sa.String(64))
    wanted: Mapped[str | None] = mapped_column(sa.String(64))
    lease_until: Mapped[datetime | None]
    checks: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str | None] = mapped_column(sa.String(64))
    expires_at: Mapped[datetime]

    owner: Mapped["User | None"] = relates()
    service: Mapped["Service | None"] = relates()
    participant: Mapped["Participant | None"] = relates()
    device: Mapped["Device | None"] = relates()
    session: Mapped["Session | None"] = relates()
    project: Mapped["Project | None"] = relates()
    submission: Mapped["Submission | None"] = relates(back_populates="uploads")
    challenge: Mapped["Challenge | None"] = relates()
    file: Mapped[File | None] = relates()
    parts: Mapped[list["UploadPart"]] = relates(back_populates="upload")


class UploadPart(Entity):
    """A part of an upload by manifest, sent by its number. `staged` is the key of its bytes once they came. The same
    part again replaces what was there."""

    __tablename__ = "upload_parts"
    __table_args__ = (
        sa.UniqueConstraint("upload_id", "ordinal"),
        sa.UniqueConstraint("upload_id", "name"),
        sa.CheckConstraint("ordinal >= 1", name="ordinal"),
        sa.CheckConstraint("size > 0", name="size"),
        sa.Index("ix_upload_parts_upload_id_ordinal_id", "upload_id", "ordinal", "id"),
    )

    upload_id: Mapped[UUID] = refers("uploads.id", ondelete="CASCADE")
    ordinal: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(128))
    size: Mapped[int] = mapped_column(sa.BigInteger)
    checksum: Mapped[str] = mapped_column(sa.String(64))
    checksum_algorithm: Mapped[ChecksumAlgorithm] = mapped_column(choice(ChecksumAlgorithm))
    staged: Mapped[str | None] = mapped_column(sa.String(64))

    upload: Mapped[Upload] = relates(back_populates="parts")
