"""Look through a tar file, perhaps a compressed one, from its beginning to its end."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from jobs.archives.findings import Finding, Names, Tally

CHUNK = 1 << 20
OPENED: dict[str, Callable[[Any], Any]] = {
    ".tar": lambda file: file,
    ".tar.gz": lambda file: gzip.GzipFile(fileobj=file),
    ".tgz": lambda file: gzip.GzipFile(fileobj=file),
    ".tar.bz2": bz2.BZ2File,
    ".tar.xz": lzma.LZMAFile,
}
"""What unpacks a tar file, by the end of its name."""

Below = Callable[[str, BinaryIO, Tally], None]


class _Counted:
    """A stream whose bytes are counted, also those between the entries."""

    def __init__(self, stream: Any, tally: Tally) -> None:
        self._stream = stream
        self._tally = tally
        self.name = "the archive"

    def read(self, size: int = CHUNK) -> bytes:
        piece: bytes = self._stream.read(min(size, CHUNK) if size >= 0 else CHUNK)
        self._tally.bytes(len(piece), self.name)
        return piece


def look(name: str, file: BinaryIO, tally: Tally, below: Below) -> None:
    """Raise Finding for a tar file that is not taken."""
    opened = next(opens for end, opens in OPENED.items() if name.lower().endswith(end))
    try:
        counted = _Counted(opened(file), tally)
        with tarfile.open(fileobj=counted, mode="r|") as archive:  # type: ignore[call-overload]
            _look(archive, counted, tally, below)
        while counted.read():
            pass
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError, OSError) as error:
        told = type(error).__name__ if isinstance(error, OSError) else str(error)[:100]
        raise Finding("ARCHIVE_BROKEN", f"it can't be read: {told}") from None


def _look(archive: tarfile.TarFile, counted: _Counted, tally: Tally, below: Below) -> None:
    names = Names()
    for entry in archive:
        counted.name = entry.name
        tally.entry(entry.name)
        if entry.issym() or entry.islnk():
            raise Finding("ARCHIVE_LINK", "an entry is a link", entry.name)
        if not entry.isfile() and not entry.isdir():
            raise Finding("ARCHIVE_DEVICE", "an entry is neither a file nor a folder", entry.name)
        if entry.isdir() and entry.name in (".", "./"):
            continue
        names.take(entry.name, folder=entry.isdir())
        if entry.isfile() and (content := archive.extractfile(entry)) is not None:
            below(entry.name, content, tally)  # type: ignore[arg-type]
        archive.members = []  # type: ignore[attr-defined]
