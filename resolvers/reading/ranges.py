"""Ranges of numbers as people write them: `1-3,5`."""

import re
from collections.abc import Iterator

from resolvers.failures import Invalid, LimitExceeded

MOST = 1_000
"""The most numbers in one text."""
LENGTH = 1_000
_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def numbers_in(text: str, field: str) -> list[int]:
    """The numbers that a text such as `1-3,5` names, each once, in order.

    INVALID for another grammar or a range that runs backwards, LIMIT_EXCEEDED for more than `MOST`.
    """
    found: set[int] = set()
    for first, last in _parts(text, field):
        found.update(range(first, min(last, first + MOST) + 1))
        if len(found) > MOST:
            raise LimitExceeded(f"at most {MOST} numbers are taken at once", field=field, limit="numbers", allowed=MOST)
    return sorted(found)


Span = tuple[int, int]
"""The first and the last number of a range."""


def spans_in(text: str, field: str) -> list[Span]:
    """The ranges that a text such as `1-3,5` names, in order, joined where they touch. INVALID for another grammar or a
    range that runs backwards."""
    found: list[Span] = []
    for first, last in sorted(_parts(text, field)):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _parts(text: str, field: str) -> Iterator[tuple[int, int]]:
    for part in text[: LENGTH + 1].split(","):
        matched = _PART.fullmatch(part.strip())
        if matched is None or len(text) > LENGTH:
            raise Invalid(
                "numbers are given as 1-3,5: whole numbers and ranges of them, with commas between, in at most "
                f"{LENGTH} characters",
                field=field,
            )
        first = int(matched[1])
        last = first if matched[2] is None else int(matched[2])
        if last < first:
            raise Invalid(f"the range {first}-{last} runs backwards; write {last}-{first}", field=field)
        yield first, last
