"""TOPAS' scorers as CSV, as OpenTOPAS' TsVBinnedScorer writes them (PrintHeader, PrintASCII).

Read here and not with pymchelper, which takes energy bins whose width has a fraction for none, needs every row, and
does not read Sum, which is what scorers report unless told otherwise.
"""

import math
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from math import prod
from os import SEEK_END
from pathlib import Path
from textwrap import shorten
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.readers import OutputError, Reading, named, particle_lists, topas_scorers
from jobs.programs.readers.pages import Axis, estimator, page

PATTERN = "*.csv"
BEGINNING = "# TOPAS Version"

BINARY = ("*.bin", "*.binheader", "*.root", "*.xml")
"""Tables of other forms, which are kept and not read."""

MEAN, SUM, DEVIATION, VARIANCE, HISTORIES = (
    "Mean",
    "Sum",
    "Standard_Deviation",
    "Variance",
    "Histories_with_Scorer_Active",
)
REPORTS = frozenset((MEAN, SUM, DEVIATION, VARIANCE, HISTORIES, "Count_in_Bin", "Second_Moment", "Min", "Max"))
SUMMED = frozenset(
    (
        *("DoseToMedium", "DoseToWater", "DoseToMaterial", "EnergyDeposit", "Charge", "EffectiveCharge"),
        *("TrackLengthEstimator", "Fluence", "EnergyFluence", "AmbientDoseEquivalent"),
        *("StepCount", "OpticalPhotonCount", "OriginCount", "SurfaceCurrent", "SurfaceTrackCount"),
    )
)
"""Quantities whose Sum is one over histories."""
AVERAGED = frozenset(("ProtonLET",))
"""Quantities whose Sum is the quotient of two sums, a mean already. A quotient of zero says that nothing passed."""

LONGEST_NAME = 255
LARGEST_SPARSE = 50_000_000
"""The most values of a table that leaves out rows."""
LONGEST_AXIS = 10_000_000

_NUMBER = r"([-+0-9.eE]+)"
_BINS = re.compile(rf"# (X|Y|Z|R|Phi|Theta) in (\d+) bins? +of {_NUMBER} (\S+)")
_QUANTITY = re.compile(r"# (\S+)(?: \( (.*) \))? : (.*)")
_BINNED = re.compile(rf"# Binned by (.+) in (\d+) bins? +of {_NUMBER} (\S+) from {_NUMBER} \S+ to {_NUMBER} \S+")
_SPARSE = re.compile(r"# Showing only rows that have sum > (.*)")


def read(outputs: Outputs, primaries: int | None = None) -> Reading:
    """The estimators, one per file, per history; CSV files that TOPAS did not write are passed over. Lists of particles
    and tables of other forms are kept, and are no estimators."""
    reading = Reading([])
    for path in outputs.fitting(PATTERN):
        with named(reading.warnings, path.name):
            if not _is_whole(path, reading.files):
                continue
            with path.open(encoding="utf-8", errors="replace") as lines:
                reading.estimators.append(_estimator(path, lines, primaries, reading.warnings))
    reading.files.extend(particle_lists.written(outputs))
    reading.files.extend(outputs.fitting(*BINARY))
    if not reading.files:
        raise OutputError(PATTERN, "no such file was written by TOPAS")
    with named(reading.warnings, topas_scorers.INPUT):
        reading.warnings.extend(topas_scorers.missing(outputs))
    return reading


def _is_whole(path: Path, files: list[Path]) -> bool:
    """Whether TOPAS wrote a table, which then is one of its files; raises OutputError when it is cut short."""
    with path.open("rb") as stream:
        begun = stream.read(len(BEGINNING)).decode(errors="replace")
        if not BEGINNING.startswith(begun):
            return False
        files.append(path)
        stream.seek(-1 if begun else 0, SEEK_END)
        if stream.read() != b"\n":
            raise OutputError(path.name, "it is empty or cut short")
    return True


@dataclass(frozen=True)
class _Table:
    """A file's header: three axes of space, or none, then one of energy or time, or none."""

    file: str
    scorer: str
    quantity: str
    unit: str
    reports: Sequence[str]
    space: Sequence[Axis]
    binned: Axis | None
    single_index: bool
    sparse: str | None
    metadata: dict[str, str]

    @property
    def axes(self) -> list[Axis]:
        return [*self.space, *([self.binned] if self.binned else [])]


