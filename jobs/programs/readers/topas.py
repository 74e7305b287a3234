"""TOPAS' scorers as CSV, as OpenTOPAS' TsVBinnedScorer writes them (PrintHeader, PrintASCII).

Read here and not with pymchelper, which takes energy bins whose width has a fraction for none, needs every row, and
does not read Sum, which is what scorers report unless told otherwise.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from jobs.programs.readers import OutputError
from jobs.programs.readers.pages import Axis, estimator, page

PATTERN = "*.csv"
BEGINNING = "# TOPAS Version"

MEAN, SUM, HISTORIES = "Mean", "Sum", "Histories_with_Scorer_Active"
REPORTS = frozenset(
    (MEAN, SUM, HISTORIES, "Count_in_Bin", "Second_Moment", "Variance", "Standard_Deviation", "Min", "Max")
)
SUMMED = frozenset(
    (
        *("DoseToMedium", "DoseToWater", "DoseToMaterial", "EnergyDeposit", "Charge", "EffectiveCharge"),
        *("TrackLengthEstimator", "Fluence", "EnergyFluence", "AmbientDoseEquivalent"),
        *("StepCount", "OpticalPhotonCount", "OriginCount", "SurfaceCurrent", "SurfaceTrackCount"),
    )
)
"""Quantities whose Sum is one over histories."""
AVERAGED = frozenset(("ProtonLET",))
"""Quantities whose Sum is the quotient of two sums, a mean already."""

_NUMBER = r"([-+0-9.eE]+)"
_BINS = re.compile(rf"# (X|Y|Z|R|Phi|Theta) in (\d+) bins? +of {_NUMBER} (\S+)")
_QUANTITY = re.compile(r"# (\S+)(?: \( (.*) \))? : (.*)")
_BINNED = re.compile(rf"# Binned by (.+) in (\d+) bins? +of {_NUMBER} (\S+) from {_NUMBER} \S+ to {_NUMBER} \S+")
_SPARSE = re.compile(r"# Showing only rows that have sum > (.*)")


def read(folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators, one per file, per history; CSV files that TOPAS did not write are passed over."""
    estimators = []
    for path in sorted(folder.glob(PATTERN)):
        text = path.read_text(encoding="utf-8", errors="replace")
        if not text.startswith(BEGINNING[: len(text)]):
            continue
        if not text.endswith("\n"):
            raise OutputError(path.name, "it is empty or cut short")
        estimators.append(_estimator(path, text.splitlines(), primaries))
    if not estimators:
        raise OutputError(PATTERN, "no such file was written by TOPAS")
    return estimators


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


def _estimator(path: Path, lines: Sequence[str], primaries: int | None) -> dict[str, Any]:
    table = _table(path.name, [line for line in lines if line.startswith("#")])
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    values = _values(table, rows, primaries)
    metadata = {**table.metadata, "file_corename": path.stem, "file_format": "csv", "error_type": "none"}
    if primaries is not None:
        metadata["number_of_primaries"] = str(primaries)
    about = {"dettyp": table.quantity, "title": table.scorer}
    if table.sparse is not None:
        about["left_out_up_to"] = table.sparse
    if "filtered_by" in table.metadata:
        about["page_filter_name"] = table.metadata["filtered_by"]
    ordered = _first_fastest(values, [len(axis.values) for axis in table.axes])
    only = page(path.name, 0, table.quantity, table.unit, table.axes, ordered, about)
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
        elif ": " in line:
            key, text = line[2:].split(": ", 1)
            about.setdefault(key.lower().replace(" ", "_"), text.strip())
    if quantity is None:
        raise OutputError(file, "its header does not say which values it holds")
    if len(space) not in (0, 3):
        raise OutputError(file, f"its header gives bins along {len(space)} axes, not 3")
    scorer = about.get("results_for_scorer", Path(file).stem)
    return _Table(file, scorer, *quantity, space, binned, single, sparse, about)


def _axis(file: str, name: str, unit: str, count: int, low: float, high: float) -> Axis:
    if not 1 <= count <= 100_000_000:
        raise OutputError(file, f"{count} bins along {name}")
    width = (high - low) / count
    return Axis(name, unit, [low + width * (index + 0.5) for index in range(count)])


def _values(table: _Table, rows: Sequence[tuple[int, str]], primaries: int | None) -> list[float]:
    """Values per history, the last axis fastest; 0 for rows that a sparse file leaves out."""
    bins = len(table.binned.values) if table.binned else 0
    cells = prod(len(axis.values) for axis in table.space)
    indexed = bins == 0 and cells > 1
    indices = (1 if table.single_index else 3) if indexed else 0
    if not (indexed and table.sparse is not None) and len(rows) != cells:
        raise OutputError(table.file, f"{len(rows)} rows of values, not {cells}: it is cut short")
    result = [0.0] * (cells * max(bins, 1))
    width = len(table.reports)
    for position, (number, line) in enumerate(rows):
        numbers = [_number(table.file, word.strip(), number) for word in line.split(",") if word.strip()]
        own, scores = numbers[:indices], numbers[indices:]
        cell = _cell(table, own, number) if indexed else position
        extra = len(scores) // width - bins - 1 if bins else 0
        if len(scores) % width or (extra not in (1, 2) if bins else len(scores) != width):
            raise OutputError(table.file, f"line {number}: {len(numbers)} numbers; it is cut short or damaged")
        groups = [scores[start : start + width] for start in range(0, len(scores), width)]
        wanted = groups[1 : bins + 1] if bins else groups  # without underflow, overflow and hits without a track
        for place, group in enumerate(wanted):
            result[cell * max(bins, 1) + place] = _per_history(table, group, primaries)
    return result


def _cell(table: _Table, own: Sequence[float], line: int) -> int:
    counts = [len(axis.values) for axis in table.space]
    total = prod(counts)
    if len(own) == 3:
        inside = all(0 <= index < count for index, count in zip(own, counts, strict=True))
        cell = (own[0] * counts[1] + own[1]) * counts[2] + own[2] if inside else -1.0
    else:
        cell = own[0] if own else -1.0
    if not 0 <= cell < total or cell != int(cell):
        raise OutputError(table.file, f"line {line}: there is no such bin")
    return int(cell)


def _per_history(table: _Table, group: Sequence[float], primaries: int | None) -> float:
    scores = dict(zip(table.reports, group, strict=True))
    if MEAN in scores:
        return scores[MEAN]
    if SUM not in scores:
        raise OutputError(table.file, f"the scorer reports neither {MEAN} nor {SUM}")
    if table.quantity in AVERAGED:
        return scores[SUM]
    histories = scores.get(HISTORIES) or primaries
    if table.quantity not in SUMMED or not histories:
        raise OutputError(table.file, f"the scorer must report {MEAN}: {SUM} of {table.quantity} is not per history")
    return scores[SUM] / histories


def _first_fastest(values: list[float], shape: Sequence[int]) -> list[float]:
    """Values in the order of Fortran of values in that of C."""
    sizes = [size for size in shape if size > 1]
    if len(sizes) != 2:
        return values
    first, second = sizes
    return [values[i * second + j] for j in range(second) for i in range(first)]


def _number(file: str, word: str, line: int | None = None) -> float:
    try:
        return float(word)
    except ValueError:
        raise OutputError(file, f"{f'line {line}: ' if line else ''}{word[:40]!r} is not a number") from None
