"""How much of what changes one client may watch, and how much it is told at once."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

from resolvers.context import Context
from resolvers.failures import LimitExceeded
from resolvers.feed import (
    Changes,
    watched_topic,
)

UNHEARD = timedelta(minutes=1)
"""Before a break in what is heard of other processes, for which jobs are looked at again."""
AT_ONCE = 20
"""Subscriptions of one client that watch many rows."""
SOME = 100
"""Changes that are told at once."""
TOGETHER = 0.25
"""Seconds between two looks at what changed among many rows."""


@contextlib.contextmanager
def watch(ctx: Context, *topics: str) -> Iterator[Changes]:
    """Subscribe to topics of many rows; raises LimitExceeded for a client that has enough such subscriptions."""
    feed, own = ctx.services.feed, watched_topic(ctx.lane)
    if (others := len(feed.following(own))) >= AT_ONCE:
        told = f"at most {AT_ONCE} subscriptions watch what changes, or who is there, at once; end others first"
        raise LimitExceeded(told, limit="subscriptions", allowed=AT_ONCE, value=others + 1)
    with feed.subscription(own, *topics) as changes:
        yield changes
