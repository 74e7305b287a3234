"""Zip archives, written while they are sent: no entry is held in memory as a whole."""

import asyncio
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

LARGE = 2**31
"""The size of an entry from which readers must know beforehand that it is large."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its path, its bytes as they come, and the most bytes that may come, if that may be many."""

    path: str
    content: AsyncIterator[bytes]
    most: int = 0


class _Sink:
    """The output of a `ZipFile`. It can't seek, so sizes stand behind the entries."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


async def archive(members: AsyncIterator[Member], moment: datetime) -> AsyncIterator[bytes]:
    """The bytes of an archive, whose files all have one moment. They are compressed beside the event loop."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:  # type: ignore[call-overload]
        async for member in members:
            info = zipfile.ZipInfo(member.path, moment.timetuple()[:6])
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open(info, "w", force_zip64=member.most > LARGE) as entry:
                async for piece in member.content:
                    await asyncio.to_thread(entry.write, piece)
                    if written := sink.take():
                        yield written
    yield sink.take()
