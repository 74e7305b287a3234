"""Clear away what nobody needs: uploads that expired, files past their time, and bytes that nothing refers to."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database, changed, row_topic
from db.locks import held_in_order, in_order
from db.models import Archive, Blob, File, FileState, Job, Task, Upload, UploadPart, UploadState
from db.storage.storage import Storage, StorageAway, Stored
from db.types import later, now
from resolvers.feed import upload_topic
from resolvers.files import blobs
from resolvers.files.uploads import staged_keys
from resolvers.retention import DAY, Sweep

log = structlog.get_logger("torana.files")

SOME = 100
"""Rows that are cleared in one transaction."""
ORPHANED = timedelta(hours=1)
"""How old bytes are that belong to nothing."""
KNOWN = 7.0
"""Days for which an upload that has ended is still told about."""


def uploads(storage: Storage) -> Sweep:
    """The sweep that ends uploads that expired, and forgets those that ended some days ago."""
    return Sweep("uploads", KNOWN, partial(_clear_uploads, storage))


def expired() -> Sweep:
    """The sweep that removes files that are past their time."""
    return Sweep("expired files", 0.0, partial(_clear_files, File.expires_at))


def refused() -> Sweep:
    """The sweep that forgets files that were refused some days ago."""
    return Sweep(
        "refused files", KNOWN, partial(_clear_files, sa.case((File.state == FileState.REFUSED, File.updated_at)))
    )


def deleted(days: float) -> Sweep:
    """The sweep that removes for good the files that were deleted so long ago."""
    return Sweep("files", days, partial(_clear_files, File.deleted_at))


def archives(days: float) -> Sweep:
    """The sweep that forgets archives so long after their file expired, or after they were deleted."""
    return Sweep("archives", days, _clear_archives)


def unused(storage: Storage) -> Sweep:
    """The sweep that removes bytes that nothing refers to."""
    return Sweep("stored bytes", 0.0, partial(_clear_bytes, storage))


async def _clear_uploads(storage: Storage, database: Database, days: float) -> int:
    gone = 0
    late = (
        Upload.state.in_((UploadState.OPEN, UploadState.FAILED)),
        Upload.expires_at < now(),
        sa.or_(Upload.lease_until.is_(None), Upload.lease_until < now()),
    )
    while True:
        keys: list[str] = []
        async with database.write(as_system="what is old is cleared away") as session:
            found = sa.select(Upload).where(*late).order_by(Upload.id).limit(SOME).with_for_update(skip_locked=True)
            rows = (await session.scalars(found)).all()
            for row in rows:
                keys += await staged_keys(session, row)
                row.state, row.holder, row.lease_until = UploadState.EXPIRED, None, None
                changed(session, upload_topic(row.id))
            parts = sa.update(UploadPart).where(UploadPart.upload_id.in_([row.id for row in rows]))
            await in_order(session, parts.values(staged=None))
        for key in keys:
            await storage.drop(key)
        gone += len(rows)
        if len(rows) < SOME:
            break
    over = (UploadState.EXPIRED, UploadState.FAILED, UploadState.COMPLETE)
    async with database.write(as_system="what is old is cleared away") as session:
        old = sa.delete(Upload).where(Upload.state.in_(over), Upload.updated_at < later(-days * DAY))
        return gone + await in_order(session, old)


async def _clear_files(column: Any, database: Database, days: float) -> int:
    gone = 0
    while True:
        async with database.write(as_system="what is old is cleared away") as session:
            old = sa.select(File.id).where(column < later(-days * DAY)).order_by(File.id).limit(SOME)
            keys = (await session.scalars(old)).all()
            gone += await in_order(session, sa.delete(File).where(File.id.in_(keys)))
            changed(session, *(row_topic(File, key) for key in keys))
        if len(keys) < SOME:
            return gone


async def _clear_archives(database: Database, days: float) -> int:
    """With their jobs and what is left of their files."""
    gone = 0
    while True:
        async with database.write(as_system="what is old is cleared away") as session:
            since = later(-days * DAY)
            active = sa.exists().where(Job.archive_id == Archive.id, Job.ended_at.is_(None))
            old = sa.or_(Archive.deleted_at < since, sa.and_(Archive.expires_at < since, ~active))
            keys = (await session.scalars(sa.select(Archive.id).where(old).order_by(Archive.id).limit(SOME))).all()
            jobs = sa.select(Job.id).where(Job.archive_id.in_(keys))
            await held_in_order(session, Archive, Archive.id.in_(keys))
            await held_in_order(session, Job, Job.id.in_(jobs))
            await held_in_order(session, Task, Task.job_id.in_(jobs))
            await in_order(session, sa.delete(File).where(File.archive_id.in_(keys)))
            await session.execute(sa.delete(Job).where(Job.archive_id.in_(keys)))
            await session.execute(sa.delete(Archive).where(Archive.id.in_(keys)))
        gone += len(keys)
        if len(keys) < SOME:
            return gone


async def _clear_bytes(storage: Storage, database: Database, _: float) -> int:
    """Bytes without a row get one, and go with it; staged ones that no upload refers to go at once."""
    gone = 0
    try:
        async for some in _batches(storage.stagings()):
            for key in await _unreferred(database, [one.name for one in some]):
                await storage.drop(key)
                gone += 1
        async for some in _batches(storage.digests()):
            await _adopt(database, some)
        while number := await _remove_some(storage, database):
            gone += number
    except StorageAway as error:
        log.warning("sweep.storage_away", error=str(error))
    return gone


async def _batches(every: AsyncIterator[Stored]) -> AsyncIterator[list[Stored]]:
    """What is old enough to belong to nothing."""
    some: list[Stored] = []
    before = datetime.now(UTC) - ORPHANED
    async for one in every:
        if one.at < before:
            some.append(one)
        if len(some) == SOME:
            yield some
            some = []
    if some:
        yield some


async def _unreferred(database: Database, keys: Sequence[str]) -> list[str]:
    """Those of some staged keys that belong to no upload that goes on. A key begins with that of its upload; uploads
    that were put together have those of others."""
    of = {key: _upload_of(key) for key in keys}
    live = Upload.state.in_((UploadState.OPEN, UploadState.ASSEMBLING))
    part = sa.exists().where(UploadPart.upload_id == Upload.id, UploadPart.staged.is_not(None))
    own = sa.select(Upload.id).where(Upload.id.in_({key for key in of.values() if key}), sa.or_(live, part))
    joined = sa.select(Upload.segments).where(live, Upload.segments.is_not(None))
    held = {row[0] for row in await database.rows(own)}
    segments = {one.partition(":")[0] for row in await database.rows(joined) for one in row[0]}
    return [key for key, upload in of.items() if upload not in held and key not in segments]


def _upload_of(key: str) -> UUID | None:
    try:
        return UUID(key[:36])
    except ValueError:
        return None


async def _adopt(database: Database, some: Sequence[Stored]) -> None:
    known = sa.select(Blob.digest).where(Blob.digest.in_([one.name for one in some]))
    held = {row[0] for row in await database.rows(known)}
    orphans = [one for one in some if one.name not in held and len(one.name) == 64]
    if orphans:
        async with database.write(as_system="what is old is cleared away") as session:
            for one in orphans:
                await blobs.pin(session, one.name, one.size)


async def _remove_some(storage: Storage, database: Database) -> int:
    async with database.write(as_system="what is old is cleared away") as session:
        return await _removed(session, storage)


async def _removed(session: AsyncSession, storage: Storage) -> int:
    rows = await blobs.unused(session, SOME)
    for row in rows:
        await storage.remove(row.digest)
        await session.delete(row)
    return len(rows)
