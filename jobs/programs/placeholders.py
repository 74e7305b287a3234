"""Placeholders such as {seed} or {seed:>10} in the words of a command and in edits of input files."""

import re
import string
from collections.abc import Mapping

_WIDTH = re.compile(r"([<>]?\d{1,3})?")


def check(text: str, allowed: frozenset[str], name: str) -> None:
    """Raise ValueError, which begins with `name`, for a placeholder that is not `allowed`."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{name}: {text!r}: {error}") from None
    for _, word, width, conversion in parts:
        if word is None:
            continue
        if word not in allowed:
            raise ValueError(f"{name}: unknown placeholder {{{word}}}; there are {', '.join(sorted(allowed))}")
        if conversion or not _WIDTH.fullmatch(width or ""):
            raise ValueError(f"{name}: {{{word}}} takes a width such as >10 alone")


def names_in(text: str) -> set[str]:
    return {word for _, word, _, _ in string.Formatter().parse(text) if word is not None}


def filled(text: str, values: Mapping[str, object]) -> str:
    return "".join(
        literal + (format(str(values[word]), width or "") if word is not None else "")
        for literal, word, width, _ in string.Formatter().parse(text)
    )
