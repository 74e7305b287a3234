"""SHIELD-HIT12A's binary results (.bdo as of 2019), read with pymchelper.

A file is a magic word and a flat row of tokens: a tag, the type of the elements as NumPy writes it, their number, and
the elements. pymchelper takes a file that is cut short for a complete one, so the tokens are gone through first.
"""

import json
import re
import struct
from pathlib import Path
from typing import Any

from jobs.programs.readers import OutputError, converted, library
from jobs.programs.readers.pages import Axis, estimator, page
from jobs.programs.shieldhit import names
from jobs.programs.shieldhit.names import Named

PATTERN = "*.bdo"
MAGIC = b"xSH12A"
HEADER = 24
TOKEN = struct.Struct("<Q8sQ")
PAGE, PAGE_DATA, PAGES = 0xDD30, 0xDDBB, 0xEE02
"""Tags: a page begins, its values, the number of pages of the file."""

_ELEMENT = re.compile(r"[<>=|]?([a-zA-Z])(\d+)")
_RUN = re.compile(r"_?\d{4}$")


def read(folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators, one per file, named as names.json says or else like the file without the run's four digits."""
    found: dict[str, dict[str, Any]] = {}
    called = _names(folder)
    for path in sorted(folder.glob(PATTERN)):
        name = _RUN.sub("", path.stem) or path.stem
        if name in found:
            raise OutputError(path.name, f"there are two files of the estimator {name}")
        found[name] = _estimator(path, name, called.get(name, Named(name)))
    if not found:
        raise OutputError(PATTERN, "no such file was written")
    return list(found.values())


def _names(folder: Path) -> dict[str, Named]:
    """What names.json says, by file name without ending; what has another shape says nothing."""
    try:
        given = json.loads((folder / names.FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = given.items() if isinstance(given, dict) else ()
    return {Path(file).stem.rstrip("_"): named for file, one in pairs if (named := Named.of(one)) is not None}


def _estimator(path: Path, name: str, called: Named) -> dict[str, Any]:
    _check(path)
    loaded = converted.load([str(path)], path.name)
    pages = [_page(path.name, index, each, called) for index, each in enumerate(loaded.pages)]
    metadata = converted.metadata(loaded) | {"file_corename": name, "error_type": "none"}
    return estimator(called.name, f"{name}.bdo", metadata, pages)


def _page(file: str, index: int, loaded: Any, called: Named) -> dict[str, Any]:
    units = _units(loaded)
    kinds = _differential(loaded)
    axes = [converted.axis(loaded.axis(number), file) for number in range(3)]
    axes += [_differential_axis(loaded.axis(number + 3), file, kinds[number], units[1 + number]) for number in range(2)]
    unit = str(loaded.unit).replace(str(loaded.detector_unit), units[0], 1)
    number = int(getattr(loaded, "page_number", index))
    metadata = converted.metadata(loaded)
    if title := called.title(number):
        metadata["title"] = title
    return page(file, number, str(loaded.name), unit, axes, converted.values(loaded), metadata)


def _differential_axis(mesh: Any, file: str, name: str, unit: str) -> Axis:
    return converted.axis(mesh, file, name, unit or str(mesh.unit))


def _units(loaded: Any) -> tuple[str, str, str]:
    """Units of the values and of both differential axes.

    One of two tags has all three, the other that of the values as a whole; which is which changed between versions.
    """
    whole, parts = str(loaded.detector_unit), str(getattr(loaded, "page_diff_units", ""))
    if ";" in whole:
        whole, parts = parts or whole, whole
    _, first, second, *_ = [*parts.split(";"), "", ""] if ";" in parts else ["", "", ""]
    return whole, first, second


def _differential(loaded: Any) -> tuple[str, str]:
    """Names of what the differential axes count, such as KINETIC-ENERGY.

    Files of version 1.0 give the first type twice, whatever the second axis is.
    """
    types = [int(number) for number in getattr(loaded, "page_diff_type", ())]
    types = types[: 1 if types[1:] == types[:1] else 2]
    known = library("shieldhit.detector.detector_type", "page_diff_type").SHDetType
    names = [str(known(number)) if number in known._value2member_map_ else "" for number in types]
    first, second, *_ = [*names, "", ""]
    return first, second


def _check(path: Path) -> None:
    """Go through the tokens; raises OutputError when the file is of another kind or cut short."""
    size = path.stat().st_size
    begun = filled = 0
    promised: int | None = None
    with path.open("rb") as stream:
        if not stream.read(HEADER).startswith(MAGIC):
            raise OutputError(path.name, "it is not a .bdo file of SHIELD-HIT12A")
        place = HEADER
        while place < size:
            token = stream.read(TOKEN.size)
            if len(token) < TOKEN.size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            tag, kind, count = TOKEN.unpack(token)
            width = _width(kind)
            if width is None:
                raise OutputError(path.name, f"it is damaged at byte {place}")
            length = width * count
            place += TOKEN.size + length
            if place > size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            if tag == PAGES and count == 1:
                promised = int.from_bytes(stream.read(length), "little")
            begun += tag == PAGE
            filled += tag == PAGE_DATA
            stream.seek(place)
    if begun != filled or (promised is not None and filled < promised):
        raise OutputError(path.name, f"it is cut short: {filled} of {max(begun, promised or 0)} pages have values")


def _width(kind: bytes) -> int | None:
    """Bytes of an element of this type."""
    try:
        found = _ELEMENT.fullmatch(kind.rstrip(b"\0 ").decode("ascii"))
    except UnicodeDecodeError:
        return None
    return int(found[2]) if found else None
