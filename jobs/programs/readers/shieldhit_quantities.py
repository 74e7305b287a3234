"""How SHIELD-HIT12A's quantities are put together over tasks: means per primary, sums, or quotients of two sums.

A quotient is merged by its divisor, where that was scored too: with the same filter, on the same bins. The divisor of
what is averaged over doses is the dose, of what is averaged over tracks the fluence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

PARTICLES = 63
"""MCPL: a list of particles and no page."""
FLUENCE, DOSE, CHARGED = 2, 5, 22
_DOSE, _TRACK, _CHARGED_TRACK = (DOSE,), (FLUENCE,), (CHARGED, FLUENCE)
DIVISORS: Mapping[int, Sequence[int]] = {
    **dict.fromkeys((6, 16, 46, 48, 54, 61, 66, 67), _DOSE),
    **dict.fromkeys((7, 17, 47, 49, 53, 62), _CHARGED_TRACK),
    **dict.fromkeys((8, 9), _TRACK),
    **dict.fromkeys((4, 21, 58, 59, 60), ()),
}
"""Quantities that are quotients, by their numbers in SHIELD-HIT12A (DLET is 6, TLET 7, AVG-ENERGY 8), with those that
are their divisors, the best first. Of some the divisor is no quantity."""
SAME = frozenset((11, 18, 19, 20))
"""Maps of materials, zones, media and densities."""


def merging(page: Any) -> str | None:
    """How a page is merged; None where its `page_normalized` says so."""
    if getattr(page, "page_normalized", None) is not None:
        return None
    return "ratio" if _number(page) in DIVISORS else "same" if _number(page) in SAME else "mean"


def is_quotient(page: Any) -> bool:
    normalised = getattr(page, "page_normalized", None)
    return int(normalised) == 3 if normalised is not None else _number(page) in DIVISORS


def divisor(page: Any, pages: Sequence[Any]) -> Any | None:
    """The page of the same file that has the divisors of a quotient, if any."""
    for wanted in DIVISORS.get(_number(page), ()):
        for other in pages:
            if _number(other) == wanted and not is_quotient(other) and _place(other) == _place(page):
                return other
    return None


def _number(page: Any) -> int:
    return int(page.dettyp)


def _place(page: Any) -> tuple[object, ...]:
    """What two pages must share: the filter, and the differential bins."""
    bins = [tuple(map(float, getattr(page, f"page_diff_{name}", ()))) for name in ("start", "stop", "size")]
    return getattr(page, "page_filter_name", ""), *bins
