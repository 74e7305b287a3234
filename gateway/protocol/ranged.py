"""Parts of what is downloaded, and whether it changed (RFC 9110)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """What is sent: the status, from where to before where, and the headers that tell it."""

    status: int
    start: int
    stop: int
    headers: Mapping[str, str]


def wants_part(headers: Mapping[str, str], tag: str) -> bool:
    """Whether a request asks for a part of what this tag stands for."""
    wanted = headers.get("range")
    return wanted is not None and _RANGE.fullmatch(wanted.strip()) is not None and headers.get("if-range", tag) == tag


def part_of(headers: Mapping[str, str], tag: str, size: int) -> Span:
    """The whole of `size` bytes, or the part that a request asks for; with status 416, nothing."""
    found = _span(headers["range"], size) if wants_part(headers, tag) else None
    if found is None:
        return Span(200, 0, size, {"Content-Length": str(size)})
    start, stop = found
    if start >= stop:
        return Span(416, 0, 0, {"Content-Range": f"bytes */{size}"})
    told = {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return Span(206, start, stop, told)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """From where to before where a Range header goes; empty when it lies outside. None when it is to be ignored: it has
    several ranges, or another unit."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size if int(found[2]) else 0
    start, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < start:
        return None
    return start, min(last + 1, size)


def unchanged(headers: Mapping[str, str], tag: str) -> bool:
    """Whether a request has the content of this tag already."""
    header = headers.get("if-none-match")
    return header is not None and any(
        one in ("*", tag) for one in (part.strip().removeprefix("W/") for part in header.split(","))
    )
