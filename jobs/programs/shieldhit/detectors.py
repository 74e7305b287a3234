"""detect.dat: scoring grids, particle filters and outputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.programs.plan import (
    Axis,
    Condition,
    Detector,
    DetectorKind,
    Filter,
    InputError,
    Output,
    PageRequest,
    QuantityName,
)
from jobs.programs.shieldhit.cards import Line, lines, quoted

FILE = "detect.dat"
MAX_SECTIONS = 100
MAX_CONDITIONS = 20
MAX_QUANTITIES = 100
MAX_BINS = 1_000_000
MAX_VALUES = 4_000_000

AXES: dict[DetectorKind, tuple[str, ...]] = {"Cyl": ("R", "Z"), "Mesh": ("X", "Y", "Z")}
OPERATORS = ("==", "!=", ">=", "<=", ">", "<")
_KINDS: dict[str, DetectorKind] = {"cyl": "Cyl", "mesh": "Mesh"}
_QUANTITIES: dict[str, QuantityName] = {
    "dose": "Dose",
    "fluence": "Fluence",
    "avgenergy": "AvgEnergy",
    "dlet": "dLET",
    "tlet": "tLET",
}
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass
class _Section:
    head: Line
    body: list[Line] = field(default_factory=list)


def read_detectors(
    text: str, unsupported: list[str]
) -> tuple[tuple[Detector, ...], tuple[Filter, ...], tuple[Output, ...]]:
    """Read detect.dat; what will be left out is added to `unsupported`. Raises InputError."""
    sections = _sections(text)
    detectors: dict[str, Detector] = {}
    filters: dict[str, Filter] = {}
    for section in sections["geometry"]:
        detector = _detector(section)
        if detector.name in detectors:
            raise section.head.error(f"Geometry {quoted(detector.name)} is given twice")
        detectors[detector.name] = detector
    for section in sections["filter"]:
        selection = _filter(section)
        if selection.name in filters:
            raise section.head.error(f"Filter {quoted(selection.name)} is given twice")
        filters[selection.name] = selection
    for kind in ("geometry", "output"):
        if not sections[kind]:
            raise InputError(FILE, None, f"section {kind.capitalize()} is missing")
    outputs: dict[str, Output] = {}
    values = 0
    for section in sections["output"]:
        output = _output(section, detectors, filters, unsupported)
        if output.filename in outputs:
            raise section.head.error(f"Filename {quoted(output.filename)} is given twice")
        values += output.detector.bins * len(output.pages)
        if values > MAX_VALUES:
            raise section.head.error(f"all pages together have {values} values; at most {MAX_VALUES} are allowed")
        outputs[output.filename] = output
    return tuple(detectors.values()), tuple(filters.values()), tuple(outputs.values())


def _sections(text: str) -> dict[str, list[_Section]]:
    found: dict[str, list[_Section]] = {"geometry": [], "filter": [], "output": []}
    current: _Section | None = None
    for line in lines(FILE, text):
        key = line.words[0].lower()
        if key in found:
            current = _Section(line)
            found[key].append(current)
            if len(found[key]) > MAX_SECTIONS:
                raise line.error(f"more than {MAX_SECTIONS} sections {line.words[0]} are not allowed")
        elif key == "settings":
            raise line.error("section Settings is not supported; allowed are Geometry, Filter and Output")
        elif current is None:
            raise line.error(f"{quoted(line.words[0])} outside a section; allowed are Geometry, Filter and Output")
        else:
            current.body.append(line)
    return found


def _name(section: _Section) -> str:
    named = [line for line in section.body if line.words[0].lower() == "name"]
    if len(named) != 1:
        raise section.head.error(f"section {section.head.words[0]} needs exactly one Name line")
    return named[0].word(1, "Name")


def _detector(section: _Section) -> Detector:
    written = section.head.word(1, "Geometry type")
    kind = _KINDS.get(written.lower())
    if kind is None:
        raise section.head.error(f"Geometry type {quoted(written)} is not supported; allowed are Cyl and Mesh")
    axes: dict[str, Axis] = {}
    for line in section.body:
        key = line.words[0].upper()
        if key == "NAME":
            continue
        if key not in AXES[kind]:
            raise line.error(f"{quoted(line.words[0])} in Geometry {kind}; allowed are Name, {', '.join(AXES[kind])}")
        if key in axes:
            raise line.error(f"axis {key} is given twice")
        start = line.real(1, f"{key} start in cm", 0.0 if key == "R" else -1e4, 1e4)
        stop = line.real(2, f"{key} end in cm", -1e4, 1e4)
        if stop - start < 1e-6:
            raise line.error(f"{key}: the end {stop:g} cm must be greater than the start {start:g} cm")
        axes[key] = Axis(key, start, stop, line.integer(3, f"{key} number of bins", 1, MAX_BINS))
    missing = [name for name in AXES[kind] if name not in axes]
    if missing:
        raise section.head.error(f"Geometry {kind} needs {', '.join(AXES[kind])}; missing is {', '.join(missing)}")
    detector = Detector(_name(section), kind, tuple(axes[name] for name in AXES[kind]))
    if detector.bins > MAX_BINS:
        raise section.head.error(f"Geometry has {detector.bins} bins; at most {MAX_BINS} are allowed")
    if sum(axis.bins > 1 for axis in detector.axes) > 2:
        raise section.head.error("Geometry has more than one bin along three axes; allowed are two axes")
    return detector


def _filter(section: _Section) -> Filter:
    conditions: list[Condition] = []
    for line in section.body:
        if line.words[0].lower() == "name":
            continue
        variable = line.words[0].upper()
        if variable not in ("Z", "A", "GEN"):
            raise line.error(f"condition on {quoted(line.words[0])} is not supported; allowed are Z, A and GEN")
        operator = line.word(1, "operator")
        if operator not in OPERATORS:
            raise line.error(f"operator {quoted(operator)}; allowed are {' '.join(OPERATORS)}")
        conditions.append(Condition(variable, operator, line.integer(2, f"value of {variable}", -1000, 1000)))
        if len(conditions) > MAX_CONDITIONS:
            raise line.error(f"more than {MAX_CONDITIONS} conditions are not allowed")
    return Filter(_name(section), tuple(conditions))


def _output(
    section: _Section, detectors: dict[str, Detector], filters: dict[str, Filter], unsupported: list[str]
) -> Output:
    filename: str | None = None
    detector: Detector | None = None
    quantities: list[tuple[Line, list[Line]]] = []
    for line in section.body:
        key = line.words[0].lower()
        if key == "filename":
            filename = line.word(1, "Filename")
            if not _FILENAME.fullmatch(filename):
                raise line.error(
                    f"Filename {quoted(filename)}; allowed are up to 100 letters, digits, '.', '_' and '-'"
                )
        elif key == "geo":
            name = line.word(1, "Geo")
            if name not in detectors:
                raise line.error(f"Geo {quoted(name)} is not given; known are {', '.join(list(detectors)[:10])}")
            detector = detectors[name]
        elif key == "quantity":
            quantities.append((line, []))
            if len(quantities) > MAX_QUANTITIES:
                raise line.error(f"more than {MAX_QUANTITIES} quantities are not allowed")
        elif key in ("diff1", "diff2", "diff1type", "diff2type"):
            if not quantities:
                raise line.error(f"{line.words[0]} before the first Quantity")
            quantities[-1][1].append(line)
        else:
            raise line.error(
                f"{quoted(line.words[0])} in Output; allowed are Filename, Geo, Quantity, Diff1, Diff1Type"
            )
    for value, key in ((filename, "Filename"), (detector, "Geo"), (quantities, "Quantity")):
        if not value:
            raise section.head.error(f"section Output needs a {key} line")
    assert filename is not None
    assert detector is not None
    pages = _pages(quantities, filters, filename, unsupported)
    return Output(filename, detector, pages, f"{filename.rsplit('.', 1)[0]}_")


def _pages(
    quantities: Sequence[tuple[Line, list[Line]]], filters: dict[str, Filter], filename: str, unsupported: list[str]
) -> tuple[PageRequest, ...]:
    pages: list[PageRequest] = []
    for number, (line, differential) in enumerate(quantities):
        written = line.word(1, "Quantity")
        selection: Filter | None = None
        if len(line.words) > 2:
            if line.words[2] not in filters:
                known = ", ".join(list(filters)[:10]) or "none"
                raise line.error(f"filter {quoted(line.words[2])} is not given; known are {known}")
            selection = filters[line.words[2]]
        quantity = _QUANTITIES.get(written.lower())
        left_out = (
            f"{FILE}:{line.number}: page {number} of {filename} ({quoted(' '.join(line.words[1:]))}) is left out: "
        )
        if len(line.words) > 3:
            unsupported.append(f"{left_out}settings of a quantity are not supported.")
        elif quantity is None:
            unsupported.append(f"{left_out}supported are {', '.join(_QUANTITIES.values())}.")
        elif differential:
            unsupported.append(f"{left_out}differential spectra (Diff1, Diff2) are not supported.")
        else:
            pages.append(PageRequest(number, quantity, selection))
    return tuple(pages)
