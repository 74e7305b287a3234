"""Estimators and pages in YAPTIDE's shape, checked so that an error names the file."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.programs.readers import OutputError

AXES = 3
"""The most axes of a page."""


@dataclass(frozen=True)
class Axis:
    """`values` are the centres of the bins."""

    name: str
    unit: str
    values: Sequence[float]


def numbers(values: Iterable[float]) -> "array[float]":
    """Numbers as a page has them."""
    return values if isinstance(values, array) else array("d", values)


def page(
    file: str,
    number: int,
    name: str,
    unit: str,
    axes: Sequence[Axis],
    values: Iterable[float],
    metadata: Mapping[str, str],
    *,
    errors: Iterable[float] | None = None,
    weights: Iterable[float] | None = None,
    merging: str | None = None,
) -> dict[str, Any]:
    """A page of values, the first axis fastest; axes of one bin are left out. Raises OutputError."""
    where = f"page {number}, {name}"
    shown = [axis for axis in axes if len(axis.values) > 1]
    if len(shown) > AXES:
        shape = " x ".join(str(len(axis.values)) for axis in shown)
        raise OutputError(
            file, f"{where}: {len(shown)} axes ({shape} bins); a page has at most {AXES} of more than one bin"
        )
    expected = math.prod(len(axis.values) for axis in shown)
    data: dict[str, Any] = {"name": name, "unit": unit}
    for kind, given in (("values", values), ("errors", errors), ("weights", weights)):
        if given is None:
            continue
        data[kind] = numbers(given)
        if len(data[kind]) != expected:
            raise OutputError(file, f"{where}: {len(data[kind])} {kind}, but its axes span {expected}")
    result: dict[str, Any] = {
        "dimensions": len(shown),
        "data": data,
        "metadata": {**metadata, "name": name, "unit": unit, "page_number": str(number)},
    }
    if merging is not None:
        result["merging"] = merging
    for index, axis in enumerate(shown, start=1):
        result[f"axis_dim{index}"] = {"name": axis.name, "unit": axis.unit, "values": numbers(axis.values)}
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
