"""Do the same to several rows: each in a transaction of its own, so that one that is refused takes no other with it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from db.outages import Unavailable, Unconfirmed
from resolvers.failures import Away, Failure, NotShown
from resolvers.writing.once import LOST, done_once

MOST = 100
"""The most rows of one mutation."""


@dataclass(frozen=True, slots=True)
class Named:
    """A row as the client named it, with its key, or why the id is none. `field` is the place in the input; `cursor` is
    that of a row which a filter found."""

    id: str
    key: UUID | Failure
    field: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: the result of what was done, or why it was not."""

    id: str
    result: Any = None
    failure: Failure | None = None


async def each(
    rows: Iterable[Named],
    do: Callable[[UUID], Awaitable[Any]],
    name: str,
    *,
    ready: Callable[[], Awaitable[None]],
    until: float | None = None,
) -> list[Outcome]:
    """Do it to each row once, in their order; a row that is named twice is done once. `ready` is asked before each row:
    once it raises a failure, or while the database is away, the rows that are left are refused so. After `until`, by
    the clock of the loop, no more are tried: they have no outcome, but the first row always has one. `name` is that of
    the mutation, for the log."""
    outcomes: list[Outcome] = []
    ended: Failure | None = None
    clock = asyncio.get_running_loop().time
    for row in {row.id: row for row in rows}.values():
        if outcomes and ended is None and until is not None and clock() >= until:
            break
        if isinstance(row.key, Failure):
            outcomes.append(Outcome(row.id, failure=row.key))
            continue
        ended = ended or await _failure(ready)
        outcomes.append(Outcome(row.id, failure=ended) if ended else await _one(row, partial(do, row.key), name))
        if isinstance(outcomes[-1].failure, Away):
            ended = outcomes[-1].failure
    return outcomes


async def _failure(ready: Callable[[], Awaitable[None]]) -> Failure | None:
    try:
        await ready()
    except Failure as failure:
        return failure
    except Unavailable:
        return Away(LOST)
    return None


async def _one(row: Named, do: Callable[[], Awaitable[Any]], name: str) -> Outcome:
    try:
        return Outcome(row.id, await done_once(do, name, shown=False, repeatable=False))
    except Failure as failure:
        if failure.field == "id":
            failure.field = row.field
        return Outcome(row.id, failure=failure)
    except Unconfirmed:
        unknown = NotShown("the database went away as this was being stored; read it", committed=None)
        return Outcome(row.id, failure=unknown)
    except Unavailable:
        return Outcome(row.id, failure=Away(LOST))
