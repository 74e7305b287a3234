"""Progress that a program tells in a line of its output or its log."""

import re


def told(pattern: str, line: str) -> tuple[int, int | None] | None:
    """The primaries done and, if known, to do; None where the line tells none. Raises ValueError for what is no number
    of primaries."""
    found = re.search(pattern, line) if pattern else None
    if found is None:
        return None
    done, total = found["done"], found.groupdict().get("total")
    if not _is_number(done) or (total is not None and not _is_number(total)):
        return None
    return _number(done), _number(total) if total is not None else None


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"\s*[+-]?\d+\s*", text) is not None


def _number(digits: str) -> int:
    number = int(digits) if len(digits) < 100 else -1
    if not 0 <= number < 2**63:
        raise ValueError(f"{digits.strip()[:40]} is no number of primaries: it is to be from 0 to {2**63 - 1}")
    return number
