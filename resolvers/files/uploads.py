"""Uploads: begin one, find one's own again, put several together, and end one before its time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import File, Task, Upload, UploadPart, UploadState
from db.searching.folding import composed
from db.storage.storage import Segment
from db.types import uuid7
from db.written import asked, because
from resolvers.context import Context, Files
from resolvers.failures import Away, Invalid, NotFound, WrongState
from resolvers.feed import UPLOADED, upload_topic
from resolvers.files import quotas
from resolvers.files.new_uploads import PARTS, NewUpload, check
from resolvers.files.purposes import media_type
from resolvers.files.targets import WHOSE, counted, placed, target_in
from resolvers.identity.principal import Principal
from resolvers.writing.refusals import recorded
from resolvers.writing.rows import locked

MISSING = "no Upload with this id"


async def create(ctx: Context, new: NewUpload) -> Upload:
    """Begin an upload: find what it belongs to, ask whether one may bring files for that, check what is given, then
    count it against the quotas."""
    files = ctx.services.files
    free = await files.storage.free()
    async with recorded(ctx, "CREATE", Upload), ctx.services.files.turns, ctx.services.database.write() as session:
        belonging = await placed(session, ctx, new)
        check(files.bounds, new)
        quotas.check_free(files.bounds, free, new.size or 0)
        await counted(session, ctx, new, belonging)
        algorithm, checksum = new.checksum or (None, None)
        upload = Upload(
            id=uuid7(),
            purpose=new.purpose,
            name=composed(new.name),
            media_type=media_type(new.name),
            size=new.size,
            checksum=checksum and checksum.lower(),
            checksum_algorithm=algorithm,
            meta=new.meta,
            partial=new.partial,
            recorded_at=new.recorded_at,
            file_expires_at=new.expires_at,
            expires_at=await moment_of(session) + timedelta(seconds=files.bounds.idle),
            **belonging.columns,
        )
        session.add(upload)
        asked(session, upload)
        await session.flush()
        because(session, "an upload is begun with its parts", UploadPart)
        session.add_all(
            UploadPart(
                upload_id=upload.id,
                ordinal=ordinal,
                name=part.name,
                size=part.size,
                checksum=part.checksum.lower(),
                checksum_algorithm=part.algorithm,
            )
            for ordinal, part in enumerate(new.parts, 1)
        )
        changed(session, upload_topic(upload.id))
    return upload


def is_of(row: Upload, principal: Principal) -> bool:
    """Whether an upload is the principal's own."""
    if (claim := principal.task_claim) is not None:
        return row.task_id is not None and row.task_attempt == claim.attempt
    if row.task_id is not None:
        return False
    column = WHOSE.get(principal.kind)
    return column is not None and principal.id is not None and getattr(row, column) == principal.id


async def own(session: AsyncSession, ctx: Context, key: UUID) -> Upload:
    """One's own upload, locked; NOT_FOUND for others' and for none, STATE for one that expired."""
    row = (await session.scalars(sa.select(Upload).where(Upload.id == key).with_for_update())).one_or_none()
    if row is None or not is_of(row, ctx.principal):
        raise NotFound(MISSING, field="id")
    if (claim := ctx.principal.task_claim) is not None:
        task = await session.get(Task, row.task_id)
        if task is None or (task.job_id, task.ordinal) != (claim.job_id, claim.ordinal):
            raise NotFound(MISSING, field="id")
    asked(session, row)
    late = row.state is UploadState.OPEN and row.expires_at <= await moment_of(session)
    if row.state is UploadState.EXPIRED or late:
        told = f"the upload expired at {row.expires_at:%Y-%m-%d %H:%M} UTC; begin another"
        raise WrongState(told, field="id", state=UploadState.EXPIRED.name)
    return row


async def end(ctx: Context, key: UUID) -> None:
    """End one's own upload, or as a superadmin anybody's: what came of it is removed. A file that it has become
    stays."""
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        row = await (locked(session, ctx, Upload, key) if ctx.principal.superadmin else own(session, ctx, key))
        if row.state is UploadState.ASSEMBLING:
            raise Away("all bytes have come and are being checked; try again", field="id")
        keys = await staged_keys(session, row)
        because(session, "an upload is ended by whose it is", Upload, UploadPart)
        await session.execute(sa.delete(Upload).where(Upload.id == key))
        changed(session, upload_topic(key))
    for one in keys:
        await ctx.services.files.storage.drop(one)


