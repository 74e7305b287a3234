"""Receive bytes of an upload. What a request brought is written down every few seconds, once it is stored for good, so
that any gateway may go on."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Upload
from db.outages import tried_again
from db.storage.storage import CHUNK, Sink, StorageAway
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.feed import upload_topic, wanted_topic
from resolvers.files import quotas
from resolvers.files.leases import LEASE, NotHeld, Standing, announce, free
from resolvers.files.uploads import assemble

log = structlog.get_logger("torana.files")

NOTED = 2.0
"""Seconds between two notes of how much has come."""


class WrongChecksum(Invalid):
    """The bytes are not those of the checksum; they were dropped."""


@contextlib.asynccontextmanager
async def receiving(
    ctx: Context, key: UUID, offset: int, expected: int | None, checksum: "Checksum | None" = None
) -> AsyncIterator["Receiving"]:
    """Hold an upload while a request brings bytes of it, from `offset` on; `expected` is how many it says that it
    brings."""
    files, name = ctx.services.files, uuid4().hex
    quotas.check_free(files.bounds, await files.storage.free(), expected or 0)
    taken = await free(ctx, key, (name, offset, expected))
    at = Receiving(ctx, name, taken, checksum)
    try:
        if taken.size is None:
            await announce(ctx, key, expected)
        at.sink = await files.storage.sink(str(key), taken.received)
        with ctx.services.feed.subscription(wanted_topic(key)) as changes:
            at.wanted, at.beating = asyncio.create_task(_once(changes)), asyncio.create_task(at.beat())
            yield at
    finally:
        await asyncio.shield(at.close())


@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksum of the bytes of one request: the name of the algorithm, and the digest."""

    algorithm: str
    digest: bytes


class Receiving:
    """A request that brings bytes."""

    def __init__(self, ctx: Context, name: str, taken: Standing, checksum: Checksum | None) -> None:
        self._ctx = ctx
        self._name = name
        self._checksum = checksum
        self._hash: Any = None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        self._pieces: list[bytes] = []
        self._held = 0
        self._came = self._noted = taken.received
        self._at = time.monotonic()
        self._open = True
        self.taken = taken
        self.sink: Sink | None = None
        self.wanted: asyncio.Task[None] | None = None
        self.beating: asyncio.Task[None] | None = None

    @property
    def left(self) -> int:
        """The most bytes that may still come."""
        whole = self._ctx.services.files.bounds.upload if self.taken.size is None else self.taken.size
        return whole - self._came

    def on_wanted(self, stop: Callable[[], None]) -> None:
        """Call `stop` when another request wants to go on."""
        assert self.wanted is not None
        self.wanted.add_done_callback(lambda done: None if done.cancelled() else stop())

    async def take(self, piece: bytes) -> None:
        """Take bytes; they are written in larger pieces."""
        self._pieces.append(piece)
        self._held += len(piece)
        self._came += len(piece)
        if self._held >= CHUNK:
            await self._write()
            if time.monotonic() - self._at > NOTED:
                await self._note()

    async def finish(self) -> Standing:
        """Write down what came, and release the upload; with the last byte it is whole."""
        await self._write()
        if self._checksum is not None and not hmac.compare_digest(self._hash.digest(), self._checksum.digest):
            await self.drop()
            raise WrongChecksum("the bytes are not those of Upload-Checksum; send them again", field="Upload-Checksum")
        return await self._note(end=True)

    async def broken(self) -> Standing:
        """The request broke off: keep what came, or nothing of what has a checksum."""
        if self._checksum is not None:
            return await self.drop()
        await self._write()
        return await self._note(end=True)

    async def drop(self) -> Standing:
        """Keep nothing of what the request brought."""
        assert self.sink is not None
        self._pieces, self._held, self._came = [], 0, self.taken.received
        self._expect_held()
        await self.sink.cut(self.taken.received)
        self._checksum = None
        return await self._note(end=True)

    async def close(self) -> None:
        """Release the upload, if that was not done, with what is known to be stored."""
        for task in (self.wanted, self.beating):
            if task is not None:
                task.cancel()
        if self.sink is not None:
            with contextlib.suppress(StorageAway):
                await self.sink.close()
        if self._open:
            try:
                await tried_again(self._release)
            except Exception as error:  # the lease ends by itself
                log.info("upload.not_released", upload=str(self.taken.key), error=type(error).__name__)

    async def beat(self) -> None:
        """Keep the lease while nothing comes."""
        while True:
            await asyncio.sleep(LEASE / 3)
            began = time.monotonic()
            with contextlib.suppress(Exception):  # whoever writes next finds out
                await self._prolong()
                self._at = max(self._at, began)

    async def _write(self) -> None:
        if not self._held:
            return
        assert self.sink is not None
        pieces, self._pieces, self._held = self._pieces, [], 0
        self._expect_held()
        if self._hash is not None:
            await asyncio.to_thread(_hashed, self._hash, pieces)
        await self.sink.write(pieces)

    def _expect_held(self) -> None:
        if time.monotonic() - self._at > LEASE:
            raise NotHeld

    async def _note(self, *, end: bool = False) -> Standing:
        assert self.sink is not None
        if self._checksum is None or end:
            self._noted = await self.sink.keep(end=end)
        done = await tried_again(self._end if end else self._prolong)
        self._at = time.monotonic()
        self._open = not end
        return done

    async def _prolong(self) -> Standing:
        async with (
            self._ctx.services.files.turns,
            self._ctx.services.database.write(as_system="bytes of an upload came") as session,
        ):
            row = await self._mine(session)
            row.lease_until = await moment_of(session) + timedelta(seconds=LEASE)
            return Standing.of(row)

    async def _end(self) -> Standing:
        async with (
            self._ctx.services.files.turns,
            self._ctx.services.database.write(as_system="bytes of an upload came") as session,
        ):
            row = await self._mine(session)
            row.holder, row.wanted, row.lease_until, row.coming = None, None, None, 0
            if row.received == row.size and not row.partial:
                await assemble(session, self._ctx.services.files, row)
            return Standing.of(row)

    async def _release(self) -> None:
        async with (
            self._ctx.services.files.turns,
            self._ctx.services.database.write(as_system="bytes of an upload came") as session,
        ):
            with contextlib.suppress(NotHeld):
                row = await self._mine(session)
                row.holder, row.wanted, row.lease_until, row.coming = None, None, None, 0

    async def _mine(self, session: AsyncSession) -> Upload:
        """The upload with what has come by now."""
        key = self.taken.key
        row = await session.get(Upload, key, with_for_update=True)
        if row is None or row.holder != self._name:
            raise NotHeld
        row.received = self._noted
        row.expires_at = await moment_of(session) + timedelta(seconds=self._ctx.services.files.bounds.idle)
        changed(session, upload_topic(key))
        return row


def _hashed(hasher: Any, pieces: list[bytes]) -> None:
    for piece in pieces:
        hasher.update(piece)


async def _once(changes: Any) -> None:
    await changes.next()
