"""The value and the standard error of each cell of a page, over the tasks of a job.

Every value is a quotient of two sums, a / b. For a value per primary, b counts the primaries. For a mean over
particles, such as a dose-averaged LET, b is the sum of the weights, so that the result does not depend on how the
primaries were shared among tasks. With T tasks and the value V = sum(a) / sum(b), the standard error is
sqrt(sum(b^2 e^2)) / sum(b) where each task told its own error e, else that of the spread between tasks,
sqrt(T / (T - 1) * sum((a - V b)^2)) / sum(b): the ratio estimator for clusters (Cochran, Sampling Techniques, 1977,
6.4 and 9A.1).
"""

import numpy as np
import numpy.typing as npt

from jobs.results.estimators import Way

Array = npt.NDArray[np.float64]


class Sums:
    """Sums over tasks, all of shape (n,). Squares are of the distances to the first known value, in units of the
    first distance: so digits are kept, and neither the largest nor the smallest doubles are left.

    `weighted` says that quotients are merged with the weights that all tasks gave.
    """

    def __init__(self, way: Way, size: int, *, weighted: bool = False) -> None:
        self._way, self._weighted = way, weighted
        self._added = 0
        self._first = np.full(size, np.nan)
        self._unit = np.zeros(size)
        self._tasks, self._known, self._told = (np.zeros(size, dtype=np.int32) for _ in range(3))
        self._a, self._b, self._distance, self._squares, self._moments, self._spread, self._own = np.zeros((7, size))

    def add(self, primaries: int, values: Array, errors: Array | None = None, weights: Array | None = None) -> None:
        """Add what a task gave, NaN for what is not known."""
        self._added += 1
        with np.errstate(all="ignore"):  # a value that overflows is none
            self._add(primaries, values, errors, weights)

    def _add(self, primaries: int, values: Array, errors: Array | None, weights: Array | None) -> None:
        known = np.isfinite(values)
        there, b = known, np.full(values.shape, float(primaries))
        if self._weighted and weights is not None:
            there = np.isfinite(weights)
            b *= np.where(there, weights, 0.0)
            known = known & (b > 0)
        b = np.where(known, b, 0.0)
        scale = 1.0 / primaries if self._way == "sum" else 1.0
        own = np.where(known, values, 0.0)
        each = own * scale
        self._first = np.where(np.isnan(self._first) & known, each, self._first)
        distance = np.where(known, each - self._first, 0.0)
        self._unit = np.where((self._unit == 0) & (distance != 0), np.abs(distance), self._unit)
        distance = np.where(distance == 0, 0.0, distance / self._unit)
        self._tasks += there
        self._known += known
        self._a += own if self._way == "sum" else b * own
        self._b += b
        self._distance += b * distance
        self._squares += b**2
        self._moments += b**2 * distance
        self._spread += (b * distance) ** 2
        if errors is not None:
            told = known & np.isfinite(errors)
            self._told += told
            each_error = np.where(told, errors, 0.0) * scale
            self._own = np.hypot(self._own, b * each_error)

    @property
    def lacking(self) -> int:
        """How many values some of the tasks gave, and others did not."""
        given = np.where(self._known > 0, self._known, self._added)
        return int(np.count_nonzero(given < self._added))

    def result(self) -> tuple[Array, Array | None]:
        """Values and standard errors, NaN for what is not known; no errors where none is."""
        if self._way == "same":
            return self._first, None
        known = self._known > 0
        with np.errstate(all="ignore"):
            total = np.where(known, self._b, np.nan)
            shift = self._distance / total
            values = np.where(known, self._a, np.nan) if self._way == "sum" else self._a / total
            if self._way != "sum":  # what is beyond the largest double in between, and the mean is not
                values = np.where(np.isfinite(values), values, self._first + shift * self._unit)
            spread = np.maximum(self._spread - 2 * shift * self._moments + shift**2 * self._squares, 0.0)
            tasks = np.where(self._known > 1, self._tasks, np.nan)  # of one task alone there is no spread
            between = np.sqrt(tasks / (tasks - 1) * spread) / total * self._unit
            errors = np.where(known & (self._told == self._known), self._own / total, between)
            if self._way == "sum":
                errors = errors * total
            errors = np.where(np.isfinite(values), errors, np.nan)
        return values, errors if np.isfinite(errors).any() else None
