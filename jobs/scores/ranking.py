"""Rank entries: by one column, then by ties, each in its direction. Missing numbers come last and have no rank."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from jobs.scores.columns import Column
from jobs.scores.values import number


class Counting(Enum):
    """Which runs of one submitter count: the best, the latest, all, or the one that the submitter chose."""

    BEST = "BEST"
    LATEST = "LATEST"
    ALL = "ALL"
    CHOSEN = "CHOSEN"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that may come onto a leaderboard. `submitter` is a person or a team; None for what came from outside.
    `order` decides where nothing else does, so that a ranking is stable: the earlier run is first."""

    key: Hashable
    scores: dict[str, Any]
    submitter: Hashable = None
    at: datetime | None = None
    chosen: bool = False
    baseline: bool = False
    order: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A run with its place, from 1, and its rank: 1, 1, 3. Without a rank it is a baseline, or lacks its number."""

    run: Run
    place: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a leaderboard is ranked. Without columns runs keep their order."""

    by: Sequence[Column] = ()
    counting: Counting = Counting.ALL

    def places(self, runs: Iterable[Run]) -> list[Placed]:
        """The runs that count, placed. Runs that are equal in all columns share a rank."""
        counted = sorted(self.counted(runs), key=self._key)
        placed: list[Placed] = []
        rank, ranked, before = 0, 0, None
        for place, run in enumerate(counted, 1):
            values = self._values(run)
            if run.baseline or (self.by and values[0] is None):
                placed.append(Placed(run, place, None))
                continue
            ranked += 1
            if values != before or not self.by:
                rank, before = ranked, values
            placed.append(Placed(run, place, rank))
        return placed

    def counted(self, runs: Iterable[Run]) -> list[Run]:
        """The runs that count; what came from outside always does."""
        if self.counting is Counting.ALL:
            return list(runs)
        kept: list[Run] = []
        of: dict[Hashable, Run] = {}
        for run in runs:
            if run.submitter is None:
                kept.append(run)
            elif self.counting is Counting.CHOSEN:
                if run.chosen:
                    kept.append(run)
            elif (held := of.get(run.submitter)) is None or self._better(run, held):
                of[run.submitter] = run
        return kept + list(of.values())

    def _better(self, run: Run, held: Run) -> bool:
        if self.counting is Counting.LATEST:
            return (run.at is not None, run.at, run.order) > (held.at is not None, held.at, held.order)
        return self._key(run) < self._key(held)

    def _values(self, run: Run) -> tuple[float | int | None, ...]:
        return tuple(number(run.scores, column.path) for column in self.by)

    def _key(self, run: Run) -> tuple[Any, ...]:
        """Where a run stands: missing numbers last, in whatever direction."""
        values = zip(self._values(run), self.by, strict=True)
        keys = [
            (value is None, 0 if value is None else -value if column.descending else value) for value, column in values
        ]
        return (*keys, run.baseline, run.order)


def ranking(columns: Sequence[Column], rank_by: str | None, ties: Sequence[str], counting: Counting) -> Ranking:
    """The ranking by the columns of these keys. Raises KeyError for a key that no column has."""
    known: Callable[[str], Column] = {column.key: column for column in columns}.__getitem__
    keys = [] if rank_by is None else [rank_by, *(key for key in ties if key != rank_by)]
    return Ranking([known(key) for key in keys], counting)
