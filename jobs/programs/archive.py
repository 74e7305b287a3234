"""Make one zip of many: the entries of each below a folder of its own, with a manifest of their sizes and hashes.

It runs as the program of a task: `python -m jobs.programs.archive --input FOLDER --output FILE`. The input folder has
the zips, and `archive.json`: `{"parts": [{"file": "1.zip", "folder": "Beam"}, ...]}`.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.programs.program import AS_FILES, Program

CHUNK = 1 << 20
DESCRIPTION = "archive.json"
MANIFEST = "manifest.json"

PROGRAM = Program(
    name="ARCHIVE",
    command=("{python}", "-m", "jobs.programs.archive", "--input", "{input}", "--output", "{output}/archive.zip"),
    progress=r"^packed (?P<done>\d+) of (?P<total>\d+)$",
    results=AS_FILES,
)


def pack(folder: Path, target: Path) -> Iterator[tuple[int, int]]:
    """Write the zip; yields how many of how many parts it holds so far."""
    parts = json.loads((folder / DESCRIPTION).read_text())["parts"]
    entries: list[dict[str, Any]] = []
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for done, part in enumerate(parts, 1):
            with zipfile.ZipFile(folder / part["file"]) as source:
                for entry in source.infolist():
                    name = f"{part['folder']}/{entry.filename}" if part["folder"] else entry.filename
                    entries.append(_copy(source, entry, archive, name))
            (folder / part["file"]).unlink()
            yield done, len(parts)
        archive.writestr(MANIFEST, json.dumps({"files": entries}, indent=2))


def _copy(source: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """Copy one entry; returns its line of the manifest."""
    made = zipfile.ZipInfo(name, entry.date_time)
    made.compress_type, made.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    hasher, size = hashlib.sha256(), 0
    with source.open(entry) as packed, archive.open(made, "w", force_zip64=True) as target:
        while piece := packed.read(CHUNK):
            hasher.update(piece)
            size += len(piece)
            target.write(piece)
    return {"path": name, "size": size, "sha256": hasher.hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    for done, of in pack(given.input, given.output):
        sys.stdout.write(f"packed {done} of {of}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
