"""Which tables of PostgreSQL are small: a plan for all values reads one of them whole in less time than a plan for some
values is made."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

SMALL = 64 * 1024
"""The most bytes of a small table."""
KEPT = 60.0
"""Seconds after which sizes are looked at again."""

_SMALL = """SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND pg_relation_size(oid) <= $1"""


class Sizes:
    """`fetch` runs a text with its arguments and gives the rows."""

    def __init__(self, fetch: Callable[[str, Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._fetch = fetch
        self._small: frozenset[str] = frozenset()
        self._until = 0.0

    async def small(self, table: str) -> bool:
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + KEPT  # others go on with what was known
            self._small = frozenset(row[0] for row in await self._fetch(_SMALL, [SMALL]))
        return table in self._small
