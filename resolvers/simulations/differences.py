"""The difference of the inputs of two simulations: of texts as unified diffs, of JSON values by their paths."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from resolvers.context import Context
from resolvers.simulations.inputs import Input, read_input

CONTEXT = 3
"""Lines of context around each change of a text."""
COMPARED = 1_000_000
"""Pairs of lines that are compared in all; texts that differ in more are told as one that replaces the other."""
TEXT, VALUE, TOTAL = 100_000, 10_000, 500_000
"""The most characters of one diff, the most bytes of one value, and the most of all diffs or values together."""
CHANGES = 1_000
"""The most changes of JSON values."""


class Kind(Enum):
    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class TextChange:
    """A file that only one input has, or whose texts differ. `diff` is a unified diff; it is cut at a line unless it is
    `complete`."""

    name: str
    kind: Kind
    diff: str
    complete: bool


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A value that only one JSON document has, or that differs. `path` is a JSON Pointer (RFC 6901). Unless the change
    is `complete`, its values are too large and left out."""

    path: str
    kind: Kind
    before: Any = None
    after: Any = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """`values` is None unless both inputs are projects of the editor. `complete` is false when something was left
    out."""

    texts: Sequence[TextChange]
    values: Sequence[ValueChange] | None
    complete: bool


async def difference(ctx: Context, key: UUID, other: UUID) -> Difference:
    """What differs in the input of `other` from that of the first. Raises as `read_input` does, for each of the two."""
    before, after = await read_input(ctx, key, "simulation"), await read_input(ctx, other, "other")
    return await ctx.services.jobs.inputs.run(ctx.lane, partial(compared, before, after))


def compared(before: Input, after: Input) -> Difference:
    texts = list(_texts(before.files, after.files))
    values, whole = None, True
    if before.project is not None and after.project is not None:
        values, whole = bounded(value_changes(before.project, after.project))
    every = (*texts, *(values or ()))
    return Difference(texts, values, whole and all(one.complete for one in every))


def _texts(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[TextChange]:
    left, pairs = TOTAL, COMPARED
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        kind = Kind.ADDED if old is None else Kind.REMOVED if new is None else Kind.CHANGED
        lines = _lines(old or ""), _lines(new or "")
        same = _alike(*lines)
        asked = (len(lines[0]) - same) * (len(lines[1]) - same)
        diff, complete = _cut(unified(name, *lines, same, whole=asked > pairs), min(TEXT, left))
        left -= len(diff)
        pairs -= asked if asked <= pairs else 0
        yield TextChange(name, kind, diff, complete)


def _cut(lines: Iterator[str], most: int) -> tuple[str, bool]:
    """As many lines as the characters allow, and whether these are all."""
    found: list[str] = []
    for line in lines:
        most -= len(line) + 1
        if most < 0:
            return "".join(found), False
        found.append(f"{line}\n")
    return "".join(found), True


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the beginning of both."""
    shorter = min(len(old), len(new))
    return next((n for n in range(shorter) if old[n] != new[n]), shorter)


def unified(name: str, old: Sequence[str], new: Sequence[str], same: int, *, whole: bool) -> Iterator[str]:
    """The lines of a unified diff of lines of which the first are the `same`. With `whole`, all others are one hunk,
    which takes time in proportion to their number."""
    if not whole:
        yield from difflib.unified_diff(old, new, name, name, n=CONTEXT, lineterm="")
        return
    start = max(0, same - CONTEXT)
    yield from (f"--- {name}", f"+++ {name}")
    yield f"@@ -{start + 1},{len(old) - start} +{start + 1},{len(new) - start} @@"
    yield from (f" {line}" for line in old[start:same])
    yield from (f"-{line}" for line in old[same:])
    yield from (f"+{line}" for line in new[same:])


def _lines(text: str) -> list[str]:
    """The lines; what follows the last line end is marked as diffs mark it."""
    *lines, rest = text.split("\n")
    return [*lines, f"{rest}\n\\ No newline at end of file"] if rest else lines


def bounded(changes: Iterator[ValueChange]) -> tuple[list[ValueChange], bool]:
    """The first changes, without values that are too large, and whether these are all changes."""
    found: list[ValueChange] = []
    left = TOTAL
    for change in changes:
        if len(found) == CHANGES:
            return found, False
        sizes = [len(orjson.dumps(value)) for value in (change.before, change.after)]
        fits = max(sizes) <= VALUE and sum(sizes) <= left
        left -= sum(sizes) if fits else 0
        found.append(change if fits else ValueChange(change.path, change.kind, complete=False))
    return found, True


def value_changes(before: Any, after: Any, path: str = "") -> Iterator[ValueChange]:
    """What differs in two JSON values. Numbers are compared by their values. Of lists, equal elements at both ends are
    put beside each other, and those between by their places."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _member(before, after, name, name in before, name in after, f"{path}/{_escaped(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        yield from _elements(before, after, path)
    elif not _same(before, after):
        yield ValueChange(path, Kind.CHANGED, before, after)


def _member(before: Any, after: Any, at: Any, was: bool, is_: bool, path: str) -> Iterator[ValueChange]:
    if was and is_:
        yield from value_changes(before[at], after[at], path)
    elif was:
        yield ValueChange(path, Kind.REMOVED, before=before[at])
    else:
        yield ValueChange(path, Kind.ADDED, after=after[at])


def _elements(before: list[Any], after: list[Any], path: str) -> Iterator[ValueChange]:
    """Elements are named by their places in `after`, removed ones by those in `before`."""
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if not _same(before[n], after[n])), shorter)
    end = next((n for n in range(shorter - start) if not _same(before[-1 - n], after[-1 - n])), shorter - start)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    for n in range(max(len(old), len(new))):
        yield from _member(old, new, n, n < len(old), n < len(new), f"{path}/{start + n}")


def _same(before: Any, after: Any) -> bool:
    """Whether two JSON values are the same: a truth value is no number."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_same(before[name], after[name]) for name in before)
    return bool(before == after)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
