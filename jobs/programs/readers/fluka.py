"""FLUKA's unformatted results (<input>001_fort.21, ...), read with pymchelper.

A file is a row of Fortran records, each between two counts of its bytes.
"""

import re
import struct
from pathlib import Path
from typing import Any

from jobs.programs.readers import OutputError, converted, library
from jobs.programs.readers.pages import Axis, estimator, page

PATTERN = "*_fort.*"
RECORD = struct.Struct("=i")
LARGEST_HEADER = 128

_CYCLE = re.compile(r"(.*?)(\d{3})?_fort\.(\d+)")


def read(folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators, one per unit number: of several cycles the mean, weighted by their primaries."""
    cycles: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.glob(PATTERN)):
        if found := _CYCLE.fullmatch(path.name):
            _check(path)
            cycles.setdefault((found[1], found[3]), []).append(path)
    if not cycles:
        raise OutputError(PATTERN, "no such file was written")
    return [_estimator(stem, unit, paths) for (stem, unit), paths in cycles.items()]


def _estimator(stem: str, unit: str, paths: list[Path]) -> dict[str, Any]:
    file = paths[0].name
    name = f"fort.{unit}"
    loaded = converted.load([str(path) for path in paths], file)
    axes = _meshes(str(paths[0]), file) or [_axes(each, file) for each in loaded.pages]
    pages = [
        page(
            file,
            index,
            str(each.name),
            str(each.unit),
            axes[index],
            converted.values(each),
            converted.metadata(each),
        )
        for index, each in enumerate(loaded.pages)
    ]
    metadata = converted.metadata(loaded) | {"file_corename": name, "error_type": "none"}
    return estimator(name, f"{stem}_{name}", metadata, pages)


def _axes(loaded: Any, file: str) -> list[Axis]:
    return [converted.axis(loaded.axis(number), file) for number in range(5)]


def _meshes(path: str, file: str) -> list[list[Axis]] | None:
    """Axes of each USRBIN of a file, None when it holds other detectors.

    pymchelper gives to all pages of a file the axes of the last.
    """
    data = library("flair.Data", file)
    naming = library("readers.fluka", file).UsrbinScoring
    meshes = library("axis", file).MeshAxis
    try:
        detectors = data.Usrbin(path).detector
    except OSError:
        return None
    result = []
    for detector in detectors:
        labels = naming.get_axes_description(detector.type)
        result.append(
            [
                converted.axis(
                    meshes(
                        getattr(detector, f"n{letter}"),
                        getattr(detector, f"{letter}low"),
                        getattr(detector, f"{letter}high"),
                        getattr(labels, letter).name,
                        getattr(labels, letter).unit,
                        meshes.BinningType.linear,
                    ),
                    file,
                )
                for letter in "xyz"
            ]
        )
    return result


def _check(path: Path) -> None:
    """Go through the records; raises OutputError when the file is of another kind or cut short."""
    size = path.stat().st_size
    place = 0
    with path.open("rb") as stream:
        while place < size:
            stream.seek(place)
            before = stream.read(RECORD.size)
            length = RECORD.unpack(before)[0] if len(before) == RECORD.size else 0
            if place == 0 and not 0 < length <= LARGEST_HEADER:
                raise OutputError(path.name, "it is not an unformatted file of FLUKA; units must be negative numbers")
            if length < 0:
                raise OutputError(path.name, f"it is damaged at byte {place}")
            place += 2 * RECORD.size + length
            if place > size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            stream.seek(length, 1)
            if stream.read(RECORD.size) != before:
                raise OutputError(path.name, f"it is damaged at byte {place - RECORD.size}")
    if size == 0:
        raise OutputError(path.name, "it is empty")
