"""How fast somebody sends what is counted in this process alone."""

import time
from uuid import UUID

from resolvers.failures import RateLimited


class Pace:
    """Counts how many events each teller told of within the last minute, in this process."""

    def __init__(self) -> None:
        self._counts: dict[UUID, tuple[float, int]] = {}

    def expect(self, key: UUID, number: int, most: int) -> None:
        """Raise RateLimited for more than are allowed within a minute."""
        clock = time.monotonic()
        since, count = self._counts.get(key, (clock, 0))
        if clock - since >= 60.0:
            since, count = clock, 0
        if count + number > most:
            wait = max(1, round(60.0 - (clock - since)))
            told = f"at most {most} events a minute; send these again in {wait} s"
            raise RateLimited(told, limit="eventsPerMinute", allowed=most, retryAfterSeconds=wait)
        if len(self._counts) > 20_000:
            self._counts = {one: seen for one, seen in self._counts.items() if clock - seen[0] < 60.0}
        self._counts[key] = since, count + number
