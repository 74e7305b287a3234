"""Check, pack and merge results: estimators with pages of numbers, in YAPTIDE's shape."""

from typing import Any

import msgspec
import numpy as np

Numbers = list[float | None]
"""Values of a page; null stands for a value that is not finite."""

LARGEST = 2_000_000
"""The most values of one page."""
NAME, UNIT, NUMBER = 255, 64, 2**31 - 1
"""The most characters of a name and of a unit, and the largest number of a page."""


class Axis(msgspec.Struct, frozen=True):
    name: str
    unit: str
    values: Numbers


class Page(msgspec.Struct, frozen=True):
    """A page of numbers: `data.values` has len(axis_dim1) x len(axis_dim2) numbers, the first axis fastest."""

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
    """Checked estimators from decoded JSON; raises ResultError with the place of the error."""
    try:
        estimators = msgspec.convert(data, list[Estimator])
    except msgspec.ValidationError as error:
        raise ResultError(str(error)) from None
    names = [estimator.file_name for estimator in estimators]
    if len(set(names)) != len(names):
        raise ResultError("two estimators have the same file_name")
    for place, estimator in enumerate(estimators):
        _check_text(estimator.name, NAME, f"$[{place}].name")
        _check_text(estimator.file_name, NAME, f"$[{place}].file_name")
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
    number = page.metadata.get("page_number", "")
    if not (number.isascii() and number.isdecimal() and len(number) <= 10 and int(number) <= NUMBER):
        raise ResultError(f"{where}: metadata.page_number must be a number from 0 to {NUMBER}")
    _check_text(page.metadata.get("page_filter_name", ""), NAME, f"{where}: metadata.page_filter_name")
    for name, named in (("data", page.data), ("axis_dim1", page.axis_dim1), ("axis_dim2", page.axis_dim2)):
        if named is not None:
            _check_text(named.name, NAME, f"{where}.{name}.name")
            _check_text(named.unit, UNIT, f"{where}.{name}.unit")


def _check_text(text: str, most: int, where: str) -> None:
    if len(text) > most or "\0" in text:
        raise ResultError(f"{where} has at most {most} characters, none of them NUL")


KEPT, SUMMED = "0", "1"
"""What `page_normalized` of SHIELD-HIT12A's pages says of values that are the same in each run, such as a map of the
zones, and of those that are counts; all others are per primary (its SH_POSTPROC flags, pymchelper's AggregationType).
"""


class Merging:
    """Merges the results of several tasks into one: each value is the mean weighted by the primaries done; counts are
    summed.

    Estimators are matched by file name and pages by number. A page or value that only some tasks delivered (not null)
    is the mean over those. Parts are added one by one, so that only one is held in memory.
    """

    def __init__(self) -> None:
        self._primaries = 0
        self._estimators: dict[str, Estimator] = {}
        self._pages: dict[tuple[str, int], _Values] = {}

    def add(self, primaries: int, estimators: list[Estimator]) -> None:
        """Add the results of a task; raises ResultError when a page has another shape than the same page before."""
        self._primaries += primaries
        for estimator in estimators:
            self._estimators.setdefault(estimator.file_name, msgspec.structs.replace(estimator, pages=[]))
            for page in estimator.pages:
                key = (estimator.file_name, page.number)
                if key not in self._pages:
                    self._pages[key] = _Values(page)
                self._pages[key].add(primaries, page)

    def result(self) -> list[Estimator]:
        """The estimators in the order in which they first came, their pages by number."""
        metadata = {"number_of_primaries": str(self._primaries)}
        return [
            msgspec.structs.replace(
                estimator,
                metadata={**estimator.metadata, **metadata},
                pages=[values.page() for (file, _), values in sorted(self._pages.items(), key=_place) if file == name],
            )
            for name, estimator in self._estimators.items()
        ]


class _Values:
    """The values of a page, merged as its metadata say."""

    def __init__(self, page: Page) -> None:
        self._first = msgspec.structs.replace(page, data=msgspec.structs.replace(page.data, values=[]))
        self._way = page.metadata.get("page_normalized")
        self._sums = np.zeros(len(page.data.values))
        self._weights = np.zeros(len(page.data.values))

    def add(self, primaries: int, page: Page) -> None:
        if _shape(page) != _shape(self._first) or len(page.data.values) != len(self._sums):
            raise ResultError(f"page {page.number} of {page.data.name} differs in shape or unit between tasks")
        values = np.array([np.nan if v is None else v for v in page.data.values], dtype=np.float64)
        taken = np.isfinite(values)
        if self._way == KEPT:
            taken &= self._weights == 0
        weight = 1 if self._way in (KEPT, SUMMED) else primaries
        self._sums[taken] += weight * values[taken]
        self._weights[taken] += weight

    def page(self) -> Page:
        known = self._weights > 0
        divisor = np.ones_like(self._weights) if self._way == SUMMED else self._weights
        merged = np.divide(self._sums, divisor, out=np.zeros_like(self._sums), where=known)
        known &= np.isfinite(merged)
        values: Numbers = [
            value if there else None for value, there in zip(merged.tolist(), known.tolist(), strict=True)
        ]
        return msgspec.structs.replace(self._first, data=msgspec.structs.replace(self._first.data, values=values))


def _shape(page: Page) -> tuple[object, ...]:
    """What must be equal in pages whose values are merged."""
    axes = [axis and (axis.unit, len(axis.values)) for axis in (page.axis_dim1, page.axis_dim2)]
    return page.data.unit, page.metadata.get("page_normalized"), *axes


def _place(item: tuple[tuple[str, int], _Values]) -> tuple[str, int]:
    return item[0]