def _estimator(path: Path, lines: Iterable[str], primaries: int | None, warnings: list[str]) -> dict[str, Any]:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    header: list[str] = []
    rows: Iterable[tuple[int, str]] = ()
    for number, line in numbered:
        if not line.startswith("#"):
            rows = chain([(number, line)], numbered)
            break
        header.append(line.rstrip("\r\n"))
    table = _table(path.name, header)
    numbers = prod(len(axis.values) for axis in table.axes)
    if numbers > (LARGEST_SPARSE if table.sparse is not None else path.stat().st_size):
        raise OutputError(path.name, f"its header tells of {numbers} values, which it can't hold")
    values, errors = _values(table, rows, primaries, warnings)
    metadata = {**table.metadata, "file_corename": path.stem, "file_format": "csv", "error_type": "none"}
    if primaries is not None:
        metadata["number_of_primaries"] = str(primaries)
    about = {"dettyp": table.quantity, "title": table.scorer}
    if table.sparse is not None:
        about["left_out_up_to"] = table.sparse
    if "filtered_by" in table.metadata:
        about["page_filter_name"] = shorten(table.metadata["filtered_by"], LONGEST_NAME, placeholder=" ...")
    shape = [len(axis.values) for axis in table.axes]
    ordered = _first_fastest(values, shape)
    wrong = None if errors is None else _first_fastest(errors, shape)
    merging = "ratio" if table.quantity in AVERAGED else "mean"
    only = page(path.name, 0, table.quantity, table.unit, table.axes, ordered, about, errors=wrong, merging=merging)
    return estimator(path.stem, path.name, metadata, [only])


def _table(file: str, header: Sequence[str]) -> _Table:
    space, binned, sparse, single = [], None, None, False
    quantity: tuple[str, str, list[str]] | None = None
    about: dict[str, str] = {}
    for line in header:
        if found := _BINS.match(line):
            name, count, width, unit = found.groups()
            space.append(_axis(file, name, unit, int(count), 0.0, int(count) * _number(file, width)))
        elif found := _BINNED.match(line):
            name, count, _, unit, low, high = found.groups()
            binned = _axis(file, name, unit, int(count), _number(file, low), _number(file, high))
        elif found := _SPARSE.match(line):
            sparse = found[1].strip()
        elif line.startswith("# Using single index"):
            single = True
        elif (found := _QUANTITY.match(line)) and found[3].split() and REPORTS.issuperset(found[3].split()):
            quantity = (found[1], found[2] or "", found[3].split())
        elif ": " in line[2:]:
            key, text = line[2:].split(": ", 1)
            key, text = key.lower().replace(" ", "_"), text.strip()
            if key == "filtered_by" and key in about:
                about[key] = f"{about[key]}; {text}"
            about.setdefault(key, text)
    if quantity is None:
        raise OutputError(file, "its header does not say which values it holds")
    if len(space) not in (0, 3):
        raise OutputError(file, f"its header gives bins along {len(space)} axes, not 3")
    scorer = about.get("results_for_scorer", Path(file).stem)
    return _Table(file, scorer, *quantity, space, binned, single, sparse, about)


def _axis(file: str, name: str, unit: str, count: int, low: float, high: float) -> Axis:
    if not 1 <= count <= LONGEST_AXIS:
        raise OutputError(file, f"{count} bins along {name}")
    width = (high - low) / count
    return Axis(name, unit, [low + width * (index + 0.5) for index in range(count)])


