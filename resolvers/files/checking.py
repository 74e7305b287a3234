"""Check what was uploaded, after its last byte: its hash, what it begins with, and what an archive holds. Then its
bytes get their place, and the file is READY; or it is REFUSED, and says why.

Any number of processes may: each upload is held by a lease while one checks it.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.locks import in_order
from db.models import File, FilePurpose, FileState, Project, Upload, UploadPart, UploadState
from db.outages import tried_again
from db.storage.storage import Missing, Segment, StorageAway
from db.types import now
from resolvers.context import Services
from resolvers.feed import UPLOADED, upload_topic
from resolvers.files import blobs
from resolvers.files.inspection import inspected
from resolvers.files.purposes import PURPOSES, begins_wrongly
from resolvers.files.uploads import segments_of, staged_keys

log = structlog.get_logger("torana.files")

LEASE = 30.0
"""Seconds for which a check holds an upload without news."""
AGAIN = 10
"""Seconds after which a check is tried again that failed because something was away."""
TRIES = 5
"""How often a check is begun; one that ended with its process every time is given up."""
HEAD = 16
"""Bytes by which the type of a file is told."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An upload that this process checks: where its bytes lie, and what they should be."""

    key: UUID
    holder: str
    upload: Upload
    segments: list[Segment]
    manifest: bool

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)


class Refused(Exception):
    """The file is not taken: a code for programs, why, and perhaps which entry of an archive."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.told: Mapping[str, Any] = {"code": code, "message": message, **details}


async def check_next(services: Services) -> bool:
    """Check one upload that waits for it; False when none does."""
    claimed = await tried_again(partial(_claim, services))
    if claimed is None:
        return False
    pinned: list[str] = []
    prolonging = asyncio.create_task(_prolong(services, claimed, pinned))
    try:
        digest = claimed.upload.digest or await _checked(services, claimed)
        if not await tried_again(partial(_pinned, services, claimed, digest)):
            return True
        pinned.append(digest)
        await services.files.storage.place(claimed.segments, digest)
        await tried_again(partial(_ready, services, claimed, digest))
        log.info("upload.ready", upload=str(claimed.key), bytes=claimed.size)
    except Refused as refusal:
        await _refuse(services, claimed, refusal.told)
    except Missing as lost:
        log.error("upload.bytes_missing", upload=str(claimed.key), key=str(lost))
        await _refuse(services, claimed, {"code": "BYTES_LOST", "message": "its bytes are gone: upload it again"})
    except BaseException as error:
        if isinstance(error, Exception):
            log.warning("upload.check_failed", upload=str(claimed.key), error=repr(error)[:300])
        away = isinstance(error, StorageAway) or not isinstance(error, Exception)
        await asyncio.shield(_put_off(services, claimed, away=away))
        if not isinstance(error, Exception):
            raise
    finally:
        prolonging.cancel()
        await asyncio.gather(prolonging, return_exceptions=True)
    return True


async def _claim(services: Services) -> Claimed | None:
    async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
        moment = await moment_of(session)
        free = sa.or_(Upload.lease_until.is_(None), Upload.lease_until <= moment)
        waiting = (
            sa.select(Upload)
            .where(
                Upload.state == sa.literal(UploadState.ASSEMBLING, Upload.state.expression.type, literal_execute=True)
            )
            .where(free)
            .order_by(Upload.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = (await session.scalars(waiting)).one_or_none()
        if row is None:
            return None
        row.holder, row.lease_until = uuid4().hex, moment + timedelta(seconds=LEASE)
        row.checks += 1
        parts = sa.select(UploadPart).where(UploadPart.upload_id == row.id).order_by(UploadPart.ordinal)
        found = (await session.scalars(parts)).all()
        return Claimed(row.id, row.holder, row, segments_of(row, found), bool(found))


async def _checked(services: Services, claimed: Claimed) -> str:
    """The SHA-256 of an upload's bytes, which are all there and what they should be."""
    upload = claimed.upload
    if upload.checks > TRIES:
        raise Refused("CHECK_FAILED", "its check did not end, several times")
    sha256 = hashlib.sha256()
    named = upload.checksum_algorithm and upload.checksum_algorithm.name.lower()
    other = None if named in (None, "sha256") else hashlib.new(str(named), usedforsecurity=False)
    head = b""
    async for piece in services.files.storage.staged(claimed.segments):
        head = head or bytes(piece[:HEAD])
        await asyncio.to_thread(sha256.update, piece)
        if other is not None:
            await asyncio.to_thread(other.update, piece)
    digest = sha256.hexdigest()
    found = digest if other is None else other.hexdigest()
    if upload.checksum is not None and found != upload.checksum:
        raise Refused(
            "CHECKSUM",
            f"its {str(named).upper()} is not the one that was given: bytes changed, or another file was sent",
            given=upload.checksum,
            found=found,
        )
    purpose = PURPOSES[upload.purpose]
    if begins_wrongly(upload.name, head):
        raise Refused("TYPE", f"its content is not that of a {Path(upload.name).suffix.lower()} file")
    if purpose.looks_into(upload.name):
        async with _local(services, claimed) as path:
            if (finding := await inspected(path, upload.name)) is not None:
                raise Refused(**finding)
    return digest


