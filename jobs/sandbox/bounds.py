"""How much a program in the sandbox may use."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MOST_SECONDS = 7 * 24 * 3600
MOST_PROCESSES = 4096
LEAST_MEMORY = 4 << 20
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Bounds:
    """The bounds of a program and of all that it starts. Raises ValueError that begins with the field that is wrong.

    `seconds` is the time from start to end. `memory` counts bytes of all processes together, and of the files in
    /output and /tmp, which lie in memory. `processes` counts processes and threads that are there at once. `output`
    and `files` are bytes (in whole pages of memory) and the number of files and folders in /output and /tmp.
    """

    seconds: float
    memory: int
    processes: int
    output: int
    files: int

    def __post_init__(self) -> None:
        seconds = self.seconds
        good = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
        _require(good and 0 < seconds <= MOST_SECONDS, "seconds", f"a number above 0, at most {MOST_SECONDS}")
        for name, least, most in (
            ("memory", LEAST_MEMORY, 1 << 50),
            ("processes", 1, MOST_PROCESSES),
            ("output", 1, 1 << 50),
            ("files", 1, 10_000_000),
        ):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(whole and least <= value <= most, name, f"a whole number from {least} to {most}")

    @classmethod
    def read(cls, given: object) -> Self:
        """The bounds of a decoded JSON object. Raises ValueError that begins with the field that is wrong."""
        if not isinstance(given, Mapping):
            raise ValueError("bounds are an object")
        known = [one.name for one in fields(cls)]
        for name in given:
            _require(name in known, str(name), f"is none of {', '.join(known)}")
        for name in known:
            _require(name in given, name, "is missing")
        return cls(**given)

    def description(self) -> dict[str, Any]:
        """The bounds as plain JSON, from which `read` makes the same."""
        return asdict(self)


def spelled(count: int) -> str:
    """A number of bytes for people: 512 MiB."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"


def _require(true: bool, name: str, what: str) -> None:
    if not true:
        raise ValueError(f"{name}: {what}")
