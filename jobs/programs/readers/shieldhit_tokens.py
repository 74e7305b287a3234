"""The tokens of SHIELD-HIT12A's binary results (.bdo), gone through before they are read.

A file is a magic word and a flat row of tokens: a tag, the type of the elements as NumPy writes it, their number, and
the elements. Files since June 2019 say their format and have pages; files before, from version 0.6 on, have one page.
pymchelper takes a file that is cut short for a complete one.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from jobs.programs.readers import OutputError

MAGIC = b"xSH12A"
HEADER = 24
TOKEN = struct.Struct("<Q8sQ")
FORMAT, QUANTITY, PAGE, PAGE_DATA, PAGES = 0x05, 0xDD03, 0xDD30, 0xDDBB, 0xEE02
"""Tags: the format of the file, the quantity of the only page of an old file, a page of this quantity begins, its
values, the number of pages of the file."""
OF_2019 = 2
"""The format that has pages."""

_ELEMENT = re.compile(r"[<>=|]?([a-zA-Z])(\d+)")


@dataclass
class Contents:
    """Whether a file is of before 2019, and the quantities of its pages."""

    old: bool = True
    quantities: list[int] = field(default_factory=list)
    filled: int = 0
    promised: int | None = None


def contents(path: Path) -> Contents:
    """Go through the tokens; raises OutputError when the file is of another kind or cut short."""
    found = Contents()
    size = path.stat().st_size
    with path.open("rb") as stream:
        if not stream.read(HEADER).startswith(MAGIC):
            message = "it is not a .bdo file of SHIELD-HIT12A; those of before version 0.6 (2016) are not read"
            raise OutputError(path.name, message)
        place = HEADER
        while place < size:
            token = stream.read(TOKEN.size)
            if len(token) < TOKEN.size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            tag, kind, count = TOKEN.unpack(token)
            width = _width(kind)
            if width is None:
                raise OutputError(path.name, f"it is damaged at byte {place}")
            place += TOKEN.size + width * count
            if place > size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            _note(found, tag, int.from_bytes(stream.read(min(width, 8)), "little") if count else 0)
            stream.seek(place)
    _check(path, found)
    return found


def _note(found: Contents, tag: int, number: int) -> None:
    """`number` is the first element, if it is one."""
    if tag == FORMAT:
        found.old = number != OF_2019
    elif tag in (PAGE, QUANTITY):
        found.quantities.append(number)
    elif tag == PAGES:
        found.promised = number
    elif tag == PAGE_DATA:
        found.filled += 1


def _check(path: Path, found: Contents) -> None:
    begun = len(found.quantities)
    if found.old and (begun, found.filled) != (1, 1):
        raise OutputError(path.name, "it is of the format before 2019, and is damaged or cut short: it has no values")
    if begun != found.filled or (found.promised is not None and found.filled < found.promised):
        most = max(begun, found.promised or 0)
        raise OutputError(path.name, f"it is cut short: {found.filled} of {most} pages have values")


def _width(kind: bytes) -> int | None:
    """Bytes of an element of this type."""
    try:
        found = _ELEMENT.fullmatch(kind.rstrip(b"\0 ").decode("ascii"))
    except UnicodeDecodeError:
        return None
    return int(found[2]) if found else None
