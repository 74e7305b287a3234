"""How much of a result is taken, and sentences that tell what is more. It needs only the standard library, since
workers have nothing else."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

ESTIMATORS, PAGES = 1_000, 10_000
"""The most estimators of a result, and the most pages of all of them."""
WARNINGS, SENTENCE = 100, 500
"""The most warnings of a result, and the most characters of one."""
MORE = re.compile(r"and (\d{1,9}) more")
"""The last of the warnings, when there were more than are taken."""


def shortened(warnings: Iterable[str]) -> list[str]:
    """The first warnings, then one that counts all others, also those that were left out before."""
    told: list[str] = []
    more = 0
    for text in warnings:
        if found := MORE.fullmatch(text):
            more += int(found[1])
        elif len(told) < WARNINGS:
            told.append(text[:SENTENCE])
        else:
            more += 1
    return told + ([f"and {more} more"] if more else [])


def bounded(estimators: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """The estimators that are taken, with their first pages, and sentences that name what is left out."""
    taken: list[Any] = []
    pages = left = 0
    for one in estimators[:ESTIMATORS]:
        given = one.get("pages") if isinstance(one, dict) else None
        given = given if isinstance(given, list) else []
        count = len(given)
        room = PAGES - pages
        pages += min(count, room)
        left += max(0, count - room)
        if count <= room:
            taken.append(one)
        elif room:
            taken.append({**one, "pages": given[:room]})
    warnings = []
    if len(estimators) > ESTIMATORS:
        warnings.append(
            f"{len(estimators) - ESTIMATORS} estimators are left out: a result has at most {ESTIMATORS}, not "
            f"{len(estimators)}"
        )
    if left:
        warnings.append(f"{left} pages are left out: a result has at most {PAGES}, not {PAGES + left}")
    return taken, warnings
