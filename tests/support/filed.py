"""Rows of files, uploads and archives, without bytes."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import later, uuid7

DAY = 86_400
REFUSAL = {"code": "CHECKSUM", "message": "x"}


async def file_of(session: AsyncSession, name: str, **columns: Any) -> UUID:
    """A file that is READY; of a dataset, unless another purpose is given."""
    blob = m.Blob(id=uuid7(), digest=uuid7().hex * 2, size=5)
    session.add(blob)
    await session.flush()
    given = {"purpose": m.FilePurpose.DATASET, **columns}
    file = m.File(id=uuid7(), name=name, media_type="text/csv", size=5, state=m.FileState.READY, blob_id=blob.id,
                  digest=blob.digest, **given)  # fmt: skip
    session.add(file)
    await session.flush()
    return file.id


async def upload_of(session: AsyncSession, name: str, **columns: Any) -> tuple[UUID, UUID]:
    """An upload of two parts, and its first part."""
    given = {"purpose": m.FilePurpose.DATASET, "expires_at": later(DAY), **columns}
    upload = m.Upload(id=uuid7(), name=name, media_type="text/csv", size=10, refusal=REFUSAL, **given)
    session.add(upload)
    await session.flush()
    parts = [
        m.UploadPart(id=uuid7(), upload_id=upload.id, ordinal=n, name=f"part{n}", size=5, checksum="0" * 32,
                     checksum_algorithm=m.ChecksumAlgorithm.MD5)
        for n in (1, 2)
    ]  # fmt: skip
    session.add_all(parts)
    await session.flush()
    return upload.id, parts[0].id


@dataclass(frozen=True)
class Archived:
    archive: UUID
    job: UUID
    file: UUID


async def archive_of(session: AsyncSession, owner: UUID, title: str, **subject: UUID) -> Archived:
    """An archive with its job, which has ended, and its file."""
    archive = m.Archive(id=uuid7(), user_id=owner, title=title, expires_at=later(DAY), **subject)
    session.add(archive)
    await session.flush()
    key = uuid7()
    session.add(m.Job(id=key, key=f"20260105-090000-{key}-DIRECT", kind=m.JobKind.ARCHIVE, owner_user_id=owner,
                      title=title, state=m.JobState.COMPLETED, archive_id=archive.id, progress=1.0))  # fmt: skip
    purpose = m.FilePurpose.ARCHIVE
    file = await file_of(session, f"{title}.zip", purpose=purpose, owner_user_id=owner, archive_id=archive.id)
    return Archived(archive.id, key, file)
