"""A storage in a bucket of S3, or of a store that speaks like it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore import exceptions
from obstore.store import S3Store

from db.storage.signing import Credentials, signed
from db.storage.storage import CHUNK, Missing, Segment, StorageAway, Stored

T = TypeVar("T")

PIECE = 8 << 20
"""The bytes of an object of an upload under way, which are held in memory until they are sent."""
TAIL = 5 << 20
"""A last object with fewer bytes is written anew, together with what comes after it."""
PART = 16 << 20
"""The bytes of each part of a large object."""
PATIENCE = timedelta(seconds=20)
"""How long one request, with what is tried again of it, may take."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the bucket is, and who we are there. `prefix` begins the names of our objects. With `links`, downloads are
    sent to the store."""

    name: str
    credentials: Credentials
    endpoint: str = ""
    prefix: str = ""
    links: bool = True

    @property
    def address(self) -> str:
        """The address of the bucket, with its name in the path where the endpoint is not Amazon's."""
        if self.endpoint:
            return f"{self.endpoint.rstrip('/')}/{self.name}"
        return f"https://{self.name}.s3.{self.credentials.region}.amazonaws.com"


class S3Storage:
    """Objects `uploads/<key>/<offset>` and `blobs/<digest>`: S3 appends to none, so an upload is a row of objects."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        options: Any = {"timeout": PATIENCE}
        given: dict[str, Any] = {}
        if bucket.endpoint:
            options["allow_http"] = bucket.endpoint.startswith("http://")
            given = {"endpoint": bucket.endpoint, "virtual_hosted_style_request": False}
        self._store: Any = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.credentials.region,
            access_key_id=bucket.credentials.key,
            secret_access_key=bucket.credentials.secret,
            client_options=options,
            retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
            **given,
        )

    async def sink(self, key: str, size: int) -> "S3Sink":
        begin, head = size, b""
        for offset, stored in await self._objects(key):
            if offset >= size:
                await self._removed(_object(key, offset))
            elif offset + stored > size or (offset + stored == size and stored < TAIL):
                begin, head = offset, await self._whole(_object(key, offset), size - offset)
        return S3Sink(self, key, begin, head)

    async def staged(self, segments: Sequence[Segment]) -> AsyncIterator[bytes]:
        for segment in segments:
            done = 0
            for offset, stored in await self._objects(segment.key):
                if offset != done or done >= segment.size:
                    break
                async for piece in self._streamed(_object(segment.key, offset), 0, min(stored, segment.size - done)):
                    yield piece
                done += min(stored, segment.size - done)
            if done < segment.size:
                raise Missing(segment.key)

    def path_of(self, segments: Sequence[Segment]) -> Path | None:
        return None

    async def drop(self, key: str) -> None:
        names = [_object(key, offset) for offset, _ in await self._objects(key)]
        if names:
            await self._removed(names)

    async def place(self, segments: Sequence[Segment], digest: str) -> None:
        size = sum(segment.size for segment in segments)
        if await self.size_of(digest) != size:
            await self._told(
                obstore.put_async(
                    self._store,
                    f"blobs/{digest}",
                    _gathered(self.staged(segments)),
                    chunk_size=PART,
                    max_concurrency=2,
                    use_multipart=size > PART,
                )
            )
        for segment in segments:
            await self.drop(segment.key)

    async def size_of(self, digest: str) -> int | None:
        try:
            found = await self._told(obstore.head_async(self._store, f"blobs/{digest}"))
        except Missing:
            return None
        return int(found["size"])

    def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        return self._streamed(f"blobs/{digest}", start, stop)

    async def remove(self, digest: str) -> None:
        await self._removed(f"blobs/{digest}")

    async def digests(self) -> AsyncIterator[Stored]:
        async for one in self._listed("blobs/"):
            yield Stored(one.name.rpartition("/")[2], one.size, one.at)

    async def stagings(self) -> AsyncIterator[Stored]:
        async for one in self._listed("uploads/"):
            yield Stored(one.name.split("/")[-2], one.size, one.at)

    async def free(self) -> int | None:
        return None

    async def link(self, digest: str, seconds: int, disposition: str) -> str | None:
        if not self._bucket.links:
            return None
        prefix = f"{self._bucket.prefix.strip('/')}/" if self._bucket.prefix else ""
        query = {
            "response-content-disposition": disposition,
            "response-content-type": "application/octet-stream",
            "response-cache-control": "private, no-store",
        }
        address = f"{self._bucket.address}/{prefix}blobs/{digest}"
        return signed(address, query, self._bucket.credentials, datetime.now(UTC), seconds)

    async def close(self) -> None:
        return

    async def put(self, name: str, content: bytes) -> None:
        """Write one object."""
        await self._told(obstore.put_async(self._store, name, content, use_multipart=False))

    async def _objects(self, key: str) -> list[tuple[int, int]]:
        """The objects of an upload by offset, each with its size."""
        found = [(int(one.name.rpartition("/")[2]), one.size) async for one in self._listed(f"uploads/{key}/")]
        return sorted(found)

    async def _listed(self, prefix: str) -> AsyncIterator[Stored]:
        batches = obstore.list(self._store, prefix).__aiter__()
        while True:
            try:
                batch = await self._told(batches.__anext__())
            except StopAsyncIteration:
                return
            for one in batch:
                yield Stored(one["path"], one["size"], one["last_modified"])

    async def _whole(self, name: str, size: int) -> bytes:
        return b"".join([piece async for piece in self._streamed(name, 0, size)])

    async def _streamed(self, name: str, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        got = await self._told(obstore.get_async(self._store, name, options={"range": (start, stop)}))
        pieces, done = got.stream(min_chunk_size=CHUNK).__aiter__(), start
        while done < stop:
            try:
                piece = bytes(await self._told(pieces.__anext__()))
            except StopAsyncIteration:
                raise Missing(name) from None
            done += len(piece)
            yield piece

    async def _removed(self, names: str | list[str]) -> None:
        try:
            await self._told(obstore.delete_async(self._store, names))
        except Missing:
            return

    async def _told(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            raise Missing(str(error)[:80]) from None
        except (exceptions.BaseError, OSError) as error:
            raise StorageAway(f"the storage is away: {type(error).__name__}") from error


class S3Sink:
    """A row of objects that is appended to: `PIECE` bytes make one, and what is left at the end makes the last."""

    def __init__(self, storage: S3Storage, key: str, begin: int, head: bytes) -> None:
        self._storage = storage
        self._key = key
        self._begin = begin
        self._held = bytearray(head)
        self._kept = len(head)

    async def write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._held += piece
        while len(self._held) >= PIECE:
            await self._storage.put(_object(self._key, self._begin), bytes(self._held[:PIECE]))
            del self._held[:PIECE]
            self._begin, self._kept = self._begin + PIECE, 0

    async def keep(self, *, end: bool = True) -> int:
        if not end:
            return self._begin + self._kept
        if len(self._held) != self._kept:
            await self._storage.put(_object(self._key, self._begin), bytes(self._held))
            self._kept = len(self._held)
        return self._begin + len(self._held)

    async def cut(self, size: int) -> None:
        again = await self._storage.sink(self._key, size)
        self._begin, self._held, self._kept = again._begin, again._held, again._kept

    async def close(self) -> None:
        self._held.clear()


def _object(key: str, offset: int) -> str:
    return f"uploads/{key}/{offset:016}"


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        await asyncio.sleep(0)
