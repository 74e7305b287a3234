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
_FILENAME = re.compile(r"(?![.-])[^\s/\\:*?\"'<>|$;&`]{1,100}")
_OTHER_KINDS = ("zone", "all", "plane")
_OTHER_VARIABLES = ("AMASS", "AMU", "E", "EAMU", "ENUC", "ID", "NPRIM")


@dataclass
class _Known:
    """What outputs may name: detectors, filters, and the settings; with what stands in the way of their use."""

    detectors: dict[str, Detector] = field(default_factory=dict)
    filters: dict[str, Filter] = field(default_factory=dict)
    settings: set[str] = field(default_factory=set)
    barred: dict[str, InputError] = field(default_factory=dict)
    """Detectors and filters that can't be used, as "Geometry name" or "Filter name"."""


@dataclass
class _Section:
    head: Line
    body: list[Line] = field(default_factory=list)


def read_detectors(
    text: str, unsupported: list[str]
) -> tuple[tuple[Detector, ...], tuple[Filter, ...], tuple[Output, ...]]:
    """Read detect.dat; what will be left out is added to `unsupported`. Raises InputError."""
    sections = _sections(text)
    known = _Known()
    for section in sections["geometry"]:
        _add_detector(section, known)
    for section in sections["filter"]:
        _add_filter(section, known)
    known.settings.update(map(_name, sections["settings"]))
    for kind in ("geometry", "output"):
        if not sections[kind]:
            raise InputError(FILE, None, f"section {kind.capitalize()} is missing")
    outputs: dict[str, Output] = {}
    values = 0
    for section in sections["output"]:
        output = _output(section, known, unsupported)
        if output.filename in outputs:
            raise section.head.error(f"Filename {quoted(output.filename)} is given twice")
        values += output.detector.bins * len(output.pages)
        if values > MAX_VALUES:
            raise section.head.error(f"all pages together have {values} values; at most {MAX_VALUES} are allowed")
        outputs[output.filename] = output
    return tuple(known.detectors.values()), tuple(known.filters.values()), tuple(outputs.values())


def _add_detector(section: _Section, known: _Known) -> None:
    name = _name(section)
    if name in known.detectors or f"Geometry {name}" in known.barred:
        raise section.head.error(f"Geometry {quoted(name)} is given twice")
    written = section.head.word(1, "Geometry type")
    if written.lower() in _OTHER_KINDS:
        message = f"Geometry type {quoted(written)} is not supported; allowed are Cyl and Mesh"
        known.barred[f"Geometry {name}"] = section.head.error(message)
    else:
        known.detectors[name] = _detector(section, name)


def _add_filter(section: _Section, known: _Known) -> None:
    name = _name(section)
    if name in known.filters or f"Filter {name}" in known.barred:
        raise section.head.error(f"Filter {quoted(name)} is given twice")
    for line in section.body:
        if line.words[0].upper() in _OTHER_VARIABLES:
            message = f"condition on {quoted(line.words[0])} is not supported; allowed are Z, A and GEN"
            known.barred[f"Filter {name}"] = line.error(message)
            return
    known.filters[name] = _filter(section, name)


def _sections(text: str) -> dict[str, list[_Section]]:
    found: dict[str, list[_Section]] = {"geometry": [], "filter": [], "settings": [], "output": []}
    current: _Section | None = None
    for line in lines(FILE, text):
        key = line.words[0].lower()
        if key in found:
            current = _Section(line)
            found[key].append(current)
            if len(found[key]) > MAX_SECTIONS:
                raise line.error(f"more than {MAX_SECTIONS} sections {line.words[0]} are not allowed")
        elif current is None:
            raise line.error(
                f"{quoted(line.words[0])} outside a section; allowed are Geometry, Filter, Settings and Output"
            )
        else:
            current.body.append(line)
    return found


def _name(section: _Section) -> str:
    named = [line for line in section.body if line.words[0].lower() == "name"]
    if len(named) != 1:
        raise section.head.error(f"section {section.head.words[0]} needs exactly one Name line")
    name = named[0].word(1, "Name")
    if len(named[0].words) > 2:
        raise named[0].error(f"Name {quoted(' '.join(named[0].words[1:]))} has blanks; a name is one word")
    return name


def _detector(section: _Section, name: str) -> Detector:
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
    detector = Detector(name, kind, tuple(axes[name] for name in AXES[kind]))
    if detector.bins > MAX_BINS:
        raise section.head.error(f"Geometry has {detector.bins} bins; at most {MAX_BINS} are allowed")
    return detector


def _filter(section: _Section, name: str) -> Filter:
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
    return Filter(name, tuple(conditions))


def _output(section: _Section, known: _Known, unsupported: list[str]) -> Output:
    filename: str | None = None
    detector: Detector | None = None
    quantities: list[tuple[Line, list[Line]]] = []
    for line in section.body:
        key = line.words[0].lower()
        if key == "filename":
            filename = _file_name(line)
        elif key == "geo":
            detector = _named_detector(line, known)
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
    left_out: list[str] = []
    pages = _pages(quantities, known, filename, left_out)
    if not pages:
        raise quantities[0][0].error(f"{filename} would have no page: {left_out[0].partition(' is left out: ')[2]}")
    unsupported += left_out
    return Output(filename, detector, pages, f"{filename.rsplit('.', 1)[0]}_")


def _file_name(line: Line) -> str:
    line.word(1, "Filename")
    written = " ".join(line.words[1:])
    if not _FILENAME.fullmatch(written) or not written.isprintable():
        message = f"Filename {quoted(written)}; allowed is one word of up to 100 characters that names a file"
        raise line.error(message)
    return written


def _named_detector(line: Line, known: _Known) -> Detector:
    name = line.word(1, "Geo")
    if error := known.barred.get(f"Geometry {name}"):
        raise error
    if name not in known.detectors:
        raise line.error(f"Geo {quoted(name)} is not given; known are {', '.join(list(known.detectors)[:10])}")
    return known.detectors[name]


def _pages(
    quantities: Sequence[tuple[Line, list[Line]]], known: _Known, filename: str, unsupported: list[str]
) -> tuple[PageRequest, ...]:
    pages: list[PageRequest] = []
    for number, (line, differential) in enumerate(quantities):
        quantity = _QUANTITIES.get(line.word(1, "Quantity").lower())
        left_out = (
            f"{FILE}:{line.number}: page {number} of {filename} ({quoted(' '.join(line.words[1:]))}) is left out: "
        )
        named = line.words[2] if len(line.words) > 2 else None
        if len(line.words) > 3 or named in known.settings:
            unsupported.append(f"{left_out}settings of a quantity are not supported.")
        elif error := known.barred.get(f"Filter {named}"):
            unsupported.append(f"{left_out}{error.message}.")
        elif quantity is None:
            unsupported.append(f"{left_out}supported are {', '.join(_QUANTITIES.values())}.")
        elif differential:
            unsupported.append(f"{left_out}differential spectra (Diff1, Diff2) are not supported.")
        else:
            pages.append(PageRequest(number, quantity, _selection(line, named, known)))
    return tuple(pages)


def _selection(line: Line, named: str | None, known: _Known) -> Filter | None:
    if named is not None and named not in known.filters:
        others = ", ".join(list(known.filters)[:10]) or "none"
        raise line.error(f"filter {quoted(named)} is not given; known are {others}")
    return known.filters[named] if named is not None else None
