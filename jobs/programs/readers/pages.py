"""Estimators and pages in YAPTIDE's shape, checked so that an error names the file."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.programs.readers import OutputError


@dataclass(frozen=True)
class Axis:
    """`values` are the centres of the bins."""

    name: str
    unit: str
    values: Sequence[float]


def finite(values: Iterable[float]) -> list[float | None]:
    """The values, null for what is not finite."""
    return [float(value) if math.isfinite(value) else None for value in values]


def page(
    file: str,
    number: int,
    name: str,
    unit: str,
    axes: Sequence[Axis],
    values: Sequence[float],
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """A page of values, the first axis fastest; axes of one bin are left out. Raises OutputError."""
    where = f"page {number}, {name}"
    shown = [axis for axis in axes if len(axis.values) > 1]
    if len(shown) > 2:
        shape = " x ".join(str(len(axis.values)) for axis in shown)
        raise OutputError(file, f"{where}: {len(shown)} axes ({shape} bins); a page has at most 2 of more than one bin")
    expected = math.prod(len(axis.values) for axis in shown)
    if len(values) != expected:
        raise OutputError(file, f"{where}: {len(values)} values, but its axes span {expected}")
    result: dict[str, Any] = {
        "dimensions": len(shown),
        "data": {"name": name, "unit": unit, "values": finite(values)},
        "metadata": {**metadata, "name": name, "unit": unit, "page_number": str(number)},
    }
    for index, axis in enumerate(shown, start=1):
        result[f"axis_dim{index}"] = {"name": axis.name, "unit": axis.unit, "values": finite(axis.values)}
    return result


def estimator(
    name: str, file_name: str, metadata: Mapping[str, str], pages: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """An estimator; tasks' results are put together by `file_name`, which must not hold a task's number."""
    return {
        "name": name,
        "file_name": file_name,
        "metadata": {**metadata, "page_count": str(len(pages))},
        "pages": list(pages),
    }
