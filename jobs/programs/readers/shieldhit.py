"""SHIELD-HIT12A's binary results (.bdo), read with pymchelper: an estimator for each file."""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.readers import (
    OutputError,
    Reading,
    converted,
    library,
    named,
    particle_lists,
    shieldhit_quantities,
    shieldhit_tokens,
)
from jobs.programs.readers.pages import Axis, estimator, page
from jobs.programs.readers.shieldhit_quantities import PARTICLES
from jobs.programs.shieldhit import names
from jobs.programs.shieldhit.names import Named

PATTERN = "*.bdo"
DETECTORS = "detect.dat"

_RUN = re.compile(r"_?\d{4}$")


def read(outputs: Outputs, primaries: int | None = None) -> Reading:
    """The estimators, one per file, named as names.json says or else like the file without the run's four digits. A
    file that lists particles is kept, and is no estimator."""
    paths, lists = outputs.fitting(PATTERN), particle_lists.written(outputs)
    if not paths and not lists:
        raise OutputError(PATTERN, "no such file was written")
    reading = Reading([], files=paths + lists)
    called = {Path(file).stem.rstrip("_"): given for file, given in names.found(outputs).items()}
    pages: dict[str, int] = {}
    for path in paths:
        name = _RUN.sub("", path.stem) or path.stem
        with named(reading.warnings, path.name):
            if name in pages:
                raise OutputError(path.name, f"there are two files of the estimator {name}")
            pages[name] = 0
            made, pages[name] = _estimator(path, name, called.get(name, Named(name)), reading.warnings)
            if made["pages"]:
                reading.estimators.append(made)
    with named(reading.warnings, DETECTORS):
        reading.warnings.extend(_missing(outputs, pages))
    return reading


def _missing(outputs: Outputs, pages: dict[str, int]) -> Iterator[str]:
    """Sentences on the outputs and quantities that detect.dat asks for and that did not come; `pages` has how many came
    in the file of an output."""
    for file, quantities in _asked(outputs):
        came = pages.get(Path(file).stem.rstrip("_"))
        if came is None:
            yield f"{file}: it is asked for in {DETECTORS}, and was not written"
        elif 0 < came < quantities:
            yield f"{file}: {came} of the {quantities} quantities that {DETECTORS} asks for were written"


def _asked(outputs: Outputs) -> list[tuple[str, int]]:
    """The file names of the outputs in detect.dat, with the number of their quantities."""
    try:
        text = outputs.text(DETECTORS, "replace")
    except OSError:
        return []
    asked: list[tuple[str, int]] = []
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key.lower() == "filename" and value.strip():
            asked.append((value.strip(), 0))
        elif key.lower() == "quantity" and asked:
            asked[-1] = (asked[-1][0], asked[-1][1] + 1)
    return asked


def _estimator(path: Path, name: str, called: Named, warnings: list[str]) -> tuple[dict[str, Any], int]:
    """The estimator of a file, and how many quantities were written to it."""
    contents = shieldhit_tokens.contents(path)
    pages = []
    metadata: dict[str, str] = {}
    if set(contents.quantities) != {PARTICLES}:
        loaded = converted.load([str(path)], path.name)
        metadata = converted.metadata(loaded)
        for index, each in enumerate(loaded.pages):
            if int(each.dettyp) == PARTICLES:
                continue
            with named(warnings, path.name):
                pages.append(_page(path.name, index, each, loaded, called))
    metadata |= {"file_corename": name, "error_type": "none"}
    return estimator(called.name, f"{name}.bdo", metadata, pages), len(contents.quantities)


def _page(file: str, index: int, loaded: Any, whole: Any, called: Named) -> dict[str, Any]:
    """A page of an estimator, which is `whole`."""
    number = int(getattr(loaded, "page_number", index))
    if number < 0:
        raise OutputError(file, f"page {index}, {loaded.name}: its number is {number}")
    metadata = converted.metadata(loaded) | called.metadata(number)
    values, weights = _values(loaded, whole.pages)
    axes, unit = _axes(loaded, whole, file, f"page {number}, {loaded.name}")
    merging = shieldhit_quantities.merging(loaded)
    return page(file, number, str(loaded.name), unit, axes, values, metadata, weights=weights, merging=merging)


def _values(loaded: Any, pages: Sequence[Any]) -> tuple["array[float]", "array[float] | None"]:
    """Values, and the weights of quotients. A quotient of zero says that nothing passed: it is no value."""
    values = converted.values(loaded)
    if not shieldhit_quantities.is_quotient(loaded):
        return values, None
    values = array("d", (value or float("nan") for value in values))
    divisor = shieldhit_quantities.divisor(loaded, pages)
    return values, None if divisor is None else converted.values(divisor)


def _axes(loaded: Any, whole: Any, file: str, where: str) -> tuple[list[Axis], str]:
    """The axes, and the unit of the values. Files of before 2019 have differential bins on an axis of space."""
    most = int(loaded.data_raw.size)
    axes = [converted.axis(loaded.axis(number), file, where, most) for number in range(3)]
    if "zone" in str(getattr(whole, "geotyp", "")).lower():
        first = loaded.axis(0)
        axes[0] = Axis("Zone", "", [first.min_val + index for index in range(int(first.n))])
    if not hasattr(loaded, "detector_unit"):
        return [replace(axis, unit=axis.unit.removesuffix("/primary")) for axis in axes], str(loaded.unit).strip()
    units, kinds = _units(loaded), _differential(loaded)
    for number in range(2):
        mesh = loaded.axis(number + 3)
        axes.append(converted.axis(mesh, file, where, most, kinds[number], units[1 + number] or str(mesh.unit)))
    return axes, str(loaded.unit).replace(str(loaded.detector_unit), units[0], 1)


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
