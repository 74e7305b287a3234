"""Volumes of zones: exact for whole bodies, else integrated along rays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.programs.editor.bodies import Body
from jobs.programs.editor.model import Terms, Zone
from jobs.programs.editor.rays import crossed
from jobs.programs.editor.work import TooMuchWork, Work
from jobs.programs.plan import InputError

ACCURACY = 1e-3
"""How far two refinements may differ, as a fraction."""
FEWEST, MOST = 2**10, 2**22
"""Rays through a term, four times as many with each refinement."""
HITS = 64
"""Rays that must meet a term's bodies, unless what the term can have at most does not matter."""
CELLS = 100_000
"""Numbers of an array."""
CELLS_OF_A_STEP = 80

_GOLDEN = (math.sqrt(5) - 1) / 2

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Piece:
    """A term without the points of earlier ones, in a box that has all of it: a corner, and edges at right angles."""

    terms: Terms
    earlier: tuple[Terms, ...]
    corner: Vectors
    edges: Vectors
    most: float

    @property
    def bodies(self) -> list[int]:
        """The bodies whose surfaces bound the piece."""
        return sorted({abs(term) for terms in (self.terms, *self.earlier) for term in terms})

    @property
    def cost(self) -> int:
        """Numbers to compute for a ray."""
        number = len(self.bodies)
        return 2 * number * (number + len(self.terms) + sum(map(len, self.earlier)) + 20)


class Volumes:
    """Volumes of zones that bodies make up, each found once."""

    def __init__(self, bodies: Sequence[Body], work: Work) -> None:
        self._bodies = bodies
        self._work = work
        self._known: dict[tuple[Terms, ...], float] = {}

    def of(self, zone: Zone) -> float:
        """The volume of a zone in cm3, right to 0.1 %; raises InputError when it can't be found so well."""
        if zone.terms not in self._known:
            try:
                self._known[zone.terms] = self._volume(zone.terms)
            except TooMuchWork:
                message = "its volume can't be found: its parts are too small or too many; allowed are simpler zones"
                raise InputError(zone.path, None, message) from None
        return self._known[zone.terms]

    def _volume(self, union: tuple[Terms, ...]) -> float:
        exact, pieces = 0.0, list[_Piece]()
        for index, terms in enumerate(union):
            self._work.take(sum(map(len, union[: index + 1])) * 20)
            made = self._piece(terms, union[:index])
            if isinstance(made, _Piece):
                pieces.append(made)
            else:
                exact += made
        before, rays = -1.0, FEWEST
        while pieces and rays <= MOST:
            self._work.take(rays * sum(piece.cost for piece in pieces) // CELLS_OF_A_STEP + 1)
            found = [self._measured(piece, rays) for piece in pieces]
            total = exact + sum(size for size, _ in found)
            told = all(
                hits >= HITS or piece.most <= ACCURACY * total / len(pieces)
                for piece, (_, hits) in zip(pieces, found, strict=True)
            )
            if told and total > 0 and abs(total - before) <= ACCURACY * total:
                return total
            before, rays = total, 4 * rays
        if pieces or not exact:
            raise TooMuchWork
        return exact

    def _piece(self, terms: Terms, earlier: Sequence[Terms]) -> _Piece | float:
        """A term without those before it: its volume where that is known, what bounds it otherwise."""
        solid = [self._bodies[term - 1] for term in terms if term > 0]
        low = np.max([np.subtract(body.centre, body.half) for body in solid], axis=0)
        high = np.min([np.add(body.centre, body.half) for body in solid], axis=0)
        if (high <= low).any():
            return 0.0
        near = self._near(terms, low, high)
        assert near is not None
        others = tuple(
            reached
            for one in earlier
            if not any(-term in near for term in one) and (reached := self._near(one, low, high)) is not None
        )
        if any(set(other) <= set(near) for other in others):
            return 0.0
        if len(near) == 1 and not others:
            return solid[0].volume
        frames = [(low, np.diag(high - low)), *(frame for body in solid if (frame := _frame(body)))]
        corner, edges = min(frames, key=lambda frame: float(np.prod(np.linalg.norm(frame[1], axis=1))))
        return _Piece(near, others, corner, edges, min(body.volume for body in solid))

    def _near(self, terms: Terms, low: Vectors, high: Vectors) -> Terms | None:
        """The terms whose bodies reach into a box; None where one of them leaves nothing of it."""
        found: list[int] = []
        for term in terms:
            body = self._bodies[abs(term) - 1]
            apart = bool(
                (np.subtract(body.centre, body.half) >= high).any() or (np.add(body.centre, body.half) <= low).any()
            )
            if apart and term > 0:
                return None
            if not apart:
                found.append(term)
        return tuple(found)

    def _measured(self, piece: _Piece, rays: int) -> tuple[float, int]:
        """The volume by so many rays, and how many of these meet the bodies that the piece lies in."""
        length, hits = 0.0, 0
        lengths = np.linalg.norm(piece.edges, axis=1)
        along, first, second = np.argsort(lengths)
        most = max(1, CELLS // (2 * len(piece.bodies)))
        for start in range(0, rays, most):
            number = np.arange(start, min(start + most, rays))
            points = (
                piece.corner[:, None]
                + np.outer(piece.edges[first], (number + 0.5) / rays)
                + np.outer(piece.edges[second], (number * _GOLDEN + 0.5) % 1.0)
            )
            more, met = self._along(piece, points, piece.edges[along] / lengths[along], lengths[along])
            length, hits = length + more, hits + met
        return length / rays * float(lengths[first] * lengths[second]), hits

    def _along(self, piece: _Piece, points: Vectors, direction: Vectors, reach: float) -> tuple[float, int]:
        """The length of rays from `points` within the piece, all together, and how many meet its bodies."""
        spans = {
            number: np.clip(crossed(self._bodies[number - 1], points, direction), 0.0, reach) for number in piece.bodies
        }
        ends = np.sort(np.concatenate(list(spans.values())), axis=0)
        middles, widths = (ends[1:] + ends[:-1]) / 2, np.diff(ends, axis=0)
        within = {number: (low < middles) & (middles < high) for number, (low, high) in spans.items()}
        inside = _all(piece.terms, within, middles.shape)
        for terms in piece.earlier:
            inside &= ~_all(terms, within, middles.shape)
        solid = [spans[term] for term in piece.terms if term > 0]
        met = np.max([low for low, _ in solid], axis=0) < np.min([high for _, high in solid], axis=0)
        return float(widths[inside].sum()), int(met.sum())


def _all(terms: Terms, within: dict[int, npt.NDArray[np.bool_]], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where all terms hold."""
    mask = np.ones(shape, dtype=np.bool_)
    for term in terms:
        mask &= within[term] if term > 0 else ~within[-term]
    return mask


def _frame(body: Body) -> tuple[Vectors, Vectors] | None:
    """The corner and the edges of a box around a body, in the body's own directions; None for a sphere."""
    if body.kind == "sphere":
        return None
    edges = np.array(body.edges)
    if body.kind == "cylinder":
        (axis,) = edges
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        both = np.array([across, np.cross(axis, across)])
        both *= 2 * body.radius / np.linalg.norm(both, axis=1)[:, None]
        edges = np.array([axis, *both])
    return np.array(body.centre) - edges.sum(axis=0) / 2, edges
