"""How long the event loop is held, without a clock: Python's calls of its longest step."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Steps:
    longest: int = 0


@contextmanager
def counted_steps() -> Iterator[Steps]:
    """Counts the calls, of Python and of C, between two turns of the loop. What goes on in threads is not counted."""
    found, calls, inner = Steps(), 0, asyncio.Handle._run

    def call(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    def run(handle: asyncio.Handle) -> None:
        nonlocal calls
        calls = 0
        inner(handle)
        found.longest = max(found.longest, calls)

    asyncio.Handle._run = run  # type: ignore[method-assign]
    sys.setprofile(call)
    try:
        yield found
    finally:
        sys.setprofile(None)
        asyncio.Handle._run = inner  # type: ignore[method-assign]
