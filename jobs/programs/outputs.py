"""The files that a program wrote into its output folder.

Only regular files within the folder count, and links to such. Whatever else has the name of an output is named, and
never opened: a pipe would block for ever, and a link may lead to a file of the machine.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from jobs.results.names import printable

Stamp = tuple[int, int, int]
"""Inode, bytes, and the time of the last change of a file in ns."""


_BELOW = "**/"


def stamps(folder: Path) -> dict[str, Stamp]:
    """The files in a folder as they are before its program starts."""
    return {path.name: stamp(path) for path in folder.iterdir() if path.is_file()}


def fault(path: Path, folder: Path) -> str:
    """Why a path is no regular file of the folder; empty when it is one. Raises FileNotFoundError where nothing is."""
    status = path.lstat()
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError):
        return "it is a link that leads to nothing"
    if not target.is_relative_to(folder.resolve()):
        return "it is a link that leads out of the output folder"
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder"
    return "" if stat.S_ISREG(status.st_mode) else "it is no regular file"


class Outputs:
    """What a program wrote into a folder. Files that are as they were `before` it started are its input."""

    warnings: list[str]
    """What has the name of an output and is no file."""

    def __init__(self, folder: Path, before: Mapping[str, Stamp] | None = None) -> None:
        self.folder = folder
        self.warnings = []
        self.before = before or {}

    def fitting(self, *patterns: str) -> list[Path]:
        """The files that the program wrote and whose name fits a pattern, in the order of their paths: those right in
        the folder, and after `**/` in all folders below it."""
        deep = any(pattern.startswith(_BELOW) for pattern in patterns)
        return self._those_written(path for path in self._found(deep) if any(self._fits(path, one) for one in patterns))

    def everything(self) -> list[Path]:
        """All files that the program wrote, in the order of their paths."""
        return self._those_written(path for path in self._found(True) if path.is_symlink() or not path.is_dir())

    def _found(self, deep: bool) -> Iterator[Path]:
        """What is there, while programs move it. Links to folders are not followed."""
        for here, *names in os.walk(self.folder):
            yield from (Path(here, name) for name in chain(*names))
            if not deep:
                return

    def _fits(self, path: Path, pattern: str) -> bool:
        at_place = path.parent == self.folder or pattern.startswith(_BELOW)
        return at_place and fnmatchcase(path.name, pattern.removeprefix(_BELOW))

    def _those_written(self, paths: Iterable[Path]) -> list[Path]:
        return [path for path in sorted(paths) if self._written(path)]

    def has(self, name: str) -> bool:
        """Whether the program wrote a file of this name."""
        return self._written(self.folder / name)

    def text(self, name: str, errors: str = "strict") -> str:
        """The text of a file in the folder, written or given. Raises OSError, and UnicodeDecodeError."""
        path = self.folder / name
        if why := fault(path, self.folder):
            raise OSError(0, why, name)
        return path.read_text(encoding="utf-8-sig", errors=errors)

    def _written(self, path: Path) -> bool:
        try:
            if why := fault(path, self.folder):
                text = f"{printable(path.name)} is not read: {why}"
                if text not in self.warnings:
                    self.warnings.append(text)
                return False
            return self.before.get(path.resolve().name) != stamp(path)
        except FileNotFoundError:  # removed or moved this very moment
            return False


def stamp(path: Path) -> Stamp:
    """What tells a file from what it becomes when it is written again. Raises OSError."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
