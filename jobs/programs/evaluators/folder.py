"""A folder with input, of which regular files are read that lie in it, and lines of bounded length."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from jobs.programs.evaluators.faults import REFERENCE_WRONG, SUBMISSION_WRONG, EvaluationError, Faults

LONGEST_LINE = 1_000_000
"""Bytes, without the end of the line."""
LARGEST_FILE = 256 * 2**20
"""Bytes."""
_BOM = b"\xef\xbb\xbf"


class Folder:
    """A folder and the faults found in it; `status` is the exit status that they lead to.

    Files are named relative to the folder. A symbolic link is followed while it stays inside.
    """

    def __init__(self, path: Path, name: str, status: int) -> None:
        try:
            self._root = path.resolve(strict=True)
        except (OSError, RuntimeError):
            raise EvaluationError(f"the {name} folder does not exist", status) from None
        if not self._root.is_dir():
            raise EvaluationError(f"the {name} must be a folder, not a file", status)
        self.name = name
        self.faults = Faults(status)

    def has(self, name: str) -> bool:
        """Whether there is anything of this name, be it a broken link."""
        return os.path.lexists(self._root / name)

    def open(self, name: str) -> BinaryIO:
        """Open a file to read its bytes; raises EvaluationError."""
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise self.faults.fail(name, None, f"the file must lie in the {self.name} folder")
        if not self.has(name):
            raise self.faults.fail(name, None, f"the file is missing in the {self.name}")
        try:
            path = (self._root / name).resolve(strict=True)
        except (OSError, RuntimeError):
            raise self.faults.fail(name, None, "the symbolic link leads nowhere") from None
        if not path.is_relative_to(self._root):
            raise self.faults.fail(name, None, f"the symbolic link leads out of the {self.name} folder")
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise self.faults.fail(name, None, f"the file can't be read: {error.strerror}") from None
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            os.close(handle)
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "something else"
            raise self.faults.fail(name, None, f"a regular file is needed, and this is {kind}")
        if state.st_size > LARGEST_FILE:
            os.close(handle)
            size = f"{-(-state.st_size // 2**20)} MiB"
            raise self.faults.fail(name, None, f"the file has {size}; at most {LARGEST_FILE // 2**20} MiB are allowed")
        return os.fdopen(handle, "rb")

    def lines(self, name: str) -> Iterator[tuple[int, str | None]]:
        """The lines of a UTF-8 text from 1, without their ends, LF or CRLF; None, and a fault noted, for one that is
        too long or not UTF-8. A byte order mark is skipped. Raises EvaluationError for no such file."""
        with self.open(name) as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 2):
                number += 1
                whole = line.endswith(b"\n")
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                if number == 1:
                    line = line.removeprefix(_BOM)
                if len(line) > LONGEST_LINE:
                    while not whole and (rest := file.readline(LONGEST_LINE)):
                        whole = rest.endswith(b"\n")
                    self.faults.add(name, number, "the line is too long; at most 1 MB is allowed")
                    yield number, None
                    continue
                try:
                    yield number, line.decode()
                except UnicodeDecodeError:
                    self.faults.add(name, number, "the line is not UTF-8")
                    yield number, None


def submission_in(path: Path) -> Folder:
    return Folder(path, "submission", SUBMISSION_WRONG)


def reference_in(path: Path) -> Folder:
    return Folder(path, "reference", REFERENCE_WRONG)
