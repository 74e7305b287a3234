"""A root file system that grows from the layers of an image. No entry of a layer gets out of its folder."""

import os
import shutil
import stat
import tarfile
from typing import IO

HEADER = 1 << 20
"""The most bytes of a header, and of one piece of a file."""
DEPTH = 100
"""The most folders that a file lies in."""
HOPS = 40
"""The most links that one path goes through."""
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


class ImageRefused(Exception):
    """An image that is not run; with a sentence."""


class Forward:
    """A stream that is read once. Reading more than a header of it at once is refused, as that would lie in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER:
            raise ImageRefused("the header of an entry is too large")
        data = self._stream.read(size)
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or place < self._at:
            raise ImageRefused("the entries of a layer overlap")
        while self._at < place and self.read(min(place - self._at, HEADER)):
            pass
        return self._at


class Tree:
    """The folder `root`, which is there and empty, and which nothing else changes. It takes so many bytes and files of
    all layers together; entries that are replaced count too."""

    def __init__(self, root: str, most_bytes: int, most_files: int) -> None:
        self._root = root
        self._most_bytes, self._most_files = most_bytes, most_files
        self._bytes = self._files = 0
        self._fresh: set[str] = set()

    def take(self, layer: IO[bytes]) -> None:
        """Add what a layer holds. Raises ImageRefused, OSError, ValueError and tarfile.TarError."""
        self._fresh = set()
        with tarfile.TarFile(fileobj=Forward(layer), errorlevel=2) as archive:  # type: ignore[arg-type]
            while (entry := archive.next()) is not None:
                self._count()
                self._add(archive, entry)
                forget(archive, entry)

    def make(self, path: str) -> None:
        """Make a folder, where it is not there."""
        self._folder(_parts(path), path)

    def _count(self) -> None:
        self._files += 1
        if self._files > self._most_files:
            raise ImageRefused(f"it has more than {self._most_files:,} files")

    def _add(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        name = entry.name
        parts = _parts(name)
        if not parts:
            return
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            return  # devices and pipes: the sandbox has its own
        folder, last = self._folder(parts[:-1], name), parts[-1]
        path = f"{folder}/{last}"
        if last.startswith(_WHITEOUT):
            self._white_out(folder, last)
        elif entry.isdir():
            if not _is_folder(path):
                self._remove(path)
                os.mkdir(path, 0o755)
            self._keep(path)
        elif entry.isreg():
            content = archive.extractfile(entry)
            assert content is not None
            self._remove(path)
            self._write(content, path, 0o755 if entry.mode & 0o111 else 0o644)
        elif entry.issym():
            self._remove(path)
            os.symlink(entry.linkname, path)
            self._keep(path)
        else:
            self._link(entry, path)

    def _write(self, content: IO[bytes], path: str, mode: int) -> None:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(number, "wb") as file:
            while piece := content.read(HEADER):
                self._bytes += len(piece)
                if self._bytes > self._most_bytes:
                    raise ImageRefused(f"its files have more than {self._most_bytes:,} bytes")
                file.write(piece)
        self._keep(path)

    def _link(self, entry: tarfile.TarInfo, path: str) -> None:
        parts = _parts(entry.linkname)
        found = f"{self._folder(parts[:-1], entry.name)}/{parts[-1]}" if parts else self._root
        if found == path:
            return
        if not (os.path.islink(found) or os.path.isfile(found)):
            raise ImageRefused(f"{entry.name[:200]} is a link to what is no file")
        self._remove(path)
        os.link(found, path, follow_symlinks=False)
        self._keep(path)

    def _folder(self, parts: list[str], name: str) -> str:
        """The place of a folder, which is made where it is not there. Links lead from the root of the image, and not
        out of it."""
        here: list[str] = []
        waiting, hops = parts[::-1], 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del here[-1:]
                continue
            path = "/".join((self._root, *here, part))
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                self._count()
                os.mkdir(path, 0o755)
                self._keep(path)
                mode = stat.S_IFDIR
            if stat.S_ISLNK(mode):
                hops += 1
                if hops > HOPS:
                    raise ImageRefused(f"{name[:200]} goes through more than {HOPS} links")
                target = os.readlink(path)
                if target.startswith("/"):
                    here = []
                waiting += [one for one in target.split("/")[::-1] if one not in ("", ".")]
            elif stat.S_ISDIR(mode):
                here.append(part)
                if len(here) > DEPTH:
                    raise ImageRefused(f"{name[:200]} lies in more than {DEPTH} folders")
            else:
                raise ImageRefused(f"{name[:200]} lies below a file")
        return "/".join((self._root, *here))

    def _white_out(self, folder: str, name: str) -> None:
        """Take away what lower layers have."""
        if name == _OPAQUE:
            self._clear(folder)
        elif not name.startswith(_WHITEOUT * 2):  # others are notes of the file system that made the layer
            gone = name.removeprefix(_WHITEOUT)
            if gone in ("", ".", ".."):
                raise ImageRefused("it takes away a file without a name")
            path = f"{folder}/{gone}"
            if path not in self._fresh:
                self._remove(path)

    def _clear(self, folder: str) -> None:
        for name in os.listdir(folder):
            path = f"{folder}/{name}"
            if path not in self._fresh:
                self._remove(path)
            elif _is_folder(path):
                self._clear(path)

    def _keep(self, path: str) -> None:
        """Note that it is of this layer, and so is what it lies in."""
        while path not in self._fresh and path != self._root:
            self._fresh.add(path)
            path = os.path.dirname(path)

    @staticmethod
    def _remove(path: str) -> None:
        if _is_folder(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def forget(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
    """Keep nothing in memory of what was read of an archive, but what the entry itself says."""
    archive.members.clear()  # type: ignore[attr-defined]
    archive.pax_headers = {}
    entry.pax_headers = {}


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ImageRefused(f"{name[:200]} leads out of it")
    return parts


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
