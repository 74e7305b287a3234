"""The columns of a leaderboard: which scores it shows, to whom, and which way is better."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jobs.scores.values import found, put

MOST = 50
"""The most columns of a leaderboard."""
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FIELDS = {"key", "title", "path", "direction", "precision", "hidden", "audience", "errorPath"}


class Audience(Enum):
    """Who sees a value: everyone; its submitter and the organisers; the organisers alone."""

    ALL = "ALL"
    OWNER = "OWNER"
    ORGANISERS = "ORGANISERS"


_REACH = {Audience.ALL: 0, Audience.OWNER: 1, Audience.ORGANISERS: 2}


class ColumnError(ValueError):
    """A column is wrong; `path` says where, from the list of columns."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `path` leads to its number in the scores, `error_path` to the number's error. `descending` says that
    more is better. A `hidden` column is used to rank and shown to organisers."""

    key: str
    path: str
    title: str = ""
    descending: bool = False
    precision: int | None = None
    hidden: bool = False
    audience: Audience = Audience.ALL
    error_path: str | None = None

    def seen_by(self, audience: Audience, revealed: bool) -> bool:
        """Whether an audience sees it; what was kept for organisers alone is for all once it is `revealed`."""
        if self.hidden:
            return audience is Audience.ORGANISERS
        own = Audience.ALL if revealed else self.audience
        return _REACH[audience] >= _REACH[own]

    def description(self) -> dict[str, Any]:
        """A description from which `read` makes the same column."""
        return {
            "key": self.key,
            "title": self.title or self.key,
            "path": self.path,
            "direction": "DESC" if self.descending else "ASC",
            "precision": self.precision,
            "hidden": self.hidden,
            "audience": self.audience.value,
            "errorPath": self.error_path,
        }


def read(given: object) -> tuple[Column, ...]:
    """The columns that a list of objects describes. Raises ColumnError."""
    if not isinstance(given, list):
        raise ColumnError("", "columns are a list of objects")
    if len(given) > MOST:
        raise ColumnError("", f"a leaderboard has at most {MOST} columns, not {len(given)}")
    columns = tuple(_column(one, str(n)) for n, one in enumerate(given))
    keys = [column.key for column in columns]
    for n, key in enumerate(keys):
        if key in keys[:n]:
            raise ColumnError(f"{n}.key", f"two columns have the key {key}")
    return columns


def _column(given: object, at: str) -> Column:
    if not isinstance(given, dict):
        raise ColumnError(at, "a column is an object with key and path")
    for name in given:
        if name not in _FIELDS:
            raise ColumnError(f"{at}.{name}", f"there is no such field; there are {', '.join(sorted(_FIELDS))}")
    key, path = _text(given, "key", at, 64), _text(given, "path", at, 255)
    if not _KEY.fullmatch(key):
        raise ColumnError(f"{at}.key", "a key has up to 64 letters, digits, dashes and underscores, a letter first")
    precision = given.get("precision")
    if precision is not None and (type(precision) is not int or not 0 <= precision <= 15):
        raise ColumnError(f"{at}.precision", "a precision is a whole number of decimals, 0 to 15")
    hidden = given.get("hidden") or False
    if not isinstance(hidden, bool):
        raise ColumnError(f"{at}.hidden", "hidden is true or false")
    error = given.get("errorPath")
    return Column(
        key,
        path,
        _text(given, "title", at, 255) if given.get("title") is not None else "",
        _one_of(given, "direction", at, ("ASC", "DESC")) == "DESC",
        precision,
        hidden,
        Audience(_one_of(given, "audience", at, [one.value for one in Audience])),
        None if error is None else _text(given, "errorPath", at, 255),
    )


def _text(given: dict[str, Any], name: str, at: str, most: int) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        raise ColumnError(f"{at}.{name}", f"{name} is a text of 1 to {most} characters")
    if name in ("path", "errorPath") and any(not word for word in value.split(".")):
        raise ColumnError(f"{at}.{name}", "a path has keys with dots between them")
    return value


def _one_of(given: dict[str, Any], name: str, at: str, allowed: Sequence[str]) -> str:
    value = given.get(name)
    if value is None:
        return allowed[0]
    if not isinstance(value, str) or value not in allowed:
        raise ColumnError(f"{at}.{name}", f"{name} is one of {', '.join(allowed)}")
    return value


def for_audience(columns: Sequence[Column], audience: Audience, *, revealed: bool = False) -> Sequence[str] | None:
    """The paths at which an audience sees scores. Without columns it sees all, which is None; with columns what they
    show, and organisers all."""
    if not columns or audience is Audience.ORGANISERS:
        return None
    shown = [column for column in columns if column.seen_by(audience, revealed)]
    return _apart(shown, (column for column in columns if not column.seen_by(audience, revealed)))


def for_submitter(scores: dict[str, Any], boards: Iterable[tuple[Sequence[Column], bool]]) -> dict[str, Any]:
    """What of its scores a submitter sees, with the columns of all leaderboards of the challenge, each with whether it
    is revealed. Where one has a column that is not for submitters, only what columns show them is seen; else all."""
    every = [(column, revealed) for columns, revealed in boards for column in columns]
    if all(column.seen_by(Audience.OWNER, revealed) for column, revealed in every):
        return scores
    kept = [column for column, revealed in every if not column.seen_by(Audience.OWNER, revealed)]
    shown = [column for column, revealed in every if column.seen_by(Audience.OWNER, revealed)]
    return picked(scores, _apart(shown, kept))


def _apart(shown: Iterable[Column], kept: Iterable[Column]) -> list[str]:
    """The paths of the columns that are shown, without those that some column keeps from the audience."""
    secret = {path for column in kept for path in (column.path, column.error_path)}
    ordered = sorted(shown, key=lambda column: column.path)
    return [path for column in ordered for path in (column.path, column.error_path) if path and path not in secret]


def picked(scores: dict[str, Any], paths: Sequence[str] | None) -> dict[str, Any]:
    """The numbers at some paths, in the shape of the scores; None is all of them. A path that leads to more than a
    value shows nothing: more may stand there than was meant."""
    if paths is None:
        return scores
    chosen: dict[str, Any] = {}
    for path in paths:
        value = found(scores, path)
        put(chosen, path, None if isinstance(value, dict | list) else value)
    return chosen
