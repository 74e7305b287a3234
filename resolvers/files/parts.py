"""Receive the parts of an upload that was begun with a manifest, each by its number."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Upload, UploadPart, UploadState
from db.storage.storage import CHUNK, StorageAway
from db.written import because
from resolvers.context import Context
from resolvers.failures import Invalid, NotFound, WrongState
from resolvers.feed import upload_topic
from resolvers.files import quotas
from resolvers.files.leases import Standing
from resolvers.files.receiving import WrongChecksum
from resolvers.files.targets import still_placed
from resolvers.files.uploads import assemble, own


async def receive_part(
    ctx: Context, key: UUID, ordinal: int, expected: int | None, pieces: AsyncIterator[bytes]
) -> tuple[Standing, list[int]]:
    """Take a part, whole and with the right checksum, or nothing of it. Returns how far the upload is, and the numbers
    of the parts that still lack."""
    storage, bounds = ctx.services.files.storage, ctx.services.files.bounds
    free = await storage.free()
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        row, part = await _open_part(session, ctx, key, ordinal)
        size, algorithm, checksum = part.size, part.checksum_algorithm, part.checksum
    if expected is not None and expected != size:
        raise _wrong_size(ordinal, size, expected)
    quotas.check_free(bounds, free, size)
    staged = f"{key}-{ordinal}-{uuid4().hex[:8]}"
    kept = False
    try:
        hasher = hashlib.new(algorithm.name.lower(), usedforsecurity=False)
        await _stored(ctx, staged, ordinal, size, hasher, pieces)
        if hasher.hexdigest() != checksum:
            told = f"part {ordinal} does not have the {algorithm.name} of the manifest; send it again"
            raise WrongChecksum(told, field="checksum", allowed=checksum, value=hasher.hexdigest())
        async with ctx.services.files.turns, ctx.services.database.write() as session:
            row, part = await _open_part(session, ctx, key, ordinal)
            before, part.staged = part.staged, staged
            because(session, "a part of an upload came", UploadPart)
            standing, left = await _settled(session, ctx, row)
        kept = True
        if before is not None:
            await storage.drop(before)
        return standing, left
    finally:
        if not kept:
            with contextlib.suppress(StorageAway):
                await asyncio.shield(storage.drop(staged))


async def lacking(ctx: Context, key: UUID) -> list[int]:
    """The numbers of the parts of an upload that have not come."""
    return [row[0] for row in await ctx.database.rows(_lacking(key))]


def _lacking(key: UUID) -> Any:
    wanted = sa.select(UploadPart.ordinal).where(UploadPart.upload_id == key, UploadPart.staged.is_(None))
    return wanted.order_by(UploadPart.ordinal)


async def _open_part(session: AsyncSession, ctx: Context, key: UUID, ordinal: int) -> tuple[Upload, UploadPart]:
    row = await own(session, ctx, key)
    wanted = sa.select(UploadPart).where(UploadPart.upload_id == key, UploadPart.ordinal == ordinal).with_for_update()
    await still_placed(session, ctx, row)
    part = (await session.scalars(wanted)).one_or_none()
    if part is None:
        raise NotFound(f"the upload has no part {ordinal}", field="ordinal")
    if row.state not in (UploadState.OPEN, UploadState.FAILED):
        raise WrongState(f"the upload is {row.state.name}: it takes no more parts", state=row.state.name)
    return row, part


async def _stored(
    ctx: Context, staged: str, ordinal: int, size: int, hasher: Any, pieces: AsyncIterator[bytes]
) -> None:
    """Write a part to the storage, for good."""
    sink = await ctx.services.files.storage.sink(staged, 0)
    came = 0
    try:
        held: list[bytes] = []
        async for piece in pieces:
            held.append(piece)
            came += len(piece)
            if came > size:
                raise _wrong_size(ordinal, size, came)
            if sum(map(len, held)) >= CHUNK:
                await asyncio.to_thread(hasher.update, b"".join(held))
                await sink.write(held)
                held = []
        if held:
            await asyncio.to_thread(hasher.update, b"".join(held))
            await sink.write(held)
        if came != size:
            raise _wrong_size(ordinal, size, came)
        await sink.keep()
    finally:
        await sink.close()


async def _settled(session: AsyncSession, ctx: Context, row: Upload) -> tuple[Standing, list[int]]:
    """Count what has come; with the last part the upload is whole."""
    row.state = UploadState.OPEN
    await session.flush()
    came = sa.select(sa.func.coalesce(sa.func.sum(UploadPart.size), 0))
    row.received = int(
        await session.scalar(came.where(UploadPart.upload_id == row.id, UploadPart.staged.is_not(None))) or 0
    )
    row.expires_at = await moment_of(session) + timedelta(seconds=ctx.services.files.bounds.idle)
    changed(session, upload_topic(row.id))
    left = list(await session.scalars(_lacking(row.id)))
    if not left:
        await assemble(session, ctx.services.files, row)
    return Standing.of(row), left


def _wrong_size(ordinal: int, size: int, came: int) -> Invalid:
    told = f"part {ordinal} has {size:,} bytes, not {came:,}"
    return Invalid(told, field="Content-Length", allowed=size, value=came)
