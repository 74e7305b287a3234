"""What a task delivers: estimators with pages of numbers, in YAPTIDE's shape."""

from typing import Any

import msgspec
import numpy as np

Numbers = list[float | None]
"""Null stands for a value that is not finite."""

LARGEST = 2_000_000
"""Values of one page."""


class Axis(msgspec.Struct, frozen=True):
    name: str
    unit: str
    values: Numbers


class Page(msgspec.Struct, frozen=True):
    """`data.values` has len(axis_dim1) x len(axis_dim2) numbers, the first axis fastest."""

    dimensions: int
    data: Axis
    metadata: dict[str, str]
    axis_dim1: Axis | None = None
    axis_dim2: Axis | None = None

    @property
    def number(self) -> int:
        return int(self.metadata["page_number"])


class Estimator(msgspec.Struct, frozen=True):
    name: str
    file_name: str
    metadata: dict[str, str]
    pages: list[Page]


class ResultError(ValueError):
    """The results contradict themselves; the message says where."""


def read(data: Any) -> list[Estimator]:
    """Estimators from decoded JSON, checked; raises ResultError with the place of what is wrong."""
    try:
        estimators = msgspec.convert(data, list[Estimator])
    except msgspec.ValidationError as error:
        raise ResultError(str(error)) from None
    names = [estimator.file_name for estimator in estimators]
    if len(set(names)) != len(names):
        raise ResultError("two estimators have the same file_name")
    for estimator in estimators:
        for index, page in enumerate(estimator.pages):
            _check(page, f"$[{estimator.file_name}].pages[{index}]")
        numbers = [page.number for page in estimator.pages]
        if len(set(numbers)) != len(numbers):
            raise ResultError(f"$[{estimator.file_name}]: two pages have the same page_number")
    return estimators


def _check(page: Page, where: str) -> None:
    axes = [axis for axis in (page.axis_dim1, page.axis_dim2) if axis is not None]
    if page.dimensions != len(axes) or (page.axis_dim2 is not None and page.axis_dim1 is None):
        raise ResultError(f"{where}: dimensions is {page.dimensions}, but {len(axes)} axes are given")
    expected = 1
    for axis in axes:
        expected *= len(axis.values)
    if len(page.data.values) != expected:
        raise ResultError(f"{where}: {len(page.data.values)} values, but the axes span {expected}")
    if expected > LARGEST:
        raise ResultError(f"{where}: {expected} values; at most {LARGEST} are allowed")
    if not page.metadata.get("page_number", "").isdecimal():
        raise ResultError(f"{where}: metadata.page_number must be a number")


def merge(parts: list[tuple[int, list[Estimator]]]) -> list[Estimator]:
    """One result from those of several tasks: each value is the mean weighted by the primaries done.

    `parts` holds (primaries, estimators) in the order of the tasks. Estimators are matched by file name and pages by
    number. What only some tasks delivered, a page or a value that is not null, is the mean over those.
    """
    found: dict[str, Estimator] = {}
    pages: dict[tuple[str, int], list[tuple[int, Page]]] = {}
    for primaries, estimators in parts:
        for estimator in estimators:
            found.setdefault(estimator.file_name, estimator)
            for page in estimator.pages:
                pages.setdefault((estimator.file_name, page.number), []).append((primaries, page))
    total = str(sum(primaries for primaries, _ in parts))
    return [
        msgspec.structs.replace(
            estimator,
            metadata={**estimator.metadata, "number_of_primaries": total},
            pages=[_mean(same) for (name, _), same in sorted(pages.items()) if name == estimator.file_name],
        )
        for estimator in found.values()
    ]


def _mean(same: list[tuple[int, Page]]) -> Page:
    first = same[0][1]
    shape = len(first.data.values)
    if any(len(page.data.values) != shape for _, page in same):
        raise ResultError(f"page {first.number} of {first.data.name} differs in shape between tasks")
    values = np.array([[np.nan if v is None else v for v in page.data.values] for _, page in same], dtype=np.float64)
    weights = np.array([primaries for primaries, _ in same], dtype=np.float64)[:, np.newaxis] * np.isfinite(values)
    shares = weights / np.maximum(weights.sum(axis=0), 1.0)
    mean = np.where(weights.any(axis=0), (shares * np.nan_to_num(values)).sum(axis=0), np.nan)
    merged: Numbers = [float(v) if finite else None for v, finite in zip(mean, np.isfinite(mean), strict=True)]
    return msgspec.structs.replace(first, data=msgspec.structs.replace(first.data, values=merged))
