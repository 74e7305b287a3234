"""Numbers in scores, by dotted paths such as `f1.macro` or `speakers.0.error`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DEPTH = 32
"""The most levels of scores."""


def found(scores: Any, path: str) -> Any:
    """What stands at a path; None where there is nothing. A key that holds dots itself is found, too: the longest key
    that fits goes before shorter ones."""
    return _found(scores, path.split("."))


def _found(at: Any, words: Sequence[str]) -> Any:
    if not words:
        return at
    if isinstance(at, Mapping):
        for number in range(len(words), 0, -1):
            if (key := ".".join(words[:number])) in at:
                return _found(at[key], words[number:])
        return None
    if isinstance(at, list) and words[0].isdecimal() and int(words[0]) < len(at):
        return _found(at[int(words[0])], words[1:])
    return None


def number(scores: Any, path: str) -> float | int | None:
    """The finite number at a path; None for anything else, so that it is never sorted."""
    value = found(scores, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def finite(value: Any, path: str = "") -> tuple[Any, list[str]]:
    """A JSON value with null for what no finite double holds, and the paths of those."""
    lost: list[str] = []
    return _finite(value, path, lost, 0), lost


def _finite(value: Any, path: str, lost: list[str], depth: int) -> Any:
    if depth > DEPTH:
        raise ValueError(f"{path}: it is more than {DEPTH} levels deep")
    if isinstance(value, dict):
        return {key: _finite(one, f"{path}.{key}" if path else str(key), lost, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one, f"{path}.{n}" if path else str(n), lost, depth + 1) for n, one in enumerate(value)]
    if isinstance(value, int | float) and not isinstance(value, bool) and not _holds(value):
        lost.append(path)
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # which JSON has, and few that read it
        return float(value)
    return value


def _holds(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def put(scores: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path, in objects that are made on the way."""
    *above, last = path.split(".")
    at = scores
    for word in above:
        inner = at.setdefault(word, {})
        if not isinstance(inner, dict):  # a column above it shows all of it already
            return
        at = inner
    at[last] = value


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        yield path
    for key, inner in items:
        yield from leaves(inner, f"{path}.{key}" if path else str(key))
