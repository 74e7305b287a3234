"""The interface of all storages. Bytes on their way in are staged under keys; complete ones lie under their SHA-256."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

CHUNK = 1 << 20
"""The bytes that are read or written at once."""


class StorageAway(Exception):
    """The storage is out of reach, or refuses our credentials: try again."""


class StorageFull(StorageAway):
    """The storage has no room."""


class Missing(Exception):
    """Bytes that should be there are not."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Staged bytes: the first `size` under `key`."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage holds: a key or a digest, its size in bytes, and when it was written last."""

    name: str
    size: int
    at: datetime


class Sink(Protocol):
    """Bytes that are appended to what is staged under a key. Every method may raise StorageAway."""

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Append these bytes."""

    async def keep(self, *, end: bool = True) -> int:
        """Make what was written last, whatever happens to this process; returns the number of bytes that last. Before
        the `end` some may be left out that would have to be written anew."""

    async def cut(self, size: int) -> None:
        """Drop what comes after the first `size` bytes."""

    async def close(self) -> None:
        """Release what it holds; bytes that were not kept may be lost."""


class Storage(Protocol):
    """A storage. Every method may raise StorageAway."""

    async def sink(self, key: str, size: int) -> Sink:
        """Go on after the first `size` bytes that are staged under a key; what comes after them is dropped."""

    def staged(self, segments: Sequence[Segment]) -> AsyncIterator[bytes]:
        """Staged bytes, one segment after the other. Raises Missing when there are fewer."""

    def path_of(self, segments: Sequence[Segment]) -> Path | None:
        """The file of this machine that holds just these staged bytes, if there is one."""

    async def drop(self, key: str) -> None:
        """Remove what is staged under a key, if anything."""

    async def place(self, segments: Sequence[Segment], digest: str) -> None:
        """Make staged bytes those of a digest, which were found to be theirs; then they are staged no more."""

    async def size_of(self, digest: str) -> int | None:
        """The size of the bytes of a digest; None when they are not here."""

    def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of a digest from `start` to before `stop`. Raises Missing."""

    async def remove(self, digest: str) -> None:
        """Remove the bytes of a digest, if there are any."""

    def digests(self) -> AsyncIterator[Stored]:
        """All bytes by digest, in any order."""

    def stagings(self) -> AsyncIterator[Stored]:
        """All that is staged, by key."""

    async def free(self) -> int | None:
        """The bytes that still fit; None when that is not known."""

    async def link(self, digest: str, seconds: int, disposition: str) -> str | None:
        """An address from which the bytes may be fetched for so many seconds, with this disposition; None where the
        gateway sends them itself."""

    async def close(self) -> None:
        """Release what it holds."""
