"""The cells of a detector, and the pieces into which their borders cut straight steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jobs.programs.plan import Axis, Detector
from jobs.programs.proton_beam.physics import Array

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

TOGETHER = 500_000
"""The most borders that are looked at together, which bounds the memory; one step alone may cross more."""


@dataclass(frozen=True)
class Pieces:
    """Pieces of steps, all of shape (n,): the number of the step, the cell, the share of the step's length (0 to 1),
    and where the piece's middle lies along the step (0 to 1)."""

    step: Indices
    cell: Indices
    share: Array
    middle: Array


class _Crossed(NamedTuple):
    """Borders that each step crosses in one direction: how many, the first, +1 or -1 to the next, and a function that
    gives the place along a step (0 to 1) at which it crosses a border."""

    borders: Indices
    first: Indices
    sign: Indices
    place: Callable[[Indices, Array], Array]


class Grid:
    """Cells of a detector, numbered with the first axis fastest."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def cells(self, point: Array) -> tuple[Indices, Mask]:
        """Cell numbers of the points (3, n) inside, and the mask (n,) of these points."""
        x, y, z = point
        values = (np.hypot(x, y), z) if self.detector.kind == "Cyl" else (x, y, z)
        index = np.zeros(x.shape, dtype=np.intp)
        inside = np.ones(x.shape, dtype=np.bool_)
        stride = 1
        for axis, value in zip(self.detector.axes, values, strict=True):
            bins = _bins(axis, value)
            inside &= (bins >= 0) & (bins < axis.bins)
            index += stride * np.clip(bins, 0, axis.bins - 1)
            stride *= axis.bins
        return index[inside], inside

    def pieces(self, start: Array, way: Array) -> Iterator[Pieces]:
        """Pieces of steps from `start` to `start + way`, both of shape (3, n), that lie inside; some at a time."""
        crossed, near = self._crossed(start, way)
        count = np.sum([one.borders for one in crossed], axis=0)
        whole = np.flatnonzero(near & (count == 0))
        if whole.size:
            yield self._inside(start, way, whole, np.ones(whole.size), np.full(whole.size, 0.5))
        cut = np.flatnonzero(near & (count > 0))
        block = np.cumsum(count[cut]) // TOGETHER
        for steps in np.split(cut, np.flatnonzero(np.diff(block)) + 1) if cut.size else ():
            yield self._cut(start, way, steps, crossed)

    def _cut(self, start: Array, way: Array, steps: Indices, crossed: list[_Crossed]) -> Pieces:
        """Pieces of these steps, each of which crosses a border."""
        owners, places = [steps, steps], [np.zeros(steps.size), np.ones(steps.size)]
        for borders, first, sign, place in crossed:
            owner = np.repeat(steps, borders[steps])
            if owner.size:
                ordinal = np.arange(owner.size) - np.repeat(np.cumsum(borders[steps]) - borders[steps], borders[steps])
                owners.append(owner)
                places.append(np.clip(place(owner, (first[owner] + sign[owner] * ordinal).astype(float)), 0.0, 1.0))
        owner, along = np.concatenate(owners), np.concatenate(places)
        order = np.lexsort((along, owner))
        owner, along = owner[order], along[order]
        share = np.diff(along)
        real = (owner[1:] == owner[:-1]) & (share > 0.0)
        middle = 0.5 * (along[1:] + along[:-1])
        return self._inside(start, way, owner[:-1][real], share[real], middle[real])

    def _inside(self, start: Array, way: Array, step: Indices, share: Array, middle: Array) -> Pieces:
        cell, inside = self.cells(start[:, step] + way[:, step] * middle)
        return Pieces(step[inside], cell, share[inside], middle[inside])

    def _crossed(self, start: Array, way: Array) -> tuple[list[_Crossed], Mask]:
        """The borders that the steps cross, and the mask of the steps that may lie inside."""
        if self.detector.kind == "Cyl":
            rings, near = _rings(self.detector.axes[0], start[:2], way[:2])
            planes, between = _planes(self.detector.axes[1], start[2], way[2])
            return [*rings, planes], near & between
        found = [_planes(axis, *pair) for axis, *pair in zip(self.detector.axes, start, way, strict=True)]
        return [planes for planes, _ in found], np.logical_and.reduce([between for _, between in found])


def _bins(axis: Axis, value: Array) -> Indices:
    """Numbers of bins, -1 before the first and `axis.bins` after the last."""
    bins = np.floor((value - axis.start) * (axis.bins / (axis.stop - axis.start)))
    return np.clip(bins, -1, axis.bins).astype(np.intp)


def _borders(axis: Axis, numbers: Array) -> Array:
    return axis.start + numbers * ((axis.stop - axis.start) / axis.bins)


def _between(low: Indices, high: Indices, place: Callable[[Indices, Array], Array]) -> _Crossed:
    """The borders between two bins, in either order."""
    up = high >= low
    return _Crossed(np.abs(high - low), np.where(up, low + 1, low), np.where(up, 1, -1), place)


def _planes(axis: Axis, start: Array, way: Array) -> tuple[_Crossed, Mask]:
    first, last = _bins(axis, start), _bins(axis, start + way)
    outside = (first == last) & ((first < 0) | (first == axis.bins))
    return _between(first, last, lambda step, border: (_borders(axis, border) - start[step]) / way[step]), ~outside


def _rings(axis: Axis, start: Array, way: Array) -> tuple[list[_Crossed], Mask]:
    """A step comes nearer to the axis at first, then goes away from it."""
    squared = np.maximum(np.sum(way * way, axis=0), 1e-300)
    nearest = -np.sum(start * way, axis=0) / squared
    distance = np.sum((start + way * nearest) ** 2, axis=0)

    def chord(step: Indices, border: Array) -> Array:
        """Half of what lies within a radius, as a share of the step."""
        half: Array = np.sqrt(np.maximum(_borders(axis, border) ** 2 - distance[step], 0.0) / squared[step])
        return half

    first, last = _bins(axis, np.hypot(*start)), _bins(axis, np.hypot(*(start + way)))
    lowest = np.minimum(_bins(axis, np.hypot(*(start + way * np.clip(nearest, 0.0, 1.0)))), np.minimum(first, last))
    outside = (lowest == axis.bins) | ((first < 0) & (last < 0))
    inwards = _between(first, lowest, lambda step, border: nearest[step] - chord(step, border))
    outwards = _between(lowest, last, lambda step, border: nearest[step] + chord(step, border))
    return [inwards, outwards], ~outside
