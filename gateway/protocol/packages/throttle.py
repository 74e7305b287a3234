"""How many requests a credential may make: so many a second, and a burst of twice as many."""

import time
from collections import OrderedDict
from uuid import UUID

from resolvers.failures import RateLimited

KNOWN = 10_000
"""The most credentials that are counted; the one that asked least recently is forgotten."""


class Throttle:
    """A token bucket for each credential, in this process."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[UUID | None, tuple[float, float]] = OrderedDict()

    def count(self, credential: UUID | None) -> None:
        """Count a request; RATE_LIMITED for one too many."""
        if not self._rate:
            return
        moment = time.monotonic()
        left, at = self._buckets.pop(credential, (2 * self._rate, moment))
        left = min(2 * self._rate, left + (moment - at) * self._rate)
        self._buckets[credential] = (max(left - 1, 0.0), moment)
        while len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        if left < 1:
            told = f"at most {self._rate:g} requests a second, and {2 * self._rate:g} at once"
            raise RateLimited(told, retryAfterSeconds=1)
