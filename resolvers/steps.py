"""Run one step of a background loop: a failure is logged, and the loop goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from db.outages import Unavailable, tried_again

log = structlog.get_logger("torana")

T = TypeVar("T")


async def guarded(step: Callable[[], Awaitable[T]], loop: str, *, away: float = 0.0, failed: float = 0.0) -> T | None:
    """Run one step of the named loop; returns its result. After a failure it waits, `away` seconds while the database
    is out of reach and `failed` seconds otherwise, and returns None."""
    try:
        return await tried_again(step)
    except Unavailable:  # which the database has told
        await asyncio.sleep(away)
    except Exception as error:
        log.error("step_failed", loop=loop, step=getattr(step, "__name__", "step"), error=repr(error))
        await asyncio.sleep(failed)
    return None
