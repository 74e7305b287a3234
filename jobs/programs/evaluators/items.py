"""The items of an ABX task: where a phone is spoken, between which phones, and by whom."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from jobs.programs.evaluators.folder import Folder
from jobs.programs.evaluators.tables import rows

FILE = "items.csv"
COLUMNS = ("file", "onset", "offset", "phone", "previous", "next", "speaker")
LONGEST = 1000
"""Frames of an item. Memory grows with the square."""
LONGEST_NAME = 250
"""Characters of a file's name."""
_LATEST = 1e6
"""Seconds."""
_ROUNDING = 1e-6
"""Of a frame: onsets such as 0.015 are not exact in binary."""


@dataclass(frozen=True)
class Item:
    """A phone in its context. `line` is its line in the table; its frames in `file` are from `first` to before `end`.

    Frame i, from 0, covers the time from i to i + 1 steps. An item has the frames whose middle lies from its onset to
    its offset.
    """

    line: int
    file: str
    first: int
    end: int
    phone: str
    context: tuple[str, str]
    speaker: str


def items_in(folder: Folder, step: float) -> list[Item]:
    """The items of the reference; `step` is in seconds. Raises EvaluationError, which names lines and no values."""
    found = list(_read(folder, step))
    folder.faults.check()
    if not found:
        raise folder.faults.fail(FILE, None, "there are no items; at least three are needed")
    return found


def _read(folder: Folder, step: float) -> Iterator[Item]:
    for line, (file, onset, offset, phone, previous, following, speaker) in rows(folder, FILE, COLUMNS):
        start, stop = _seconds(onset), _seconds(offset)
        path = PurePosixPath(file)
        if not 0 < len(file) <= LONGEST_NAME or path.is_absolute() or ".." in path.parts or "\0" in file:
            folder.faults.add(FILE, line, "the file must be a name within the folder features, without its suffix")
        elif start is None or stop is None or start >= stop:
            message = f"onset and offset must be seconds from 0 to {_LATEST:g}, the onset first"
            folder.faults.add(FILE, line, message)
        elif not phone or not speaker:
            folder.faults.add(FILE, line, f"the {'speaker' if phone else 'phone'} is empty")
        else:
            first = math.ceil(start / step - 0.5 - _ROUNDING)
            end = math.floor(stop / step - 0.5 + _ROUNDING) + 1
            if 0 < end - first <= LONGEST:
                yield Item(line, file, first, end, phone, (previous, following), speaker)
            else:
                count = max(end - first, 0)
                message = f"the item has {count} frames of {step:g} s; from 1 to {LONGEST} are allowed"
                folder.faults.add(FILE, line, message)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= _LATEST else None
