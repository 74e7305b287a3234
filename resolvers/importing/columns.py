"""Columns of a leaderboard, chosen by the names of the scores of its entries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.scores.columns import MOST, Column
from jobs.scores.values import leaves, number
from resolvers.importing.entries import SCORES

TIES = 3
"""The most columns that break ties."""
DECIMALS = 4
"""The most decimals that are shown."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of scores, known by words of their names: one of `words`, and one of `of` where that is given. Which way
    is better, and whether one ranks by it."""

    words: str
    of: str = ""
    descending: bool = False
    ranks: bool = True


_F = r"f|f1|fscores?"
KINDS: Sequence[Kind] = (
    Kind(r"abx|across|within|\d+s"),  # errors of ABX: also by the seconds of the recordings
    Kind("error|errors|err|cer|wer|per|eer|mcd"),
    *(Kind(_F, of, descending=True) for of in ("type", "token", "boundary", "grouping", "matching", "")),
    Kind("accuracy|acc|mos|similarity|bleu|correlation|lexical|syntactic|semantic", descending=True),
    Kind("ned"),
    Kind("cov|coverage", descending=True, ranks=False),
    *(
        Kind("prec|precision|rec|recall", of, descending=True, ranks=False)
        for of in ("type", "token", "boundary", "grouping", "matching", "")
    ),
)
"""The kinds that are known. A board is ranked by the first that its scores have, and columns stand in this order."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a leaderboard shows, and what it is ranked by; `scores` counts the numbers that most entries have."""

    columns: Sequence[Mapping[str, Any]] = ()
    rank_by: str | None = None
    ties: Sequence[str] = ()
    scores: int = 0


@dataclass(frozen=True, slots=True)
class _Score:
    path: str
    key: str
    kind: int
    having: int
    decimals: int

    @property
    def column(self) -> Column:
        descending = self.kind < len(KINDS) and KINDS[self.kind].descending
        return Column(self.key, self.path, self.key.replace("_", " "), descending, self.decimals)


def choose(entries: Iterable[Mapping[str, Any]]) -> Chosen:
    """The columns for entries with these data: numbers that at least half of them have. Where none is of a kind that
    one ranks by, there are no columns, and entries keep their order."""
    scores = _scores(list(entries))
    ranking = [one for one in scores if one.kind < len(KINDS) and KINDS[one.kind].ranks]
    if not ranking:
        return Chosen(scores=len(scores))
    best = min(one.kind for one in ranking)
    first, *others = sorted((one for one in ranking if one.kind == best), key=_preferred)
    shown = sorted(scores, key=lambda one: one.kind)[:MOST]  # sorting is stable: in the order of the files
    keys = {one.key for one in shown}
    ties = [one.key for one in others if one.key in keys][:TIES]
    return Chosen([one.column.description() for one in shown], first.key, ties, len(scores))


def _preferred(score: _Score) -> tuple[bool, int]:
    """The order in which one ranks by scores of a kind: across speakers, which is harder, before within; then by how
    many entries have it."""
    return "within" in _words(score.path), -score.having


def _words(path: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", path.lower()) if word]


def _kind(path: str) -> int:
    words = _words(path)
    for n, kind in enumerate(KINDS):
        if any(re.fullmatch(kind.words, word) for word in words) and (not kind.of or kind.of in words):
            return n
    return len(KINDS)


def _scores(entries: Sequence[Mapping[str, Any]]) -> list[_Score]:
    """The numbers that at least half of the entries have: among their scores, where they have such."""
    scored = all(isinstance(data.get(SCORES), dict) for data in entries)
    values: dict[str, list[float | int]] = {}
    for data in entries:
        for path in leaves(data[SCORES], SCORES) if scored else leaves(data):
            if _fits(path) and (value := number(data, path)) is not None:
                values.setdefault(path, []).append(value)
    found: dict[str, _Score] = {}
    for path, having in values.items():
        if 2 * len(having) >= len(entries):
            score = _Score(path, _key(path), _kind(path.removeprefix(SCORES)), len(having), max(map(_decimals, having)))
            found.setdefault(score.key, score)
    return list(found.values())


def _fits(path: str) -> bool:
    return 1 <= len(path) <= 255 and path.isprintable() and all(path.split("."))


def _key(path: str) -> str:
    """The key of a column: the path below the scores, as a name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.removeprefix(f"{SCORES}."))
    return (name if re.match("[A-Za-z]", name) else f"score_{name}")[:64]


def _decimals(value: float | int) -> int:
    if isinstance(value, int):
        return 0
    text = repr(value)
    return DECIMALS if "e" in text else min(DECIMALS, len(text.partition(".")[2].rstrip("0")))
