"""ABX errors of sounds: how often X is closer to B, of another phone, than to A, of its own phone."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.programs.evaluators.catalogue import ACROSS, WITHIN
from jobs.programs.evaluators.items import Item

MOST_SOUNDS = 4000
"""In one block: the memory for their distances grows with the square."""
TIE = 1e-9
"""Two distances are equal if they differ by less than this share of them."""
_COMPARED = 4_000_000
"""Triples that are compared at a time."""

Array = NDArray[np.float64]


class Cell(NamedTuple):
    """Triples of one context: A and X of one phone, B of another; A and B of one speaker, X of `x_speaker`.

    The arrays have the places of the items in the block.
    """

    phones: tuple[str, str]
    speaker: str
    x_speaker: str
    a: list[int]
    b: list[int]
    x: list[int]


@dataclass
class Block:
    """Items whose distances are needed together, by their indices, and the cells made of them."""

    items: list[int]
    cells: list[Cell] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        return len(self.items) * (len(self.items) - 1) // 2


def blocks_of(items: Sequence[Item], modes: Sequence[str]) -> list[Block]:
    """The blocks of items that have triples: of one context, and of one speaker if none are compared across."""
    together: dict[Hashable, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        together[item.context if ACROSS in modes else (item.context, item.speaker)].append(index)
    blocks = []
    for indices in together.values():
        used = {indices[place] for cell in _cells(items, indices, modes) for part in cell[3:] for place in part}
        if used:
            chosen = sorted(used)
            blocks.append(Block(chosen, list(_cells(items, chosen, modes))))
    return blocks


def _cells(items: Sequence[Item], indices: Sequence[int], modes: Sequence[str]) -> Iterator[Cell]:
    spoken: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, index in enumerate(indices):
        spoken[items[index].speaker][items[index].phone].append(place)
    for speaker, phones in spoken.items():
        for own, a in phones.items():
            for x_speaker, x_phones in spoken.items():
                mode = WITHIN if x_speaker == speaker else ACROSS
                x = x_phones.get(own, [])
                if mode in modes and len(x) > (mode == WITHIN):
                    for other, b in phones.items():
                        if other != own:
                            yield Cell((own, other), speaker, x_speaker, a, b, x)


def triples(cell: Cell) -> int:
    same = cell.speaker == cell.x_speaker
    return (len(cell.a) - same) * len(cell.b) * len(cell.x)


def error(distances: Array, cell: Cell) -> float:
    """The share of triples with d(A, X) > d(B, X), half for ties; `distances` is n x n. Within a speaker A is not X."""
    to_a, to_b = distances[np.ix_(cell.x, cell.a)], distances[np.ix_(cell.x, cell.b)]
    if cell.speaker == cell.x_speaker:
        np.fill_diagonal(to_a, -np.inf)  # never further, never a tie
    low, high = to_b * (1 - TIE), to_b * (1 + TIE)
    size, twice = max(1, _COMPARED // (len(cell.a) * len(cell.b))), 0
    for start in range(0, len(cell.x), size):
        part = slice(start, start + size)
        one = to_a[part, :, None]
        twice += int(np.count_nonzero(one > high[part, None, :]) + np.count_nonzero(one >= low[part, None, :]))
    return twice / 2 / triples(cell)


class Errors:
    """The errors of cells of one mode, averaged over contexts, then pairs of speakers, then pairs of phones."""

    def __init__(self) -> None:
        self._by_speakers: dict[tuple[tuple[str, str], tuple[str, str]], list[float]] = defaultdict(list)
        self.triples = 0

    def add(self, cell: Cell, value: float) -> None:
        self._by_speakers[cell.phones, (cell.speaker, cell.x_speaker)].append(value)
        self.triples += triples(cell)

    def averaged(self) -> tuple[float, int]:
        """The error, and the number of ordered pairs of phones."""
        by_phones: dict[tuple[str, str], list[float]] = defaultdict(list)
        for (phones, _), values in self._by_speakers.items():
            by_phones[phones].append(float(np.mean(values)))
        return float(np.mean([np.mean(values) for values in by_phones.values()])), len(by_phones)
