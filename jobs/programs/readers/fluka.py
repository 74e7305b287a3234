"""FLUKA's unformatted results (<input>001_fort.21, ...): an estimator for each unit, of several cycles their mean."""

import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.readers import OutputError, Reading, fluka_records, named
from jobs.programs.readers.fluka_records import Run
from jobs.programs.readers.fluka_scores import Score, groups_score, has_groups_apart, score
from jobs.programs.readers.pages import estimator, page
from jobs.programs.shieldhit import names
from jobs.programs.shieldhit.names import Named

PATTERN = "*_fort.*"
INPUT = "*.inp"

_CYCLE = re.compile(r"(.*?)(\d{3})?_fort\.(\d+)")
_UNITS = {"USRBIN": 3, "USRBDX": 3, "USRTRACK": 3, "USRCOLL": 3, "USRYIELD": 3, "RESNUCLE": 2, "EVENTBIN": 3}
"""Cards that ask for output, and which of their numbers is the unit."""
_Cycle = tuple[Run, list[Score | None]]


def read(outputs: Outputs, primaries: int | None = None) -> Reading:
    """The estimators, one per unit number: of several cycles the mean, weighted by their primaries."""
    cycles: dict[tuple[str, str], list[Path]] = {}
    for path in outputs.fitting(PATTERN):
        if found := _CYCLE.fullmatch(path.name):
            cycles.setdefault((found[1], found[3]), []).append(path)
    if not cycles:
        raise OutputError(PATTERN, "no such file was written")
    called = names.found(outputs)
    reading = Reading([], files=[path for paths in cycles.values() for path in paths])
    for (stem, unit), paths in cycles.items():
        with named(reading.warnings, paths[0].name):
            name = f"{stem}_fort.{unit}"
            made = _estimator(name, unit, paths, called.get(name, Named(f"fort.{unit}")), reading.warnings)
            if made["pages"]:
                reading.estimators.append(made)
    with named(reading.warnings, INPUT):
        reading.warnings.extend(_missing(outputs, {unit for _, unit in cycles}))
    return reading


def _estimator(file_name: str, unit: str, paths: Sequence[Path], called: Named, warnings: list[str]) -> dict[str, Any]:
    cycles: list[_Cycle] = []
    for path in paths:
        with named(warnings, path.name):
            cycles.append(_cycle(path, warnings))
    pages = []
    for number in range(max((len(scores) for _, scores in cycles), default=0)):
        with named(warnings, paths[0].name):
            if (made := _mean(paths[0].name, number, cycles)) is not None:
                pages.append(_page(paths[0].name, number, made, called))
    metadata = _metadata([run for run, _ in cycles]) if cycles else {}
    return estimator(called.name, file_name, metadata | {"file_corename": f"fort.{unit}"}, pages)


def _cycle(path: Path, warnings: list[str]) -> _Cycle:
    """The scores of a file, None for one that can't be read: those of all detectors, then groups of neutrons that stand
    apart."""
    file = fluka_records.read(path)
    scores: list[Score | None] = []
    wanted = [(score, number) for number in range(len(file.detectors))]
    wanted += [(groups_score, number) for number, each in enumerate(file.detectors) if has_groups_apart(each)]
    for made, number in wanted:
        scores.append(None)
        with named(warnings, path.name):
            scores[-1] = made(file.detectors[number], path.name, number)
    return file.run, scores


def _mean(file: str, number: int, cycles: Sequence[_Cycle]) -> Score | None:
    """A score over the cycles in which it can be read, weighted by their primaries."""
    known = [(max(run.primaries, 1), scores[number]) for run, scores in cycles if number < len(scores)]
    parts = [(weight, part) for weight, part in known if part is not None]
    if len(parts) < 2:
        return parts[0][1] if parts else None
    first = parts[0][1]
    if any(len(part.values) != len(first.values) for _, part in parts):
        raise OutputError(file, f"page {number}, {first.name}: its cycles have different bins")
    total = sum(weight for weight, _ in parts)
    values = array("d", (_over(parts, total, place) for place in range(len(first.values))))
    return replace(first, values=values, errors=_errors(parts, total, values))


def _over(parts: Sequence[tuple[int, Score]], total: int, place: int) -> float:
    return sum(weight * part.values[place] for weight, part in parts) / total


def _errors(parts: Sequence[tuple[int, Score]], total: int, values: "array[float]") -> "array[float]":
    """Standard errors of means: from the cycles' own errors, else from the spread between cycles."""
    result = array("d")
    scale = len(parts) / (len(parts) - 1)
    for place, value in enumerate(values):
        own = [(weight, part.errors[place]) for weight, part in parts if part.errors is not None]
        if len(own) == len(parts):
            result.append(math.sqrt(sum((weight * error) ** 2 for weight, error in own)) / total)
        else:
            spread = sum((weight * (part.values[place] - value)) ** 2 for weight, part in parts)
            result.append(math.sqrt(scale * spread) / total)
    return result


def _page(file: str, number: int, made: Score, called: Named) -> dict[str, Any]:
    about = {**made.metadata, "title": made.title, **called.metadata(number)}
    return page(file, number, made.name, made.unit, made.axes, made.values, about, errors=made.errors, merging="mean")


def _metadata(runs: Sequence[Run]) -> dict[str, str]:
    return {
        "title": runs[0].title,
        "time": runs[0].time,
        "number_of_primaries": str(sum(run.primaries for run in runs)),
        "file_counter": str(sum(run.cycles for run in runs)),
        "file_format": "fluka_binary",
        "error_type": "none",
    }


def _missing(outputs: Outputs, units: set[str]) -> list[str]:
    """Sentences on the units that the input names and of which no file came."""
    asked: dict[str, str] = {}
    for path in outputs.folder.glob(INPUT):
        for line in outputs.text(path.name, "replace").splitlines():
            place = _UNITS.get(line[:8].strip())
            if place is None or "&" in line[70:78]:
                continue
            try:
                unit = int(float(line[10 * place : 10 * place + 10]))
            except (ValueError, OverflowError):
                continue
            if unit:
                asked.setdefault(str(unit), line[:8].strip())
    return [
        f"unit {number}, {card}: it is formatted, which is not read; unformatted units are negative numbers"
        if int(number) > 0
        else f"unit {number.lstrip('-')}, {card}: no file of it was written"
        for number, card in asked.items()
        if number.lstrip("-") not in units or int(number) > 0
    ]
