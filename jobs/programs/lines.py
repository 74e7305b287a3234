"""The lines of a log, out of the bytes that a program writes.

A line ends with LF, CR or both. What a terminal would not leave on the screen is not stored: colours, drawn bars, and
lines that were written over by the same words with other numbers.
"""

import re
from collections.abc import Callable, Iterator

LINE = 4_000
"""The most characters of a line that are kept."""
_KEPT = 4 * LINE
"""The most bytes of a line that wait for its end: a character has up to four."""
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Sequences of ANSI and other control characters, but for the tab."""
_CELLS = "█▉▊▋▌▍▎▏▐░▒▓■□▪▫━╸╺╾╼●○⣿⣀"
_BARS = re.compile(
    rf"\[(?![>. -]{{3,}}\])[#=>. -]{{3,}}\]|\[ {{3,}}\]|[|\[(][{_CELLS}][{_CELLS} ]*[|\])]|[{_CELLS}]{{3,}}"
)
"""Bars of progress: [####  ], [==>  ], |████▌   |, ━━━╸."""

Seen = Callable[[str, int], bool]
"""Takes a line and its number, from 1; returns whether that is all that it is for, so that it is not stored."""


def cut(text: str, size: int | None = None) -> str:
    """The text as it is stored: of a long one the beginning, and how many bytes it had. `size` is given when `text` is
    only the beginning already."""
    if size is None and len(text) <= LINE:
        return text
    note = f" [cut: the line has {size or len(text.encode(errors='replace'))} bytes]"
    return text[: LINE - len(note)] + note


class Lines:
    """The lines of one file. Its bytes come in pieces of any size."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._number = 0
        self._begun = bytearray()
        self._size = 0
        self._returned = False
        self._passing: str | None = None

    def take(self, data: bytes) -> Iterator[str]:
        """The lines to store, now that these bytes came. The last one waits for its end."""
        for piece in re.split(rb"([\r\n])", data):
            if piece == b"\n":
                yield from self._ended()
            elif piece == b"\r":
                yield from self._written_over()
            else:
                self._size += len(piece)
                self._begun += piece[: max(0, _KEPT - len(self._begun))]

    def end(self) -> Iterator[str]:
        """The lines to store at the end of the file: those that still wait."""
        if self._size:
            yield from self._ended()
        yield from self._settled()

    def _ended(self) -> Iterator[str]:
        """LF: what stands in the line stays."""
        returned, self._returned = self._returned, False
        if returned and not self._size:  # CR and LF together
            yield from self._settled()
            return
        if (line := self._line()) is None:
            return
        if self._passing is not None and line and _words(line) == _words(self._passing):
            self._passing = None
        yield from self._settled()
        yield from _stored(line)

    def _written_over(self) -> Iterator[str]:
        """CR: the next line may be written over this one."""
        if not self._size:
            return
        self._returned = True
        if (line := self._line()) is None:
            return
        if line and self._passing is not None and _words(line) != _words(self._passing):
            yield from self._settled()
        self._passing = line or None  # blanks wipe a line out

    def _settled(self) -> Iterator[str]:
        passing, self._passing = self._passing, None
        if passing is not None:
            yield from _stored(passing)

    def _line(self) -> str | None:
        """The line that has ended; None when it is not to be stored."""
        self._number += 1
        size, whole = self._size, self._size == len(self._begun)
        text = _ESCAPES.sub("", self._begun.decode(errors="replace")).rstrip()
        self._begun.clear()
        self._size = 0
        if self._seen(text, self._number):
            return None
        return text if whole else cut(text, size)


def _words(line: str) -> str:
    """What of a line stays the same while its numbers and its bar change."""
    return "".join(filter(str.isalpha, line))


def _stored(line: str) -> Iterator[str]:
    without = _BARS.sub("", line)
    if without == line:
        yield cut(line)
    elif without.strip():
        yield cut(without.rstrip())
