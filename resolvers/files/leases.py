"""The lease of an upload: one request at a time brings bytes of it, at whatever gateway.

Another request for the same upload asks the one that holds it to stop, and waits briefly.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from db.engine import Database, changed, moment_of
from db.locks import in_order
from db.models import Upload, UploadState
from db.written import because
from resolvers.context import Context
from resolvers.failures import Away, Conflict, Invalid, WrongState
from resolvers.feed import upload_topic, wanted_topic
from resolvers.files import quotas
from resolvers.files.targets import still_placed
from resolvers.files.uploads import own

LEASE = 10.0
"""Seconds for which a request holds an upload without news. After a gateway was killed, clients wait so long."""
WAIT = 5.0
"""Seconds for which a request waits until another one has stopped."""


class Held(Away):
    """Another request brings bytes of the same upload, and did not stop in time."""


class Misplaced(Conflict):
    """The bytes don't follow those that are there: `offset` has how many there are."""


class NotHeld(Exception):
    """The lease is another's by now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an upload is. `size` is None while it is not known."""

    key: UUID
    received: int
    size: int | None
    state: UploadState
    partial: bool
    meta: str | None
    expires_at: datetime

    @classmethod
    def of(cls, row: Upload) -> "Standing":
        return cls(row.id, row.received, row.size, row.state, row.partial, row.meta, row.expires_at)


async def release_all(database: Database) -> None:
    """Release all uploads, at the start of the only process: nothing can still hold one."""
    async with database.write(as_system="bytes of an upload came") as session:
        held = sa.update(Upload).where(Upload.holder.is_not(None))
        await in_order(session, held.values(holder=None, wanted=None, lease_until=None))


async def standing(ctx: Context, key: UUID) -> Standing:
    """How far one's own upload is, after a request that brings some of it has stopped."""
    return await free(ctx, key, None)


async def declare(ctx: Context, key: UUID, size: int) -> None:
    """Take the size of an upload that was not known, if there is room for it."""
    bounds = ctx.services.files.bounds
    if size < 1:
        raise Invalid(f"a file has at least one byte, not {size}", field="Upload-Length", value=size)
    quotas.check_size(bounds, size, "Upload-Length")
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        row = await own(session, ctx, key)
        whose, project, known, received = row.owner_user_id, row.project_id, row.size, row.received
    if known is not None:
        if size != known:
            raise Conflict(f"the upload has {known:,} bytes, not {size:,}", field="Upload-Length", offset=received)
        return
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        await quotas.expect_room(session, bounds, whose, project, max(0, size - received))
        row = await own(session, ctx, key)
        if row.size is None:
            if size < row.received:
                raise Invalid(f"{row.received:,} bytes have come already", field="Upload-Length", value=size)
            row.size = size


async def announce(ctx: Context, key: UUID, coming: int | None) -> None:
    """Count the bytes that a request is to bring of an upload whose size is not known, before they come."""
    if coming is None:
        told = "Content-Length is needed as long as the upload's size is not known"
        raise Invalid(told, field="Content-Length")
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        row = await own(session, ctx, key)
        whose, project = row.owner_user_id, row.project_id
    async with ctx.services.files.turns, ctx.services.database.write() as session:
        await quotas.expect_room(session, ctx.services.files.bounds, whose, project, coming)
        (await own(session, ctx, key)).coming = coming


async def free(ctx: Context, key: UUID, take: tuple[str, int, int | None] | None) -> Standing:
    """One's own upload once no other request holds it; and take it, for bytes from an offset on."""
    deadline = time.monotonic() + WAIT
    with ctx.services.feed.subscription(upload_topic(key)) as changes:
        while True:
            async with ctx.services.files.turns, ctx.services.database.write() as session:
                row = await own(session, ctx, key)
                moment = await moment_of(session)
                if row.holder is None or row.lease_until is None or row.lease_until <= moment:
                    if take is not None:
                        await still_placed(session, ctx, row)
                        name, offset, expected = take
                        _check_offset(row, offset, expected)
                        row.holder, row.wanted = name, None
                        row.lease_until = moment + timedelta(seconds=LEASE)
                    return Standing.of(row)
                because(session, "another request is asked to stop", Upload)
                row.wanted = uuid4().hex if take is None else take[0]
                changed(session, wanted_topic(key))
            if time.monotonic() > deadline:
                raise Held("another request brings bytes of this upload; try again", seconds=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await changes.next()


def _check_offset(row: Upload, offset: int, expected: int | None) -> None:
    if row.state is not UploadState.OPEN:
        raise WrongState(f"the upload is {row.state.name}: it takes no more bytes", state=row.state.name)
    if offset != row.received:
        raise Misplaced(f"{row.received:,} bytes have come, not {offset:,}: go on after them", offset=row.received)
    if expected is not None and row.size is not None and offset + expected > row.size:
        raise Invalid(
            f"the upload has {row.size:,} bytes: {expected:,} more after {offset:,} are too many",
            field="Content-Length",
            allowed=row.size - offset,
            value=expected,
        )
