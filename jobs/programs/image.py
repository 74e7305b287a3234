"""Unpack the image of a container from its archive, without a container runtime.

An archive is what `docker save` and `podman save` write, or an OCI image layout in a tar file. It holds one image for
Linux on this machine's kind of processor. Layers are tar files, plain or by gzip.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jobs.programs.image_tree import HEADER, HOPS, ImageRefused, Tree, forget

BYTES = 32 << 30
"""The most bytes of all layers, unpacked."""
FILES = 500_000
LAYERS = 128
TOP = 100
"""The most entries of the root folder."""
SAID = 32_000
"""The most bytes of its command, variables and folder. They are a part of a command, which the kernel bounds."""
_MEMBERS = 10_000
"""The most entries of an archive, without those of its layers."""
_NAME = 1_000
_TEXT = 4 << 20
"""The most bytes of a description."""
_DEPTH, _DESCRIBED = 3, 100
"""Indexes in an index, and what they describe together."""
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAMED = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json|\.tar)?")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Image:
    """An image whose root file system lies in a folder. `folder` is where its program works; empty where it does not
    say."""

    root: Path
    entrypoint: Sequence[str]
    command: Sequence[str]
    variables: Mapping[str, str]
    folder: str


def unpack_image(archive: Path, root: Path) -> Image:
    """Unpack an image into a new folder. Raises ImageRefused."""
    try:
        root.mkdir()
        with archive.open("rb") as file:
            return _Archive(file).unpacked(root)
    except (OSError, ValueError, tarfile.TarError, EOFError, zlib.error, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ImageRefused(f"it can't be unpacked: {why}") from None


class _Stream(io.RawIOBase):
    """Reads another stream, takes the digest of it, and reads at most so many bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self._hash = hashlib.sha256()
        self.left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), HEADER))
        self.left -= len(data)
        if self.left < 0:
            raise ImageRefused(f"its layers have more than {self._most:,} bytes")
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    def digest(self) -> str:
        """The digest of all of it."""
        while self.read(HEADER):
            pass
        return self._hash.hexdigest()


