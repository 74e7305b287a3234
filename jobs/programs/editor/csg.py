"""Sets of points as unions of terms, and what is left around zones."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jobs.programs.editor.bodies import Body
from jobs.programs.editor.model import Terms
from jobs.programs.editor.work import TooMuchWork, Work

MAX_LEFT = 20_000
"""Parts at any time while zones are cut out."""
MAX_WORDS = 200_000
"""Bodies in the terms of all parts."""
UNCUT = (
    "found a world of more than {} parts around the zones, or one that takes too long to cut; allowed are zones of "
    "fewer figures, or of figures that lie apart"
)
"""What is told where nothing is left of `outside`."""


def bit(term: int) -> int:
    """A term as a bit of a number, other than that of its contrary."""
    return 1 << (2 * abs(term) + (term > 0))


def bits(terms: Iterable[int]) -> int:
    """Terms as the bits of a number."""
    number = 0
    for term in terms:
        number |= bit(term)
    return number


def without_larger(parts: Iterable[Terms], work: Work) -> list[Terms]:
    """The parts of a union without those that lie in another. Raises TooMuchWork."""
    given: dict[int, Terms] = {}
    for terms in parts:
        given.setdefault(bits(terms), terms)
    return [given[number] for number in _smallest(given, 0, work)]


def _smallest(numbers: Iterable[int], settled: int, work: Work) -> list[int]:
    """The parts that lie in no other, in their order. The first `settled` of them lie in none."""
    given = list(numbers)
    kept, new = given[:settled], sorted(given[settled:], key=int.bit_count)
    work.take(len(given) + len(new) * len(given))
    for one in new:
        if not any(other & one == other for other in kept):
            kept.append(one)
    smallest = set(kept)
    return [one for one in given if one in smallest]


def outside(
    world: int, unions: Iterable[Sequence[Terms]], bodies: Sequence[Body], most: int, work: Work
) -> list[Terms] | None:
    """What is left of body `world` without some unions, as parts of which none is known to be empty or superfluous.

    None when that takes more than `most` parts, or too much work: each term of a part that is cut out leaves one.
    """
    far = _far(bodies)
    parts, order = [bit(world)], {world: 0}
    try:
        for cut in (terms for union in unions for terms in union):
            for term in cut:
                order.setdefault(-term, len(order))
            parts = _without(parts, cut, far, work)
            if len(parts) > most or sum(map(int.bit_count, parts)) > MAX_WORDS:
                return None
    except TooMuchWork:
        return None
    return [tuple(sorted(_terms(part), key=order.__getitem__)) for part in parts]


def _without(parts: list[int], cut: Terms, far: Sequence[int], work: Work) -> list[int]:
    """Parts without the points of `cut`."""
    contrary, apart = bits(-term for term in cut), 0
    for term in cut:
        apart |= far[term] if term > 0 else 0
    same: list[int] = []
    changed: list[int] = []
    work.take(len(parts) + len(cut))
    for part in parts:
        if part & contrary or part & apart:
            same.append(part)
            continue
        work.take(len(cut))
        changed += _rests(part, cut, far)
        if len(changed) > MAX_LEFT:
            raise TooMuchWork
    return _smallest(dict.fromkeys([*same, *changed]), len(same), work)


def _rests(part: int, cut: Terms, far: Sequence[int]) -> Iterator[int]:
    """What each term leaves of a part."""
    for term in cut:
        if not part & bit(term) and (term > 0 or not part & far[-term]):
            yield part | bit(-term)


def _far(bodies: Sequence[Body]) -> list[int]:
    """For each body, counted from 1, those whose extents have nothing in common with its own, as bits."""
    centres = np.array([body.centre for body in bodies])
    halves = np.array([body.half for body in bodies])
    far = [0]
    for centre, half in zip(centres, halves, strict=True):
        apart = np.flatnonzero((np.abs(centres - centre) >= halves + half).any(axis=1))
        flags = np.zeros(2 * len(bodies) + 8, dtype=np.uint8)
        flags[2 * apart + 3] = 1
        far.append(int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little"))
    return far


def _terms(number: int) -> Iterator[int]:
    while number:
        place = (number & -number).bit_length() - 1
        yield place // 2 if place % 2 else -(place // 2)
        number &= number - 1


def whole(union: Sequence[Terms]) -> bool:
    """Whether a union is one body."""
    return len(union) == 1 and len(union[0]) == 1
