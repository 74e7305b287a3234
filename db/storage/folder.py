"""A storage in a folder, which several processes may share."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from db.files import made
from db.storage.storage import CHUNK, Missing, Segment, StorageAway, StorageFull, Stored

T = TypeVar("T")

THREADS = 8
"""Threads that read and write: a disk gains nothing by more."""
MOST = 1_000
"""The most pieces of one write."""
BATCH = 500
"""Names that are listed at once."""


class FolderStorage:
    """Files below a folder that only the gateway's account may read: `uploads/<key>`, and
    `blobs/<2 digits>/<digest>`."""

    def __init__(self, folder: Path) -> None:
        self._uploads, self._blobs = folder / "uploads", folder / "blobs"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    async def sink(self, key: str, size: int) -> "FolderSink":
        return FolderSink(await self._run(self._open, key, size), size, self._run)

    async def staged(self, segments: Sequence[Segment]) -> AsyncIterator[bytes]:
        for segment in segments:
            async for piece in self._pieces(self._uploads / segment.key, 0, segment.size):
                yield piece

    def path_of(self, segments: Sequence[Segment]) -> Path | None:
        return self._uploads / segments[0].key if len(segments) == 1 else None

    async def drop(self, key: str) -> None:
        await self._run((self._uploads / key).unlink, True)

    async def place(self, segments: Sequence[Segment], digest: str) -> None:
        await self._run(self._place, segments, digest)

    async def size_of(self, digest: str) -> int | None:
        return await self._run(_size, self._blob(digest))

    def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        return self._pieces(self._blob(digest), start, stop)

    async def remove(self, digest: str) -> None:
        await self._run(self._blob(digest).unlink, True)

    async def digests(self) -> AsyncIterator[Stored]:
        async for one in self._listed(self._blobs):
            yield one

    async def stagings(self) -> AsyncIterator[Stored]:
        async for one in self._listed(self._uploads):
            yield one

    async def free(self) -> int | None:
        return await self._run(self._free)

    async def link(self, digest: str, seconds: int, disposition: str) -> str | None:
        return None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        except OSError as error:
            raise _told(error) from error

    def _open(self, key: str, size: int) -> int:
        made(self._uploads)
        file = os.open(self._uploads / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < size:
                raise Missing(key)
            os.ftruncate(file, size)
            os.lseek(file, size, os.SEEK_SET)
        except BaseException:
            os.close(file)
            raise
        return file

    async def _pieces(self, file: Path, start: int, stop: int) -> AsyncIterator[bytes]:
        """One piece is read ahead while the one before it is sent."""
        opened = await self._run(_opened, file)
        ahead: asyncio.Task[bytes] | None = None
        try:
            while start < stop:
                reading = ahead or asyncio.create_task(self._run(os.pread, opened, min(CHUNK, stop - start), start))
                piece, ahead = await reading, None
                if not piece:
                    raise Missing(file.name)
                start += len(piece)
                if start < stop:
                    ahead = asyncio.create_task(self._run(os.pread, opened, min(CHUNK, stop - start), start))
                yield piece
        finally:
            if ahead is not None:
                await asyncio.gather(ahead, return_exceptions=True)
            os.close(opened)

    def _place(self, segments: Sequence[Segment], digest: str) -> None:
        target, staged = self._blob(digest), [self._uploads / segment.key for segment in segments]
        made(target.parent)
        whole = sum(segment.size for segment in segments)
        there = all(path.exists() for path in staged)
        if not there and _size(target) != whole:  # else they were placed before, and that was not written down
            raise Missing(segments[0].key)
        if there and len(staged) == 1:
            os.truncate(staged[0], whole)
            os.utime(staged[0])
            _lasting(staged[0])
            staged[0].replace(target)
        elif there:
            joined = self._uploads / f"{segments[0].key}.joined"
            with open(joined, "wb", opener=_private) as written:
                for path, segment in zip(staged, segments, strict=True):
                    with path.open("rb") as part:
                        _copy(part.fileno(), written.fileno(), segment.size)
            _lasting(joined)
            joined.replace(target)
        _lasting(target.parent)
        for path in staged:
            path.unlink(missing_ok=True)

    def _free(self) -> int:
        made(self._uploads)
        return shutil.disk_usage(self._uploads).free

    async def _listed(self, folder: Path) -> AsyncIterator[Stored]:
        found = _walked(folder)
        while some := await self._run(_next, found):
            for one in some:
                yield one


class FolderSink:
    """A staged file that is appended to."""

    def __init__(self, file: int, size: int, run: Callable[..., Any]) -> None:
        self._file = file
        self._size = size
        self._run = run

    async def write(self, pieces: Sequence[bytes]) -> None:
        self._size += await self._run(_write, self._file, pieces)

    async def keep(self, *, end: bool = True) -> int:
        size = self._size
        await self._run(os.fdatasync, self._file)
        return size

    async def cut(self, size: int) -> None:
        await self._run(_cut, self._file, size)
        self._size = size

    async def close(self) -> None:
        os.close(self._file)


def _told(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("the storage is full")
    return (
        Missing(Path(str(error.filename)).name) if error.errno == errno.ENOENT else StorageAway("the storage is away")
    )


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDONLY | os.O_CLOEXEC)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _write(file: int, pieces: Sequence[bytes]) -> int:
    """All of the pieces; the disk may take them in several steps."""
    whole = sum(map(len, pieces))
    done = os.writev(file, pieces[:MOST])
    if done < whole:
        left = memoryview(b"".join(pieces))[done:]
        while left:
            left = left[os.write(file, left) :]
    return whole


def _cut(file: int, size: int) -> None:
    os.ftruncate(file, size)
    os.lseek(file, size, os.SEEK_SET)


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        moved = os.sendfile(target, source, done, size - done)
        if not moved:
            raise FileNotFoundError(errno.ENOENT, "a part is too short", "part")
        done += moved


def _lasting(path: Path) -> None:
    """What was written to a file, or the names in a folder, outlive a loss of power."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _walked(folder: Path) -> Iterator[Stored]:
    for file in (Path(here) / name for here, _, names in os.walk(folder) for name in names):
        try:
            found = file.stat()
        except FileNotFoundError:
            continue
        if file.is_file():
            yield Stored(file.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _next(found: Iterator[Stored]) -> list[Stored]:
    return [one for one, _ in zip(found, range(BATCH), strict=False)]