async def like(ctx: Context, key: UUID) -> NewUpload:
    """What was asked of one's own upload, for the parts that it is put together of."""
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        row = await own(session, ctx, key)
    return NewUpload(row.purpose, row.name, None, target_in(row))


async def put_together(ctx: Context, whole: UUID | NewUpload, keys: Sequence[UUID]) -> Upload:
    """Make an upload of complete partial ones, which are no uploads any more: a new one, or one that nothing came of
    yet."""
    at = whole.at("parts") if isinstance(whole, NewUpload) else "Upload-Concat"
    if not 1 <= len(keys) <= PARTS or len(set(keys)) != len(keys):
        raise Invalid(f"1 to {PARTS} different uploads are put together", field=at)
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        size = sum(row.received for row in await _complete_parts(session, ctx, keys))
    made = (await create(ctx, replace(whole, size=size, joined=True))).id if isinstance(whole, NewUpload) else whole
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        rows = {row.id: row for row in await _complete_parts(session, ctx, keys)}
        row = await own(session, ctx, made)
        if row.state is not UploadState.OPEN or row.received or row.size not in (None, size):
            told = f"the uploads have {size:,} bytes together; this one is {row.state.name} and is to have {row.size}"
            raise Invalid(told, field=at)
        row.segments, row.size = [f"{key}:{rows[key].received}" for key in keys], size
        row.received = size
        because(session, "partial uploads are part of another now", Upload)
        await session.execute(sa.delete(Upload).where(Upload.id.in_(keys)))
        await assemble(session, ctx.services.files, row)
        return row


async def _complete_parts(session: AsyncSession, ctx: Context, keys: Sequence[UUID]) -> Sequence[Upload]:
    rows = [await own(session, ctx, key) for key in sorted(keys)]
    for row in rows:
        if not row.partial or row.state is not UploadState.OPEN or row.received != row.size:
            raise WrongState("only complete partial uploads can be put together", state=row.state.name)
    return rows


_TAKEN = ("purpose", "name", "media_type", "size", "recorded_at", "owner_user_id", "service_id",
          "participant_id", "device_id", "session_id", "submission_id", "challenge_id")  # fmt: skip
"""The columns of an upload that its file has, too."""


async def assemble(session: AsyncSession, files: Files, row: Upload) -> None:
    """All bytes have come: make the file, which is checked next."""
    file = File(id=uuid7(), project_id=row.project_id, **{name: getattr(row, name) for name in _TAKEN})
    because(session, "the last byte of an upload makes a file", File, Upload)
    file.expires_at = row.file_expires_at
    if row.task_id is not None:  # until its job takes it
        file.expires_at = row.expires_at
    row.state, row.refusal, row.digest = UploadState.ASSEMBLING, None, None
    row.holder, row.wanted, row.lease_until = None, None, None
    session.add(file)
    await session.flush()
    row.file_id = file.id
    await session.flush()
    if (arrival := files.arrivals.get(row.purpose)) is not None:
        await arrival.come(session, row)
    changed(session, upload_topic(row.id), UPLOADED)


async def staged_keys(session: AsyncSession, row: Upload) -> list[str]:
    """The keys under which the bytes of an upload are staged."""
    stored = sa.select(UploadPart.staged).where(UploadPart.upload_id == row.id, UploadPart.staged.is_not(None))
    parts = [key for key in await session.scalars(stored) if key is not None]
    return parts + [segment.key for segment in segments_of(row)]


def segments_of(row: Upload, parts: Sequence[UploadPart] = ()) -> list[Segment]:
    """Where the bytes of an upload lie: those of its parts, where it has some."""
    if parts:
        return [Segment(part.staged or "", part.size) for part in parts]
    if row.segments:
        return [Segment(key, int(size)) for key, _, size in (one.partition(":") for one in row.segments)]
    return [Segment(str(row.id), row.received)]
