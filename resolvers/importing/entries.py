"""Entries of leaderboards, as files hold them: their data as JSON, who is named, and whether it is a baseline."""

import base64
import html
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

from resolvers.documents import Unreadable
from resolvers.spelling import visible

SCORES = "scores"
"""The key under which entries have their scores."""
DEPTH = 32
_AUTHORS = ("author_label", "author", "authors", "author_name", "submitter", "name", "team")
_MARKED = re.compile(r"(?i)(baseline|topline)s?\b")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?")
_TAG = re.compile(r"<[^<>]*>")
_SMALLEST, _BIGGEST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Entry:
    """An entry. `key` is its place in its archive, `file` its file. `lost` are the paths of what JSON can't say, and
    `numbers` counts the scores that stood there as texts."""

    key: str
    data: dict[str, Any]
    author: str | None
    baseline: bool
    lost: tuple[str, ...] = ()
    numbers: int = 0
    file: str = ""


def entry(key: str, given: object, file: str = "") -> Entry:
    """The entry that a document is. Raises Unreadable."""
    if not isinstance(given, dict):
        raise Unreadable("an entry is an object")
    if not 1 <= len(key) <= 255:
        raise Unreadable("its path has more than 255 characters")
    reading = _Reading()
    data = {name: reading.value(value, name, 1, scores=name == SCORES) for name, value in _keys(given)}
    mark = _mark(data)
    return Entry(key, data, _author(data, mark), mark is not None, tuple(reading.lost), reading.numbers, file)


@dataclass
class _Reading:
    lost: list[str] = field(default_factory=list)
    numbers: int = 0

    def value(self, given: Any, path: str, depth: int, *, scores: bool = False) -> Any:
        """The JSON of a value. Dates become texts of ISO 8601; among the `scores`, texts that are numbers become
        numbers."""
        if depth > DEPTH:
            raise Unreadable(f"{path[:100]}: it is more than {DEPTH} levels deep")
        if isinstance(given, dict):
            return {key: self.value(one, f"{path}.{key}", depth + 1, scores=scores) for key, one in _keys(given)}
        if isinstance(given, list | tuple | set):
            items = sorted(given, key=str) if isinstance(given, set) else given
            return [self.value(one, f"{path}.{n}", depth + 1, scores=scores) for n, one in enumerate(items)]
        return self._leaf(given, path, scores)

    def _leaf(self, given: Any, path: str, scores: bool) -> Any:
        if isinstance(given, str):
            _check(given, path)
            if scores and (number := _number(given)) is not None:
                self.numbers += 1
                return number
            return given
        if isinstance(given, float) and not math.isfinite(given):
            self.lost.append(path)
            return None
        if isinstance(given, int) and not isinstance(given, bool) and not _SMALLEST <= given <= _BIGGEST:
            return str(given)
        if given is None or isinstance(given, bool | int | float):
            return given
        if isinstance(given, date | time):  # a datetime is a date
            return given.isoformat()
        if isinstance(given, bytes):
            return base64.b64encode(given).decode()
        raise Unreadable(f"{path[:100]}: a {type(given).__name__} has no JSON form")


def _keys(given: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        _check(key, "a key")
        yield key, value


def _check(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unreadable(f"{path[:100]}: half a character of UTF-16 stands alone") from None
    if "\0" in text:
        raise Unreadable(f"{path[:100]}: it holds the character 0, which databases refuse")


def _number(text: str) -> int | float | None:
    """The number that a text is; None where a double would be another number."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) and Decimal(text) == Decimal(repr(number)) else None


def plain(text: str) -> str:
    """A text without HTML and without what can't be seen, on one line."""
    return " ".join(visible(" ".join(html.unescape(_TAG.sub("", text)).split())).split())


def _described(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Where an entry describes itself: in itself, and in objects beside the scores."""
    return [data, *(value for name, value in data.items() if isinstance(value, dict) and name != SCORES)]


def _mark(data: dict[str, Any]) -> str | None:
    """`baseline` or `topline` where an entry says that it is one: as its author, as another of its texts, or as a
    field that is true."""
    for part in _described(data):
        for name, value in part.items():
            marked = _MARKED.match(plain(value)) if isinstance(value, str) else None
            if marked and (name in _AUTHORS or marked.end() == len(plain(value))):
                return marked[1].lower()
            if value is True and name.lower() in ("baseline", "topline"):
                return name.lower()
    return None


def _author(data: dict[str, Any], mark: str | None) -> str | None:
    """Who is named: the first of the fields that has a text. Addresses of mail are not shown."""
    for part in _described(data):
        for name in _AUTHORS:
            value = part.get(name)
            texts = [plain(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
            label = ", ".join(text for text in texts if text and "@" not in text)
            if not label:
                continue
            if mark is not None and mark not in label.lower():
                label = f"{label[:240]} ({mark})"
            return label[:255]
    return None
