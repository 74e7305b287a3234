"""Numbers in the text of native input files, and the cards that they stand on."""

import re
from collections.abc import Iterator, Sequence

from jobs.programs.plan import InputError
from jobs.programs.shieldhit.cards import quoted

HERE = "here"
"""The group of a regular expression that is the number itself: what is read there is what is replaced."""
MAX_WHOLE = 2**63 - 1

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]{1,3})?")
_CARD = re.compile(r"\(\?[^:)]*[:>]|\\.|\[[^]]*\]|([A-Za-z0-9]+(?:/[A-Za-z0-9]+)*)")


def whole(text: str) -> int | None:
    """The whole number, 0 or greater, that a word such as 137, 137.0 or 1.0D3 stands for; None for anything else."""
    word = text.strip()
    if not _NUMBER.fullmatch(word):
        return None
    if word.removeprefix("+").isdecimal():
        value = int(word) if len(word) < 100 else -1
    else:
        real = float(word.lower().replace("d", "e"))
        value = int(real) if real.is_integer() and abs(real) <= MAX_WHOLE else -1
    return value if 0 <= value <= MAX_WHOLE else None


def matches(regex: str, text: str, ignored: str | None) -> Iterator[re.Match[str]]:
    """Where a regular expression fits a text, beside what `ignored` fits: titles, comments and the like."""
    spans = [found.span() for found in re.finditer(ignored, text, re.MULTILINE)] if ignored else []
    place = 0
    for match in re.finditer(regex, text, re.MULTILINE):
        while place < len(spans) and spans[place][1] <= match.start():
            place += 1
        if place == len(spans) or not spans[place][0] <= match.start():
            yield match


def card(regex: str) -> str:
    """What people call the line that a regular expression finds: its longest word."""
    words = [found[1] for found in _CARD.finditer(regex) if found[1]]
    return max(words, key=len, default=regex)


def line_of(match: re.Match[str]) -> int:
    """The line of a match, from 1; that of its first group, if it has one."""
    return match.string.count("\n", 0, match.start(1 if match.re.groups else 0)) + 1


def number(found: Sequence[tuple[str, re.Match[str]]], what: str, low: int, high: int) -> int | None:
    """The number on the only card that was found, by its file; None for no card. Raises InputError."""
    if not found:
        return None
    (first, match), *others = found
    for name, other in others:
        message = f"card {card(other.re.pattern)}, the {what}, is given twice; first in {first}, line {line_of(match)}"
        raise InputError(name, line_of(other), message)
    text = (match[1] or "").strip()
    value = whole(text)
    if value is None or not low <= value <= high:
        message = f"{quoted(text)} as the {what}; allowed are whole numbers from {low} to {high}"
        raise InputError(first, line_of(match), message)
    return value