def _values(
    table: _Table, rows: Iterable[tuple[int, str]], primaries: int | None, warnings: list[str]
) -> tuple["array[float]", "array[float] | None"]:
    """Values per history and their standard errors, where the scorer reports them, the last axis fastest; 0 for rows
    that a sparse file leaves out, of unknown error. Rows that give a cell twice are named."""
    bins = len(table.binned.values) if table.binned else 0
    counts = [len(axis.values) for axis in table.space]
    cells = prod(counts)
    indexed = bins == 0 and cells > 1
    indices = (1 if table.single_index else 3) if indexed else 0
    result = array("d", bytes(8 * cells * max(bins, 1)))
    told = bool({DEVIATION, VARIANCE} & set(table.reports))
    errors = array("d", [math.nan]) * (len(result) if told else 0)
    width = len(table.reports)
    position = -1
    given = bytearray(cells)
    for position, (number, line) in enumerate(rows):
        numbers = _numbers(table.file, line, number)
        own, scores = numbers[:indices], numbers[indices:]
        cell = _cell(table.file, counts, own, number) if indexed else position
        if cell >= cells:
            raise OutputError(table.file, f"line {number}: more rows of values than the {cells} cells")
        given[cell] = 1
        extra = len(scores) // width - bins - 1 if bins else 0
        if len(scores) % width or (extra not in (1, 2) if bins else len(scores) != width):
            raise OutputError(table.file, f"line {number}: {len(numbers)} numbers; it is cut short or damaged")
        groups = [scores[start : start + width] for start in range(0, len(scores), width)]
        wanted = groups[1 : bins + 1] if bins else groups  # without underflow, overflow and hits without a track
        for place, group in enumerate(wanted):
            number_of = cell * max(bins, 1) + place
            result[number_of], error = _per_history(table, group, primaries)
            if told:
                errors[number_of] = error
    if not (indexed and table.sparse is not None) and position + 1 != cells:
        raise OutputError(table.file, f"{position + 1} rows of values, not {cells}: it is cut short")
    if twice := position + 1 - sum(given):
        warnings.append(f"{table.file}: {twice} rows give a cell again, the last of which counts")
        if table.sparse is None:
            warnings.append(_forgotten(table, result, given))
    return result, errors if told else None


def _forgotten(table: _Table, values: "array[float]", given: bytearray) -> str:
    """Remove the values of cells of which no row came; returns a sentence on them."""
    size = len(values) // len(given)
    missing = [cell for cell, came in enumerate(given) if not came]
    for place in (cell * size + number for cell in missing for number in range(size)):
        values[place] = math.nan
    return f"{table.file}: {len(missing)} cells are missing, such as number {missing[0]}; they have no value"


def _numbers(file: str, line: str, number: int) -> list[float]:
    words = line.rstrip(", \r\n").split(",")
    try:
        return [float(word) for word in words]
    except ValueError:
        return [_number(file, word.strip(), number) for word in words if word.strip()]


def _cell(file: str, counts: Sequence[int], own: Sequence[float], line: int) -> int:
    total = prod(counts)
    if len(own) == 3:
        inside = all(0 <= index < count for index, count in zip(own, counts, strict=True))
        cell = (own[0] * counts[1] + own[1]) * counts[2] + own[2] if inside else -1.0
    else:
        cell = own[0] if own else -1.0
    if not 0 <= cell < total or cell != int(cell):
        raise OutputError(file, f"line {line}: there is no such bin")
    return int(cell)


def _per_history(table: _Table, group: Sequence[float], primaries: int | None) -> tuple[float, float]:
    """A value per history and its standard error. TOPAS reports the deviation between histories."""
    scores = dict(zip(table.reports, group, strict=True))
    histories = scores.get(HISTORIES) or primaries
    error = math.nan
    if histories and (DEVIATION in scores or VARIANCE in scores):
        variance = scores[VARIANCE] if DEVIATION not in scores else scores[DEVIATION] ** 2
        error = math.sqrt(variance / histories) if variance >= 0.0 else math.nan
    if MEAN in scores:
        return scores[MEAN], error
    if SUM not in scores:
        raise OutputError(table.file, f"the scorer reports neither {MEAN} nor {SUM}")
    if table.quantity in AVERAGED:
        return scores[SUM] or math.nan, math.nan
    if table.quantity not in SUMMED or not histories:
        raise OutputError(table.file, f"the scorer must report {MEAN}: {SUM} of {table.quantity} is not per history")
    return scores[SUM] / histories, error


def _first_fastest(values: "array[float]", shape: Sequence[int]) -> "array[float]":
    """Values in the order of Fortran of values in that of C."""
    if not shape:
        return values
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    result = array("d")
    for places in product(*(range(size) for size in reversed(shape[1:]))):
        start = sum(place * stride for place, stride in zip(reversed(places), strides[1:], strict=True))
        result.extend(values[start :: strides[0]])
    return result


def _number(file: str, word: str, line: int | None = None) -> float:
    try:
        return float(word)
    except ValueError:
        raise OutputError(file, f"{f'line {line}: ' if line else ''}{word[:40]!r} is not a number") from None
