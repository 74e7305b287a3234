"""Images of containers, made of files of this machine: a shell with its libraries."""

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jobs.programs.image import machine

PROGRAMS = ("bash", "cat", "head", "id", "ls", "tail")


def member(name: str, data: bytes = b"", mode: int = 0o644, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """An entry of a layer."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


@cache
def shell() -> bytes:
    """A layer with a shell, and what it needs."""
    found: dict[str, str] = {}
    for program in PROGRAMS:
        path = shutil.which(program, path="/usr/bin:/bin")
        assert path is not None
        found[f"usr/bin/{program}"] = path
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", said):
            found[re.sub(r"^/lib", "usr/lib", library.replace("/usr/lib", "/lib"))] = library
    tops = [link(name, f"usr/{name}") for name in ("bin", "lib", "lib64")]
    files = [member(name, Path(path).read_bytes(), 0o755) for name, path in sorted(found.items())]
    return layer(folder("usr/bin"), folder("usr/lib"), folder("usr/lib64"), *tops, *files)


def config_of(layers: Sequence[bytes], config: Mapping[str, Any], **changes: Any) -> bytes:
    digests = [f"sha256:{sha256(data)}" for data in layers]
    given = {"architecture": machine(), "os": "linux", "config": config, "rootfs": {"diff_ids": digests}}
    return json.dumps({**given, **changes}).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def saved(path: Path, *layers: bytes, config: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """An archive as `docker save` writes it."""
    described = config_of(layers, config or {}, **changes)
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{sha256(described)}.json", "RepoTags": None, "Layers": names}]
    files = {**dict(zip(names, layers, strict=True)), f"{sha256(described)}.json": described}
    return written(path, {**files, "manifest.json": json.dumps(manifest).encode()})


def laid_out(path: Path, *layers: bytes, config: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """An archive that is an OCI image layout, with compressed layers, and manifests for other machines beside."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        blobs[f"blobs/sha256/{sha256(data)}"] = data
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{sha256(data)}", "size": len(data)}

    packed = [blob(gzip.compress(data, 1, mtime=0), "layer.v1.tar+gzip") for data in layers]
    described = blob(config_of(layers, config or {}, **changes), "config.v1+json")
    manifest = blob(json.dumps({"config": described, "layers": packed}).encode(), "manifest.v1+json")
    here = {**manifest, "platform": {"os": "linux", "architecture": machine()}}
    elsewhere = {**manifest, "digest": f"sha256:{'0' * 64}", "platform": {"os": "linux", "architecture": "s390x"}}
    inner = blob(json.dumps({"manifests": [elsewhere, here]}).encode(), "index.v1+json")
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"manifests": [inner]}).encode(),
    }
    return written(path, {**files, **blobs})


def written(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(layer(*(member(name, data) for name, data in files.items())))
    return path


def changed(path: Path, name: str, data: bytes) -> Path:
    """An archive where files whose names end so have another content."""
    with tarfile.open(path) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    assert any(one.endswith(name) for one in files)
    return written(path, {one: data if one.endswith(name) else content for one, content in files.items()})
