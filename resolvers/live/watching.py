"""Bounds on subscriptions that watch many rows: how many a client may have, and how much each sends at once."""

import contextlib
from collections.abc import Iterator

from resolvers.context import Context
from resolvers.failures import LimitExceeded
from resolvers.feed import (
    Changes,
    watched_topic,
)

UNHEARD = 60.0
"""Seconds before a break in the changes from other processes; rows that changed since then are read again."""
AT_ONCE = 20
"""The most subscriptions of one client that watch many rows."""
SOME = 100
"""The most changes that are sent at once."""
TOGETHER = 0.25
"""Seconds between two reads of what changed among many rows."""


@contextlib.contextmanager
def watch(ctx: Context, *topics: str) -> Iterator[Changes]:
    """Subscribe to topics of many rows; raises LimitExceeded for a client that has as many such subscriptions as are
    allowed."""
    feed, own = ctx.services.feed, watched_topic(ctx.lane)
    if (others := len(feed.following(own))) >= AT_ONCE:
        told = f"at most {AT_ONCE} subscriptions watch what changes, or who is there, at once; end others first"
        raise LimitExceeded(told, limit="subscriptions", allowed=AT_ONCE, value=others + 1)
    with feed.subscription(own, *topics) as changes:
        yield changes
