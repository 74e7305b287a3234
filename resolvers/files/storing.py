"""Store bytes that the gateway itself has, such as a program of its own machine, as a file."""

import asyncio
import hashlib
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.models import File, FilePurpose, FileState
from db.searching.folding import composed
from db.storage.storage import Segment
from db.types import uuid7
from db.written import because
from resolvers.context import Services
from resolvers.files import blobs
from resolvers.files.purposes import media_type


def digest_of(data: bytes) -> str:
    """The SHA-256 of bytes, as files have it."""
    return hashlib.sha256(data).hexdigest()


async def place(services: Services, data: bytes, digest: str | None = None) -> str:
    """Put bytes into the storage; returns their SHA-256, which may be given. A file must refer to them soon, or they
    are swept."""
    digest = await asyncio.to_thread(digest_of, data) if digest is None else digest
    key = str(uuid4())
    async with services.database.write(as_system="bytes of the gateway's own are stored") as session:
        await blobs.pin(session, digest, len(data))
    storage = services.files.storage
    if await storage.size_of(digest) is None:
        sink = await storage.sink(key, 0)
        try:
            await sink.write([data])
            await sink.keep()
        finally:
            await sink.close()
        await storage.place([Segment(key, len(data))], digest)
    return digest


async def store(session: AsyncSession, purpose: FilePurpose, name: str, digest: str, size: int, **columns: Any) -> UUID:
    """Make the file of bytes that were placed; it is READY."""
    because(session, "a file of the gateway's own is stored", File)
    name = composed(name)
    file = File(
        id=uuid7(),
        purpose=purpose,
        state=FileState.READY,
        name=name,
        media_type=media_type(name),
        size=size,
        digest=digest,
        blob_id=await blobs.pin(session, digest, size),
        **columns,
    )
    session.add(file)
    await session.flush()
    changed(session, row_topic(File, file.id))
    return file.id
