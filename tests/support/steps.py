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
    """Counts the calls, of Python and of C, of one turn of the loop. What goes on in threads is not counted."""
    loop: Any = asyncio.BaseEventLoop
    found, calls, inner = Steps(), 0, loop._run_once

    def call(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    def run(self: Any) -> None:
        nonlocal calls
        calls = 0
        inner(self)
        found.longest = max(found.longest, calls)

    loop._run_once = run
    sys.setprofile(call)
    try:
        yield found
    finally:
        sys.setprofile(None)
        loop._run_once = inner
