"""Look through a zip file: its directory, then every entry as it really unpacks."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

from jobs.archives.findings import ENTRIES, Finding, Names, Tally

CHUNK = 1 << 20
_LOCAL = struct.Struct("<4s5H3L2H")
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_KINDS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

Below = Callable[[str, BinaryIO, Tally], None]
"""Looks through an entry that is an archive itself."""


def look(file: BinaryIO, tally: Tally, below: Below) -> None:
    """Raise Finding for a zip file that is not taken."""
    _check_number(file)
    try:
        with zipfile.ZipFile(file) as archive:
            _look(archive, file, tally, below)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, zlib.error, OSError) as error:
        raise Finding("ARCHIVE_BROKEN", f"it can't be read: {_plain(error)}") from None
    except RuntimeError:
        raise Finding("ARCHIVE_ENCRYPTED", "it is encrypted") from None


def _check_number(file: BinaryIO) -> None:
    """Refuse too many entries by the end of the directory, before the directory is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    number = 0
    if (at := tail.rfind(_END)) >= 0 and len(tail) >= at + 12:
        (number,) = struct.unpack_from("<H", tail, at + 10)
    if (at := tail.rfind(_END64)) >= 0 and len(tail) >= at + 40:
        (number,) = struct.unpack_from("<Q", tail, at + 32)
    if number > ENTRIES:
        raise Finding("ARCHIVE_ENTRIES", f"it has {number:,} entries, of at most {ENTRIES:,}")
    file.seek(0)


def _look(archive: zipfile.ZipFile, file: BinaryIO, tally: Tally, below: Below) -> None:
    names, end = Names(), 0
    for entry in sorted(archive.infolist(), key=lambda one: one.header_offset):
        name = entry.orig_filename
        tally.entry(name)
        names.take(name, folder=entry.is_dir())
        _check_kind(entry)
        if entry.header_offset < end:
            raise Finding("ARCHIVE_OVERLAP", "two entries lie in the same bytes", name)
        end = _end(file, entry)
    for entry in archive.infolist():
        if not entry.is_dir():
            _unpack(archive, entry, tally, below)


def _check_kind(entry: zipfile.ZipInfo) -> None:
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise Finding("ARCHIVE_LINK", "an entry is a link", entry.filename)
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Finding("ARCHIVE_DEVICE", "an entry is neither a file nor a folder", entry.filename)
    if entry.flag_bits & 0x1:
        raise Finding("ARCHIVE_ENCRYPTED", "an entry is encrypted", entry.filename)
    if entry.compress_type not in _KINDS:
        raise Finding("ARCHIVE_BROKEN", "an entry is packed in a way that is not known", entry.filename)


def _end(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry end."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise Finding("ARCHIVE_BROKEN", "an entry has no header", entry.filename)
    *_, name, extra = _LOCAL.unpack(header)
    return entry.header_offset + _LOCAL.size + int(name) + int(extra) + entry.compress_size


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, tally: Tally, below: Below) -> None:
    done = 0
    with archive.open(entry) as unpacked:
        while piece := unpacked.read(CHUNK):
            done += len(piece)
            tally.bytes(len(piece), entry.filename)
    if done != entry.file_size:
        raise Finding("ARCHIVE_LIES", f"an entry has {done:,} bytes and not {entry.file_size:,}", entry.filename)
    with archive.open(entry) as again:
        below(entry.filename, again, tally)  # type: ignore[arg-type]


def _plain(error: Exception) -> str:
    """What is wrong, without what may be ours."""
    return type(error).__name__ if isinstance(error, OSError) else str(error)[:100]
