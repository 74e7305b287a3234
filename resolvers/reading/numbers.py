"""Numbers of a page: all that its row or its slabs have, or those of some bins."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import sqlalchemy as sa

from db.models import SLAB, SLABBED, PageSlab
from resolvers.failures import Invalid, LimitExceeded
from resolvers.reading.ranges import Span

NUMBERS = 1_000_000
"""The most numbers of a page in one answer."""
DIGITS = 20
"""About the bytes of a number with its comma."""
COLUMNS = ("content", "value_count", "axis1_count", "axis2_count", "axis3_count")
"""The columns that numbers are read by."""

Select = Callable[[sa.Select[Any]], Awaitable[Sequence[Any]]]
Turn = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs work in a thread when it is the client's turn."""
Spend = Callable[[int], None]
"""Counts the bytes of the answer; raises when they are too many."""
Bins = Sequence[Sequence[Span] | None]
"""The wanted bins of each axis, None for all."""
Places = npt.NDArray[np.int64]
"""Places of numbers within a page, ascending."""


def too_many(value: int | None = None) -> LimitExceeded:
    """The failure for more numbers than one answer has; without `value` for a page of unknown size."""
    told = f"an answer has at most {NUMBERS:,} numbers of a page: ask for some of its bins, or fetch its `downloadUrl`"
    if value is None:
        return LimitExceeded(told, limit="numbers", allowed=NUMBERS)
    return LimitExceeded(told, limit="numbers", allowed=NUMBERS, value=value)


async def chosen(select: Select, turn: Turn, spend: Spend, row: Any, key: str, bins: Bins) -> bytes | None:
    """The wanted numbers of a column of a page's row, as a JSON array, the first axis fastest and bins ascending; None
    where there are none. Raises INVALID for bins that are not there, LIMIT_EXCEEDED for too many numbers."""
    whole = getattr(row, key)
    if row.content is None and all(one is None for one in bins):
        return None if whole is None else str(whole).encode()
    counts = [count for count in (row.axis1_count, row.axis2_count, row.axis3_count) if count is not None]
    wanted = [_within(number, spans, counts) for number, spans in enumerate(bins, 1)]
    spans = [one for one in wanted[: len(counts)] if one is not None]
    number = prod(sum(last - first + 1 for first, last in one) for one in spans)
    if number > NUMBERS:
        raise too_many(number)
    spend(number * DIGITS)
    if row.content is None:
        return None if whole is None else await turn(lambda: _of_text(str(whole), _places(counts, spans)))
    found: list[bytes] = []
    for which, places in await turn(lambda: _by_slab(_places(counts, spans))):
        text = await slab(select, row.content, key, which)
        if text is None:
            return None
        found.append(await turn(partial(_taken, text, places)))
    return b"[%b]" % b",".join(found)


async def slab(select: Select, content: Any, key: str, number: int) -> str | None:
    """A slab of a column of a page's content: its numbers between commas; None where there is no such slab."""
    which = (PageSlab.content == content, PageSlab.series == SLABBED[key], PageSlab.number == number)
    rows = await select(sa.select(PageSlab.text).where(*which))
    return rows[0].text if rows else None


def _within(number: int, spans: Sequence[Span] | None, counts: Sequence[int]) -> Sequence[Span] | None:
    """The spans of bins of an axis; INVALID for those that it does not have."""
    if number > len(counts):
        if spans is not None:
            raise Invalid(f"the page has no axis {number}", field=f"axis{number}", allowed=len(counts))
        return None
    if spans is None:
        return [(0, counts[number - 1] - 1)]
    if spans[-1][1] >= counts[number - 1]:
        last = counts[number - 1] - 1
        raise Invalid(f"axis {number} has bins 0 to {last}", field=f"axis{number}", allowed=last, value=spans[-1][1])
    return spans


def _places(counts: Sequence[int], spans: Sequence[Sequence[Span]]) -> Places:
    """The places of the numbers of all bins."""
    places: Places = np.zeros(1, dtype=np.int64)
    for axis in reversed(range(len(counts))):
        bins = np.concatenate([np.arange(first, last + 1) for first, last in spans[axis]])
        places = (places[:, None] + bins * prod(counts[:axis])).ravel()
    return places


def _by_slab(places: Places) -> list[tuple[int, list[int]]]:
    """Which slabs hold these places, and where in them."""
    slabs, inside = np.divmod(places, SLAB)
    numbers, firsts = np.unique(slabs, return_index=True)
    parts = np.split(inside, firsts[1:])
    return [(int(number), part.tolist()) for number, part in zip(numbers, parts, strict=True)]


def _taken(text: str, places: Sequence[int]) -> bytes:
    numbers = text.split(",")
    return ",".join([numbers[place] for place in places]).encode()


def _of_text(text: str, places: Places) -> bytes:
    numbers = orjson.loads(text)
    return orjson.dumps([numbers[place] for place in places.tolist()])
