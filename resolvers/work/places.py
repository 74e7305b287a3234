"""Write the places of the jobs that wait for an engine, not more often than it is worth."""

import math
import time
from uuid import UUID

from resolvers.context import Services
from resolvers.queue.ranking import write_places

EVERY, SPARED = 1.0, 10.0
"""Seconds between two writings, and how many times as long as one takes: where thousands wait, they are seldom."""


class Places:
    """The places of a cluster's jobs, or of those of the gateway's own machine."""

    def __init__(self, services: Services, cluster: UUID | None) -> None:
        self._services = services
        self._cluster = cluster
        self._due = 0.0
        self._stale = False

    @property
    def wait(self) -> float:
        """Seconds until they are to be written, whatever happens."""
        return max(0.0, self._due - time.monotonic()) if self._stale else math.inf

    async def write(self) -> None:
        """Write those that changed, unless that was done just now."""
        began = time.monotonic()
        if began < self._due:
            self._stale = True
            return
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            await write_places(session, self._cluster)
        self._stale = False
        self._due = time.monotonic() + max(EVERY, SPARED * (time.monotonic() - began))