@contextlib.asynccontextmanager
async def _local(services: Services, claimed: Claimed) -> AsyncIterator[Path]:
    """A file on this machine with the bytes of an upload."""
    storage = services.files.storage
    if (path := storage.path_of(claimed.segments)) is not None:
        yield path
        return
    async with blobs.spooled(storage.staged(claimed.segments)) as path:
        yield path


async def _pinned(services: Services, claimed: Claimed, digest: str) -> bool:
    """Write down what was found, before the bytes are moved: whoever goes on need not find them where they were. False
    when the upload is another's by now."""
    async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
        if (row := await _held(session, claimed)) is None:
            return False
        row.digest = digest
        await blobs.pin(session, digest, claimed.size)
        return True


async def _ready(services: Services, claimed: Claimed, digest: str) -> None:
    """The bytes are in place: the file stands for them."""
    async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
        row = await _held(session, claimed)
        if row is None:
            return
        parts = await session.scalars(sa.select(UploadPart).where(UploadPart.upload_id == row.id).with_for_update())
        for part in parts:
            part.staged = None
        blob = await blobs.pin(session, digest, claimed.size)
        file = None if row.file_id is None else await session.get(File, row.file_id, with_for_update=True)
        row.state, row.segments = UploadState.COMPLETE, None
        row.holder, row.lease_until = None, None
        changed(session, upload_topic(row.id))
        if file is None:
            return
        if PURPOSES[file.purpose].replaces:
            same = (File.purpose == file.purpose, File.name == file.name, File.state == FileState.READY)
            before = sa.update(File).where(*same, File.id != file.id, File.deleted_at.is_(None))
            await in_order(session, before.values(deleted_at=now(), version=File.version + 1))
        file.state, file.digest, file.blob_id = await state_of(session, file), digest, blob
        await session.flush()
        if (arrival := services.files.arrivals.get(file.purpose)) is not None:
            await arrival.taken(session, row, file)
        changed(session, row_topic(File, file.id), row_topic(File, "*"))


async def state_of(session: AsyncSession, file: File) -> FileState:
    """READY; or QUARANTINED for an asset of a project where a service looks at it first."""
    if file.purpose is not FilePurpose.SESSION_ASSET or file.project_id is None:
        return FileState.READY
    kept = await session.scalar(sa.select(Project.quarantine).where(Project.id == file.project_id))
    return FileState.QUARANTINED if kept else FileState.READY


async def _refuse(services: Services, claimed: Claimed, why: Mapping[str, Any]) -> None:
    """The file is refused. Parts of a manifest stay, so that those that were wrong can be sent again; all else is
    removed."""
    log.info("upload.refused", upload=str(claimed.key), code=why["code"])

    async def note() -> list[str]:
        async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
            row = await _held(session, claimed)
            if row is None:
                return []
            keys = [] if claimed.manifest else await staged_keys(session, row)
            row.state, row.refusal, row.holder, row.lease_until = UploadState.FAILED, dict(why), None, None
            changed(session, upload_topic(row.id))
            file = None if row.file_id is None else await session.get(File, row.file_id, with_for_update=True)
            if file is not None:
                file.state, file.refusal = FileState.REFUSED, dict(why)
                changed(session, row_topic(File, file.id))
            await session.flush()
            if (arrival := services.files.arrivals.get(row.purpose)) is not None:
                await arrival.refused(session, row, why)
            return keys

    for key in await tried_again(note):
        await services.files.storage.drop(key)


async def _put_off(services: Services, claimed: Claimed, *, away: bool) -> None:
    """Try it again later; what was away does not count as a try."""
    with contextlib.suppress(Exception):  # else the lease ends by itself
        async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
            if (row := await _held(session, claimed)) is not None:
                row.holder = None
                row.lease_until = await moment_of(session) + timedelta(seconds=AGAIN)
                row.checks -= away
                changed(session, UPLOADED)


async def _prolong(services: Services, claimed: Claimed, pinned: list[str]) -> None:
    """Hold the upload, and the bytes that are being put in their place."""
    while True:
        await asyncio.sleep(LEASE / 4)
        with contextlib.suppress(Exception):
            async with services.files.turns, services.database.write(as_system="an upload is checked") as session:
                if (row := await _held(session, claimed)) is not None:
                    row.lease_until = await moment_of(session) + timedelta(seconds=LEASE)
                for digest in pinned:
                    await blobs.pin(session, digest, claimed.size)


async def _held(session: AsyncSession, claimed: Claimed) -> Upload | None:
    """The upload, if this process still holds it."""
    row = await session.get(Upload, claimed.key, with_for_update=True)
    return row if row is not None and row.holder == claimed.holder else None
