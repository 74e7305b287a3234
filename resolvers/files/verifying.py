"""Compare the rows of stored bytes with the bytes themselves."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import sqlalchemy as sa

from db.engine import Database
from db.models import Blob, File
from db.storage.storage import CHUNK, Missing, Storage

SOME = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found about the bytes of one digest: `fault` is None where nothing is wrong."""

    digest: str
    size: int
    files: int
    fault: str | None


async def verify(database: Database, storage: Storage, *, read: bool = True) -> AsyncIterator[Verified]:
    """Check the bytes of every row: that they are there, their size and, with `read`, their hash. Then name the bytes
    that no row has: the sweep removes those after an hour."""
    after = ""
    while True:
        files = sa.select(sa.func.count()).where(File.blob_id == Blob.id).scalar_subquery()
        some = sa.select(Blob.digest, Blob.size, files.label("files")).where(Blob.digest > after)
        rows = await database.rows(some.order_by(Blob.digest).limit(SOME))
        for row in rows:
            fault = await _fault(storage, row.digest, row.size, read)
            if row.files or fault is None:  # bytes that no file has may be on their way in or out
                yield Verified(row.digest, row.size, row.files, fault)
        if len(rows) < SOME:
            break
        after = rows[-1].digest
    async for stored in storage.digests():
        known = await database.rows(sa.select(Blob.id).where(Blob.digest == stored.name))
        if not known:
            yield Verified(stored.name, stored.size, 0, "no row has them")


async def _fault(storage: Storage, digest: str, size: int, read: bool) -> str | None:
    found = await storage.size_of(digest)
    if found is None:
        return "the bytes are missing"
    if found != size:
        return f"they are {found:,} bytes, not {size:,}"
    if not read:
        return None
    hasher = hashlib.sha256()
    try:
        async for piece in storage.read(digest, 0, size):
            for start in range(0, len(piece), CHUNK):
                await asyncio.to_thread(hasher.update, piece[start : start + CHUNK])
    except Missing:
        return "the bytes are missing"
    return None if hasher.hexdigest() == digest else "the bytes are others: their hash is wrong"
