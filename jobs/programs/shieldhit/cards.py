"""Lines and words of SHIELD-HIT12A's native files, with checks that name file and line."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobs.programs.plan import InputError
from jobs.programs.texts import unified

MAX_CHARACTERS = 1_000_000
MAX_LINES = 20_000

_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d{1,3})?")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_COMMENT = re.compile(r"!(?!=[^=]).*")
"""From "!" on, except in the operator "!="."""
_REMARK = re.compile(r"!.*")
_CONDITION = re.compile(r"[ \t]*[A-Za-z]+[ \t]*!=[ \t]*[+-]?[0-9.]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def quoted(text: str) -> str:
    """The text in quotation marks, shortened for a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


@dataclass(frozen=True)
class Line:
    """One line of a file without its comment, split into words; `text` is the line before that."""

    file: str
    number: int
    words: tuple[str, ...]
    text: str = field(default="", compare=False)

    def error(self, message: str) -> InputError:
        """An InputError that points at this line."""
        return InputError(self.file, self.number, message)

    def word(self, index: int, what: str) -> str:
        """Word `index`; raises InputError when the line is too short."""
        if index >= len(self.words):
            raise self.error(f"{what} is missing")
        return self.words[index]

    def real(self, index: int, what: str, low: float = -1e6, high: float = 1e6) -> float:
        """Word `index` as a finite number within [low, high]; raises InputError."""
        text = self.word(index, what)
        if not _FLOAT.fullmatch(text):
            raise self.error(f"{what}: {quoted(text)} is not a number")
        value = float(text.lower().replace("d", "e"))
        if not math.isfinite(value) or not low <= value <= high:
            raise self.error(f"{what}: {quoted(text)} is outside the allowed range {low:g} to {high:g}")
        return value

    def integer(self, index: int, what: str, low: int, high: int) -> int:
        """Word `index` as a whole number within [low, high]; raises InputError."""
        text = self.word(index, what)
        if not _INTEGER.fullmatch(text):
            raise self.error(f"{what}: {quoted(text)} is not a whole number")
        value = int(text)
        if not low <= value <= high:
            raise self.error(f"{what}: {value} is outside the allowed range {low} to {high}")
        return value


def checked(file: str, text: str) -> str:
    """The text with plain line ends; raises InputError when it is too long or holds control characters."""
    text = unified(text)
    if len(text) > MAX_CHARACTERS:
        raise InputError(file, None, f"{len(text)} characters; at most {MAX_CHARACTERS} are allowed")
    rows = text.count("\n") + 1
    if rows > MAX_LINES:
        raise InputError(file, None, f"{rows} lines; at most {MAX_LINES} are allowed")
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise InputError(file, line, f"control character {control.group()!r} is not allowed in a text file")
    return text


def lines(file: str, text: str) -> Iterator[Line]:
    """The lines of a checked text that hold words; "!" ends a line, "!", "#" and "*" begin a comment line.

    In a condition, which compares a property such as Z with a number, "!=" is an operator.
    """
    for number, row in enumerate(text.split("\n"), start=1):
        content = (_COMMENT if _CONDITION.match(row) else _REMARK).sub("", row).rstrip()
        if content and not is_comment(content):
            yield Line(file, number, tuple(content.split()), content)


def is_comment(row: str) -> bool:
    """Whether a line says nothing to the program."""
    return row.lstrip()[:1] in ("!", "#", "*")
