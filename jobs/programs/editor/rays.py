"""Where rays enter and leave bodies."""

import math

import numpy as np
import numpy.typing as npt

from jobs.programs.editor.bodies import Body

Vectors = npt.NDArray[np.float64]

_PARALLEL = 1e-12


def crossed(body: Body, points: Vectors, direction: Vectors) -> Vectors:
    """The distances in cm, shape (2, n), at which rays from `points`, shape (3, n), enter and leave a body.

    `direction` has the length 1. Both distances are 0 where a ray misses.
    """
    away = points - np.array(body.centre)[:, None]
    if body.kind == "sphere":
        low, high = _round(away, direction, body.radius)
    else:
        low, high = np.full((2, points.shape[1]), [[-math.inf], [math.inf]])
        for edge in map(np.array, body.edges):
            length = float(np.linalg.norm(edge))
            enter, leave = _between(edge / length @ away, float(edge @ direction) / length, length / 2)
            low, high = np.maximum(low, enter), np.minimum(high, leave)
        if body.kind == "cylinder":
            unit = np.array(body.edges[0]) / math.hypot(*body.edges[0])
            flat = away - np.outer(unit, unit @ away)
            enter, leave = _round(flat, direction - unit * (unit @ direction), body.radius)
            low, high = np.maximum(low, enter), np.minimum(high, leave)
    return np.where(low < high, np.array([low, high]), 0.0)


def _between(place: Vectors, speed: float, half: float) -> tuple[Vectors, Vectors]:
    """Between two planes, which are at -half and half."""
    if abs(speed) < _PARALLEL:
        inside = np.abs(place) <= half
        return np.where(inside, -math.inf, 0.0), np.where(inside, math.inf, 0.0)
    middle, width = -place / speed, abs(half / speed)
    return middle - width, middle + width


def _round(away: Vectors, direction: Vectors, radius: float) -> tuple[Vectors, Vectors]:
    """Within a distance of a point, or of an axis at right angles to all that is given."""
    square = float(direction @ direction)
    if square < _PARALLEL**2:
        inside = (away**2).sum(axis=0) <= radius**2
        return np.where(inside, -math.inf, 0.0), np.where(inside, math.inf, 0.0)
    nearest = -(direction @ away) / square
    gap = radius**2 - ((away + np.outer(direction, nearest)) ** 2).sum(axis=0)
    half = np.sqrt(np.maximum(gap, 0.0) / square)
    return nearest - half, nearest + half
