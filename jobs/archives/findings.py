"""What may be wrong with an archive, and how much it may hold."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

ENTRIES = 50_000
"""Entries, with those of archives inside."""
EXPANDED = 200_000_000_000
"""Bytes of all entries."""
RATIO, SMALL = 200, 1_000_000_000
"""How many times its own bytes it may expand to, once that is more than `SMALL`."""
DEPTH = 3
"""Archives in archives in an archive."""
NESTED = 2_000_000_000
"""Bytes of one archive inside another."""
NAME, FOLDERS = 1_000, 100
"""Characters of a name, and folders in it."""


class Finding(Exception):
    """What is wrong: a code, a sentence, and the entry where it was found."""

    def __init__(self, code: str, message: str, entry: str | None = None) -> None:
        super().__init__(message)
        told = {"code": code, "message": message}
        self.told = told if entry is None else {**told, "entry": entry[:NAME]}


@dataclass
class Tally:
    """What was found so far: `packed` bytes of the whole archive, entries, and bytes that they expand to."""

    packed: int
    entries: int = 0
    expanded: int = 0

    def entry(self, name: str) -> None:
        self.entries += 1
        if self.entries > ENTRIES:
            raise Finding("ARCHIVE_ENTRIES", f"it has more than {ENTRIES:,} entries", name)

    def bytes(self, number: int, name: str) -> None:
        self.expanded += number
        if self.expanded > EXPANDED:
            raise Finding("ARCHIVE_SIZE", f"it expands to more than {EXPANDED:,} bytes", name)
        if self.expanded > max(SMALL, RATIO * self.packed):
            raise Finding("ARCHIVE_RATIO", f"it expands to more than {RATIO} times its size", name)


@dataclass
class Names:
    """The names of one archive's entries. No two may be the same file, in whatever case or form of Unicode; and nothing
    may lie below a file."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def take(self, name: str, *, folder: bool) -> None:
        _check(name)
        plain = unicodedata.normalize("NFC", name.rstrip("/")).casefold()
        parts = [part for part in plain.split("/") if part != "."]
        plain = "/".join(parts)
        above = list(_above(parts))
        if not folder and (plain in self.files or plain in self.folders):
            raise Finding("ARCHIVE_DUPLICATE", "two entries have the same name", name)
        if (folder and plain in self.files) or self.files.intersection(above):
            raise Finding("ARCHIVE_DUPLICATE", "an entry is a file and a folder", name)
        self.folders.update(above)
        (self.folders if folder else self.files).add(plain)


def _above(parts: list[str]) -> Iterator[str]:
    for n in range(1, len(parts)):
        yield "/".join(parts[:n])


def _hides(letter: str) -> bool:
    """Whether a letter is for control, half of one, or turns the direction of others."""
    return (
        unicodedata.category(letter) in ("Cc", "Cs")
        or letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def _check(name: str) -> None:
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        raise Finding("ARCHIVE_PATH", "the name of an entry is an absolute path", name)
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        raise Finding("ARCHIVE_PATH", "the name of an entry leads out of the archive", name)
    if "\\" in name:
        raise Finding("ARCHIVE_NAME", "the name of an entry has a backslash", name)
    if not name.strip("/. ") or any(_hides(letter) for letter in name):
        raise Finding("ARCHIVE_NAME", "the name of an entry is empty or has invisible characters", name)
    if len(name) > NAME or len(parts) > FOLDERS or any(len(part.encode()) > 255 for part in parts):
        raise Finding("ARCHIVE_NAME", "the name of an entry is too long", name)
