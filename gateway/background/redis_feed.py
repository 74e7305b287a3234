"""Carry committed changes between the processes of a gateway by redis, in place of PostgreSQL's NOTIFY.

Redis stores no message. A process that was not connected has missed some, and reads again all that it follows.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger("torana")

CHANNEL = "torana"
TOPICS = 1_000
"""The most bytes of one message."""
WAITING = 20_000
"""The most topics that wait for a redis that is away; with more, other processes are told that they missed some."""
SILENCE = 10.0
"""Seconds after which a silent connection is checked, and given up after as many more."""
TIMEOUT = 5.0
"""Seconds for one command."""
SHORTEST, LONGEST = 0.1, 5.0
"""Seconds between two attempts to connect."""
FAREWELL = 1.0
"""Seconds at the end for topics that still wait."""
EVERYTHING = "*"
"""A message that stands for topics that are not named."""


class RedisFeed:
    """`announce` is called with the topics of committed writes. Topics of other processes go to `publish`, and `missed`
    is called when some were lost.

    `url` is redis://, rediss:// or unix://. While redis is away, `announce` keeps its topics, and nothing waits for it.
    """

    def __init__(
        self, url: str, channel: str, publish: Callable[[Iterable[str]], None], missed: Callable[[], None]
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # a connection made anew would hide what was missed
            decode_responses=True,
        )
        self._channel = channel
        self._publish = publish
        self._missed = missed
        self._sender = str(uuid4())
        self._waiting: set[str] = set()
        self._wanted, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    def announce(self, topics: Iterable[str]) -> None:
        """Send these topics to the other processes soon."""
        self._waiting.update(topics)
        if len(self._waiting) > WAITING:
            self._waiting = {EVERYTHING}
        self._idle.clear()
        self._wanted.set()

    async def start(self) -> None:
        """Start listening; returns at the first connection, or at the first failure, after which it goes on trying."""
        if not self._tasks:
            tried = asyncio.Event()
            self._tasks = [asyncio.create_task(self._hear(tried)), asyncio.create_task(self._tell())]
            await tried.wait()

    async def close(self) -> None:
        """Send what waits, if possible, and disconnect."""
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._redis.aclose()

    async def _tell(self) -> None:
        """Send what waits; what could not be sent goes on waiting."""
        pause = SHORTEST
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, set()
            topics = sorted(waiting)
            try:
                for start in range(0, len(topics), TOPICS):
                    message = "\n".join((self._sender, *topics[start : start + TOPICS]))
                    await self._redis.publish(self._channel, message)
                pause = SHORTEST
                if not self._waiting:
                    self._idle.set()
            except (OSError, RedisError):
                self.announce(topics)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST)

    async def _hear(self, tried: asyncio.Event) -> None:
        """Listen, and reconnect when the connection breaks; what was missed meanwhile counts as changed."""
        pause = SHORTEST
        while True:
            heard = asyncio.Event()
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._listen(pubsub, tried, heard)
            except (OSError, RedisError) as error:
                log.warning("redis.not_listening", error=type(error).__name__)
                tried.set()
                pause = SHORTEST if heard.is_set() else pause
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST)

    async def _listen(self, pubsub: PubSub, tried: asyncio.Event, heard: asyncio.Event) -> None:
        """Publish messages until the connection ends, which is an error."""
        await pubsub.subscribe(self._channel)
        asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE)
            if message is None:
                if asked:
                    raise TimeoutError("redis says nothing")
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                if tried.is_set():
                    self._missed()
                tried.set()
                heard.set()
            elif message["type"] == "message":
                self._heard(message["data"])

    def _heard(self, payload: str) -> None:
        """Publish what another process changed; changes of this one were published at their commit."""
        sender, *topics = payload.split("\n")
        if sender == self._sender:
            return
        if EVERYTHING in topics:
            self._missed()
        self._publish(topics)
