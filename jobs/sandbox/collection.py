"""Take what a program wrote out of the sandbox, after all inside has ended.

Regular files alone are taken: no links, which may lead anywhere, no pipes or sockets. Their sizes count as they are, so
that a file of holes can't become more than the bound.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from jobs.sandbox.bounds import spelled
from jobs.sandbox.talk import told

DEEP = 16
"""Folders that may lie in each other."""
NAMED = 20
"""Sentences about what is not taken."""
_PIECE = 1 << 20
_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors after which nothing more can be taken."""


class Collection:
    """Copies the files of an open folder into a folder; together they have `most` bytes."""

    def __init__(self, source: int, target: str, most: int) -> None:
        self.full = False
        """Whether the files together are larger than they may be."""
        self._source = source
        self._target = target
        self._room = most
        self._most = most
        self._left: list[str] = []
        self._more = 0

    def run(self) -> list[str]:
        """Copy; returns sentences about what is not taken. Raises OSError when the target can't take it."""
        with _opened(self._target) as target:
            self._folder(os.dup(self._source), target, "", 0)
        return self._left + ([f"and {self._more} more"] if self._more else [])

    def _folder(self, source: int, target: int, above: str, depth: int) -> None:
        with _closing(source):
            with contextlib.suppress(OSError):
                os.fchmod(source, 0o700)  # the program may have taken all rights away
            for name in sorted(os.listdir(source)):
                self._entry(name, source, target, above, depth)

    def _entry(self, name: str, source: int, target: int, above: str, depth: int) -> None:
        if not plain(name):
            self._leave(above, name, "its name is not plain")
            return
        try:
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and depth < DEEP:
                _allow(name, source, status, 0o700)
                folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
                os.mkdir(name, 0o755, dir_fd=target)
                with _opened(name, target) as inner:
                    self._folder(folder, inner, f"{above}{name}/", depth + 1)
            elif stat.S_ISDIR(status.st_mode):
                self._leave(above, name, f"it lies in more than {DEEP} folders")
            elif not stat.S_ISREG(status.st_mode):
                self._leave(above, name, "it is a link" if stat.S_ISLNK(status.st_mode) else "it is no regular file")
            elif status.st_size > self._room:
                self.full = True
                self._leave(above, name, f"with it there would be more than {spelled(self._most)}")
            else:
                self._room -= status.st_size
                _allow(name, source, status, 0o400)
                self._file(name, source, target)
        except OSError as error:
            if error.errno in _BROKEN:
                raise
            self._leave(above, name, told(error))

    def _file(self, name: str, source: int, target: int) -> None:
        made = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
        with _closing(reading), _closing(os.open(name, made, 0o644, dir_fd=target)) as writing:
            while piece := os.read(reading, _PIECE):
                while piece:
                    piece = piece[os.write(writing, piece) :]

    def _leave(self, above: str, name: str, why: str) -> None:
        if len(self._left) >= NAMED:
            self._more += 1
            return
        shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in f"{above}{name}"[:200])
        self._left.append(f"{shown} is not taken: {why}")


def plain(name: str) -> bool:
    """Whether a name can be one of a file on any machine: printable, no backslash or colon, no blank at an end."""
    return name.isprintable() and not set(name) & {"\\", ":"} and name == name.strip() and len(name.encode()) <= 255


def _allow(name: str, folder: int, status: os.stat_result, needed: int) -> None:
    """Give the owner the rights that the program has taken away. Nobody is left who could put a link in its place."""
    if status.st_mode & needed != needed:
        os.chmod(name, stat.S_IMODE(status.st_mode) | needed, dir_fd=folder)


@contextlib.contextmanager
def _closing(file: int) -> Iterator[int]:
    try:
        yield file
    finally:
        os.close(file)


def _opened(path: str, folder: int | None = None) -> contextlib.AbstractContextManager[int]:
    return _closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder))
