"""Stored bytes: each digest once, for all files that have it, and removed when no file has it any more.

Who is about to store bytes pins their row first. A row that nobody pinned for a while and no file refers to is removed
together with its bytes, while it is locked, so bytes never go from under a file.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import inserting
from db.models import Blob, File
from db.types import later, now, uuid7

PINNED = 3_600
"""Seconds for which a row stays that no file refers to."""


async def pin(session: AsyncSession, digest: str, size: int) -> UUID:
    """Lock the row of a digest, made where there is none, and keep it for `PINNED` seconds."""
    row = inserting(session, Blob).values(id=uuid7(), digest=digest, size=size, version=1)
    row = row.on_conflict_do_update(index_elements=["digest"], set_={"updated_at": now()})
    key: UUID = (await session.execute(row.returning(Blob.id))).scalar_one()
    return key


async def unused(session: AsyncSession, most: int) -> Sequence[Blob]:
    """Lock some rows that no file refers to, and that nobody pinned lately."""
    free = sa.and_(Blob.updated_at < later(-PINNED), ~sa.exists().where(File.blob_id == Blob.id))
    found = sa.select(Blob).where(free).order_by(Blob.id).limit(most).with_for_update(skip_locked=True)
    keys = [row.id for row in await session.scalars(found)]
    # Once more, now that they are locked: a file may have come between the look and the lock.
    again = sa.select(Blob).where(Blob.id.in_(keys), free).order_by(Blob.id)
    return (await session.scalars(again)).all()


@contextlib.asynccontextmanager
async def spooled(pieces: AsyncIterator[bytes]) -> AsyncIterator[Path]:
    """A temporary file with these bytes."""
    file, name = tempfile.mkstemp(prefix="torana-")
    path = Path(name)
    try:
        with os.fdopen(file, "wb") as target:
            async for piece in pieces:
                await asyncio.to_thread(target.write, piece)
        yield path
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)