class _Opened:
    """The file of an archive, of which no header is read that would fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER:
            raise ImageRefused("the header of an entry is too large")
        return self._file.read(size)


class _Archive:
    def __init__(self, file: IO[bytes]) -> None:
        start = file.read(len(_ZSTD))
        file.seek(0)
        if start == _ZSTD or start.startswith(_GZIP):
            raise ImageRefused("the archive is compressed: only its layers may be, by gzip")
        self._tar = tarfile.TarFile(fileobj=_Opened(file), errorlevel=2)  # type: ignore[arg-type]
        self._members: dict[str, tarfile.TarInfo] = {}
        count = 0
        while (entry := self._tar.next()) is not None:
            count += 1
            if count > _MEMBERS or len(entry.name) > _NAME:
                raise ImageRefused(f"its archive has more than {_MEMBERS:,} entries, or one with a long name")
            self._members[os.path.normpath(entry.name)] = entry
            forget(self._tar, entry)

    def unpacked(self, root: Path) -> Image:
        if "manifest.json" in self._members:
            name, layers = self._saved()
        elif "index.json" in self._members:
            name, layers = self._laid_out()
        else:
            raise ImageRefused("the archive has neither manifest.json nor index.json: save it by docker save")
        described = _mapping(self._text(name))
        system, architecture = described.get("os", "linux"), described.get("architecture")
        if (system, architecture) != ("linux", machine()):
            raise ImageRefused(f"it is for {system}/{architecture}, and this machine is linux/{machine()}")
        if len(layers) > LAYERS:
            raise ImageRefused(f"it has more than {LAYERS} layers")
        digests = _mapping(described.get("rootfs", {})).get("diff_ids") or []
        if digests and len(digests) != len(layers):
            raise ImageRefused("its description is of other layers")
        tree, left = Tree(str(root), BYTES, FILES), BYTES
        for number, layer in enumerate(layers):
            left = self._unpack(tree, layer, digests[number] if digests else None, left)
        if len(os.listdir(root)) > TOP:
            raise ImageRefused(f"its root folder has more than {TOP} entries")
        return _image(root, tree, _mapping(described.get("config") or {}))

    def _saved(self) -> tuple[str, list[str]]:
        """The names of the description and of the layers, as manifest.json has them."""
        images = self._text("manifest.json")
        if not isinstance(images, list) or len(images) != 1:
            raise ImageRefused("the archive must hold one image")
        given = _mapping(images[0])
        return _texts([given.get("Config")])[0], _texts(given.get("Layers"))

    def _laid_out(self) -> tuple[str, list[str]]:
        """The names of the description and of the layers, in an OCI image layout."""
        if _mapping(self._text("oci-layout")).get("imageLayoutVersion") != "1.0.0":
            raise ImageRefused("its layout is of another version than 1.0.0")
        found = set(self._fitting(_mapping(self._text("index.json")), _DEPTH))
        if len(found) != 1:
            many = "more than one image" if found else "no image"
            raise ImageRefused(f"the archive holds {many} for linux/{machine()}")
        manifest = _mapping(self._text(found.pop()))
        layers = [_mapping(one) for one in manifest.get("layers") or []]
        if any(str(one.get("mediaType")).endswith("zstd") for one in layers):
            raise ImageRefused("its layers are compressed by zstd: only gzip is taken")
        return _blob(_mapping(manifest.get("config"))), [_blob(one) for one in layers]

    def _fitting(self, index: Mapping[str, Any], depth: int) -> Iterator[str]:
        """The manifests of an index that are for this machine, or do not say for which they are."""
        described = index.get("manifests") or []
        if depth == 0 or len(described) > _DESCRIBED:
            raise ImageRefused("its index describes too much")
        for one in map(_mapping, described):
            known = _mapping(one.get("platform") or {})
            if known and (known.get("os"), known.get("architecture")) != ("linux", machine()):
                continue
            inner = _mapping(self._text(_blob(one)))
            if "manifests" in inner:
                yield from self._fitting(inner, depth - 1)
            else:
                yield _blob(one)

    def _unpack(self, tree: Tree, name: str, expected: object, left: int) -> int:
        """Add a layer; returns how many bytes there may still be."""
        raw = _Stream(self._open(name), BYTES)
        packed = io.BufferedReader(raw, HEADER)
        start = packed.peek(len(_ZSTD))[: len(_ZSTD)]
        if start == _ZSTD:
            raise ImageRefused("its layers are compressed by zstd: only gzip is taken")
        plain = gzip.GzipFile(fileobj=packed) if start.startswith(_GZIP) else packed
        content = _Stream(plain, left)  # type: ignore[arg-type]
        tree.take(content)  # type: ignore[arg-type]
        digest = content.digest()
        while packed.read(HEADER):
            pass
        _check(name, raw.digest())
        if expected is not None and expected != f"sha256:{digest}":
            raise ImageRefused(f"its layer {name[:100]} is another than its description says")
        return content.left

    def _text(self, name: str) -> Any:
        """A description, read as JSON."""
        data = self._open(name).read(_TEXT + 1)
        if len(data) > _TEXT:
            raise ImageRefused(f"{name[:100]} is too large")
        _check(name, hashlib.sha256(data).hexdigest())
        return json.loads(data)

    def _open(self, name: str) -> IO[bytes]:
        place = os.path.normpath(name)
        for _ in range(HOPS):
            entry = self._members.get(place)
            if entry is not None and entry.isreg() and (content := self._tar.extractfile(entry)) is not None:
                return io.BufferedReader(_Pieces(content))
            if entry is None or not (entry.issym() or entry.islnk()):
                break
            place = os.path.normpath(os.path.join(os.path.dirname(place) if entry.issym() else "", entry.linkname))
        raise ImageRefused(f"the archive has no {name[:100]}")


class _Pieces(io.RawIOBase):
    """A file of the archive, in pieces of at most a header's size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), HEADER))
        buffer[: len(data)] = data
        return len(data)


def machine() -> str:
    """The architecture of this machine, as images name it."""
    return _ARCHITECTURES.get(platform.machine().lower(), platform.machine())


def _image(root: Path, tree: Tree, config: Mapping[str, Any]) -> Image:
    entrypoint, command = _texts(config.get("Entrypoint")), _texts(config.get("Cmd"))
    variables = {}
    for text in _texts(config.get("Env")):
        name, equal, value = text.partition("=")
        if name and equal:
            variables[name] = value
    (folder,) = _texts([config.get("WorkingDir") or ""])
    if folder:
        folder = os.path.normpath(f"/{folder.strip('/')}")
        tree.make(folder)
    said = json.dumps([entrypoint, command, variables, folder])
    if len(said) > SAID:
        raise ImageRefused(f"its command and its variables have more than {SAID:,} bytes")
    return Image(root, entrypoint, command, variables, folder)


def _blob(descriptor: Mapping[str, Any]) -> str:
    found = _DIGEST.fullmatch(str(descriptor.get("digest")))
    if found is None:
        raise ImageRefused("it names a file by another digest than SHA-256")
    return f"blobs/sha256/{found[1]}"


def _check(name: str, digest: str) -> None:
    named = _NAMED.fullmatch(name)
    if named and named[1] != digest:
        raise ImageRefused(f"the content of {name[:100]} has another digest than its name says")


def _mapping(given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ImageRefused("its description is not as it should be")
    return given


def _texts(given: object) -> list[str]:
    """Texts without a zero byte, by which the system would end them."""
    texts = [] if given is None else given
    if not isinstance(texts, list) or not all(isinstance(one, str) and "\0" not in one for one in texts):
        raise ImageRefused("its description is not as it should be")
    return texts
