"""The distance of two sounds: dynamic time warping over the distances of their frames."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.programs.evaluators.features import Frames

Array = NDArray[np.float64]

_VALUES = 2_000_000
"""Numbers of the largest array of a batch of pairs."""
_NOISE = 1e-12
"""Of the size of what is subtracted. Frames that are nearer count as the same: the difference may be rounding."""
_FLOOR = 1e-10
"""The least probability in a distribution, so that logarithms are finite."""


def distances_of(sounds: Sequence[Frames], distance: str, done: Callable[[int], None]) -> Array:
    """The distance of each sound from each: n x n, symmetric, zeros on the diagonal. `done` is told finished pairs.

    The best path of the alignment steps by one frame in either sound or in both, and has the least sum of frame
    distances; among several of those, the fewest steps. The distance is the mean of frame distances along it.
    """
    prepared = [PREPARED[distance](frames) for frames in sounds]
    flat = np.concatenate(prepared)
    lengths = np.array([len(frames) for frames in prepared])
    starts = np.cumsum(lengths) - lengths
    longer, shorter = np.triu_indices(len(prepared), 1)
    swap = lengths[longer] < lengths[shorter]
    longer, shorter = np.where(swap, shorter, longer), np.where(swap, longer, shorter)
    order = np.lexsort((lengths[shorter], lengths[longer]))[::-1]  # the longest first: each batch is cut to its first
    longer, shorter = longer[order], shorter[order]
    result = np.zeros((len(prepared), len(prepared)))
    start = 0
    while start < len(longer):
        most = int(lengths[longer[start]])
        end = start + max(1, _VALUES // (most * max(most, flat.shape[1])))
        one, other = longer[start:end], shorter[start:end]
        pairs = FRAME_DISTANCES[distance](_padded(flat, starts, lengths, one), _padded(flat, starts, lengths, other))
        result[one, other] = result[other, one] = warped(pairs, lengths[one], lengths[other])
        done(len(one))
        start = end
    return result


def _padded(flat: Frames, starts: NDArray[np.intp], lengths: NDArray[np.intp], chosen: NDArray[np.intp]) -> Array:
    """The frames of the chosen sounds: sounds x frames x dimensions. What follows after a sound's end is never used."""
    places = starts[chosen, None] + np.arange(lengths[chosen].max())
    return np.asarray(flat[np.minimum(places, len(flat) - 1)])


def warped(pairs: Array, lengths: NDArray[np.intp], other_lengths: NDArray[np.intp]) -> Array:
    """The mean frame distance along the best path of each pair; `pairs` is pairs x frames x frames.

    It goes through the diagonals, on which no cell depends on another: a cell (i, j) of diagonal k = i + j follows
    (i - 1, j) and (i, j - 1) of diagonal k - 1, and (i - 1, j - 1) of k - 2. Arrays of a diagonal have i + 1 as place.
    """
    count, rows, columns = pairs.shape
    last = lengths + other_lengths - 2
    result = np.empty(count)
    sums = [np.full((count, rows + 1), np.inf) for _ in range(3)]
    steps = [np.zeros((count, rows + 1), np.int32) for _ in range(3)]
    sums[1][:, 0] = 0  # before the first cell, as the diagonal -2
    for k in range(rows + columns - 1):
        new, two, one = k % 3, (k + 1) % 3, (k + 2) % 3
        low, high = max(0, k - columns + 1), min(rows - 1, k) + 1
        at = np.arange(low, high)
        best, taken = sums[two][:, low:high], steps[two][:, low:high]
        for place in (slice(low, high), slice(low + 1, high + 1)):
            candidate, candidate_steps = sums[one][:, place], steps[one][:, place]
            better = (candidate < best) | ((candidate == best) & (candidate_steps < taken))
            best, taken = np.where(better, candidate, best), np.where(better, candidate_steps, taken)
        best, taken = best + pairs[:, at, k - at], taken + 1
        sums[new].fill(np.inf)
        sums[new][:, low + 1 : high + 1], steps[new][:, low + 1 : high + 1] = best, taken
        ended = np.flatnonzero(last == k)
        result[ended] = sums[new][ended, lengths[ended]] / steps[new][ended, lengths[ended]]
    return result


def _unit(frames: Frames) -> Frames:
    largest = np.abs(frames).max(axis=1, keepdims=True)
    scaled = frames / np.where(largest > 0, largest, 1)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norms > 0, norms, 1))


def _distribution(frames: Frames) -> Frames:
    shares = frames / frames.max(axis=1, keepdims=True)
    shares = np.maximum(shares / shares.sum(axis=1, keepdims=True), _FLOOR)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _angle(one: Array, other: Array) -> Array:
    """The angle of unit vectors over pi, from 0 to 1. A frame of zeros is at 1/2 from others, at 0 from another."""
    cosines = np.matmul(one, other.swapaxes(1, 2))
    zeros = (one == 0).all(axis=2, keepdims=True) & (other == 0).all(axis=2, keepdims=True).swapaxes(1, 2)
    cosines = np.where(zeros | (cosines > 1 - _NOISE), 1, np.maximum(cosines, -1))
    return np.asarray(np.arccos(cosines) / np.pi)


def _euclidean(one: Array, other: Array) -> Array:
    sizes = (one**2).sum(axis=2)[:, :, None] + (other**2).sum(axis=2)[:, None, :]
    squares = sizes - 2 * np.matmul(one, other.swapaxes(1, 2))
    return np.sqrt(np.where(squares < _NOISE * sizes, 0, squares))


def _divergence(one: Array, other: Array) -> Array:
    """The mean of both Kullback-Leibler divergences of distributions, in nats."""
    log_one, log_other = np.log(one), np.log(other)
    own = (one * log_one).sum(axis=2)[:, :, None] + (other * log_other).sum(axis=2)[:, None, :]
    crossed = np.matmul(one, log_other.swapaxes(1, 2)) + np.matmul(log_one, other.swapaxes(1, 2))
    return np.where(own - crossed < _NOISE * (1 - own), 0, own - crossed) / 2


PREPARED: dict[str, Callable[[Frames], Frames]] = {
    "cosine": _unit,
    "euclidean": lambda frames: frames,
    "kl": _distribution,
}
FRAME_DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "cosine": _angle,
    "euclidean": _euclidean,
    "kl": _divergence,
}
