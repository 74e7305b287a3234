"""Folders of archives: which there are, and the files of entries in each folder below `entries`."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resolvers.documents import ENDS, Unreadable, within
from resolvers.importing.report import Report

ENTRIES = "entries"
LEVELS = 8
"""The most levels of folders below `entries`."""
FILES = 20_000
"""The most files of entries of one import."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder with `entries`."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Track:
    """A folder of entries. `parts` are the names of the folders from the archive's entries to it."""

    folder: Path
    parts: Sequence[str]
    files: Sequence[Path]


class Folders:
    """The folders below `root`. What leads out of it is named in the report, and not read."""

    def __init__(self, root: Path, report: Report) -> None:
        self.root, self.report = root.resolve(), report
        self.files = 0

    def name(self, path: Path) -> str:
        """A path as reports name it: below the root."""
        return path.relative_to(self.root).as_posix()

    def archives(self) -> list[Archive]:
        """The root itself, where it has entries, and its folders that have."""
        found = [self.root, *self._folders(self.root)]
        return [Archive(one.name, one) for one in found if self._folder(one / ENTRIES)]

    def tracks(self, archive: Archive) -> Iterator[Track]:
        """The folders with files of entries, each after those above it."""
        yield from self._tracks(archive.folder / ENTRIES, (), set())

    def track(self, path: Path) -> Track | None:
        """The one folder, or the one file, that a path leads to."""
        if self._folder(path):
            return Track(path, (), list(self._entries(path)))
        return Track(path, (), [path]) if _is_entry(path) and path.is_file() and self._inside(path) else None

    def _tracks(self, folder: Path, parts: tuple[str, ...], seen: set[Path]) -> Iterator[Track]:
        real = folder.resolve()
        if real in seen:
            self.report.problem(self.name(folder), "this folder was read already")
            return
        seen.add(real)
        if files := list(self._entries(folder)):
            yield Track(folder, parts, files)
        for below in self._folders(folder):
            if len(parts) == LEVELS:
                self.report.problem(self.name(below), f"it is more than {LEVELS} folders below {ENTRIES}")
            else:
                yield from self._tracks(below, (*parts, below.name), seen)

    def _entries(self, folder: Path) -> Iterator[Path]:
        for path in self._listed(folder):
            if path.is_dir() or path.name.startswith("."):
                continue
            if not _is_entry(path):
                self.report.ignored += 1
            elif self._inside(path):
                self.files += 1
                if self.files > FILES:
                    self.report.problem(self.name(path), f"an import has at most {FILES:,} files")
                else:
                    yield path

    def _folders(self, folder: Path) -> list[Path]:
        return [path for path in self._listed(folder) if not path.name.startswith(".") and self._folder(path)]

    def _listed(self, folder: Path) -> list[Path]:
        """What is in a folder, in an order in which 2 comes before 10."""
        try:
            found = list(folder.iterdir())
        except OSError as error:
            self.report.problem(self.name(folder), f"it can't be read: {error.strerror}")
            return []
        return sorted(found, key=lambda path: natural(path.name))

    def _folder(self, path: Path) -> bool:
        return path.is_dir() and self._inside(path)

    def _inside(self, path: Path) -> bool:
        try:
            os.fsencode(path.name).decode()
            within(self.root, path)
        except UnicodeDecodeError:
            self.report.problem(self.name(path), "its name is not UTF-8")
        except Unreadable as error:
            self.report.problem(self.name(path), str(error))
        else:
            return True
        return False


def natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """The order of names in which numbers count as numbers."""
    parts = [part for part in re.split(r"(\d+)", name) if part]
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts], name


def _is_entry(path: Path) -> bool:
    return path.suffix.lower() in ENDS
