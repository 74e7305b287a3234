"""The feed of committed changes inside one process. A subscriber holds a set of changed topics, so nothing queues
up."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from uuid import UUID


class Changes:
    """The changes that one subscriber has not looked at yet. Thousands of subscribers may wait, so each holds
    little."""

    __slots__ = ("_dirty", "_waiter")

    def __init__(self) -> None:
        self._dirty: set[str] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def mark(self, topic: str) -> None:
        if self._dirty is None:
            self._dirty = set()
        self._dirty.add(topic)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> set[str]:
        """The topics that changed since the last call; waits until there is one."""
        while self._dirty is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        dirty, self._dirty = self._dirty, None
        return dirty


class Feed:
    """Hands committed changes to the subscribers of this process. A topic is `<kind>:<key>`."""

    def __init__(self) -> None:
        self._subscribers: defaultdict[str, set[Changes]] = defaultdict(set)

    def publish(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for heard in (topic, any_of_kind(topic)):
                for subscriber in self._subscribers.get(heard, ()):
                    subscriber.mark(topic)

    def missed(self) -> None:
        """Some changes were lost on the way: everything that is followed counts as changed, but nobody as
        disconnected."""
        for topic, subscribers in self._subscribers.items():
            for subscriber in () if topic.startswith(disconnected_topic("")) else subscribers:
                subscriber.mark(topic)

    @contextlib.contextmanager
    def subscription(self, *topics: str) -> Iterator[Changes]:
        """Subscribe before the first read, so that no change between is missed."""
        changes = Changes()
        for topic in topics:
            self._subscribers[topic].add(changes)
        try:
            yield changes
        finally:
            for topic in topics:
                self._subscribers[topic].discard(changes)
                if not self._subscribers[topic]:
                    del self._subscribers[topic]

    def following(self, topic: str) -> frozenset[Changes]:
        """The subscribers of a topic."""
        return frozenset(self._subscribers.get(topic, ()))

    @property
    def subscribers(self) -> int:
        return sum(map(len, self._subscribers.values()))


def any_of_kind(topic: str) -> str:
    """The topic that stands for every topic of this kind."""
    return f"{topic.partition(':')[0]}:*"


def key_of_topic(topic: str) -> UUID | None:
    """The key in the topic of a row."""
    try:
        return UUID(topic.partition(":")[2])
    except ValueError:
        return None


def job_topic(key: object) -> str:
    return f"job:{key}"


ANY_JOB = any_of_kind("job:")
"""Some job changed."""


def log_topic(key: object) -> str:
    return f"log:{key}"


def results_topic(simulation: object) -> str:
    return f"results:{simulation}"


def submission_topic(key: object) -> str:
    return f"submission:{key}"


def board_topic(key: object) -> str:
    return f"board:{key}"


def upload_topic(key: object) -> str:
    return f"upload:{key}"


def events_topic(session: object) -> str:
    """Something happened in a session."""
    return f"events:{session}"


def invited_topic(key: object) -> str:
    """What a user, participant or device is invited to changed."""
    return f"invited:{key}"


def wanted_topic(key: object) -> str:
    """Another request wants to bring bytes of an upload: whoever does is to stop."""
    return f"wanted:{key}"


def principal_topic(key: object) -> str:
    """The credentials or rights of a user, participant, device or service changed."""
    return f"principal:{key}"


def disconnected_topic(key: object) -> str:
    """The connections of a user, participant, device or service are to end."""
    return f"disconnected:{key}"


def renewed_topic(key: object) -> str:
    """The principal of a long connection was looked up anew, in this process."""
    return f"renewed:{key}"


def watched_topic(lane: object) -> str:
    """A topic that counts how many subscriptions a client has; nothing is published to it."""
    return f"watched:{lane}"


PRESENT = "present"
"""Presence was written."""

RIGHTS = "rights"
"""Roles, groups, sites or projects changed, and with them the rights of many principals."""

WORK = "work"
"""A job waits for an engine, ended, or is to be cancelled."""

UPLOADED = "uploaded"
"""The last byte of an upload came; the file is to be checked."""

BOARDS = "boards"
"""A leaderboard is to be built again."""

ENDED = "ended"
"""All tasks of a batch have ended on their cluster; the cluster is to be asked how."""
