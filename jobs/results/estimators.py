"""Estimators with pages of numbers, in YAPTIDE's shape, and their checks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import msgspec

from jobs.results.bounds import SENTENCE, bounded
from jobs.results.names import printable

AXES = 3
"""The most axes of a page."""
LARGEST = 50_000_000
"""The most values of one page, unless a setting says otherwise."""
LONGEST = 1_000_000
"""The most bins of an axis."""
NAME, UNIT, NUMBER = 255, 64, 2**31 - 1
"""The most characters of a name and of a unit, and the largest number of a page."""

Way = Literal["mean", "ratio", "sum", "same"]
_WAYS: dict[str, Way] = {"0": "same", "1": "sum", "3": "ratio"}
"""What `page_normalized` of SHIELD-HIT12A's pages says: values that are the same in each run, such as a map of the
zones, counts, and quotients; all others are per primary (its SH_POSTPROC flags, pymchelper's AggregationType)."""


class Run(msgspec.Struct, frozen=True):
    """Numbers that were delivered apart: `count` of them, from the `first` of all."""

    first: int
    count: int

    def __len__(self) -> int:
        return self.count


Numbers = list[float | None] | Run
"""Numbers as they stand there, null for what is not finite, or where they are."""


class Series(msgspec.Struct, frozen=True):
    name: str
    unit: str
    values: Numbers


class Data(Series, frozen=True):
    """The values of a page, with the standard error of each, where the program tells it. `weights` has the divisor of
    each value that is a quotient of two sums, per primary."""

    errors: Numbers | None = None
    weights: Numbers | None = None


class Page(msgspec.Struct, frozen=True):
    """A page of numbers: `data.values` has as many as its axes span, the first axis fastest."""

    dimensions: int
    data: Data
    metadata: dict[str, str]
    axis_dim1: Series | None = None
    axis_dim2: Series | None = None
    axis_dim3: Series | None = None
    merging: Way | None = None

    @property
    def number(self) -> int:
        return int(self.metadata["page_number"])

    @property
    def axes(self) -> Sequence[Series]:
        return [axis for axis in (self.axis_dim1, self.axis_dim2, self.axis_dim3) if axis is not None]

    @property
    def way(self) -> Way:
        """How the values of several tasks are put together."""
        return self.merging or _WAYS.get(self.metadata.get("page_normalized", ""), "mean")


class Estimator(msgspec.Struct, frozen=True):
    name: str
    file_name: str
    metadata: dict[str, str]
    pages: list[Page]


class ResultError(ValueError):
    """The results contradict themselves; the message says where."""


@dataclass(frozen=True)
class Checked:
    """What of a result can be taken, and sentences that name what can't."""

    estimators: Sequence[Estimator]
    warnings: list[str] = field(default_factory=list)


class _Loose(msgspec.Struct, frozen=True):
    name: str
    file_name: str
    metadata: dict[str, str]
    pages: list[Any]


def read(data: Any, *, numbers: int = 0, largest: int = LARGEST) -> Checked:
    """The estimators of decoded JSON; `numbers` were delivered apart, and a page has at most `largest` values.

    A page that is wrong is left out, and named. Raises ResultError with the place of the error when nothing is right.
    """
    if not isinstance(data, list):
        raise ResultError("a result is a list of estimators")
    within, warnings = bounded(data)
    taken: dict[str, Estimator] = {}
    for place, given in enumerate(within):
        try:
            loose = _named(msgspec.convert(given, _Loose))
            _check_text(loose.name, NAME, "name")
            _check_text(loose.file_name, NAME, "file_name")
            if loose.file_name in taken:
                raise ResultError(f"another estimator has the file_name {loose.file_name}")
        except (ResultError, msgspec.ValidationError) as error:
            warnings.append(f"$[{place}]: {error}"[:SENTENCE])
            continue
        right = list(_pages(loose, numbers, largest, warnings))
        if right or not loose.pages:
            taken[loose.file_name] = Estimator(loose.name, loose.file_name, loose.metadata, right)
    if warnings and not any(estimator.pages for estimator in taken.values()):
        raise ResultError(warnings[0])
    return Checked(list(taken.values()), warnings)


def _named(loose: _Loose) -> _Loose:
    """The same with names that can be shown: they become those of files."""
    return msgspec.structs.replace(loose, name=printable(loose.name), file_name=printable(loose.file_name))


def _pages(loose: _Loose, numbers: int, largest: int, warnings: list[str]) -> Iterator[Page]:
    known: set[int] = set()
    for index, given in enumerate(loose.pages):
        where = f"{loose.file_name}, pages[{index}]"
        try:
            page = msgspec.convert(given, Page)
            _check(page, numbers, largest)
            if page.number in known:
                raise ResultError(f"another page has the page_number {page.number}")
        except (ResultError, msgspec.ValidationError) as error:
            warnings.append(f"{where}: {error}"[:SENTENCE])
            continue
        known.add(page.number)
        yield page


def _check(page: Page, numbers: int, largest: int) -> None:
    axes = page.axes
    given = (page.axis_dim1, page.axis_dim2, page.axis_dim3)
    if page.dimensions != len(axes) or any(axis is None for axis in given[: len(axes)]):
        raise ResultError(f"dimensions is {page.dimensions}, but {len(axes)} axes are given")
    number = page.metadata.get("page_number", "")
    if not (number.isascii() and number.isdecimal() and len(number) <= 10 and int(number) <= NUMBER):
        raise ResultError(f"metadata.page_number must be a number from 0 to {NUMBER}")
    _check_text(page.metadata.get("page_filter_name", ""), NAME, "metadata.page_filter_name")
    for name, named in (("data", page.data), *((f"axis_dim{n}", axis) for n, axis in enumerate(axes, 1))):
        _check_text(named.name, NAME, f"{name}.name")
        _check_text(named.unit, UNIT, f"{name}.unit")
    for axis in axes:
        if not len(axis.values):
            raise ResultError(f"{axis.name} has no bins")
        if len(axis.values) > LONGEST:
            raise ResultError(f"{axis.name} has {len(axis.values)} bins; at most {LONGEST} are allowed")
    expected = prod(len(axis.values) for axis in axes)
    for kind, series in (("values", page.data.values), ("errors", page.data.errors), ("weights", page.data.weights)):
        if series is not None and len(series) != expected:
            raise ResultError(f"{len(series)} {kind}, but the axes span {expected}")
    if expected > largest:
        raise ResultError(f"{expected} values; at most {largest} are allowed")
    for run in runs_of(page):
        if run.first < 0 or run.count < 0 or run.first + run.count > numbers:
            raise ResultError(f"numbers {run.first} to {run.first + run.count}; {numbers} were delivered")


def series_of(page: Page) -> Iterator[Numbers]:
    """All numbers of a page."""
    yield from (axis.values for axis in page.axes)
    yield from (one for one in (page.data.values, page.data.errors, page.data.weights) if one is not None)


def runs_of(page: Page) -> Iterator[Run]:
    return (one for one in series_of(page) if isinstance(one, Run))


def _check_text(text: str, most: int, where: str) -> None:
    if len(text) > most or "\0" in text:
        raise ResultError(f"{where} has at most {most} characters, none of them NUL")
