"""A wheel and a source distribution of a package of models, the same to the byte whenever they are made.

Nothing is compressed, so that no version of a compressor changes a byte. Moments are the first that each format knows,
and entries are sorted. Formats: https://packaging.python.org/en/latest/specifications/
"""

import base64
import gzip
import hashlib
import io
import keyword
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.specs import rows
from jobs.specs.python import text
from jobs.specs.source import source
from jobs.specs.tables import Tables

REQUIRES_PYTHON = ">=3.10"
REQUIRES = ("SQLAlchemy>=2.0",)
_TAKEN = {*sys.stdlib_module_names, "sqlalchemy"}
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Package:
    """What a package is called: the canonical name of its specification, and a version by PEP 440."""

    name: str
    version: str
    title: str | None = None
    description: str | None = None

    @property
    def module(self) -> str:
        """What is imported. A name that Python, its library or SQLAlchemy has gets an ending."""
        name = self.name.replace("-", "_").replace(".", "_")
        if keyword.iskeyword(name) or name in _TAKEN:
            return f"{name}_models"
        return name if name.isidentifier() else f"models_{name}"

    @property
    def stem(self) -> str:
        """How the names of its files begin."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    def metadata(self) -> bytes:
        """METADATA of the wheel, PKG-INFO of the source distribution."""
        lines = ["Metadata-Version: 2.4", f"Name: {self.name}", f"Version: {self.version}"]
        if summary := " ".join((self.title or "").split())[:_LONGEST]:
            lines.append(f"Summary: {summary}")
        lines += [f"Requires-Python: {REQUIRES_PYTHON}", *(f"Requires-Dist: {one}" for one in REQUIRES)]
        lines += ["Description-Content-Type: text/plain", "", self.description or ""]
        return ("\n".join(lines).rstrip() + "\n").encode()


def files(package: Package, tables: Tables) -> dict[str, bytes]:
    """The files of the importable package."""
    shared = Path(rows.__file__).read_bytes()
    made = {"__init__.py": source(tables).encode(), "_rows.py": shared, "py.typed": b""}
    return {f"{package.module}/{name}": content for name, content in made.items()}


def wheel(package: Package, tables: Tables) -> tuple[str, bytes]:
    """The name and the bytes of the wheel."""
    info = f"{package.stem}.dist-info"
    content = files(package, tables) | {
        f"{info}/METADATA": package.metadata(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: torana\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    lines = [f"{name},{_digest(data)},{len(data)}" for name, data in sorted(content.items())]
    content[record] = "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()
    return f"{package.stem}-py3-none-any.whl", _zipped(content, last=record)


def source_distribution(package: Package, tables: Tables) -> tuple[str, bytes]:
    """The name and the bytes of the source distribution."""
    project = [
        "[build-system]",
        'requires = ["setuptools>=77"]',
        'build-backend = "setuptools.build_meta"',
        "",
        "[project]",
        f"name = {text(package.name)}",
        f"version = {text(package.version)}",
        f"requires-python = {text(REQUIRES_PYTHON)}",
        f"dependencies = [{', '.join(map(text, REQUIRES))}]",
        "",
        "[tool.setuptools]",
        f"packages = [{text(package.module)}]",
        "",
        "[tool.setuptools.package-data]",
        f'{package.module} = ["py.typed"]',
        "",
    ]
    content = files(package, tables) | {
        "PKG-INFO": package.metadata(),
        "pyproject.toml": "\n".join(project).encode(),
    }
    return f"{package.stem}.tar.gz", _tarred({f"{package.stem}/{name}": data for name, data in content.items()})


def _digest(data: bytes) -> str:
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')}"


def _zipped(content: Mapping[str, bytes], last: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content, key=lambda one: (one == last, one)):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.create_system = 0o100644 << 16, 3
            archive.writestr(entry, content[name])
    return written.getvalue()


def _tarred(content: Mapping[str, bytes]) -> bytes:
    plain, written = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(content):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content[name]), 0o644
            archive.addfile(entry, io.BytesIO(content[name]))
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=written, mtime=0) as file:
        file.write(plain.getvalue())
    return written.getvalue()
