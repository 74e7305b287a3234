"""Which pages the tasks of a job delivered, and how those of each are put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from jobs.results.estimators import Estimator, Page, Way
from jobs.results.sums import Array


@dataclass
class Sheet:
    """A page of several tasks: as the first delivered it, the values of its axes, and the ordinals of all that did."""

    file_name: str
    first: Page
    axes: Sequence[Array]
    tasks: list[int] = field(default_factory=list)
    weighted: bool = True
    """Whether each task gave the divisors of its quotients."""
    errors: bool = False
    lacking: int = 0
    """How many values some of these tasks gave and others did not; known once they are merged."""

    @property
    def size(self) -> int:
        return prod(len(axis.values) for axis in self.first.axes)

    @property
    def way(self) -> Way:
        return self.first.way

    @property
    def approximate(self) -> bool:
        """Whether quotients of several tasks are averaged without their divisors."""
        return self.way == "ratio" and len(self.tasks) > 1 and not self.weighted


@dataclass
class Layout:
    """The estimators in the order in which they first came, with their pages. Estimators are matched by file name and
    pages by number. A page that is not the same as that of an earlier task is left out, and named."""

    warnings: list[str] = field(default_factory=list)
    _estimators: dict[str, Estimator] = field(default_factory=dict)
    _sheets: dict[str, dict[int, Sheet]] = field(default_factory=dict)

    def add(self, estimator: Estimator) -> None:
        """An estimator that a task delivered."""
        self._estimators.setdefault(estimator.file_name, estimator)
        self._sheets.setdefault(estimator.file_name, {})

    def put(self, task: int, file_name: str, page: Page, axes: Sequence[Array]) -> None:
        """A page of a task, of an estimator that was added, with the values of its axes."""
        sheets = self._sheets[file_name]
        if (sheet := sheets.get(page.number)) is None:
            sheet = sheets[page.number] = Sheet(file_name, page, axes)
        if (differs := _difference(sheet, page, axes)) is not None:
            self.warnings.append(
                f"{file_name}, page {page.number} of {page.data.name} differs in {differs} from that of task "
                f"{sheet.tasks[0]}: that of task {task} is left out"
            )
            return
        sheet.tasks.append(task)
        sheet.weighted = sheet.weighted and page.data.weights is not None
        sheet.errors = sheet.errors or page.data.errors is not None

    @property
    def estimators(self) -> Sequence[Estimator]:
        return list(self._estimators.values())

    def sheets(self) -> Iterator[Sheet]:
        """All pages, by estimator and number."""
        for sheets in self._sheets.values():
            yield from (sheets[number] for number in sorted(sheets))


def _difference(sheet: Sheet, page: Page, axes: Sequence[Array]) -> str | None:
    """In what a page differs from that of an earlier task, so that their values must not be merged."""
    first = sheet.first
    if (page.data.name, page.data.unit, page.way) != (first.data.name, first.data.unit, first.way):
        return "name, unit or kind of mean"
    if [(axis.name, axis.unit, len(axis.values)) for axis in page.axes] != [
        (axis.name, axis.unit, len(axis.values)) for axis in first.axes
    ]:
        return "shape or axes"
    same = all(np.allclose(own, other, rtol=1e-6, equal_nan=True) for own, other in zip(axes, sheet.axes, strict=True))
    return None if same else "the bins of an axis"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the values of a page."""

    sheet: Sheet
    start: int
    stop: int


def batches(layout: Layout, window: int) -> Iterator[list[Piece]]:
    """All values of all pages in pieces: some at a time, with at most `window` values together."""
    batch: list[Piece] = []
    room = window
    for sheet in layout.sheets():
        start = 0
        while start < sheet.size:
            if room < min(window, sheet.size - start):
                yield batch
                batch, room = [], window
            stop = min(sheet.size, start + room)
            batch.append(Piece(sheet, start, stop))
            room -= stop - start
            start = stop
    if batch:
        yield batch
