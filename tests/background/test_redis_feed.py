"""Changes that reach other processes by way of redis."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from db.engine import Database, changed
from gateway.background import redis_feed
from gateway.background.redis_feed import RedisFeed
from tests.support.databases import Prepared
from tests.support.postgres import free_port
from tests.support.redis import Redis, running_redis

pytestmark = pytest.mark.slow


class Process:
    """What one process hears; `topics` has each as often as it came."""

    def __init__(self, url: str, channel: str = "tests") -> None:
        self.topics: list[str] = []
        self.missed = 0
        self._changed = asyncio.Event()
        self.feed = RedisFeed(url, channel, self._publish, self._missed)

    def _publish(self, topics: Iterable[str]) -> None:
        self.topics += topics
        self._changed.set()

    def _missed(self) -> None:
        self.missed += 1
        self._changed.set()

    async def until(self, true: Callable[[], bool], seconds: float = 15) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def processes(url: str, number: int = 2) -> AsyncIterator[list[Process]]:
    async with AsyncExitStack() as stack:
        made = [Process(url) for _ in range(number)]
        for process in made:
            await process.feed.start()
            stack.push_async_callback(process.feed.close)
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with running_redis() as made:
        yield made


async def test_others_hear_each_change_once_and_its_own_process_does_not(server: Redis) -> None:
    async with processes(server.url, 3) as (one, two, three):
        one.feed.announce({"job:1", "job:2"})
        await two.until(lambda: len(two.topics) == 2)
        two.feed.announce(["job:3"])
        await one.until(lambda: one.topics == ["job:3"])
        await three.until(lambda: sorted(three.topics) == ["job:1", "job:2", "job:3"])
        assert sorted(two.topics) == ["job:1", "job:2"]
        assert [process.missed for process in (one, two, three)] == [0, 0, 0]


async def test_another_channel_is_another_gateway(server: Redis) -> None:
    other = Process(server.url, "elsewhere")
    await other.feed.start()
    async with processes(server.url) as (one, two):
        one.feed.announce(["job:1"])
        await two.until(lambda: two.topics == ["job:1"])
    await other.feed.close()
    assert other.topics == []


async def test_many_changes_come_in_few_messages_and_all_of_them(server: Redis) -> None:
    async with processes(server.url) as (one, two):
        for number in range(5_000):
            one.feed.announce([f"job:{number}"])
        await two.until(lambda: len(two.topics) >= 5_000)
        assert sorted(two.topics) == sorted(f"job:{number}" for number in range(5_000))


HEARING = """
import asyncio, sys
from gateway.background.redis_feed import RedisFeed

async def main():
    done = asyncio.Event()
    def heard(topics):
        feed.announce([f"answer:{topic}" for topic in topics])
        done.set()
    feed = RedisFeed(sys.argv[1], "tests", heard, lambda: None)
    await feed.start()
    print("ready", flush=True)
    await done.wait()
    await feed.close()

asyncio.run(main())
"""


async def test_a_process_of_its_own_hears_and_sends_what_waits_before_it_ends(server: Redis) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HEARING, server.url, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    async with processes(server.url, 1) as (one,):
        assert await child.stdout.readline() == b"ready\n"
        one.feed.announce(["job:1"])
        await one.until(lambda: one.topics == ["answer:job:1"])
    assert await child.wait() == 0


async def test_after_a_restart_all_is_missed_and_changes_are_heard_again() -> None:
    with running_redis() as server:
        async with processes(server.url) as (one, two):
            server.kill()
            one.feed.announce(["job:while-away"])
            server.start()
            await one.until(lambda: one.missed == 1)
            await two.until(lambda: two.missed == 1)
            one.feed.announce(["job:1"])
            await two.until(lambda: "job:1" in two.topics)
            two.feed.announce(["job:2"])
            await one.until(lambda: one.topics == ["job:2"])


async def test_redis_may_be_away_at_the_start() -> None:
    with running_redis() as server:
        server.kill()
        async with processes(server.url) as (one, two):
            server.start()
            await two.until(lambda: two.missed == 1)
            await one.until(lambda: one.missed == 1)
            two.feed.announce(["job:2"])
            await one.until(lambda: one.topics == ["job:2"])


async def test_what_waits_for_redis_is_told_when_it_is_back() -> None:
    with running_redis() as server:
        server.kill()
        away = Process(server.url)
        await away.feed.start()
        away.feed.announce(["job:1"])
        server.start()
        await away.until(lambda: away.missed == 1)
        async with processes(server.url, 1) as (other,):
            away.feed.announce(["job:2"])
            await other.until(lambda: "job:2" in other.topics)
            await away.feed.close()


async def test_more_than_can_wait_counts_as_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_feed, "WAITING", 10)
    with running_redis() as server:
        async with processes(server.url) as (one, two):
            server.kill()
            one.feed.announce([f"job:{number}" for number in range(11)])
            server.start()
            await two.until(lambda: two.missed == 1)
            one.feed.announce(["job:last"])
            await two.until(lambda: "job:last" in two.topics)
            assert "job:3" not in two.topics


async def test_a_redis_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_feed, "SILENCE", 1.0)
    monkeypatch.setattr(redis_feed, "TIMEOUT", 1.0)
    with running_redis() as server:
        async with processes(server.url) as (one, two):
            await asyncio.gather(*(process.feed._redis.ping() for process in (one, two)))
            server.signal(signal.SIGSTOP)
            one.feed.announce(["job:1"])
            connections = one.feed._redis.connection_pool
            async with asyncio.timeout(30):
                while connections._in_use_connections:
                    await asyncio.sleep(0.02)
            server.signal(signal.SIGCONT)
            await two.until(lambda: two.missed >= 1)
            one.feed.announce(["job:2"])
            await two.until(lambda: "job:2" in two.topics)


async def test_closing_does_not_wait_for_a_redis_that_is_away() -> None:
    made = Process(f"redis://127.0.0.1:{free_port()}/0")
    async with asyncio.timeout(5):
        await made.feed.start()
        made.feed.announce(["job:1"])
        await made.feed.close()


# In the database's place ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def connected(address: str, url: str) -> AsyncIterator[tuple[Database, list[str], RedisFeed]]:
    """A database whose changes go by redis, and what those who listen to it hear."""
    database = Database(address)
    heard: list[str] = []
    database.listen(heard.extend, lambda: heard.append("missed"))
    feed = RedisFeed(url, "tests", database.publish, database.missed)
    database.announce = feed.announce
    await feed.start()
    await database.start()
    try:
        yield database, heard, feed
    finally:
        await feed.close()
        await database.dispose()


async def write(database: Database, *topics: str) -> None:
    async with database.write(as_system="test") as session:
        changed(session, *topics)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_one_process_commits_another_hears_and_redis_may_be_away(prepared: Prepared) -> None:
    address, _ = await prepared.copy("postgresql")
    with running_redis() as server:
        async with connected(address, server.url) as (one, own, _), connected(address, server.url) as (two, heard, _):
            await write(one, "job:1", "job:2")
            assert sorted(own) == ["job:1", "job:2"], "at once"
            await until(lambda: sorted(heard) == ["job:1", "job:2"])
            with pytest.raises(ZeroDivisionError):
                async with one.write() as session:
                    changed(session, "job:never")
                    raise ZeroDivisionError
            server.kill()
            async with asyncio.timeout(1):
                await write(one, "job:3")
                await write(two, "job:4")
            assert own[2:] == ["job:3"]
            server.start()
            await until(lambda: "missed" in heard and "missed" in own)
            await write(one, "job:5")
            await until(lambda: "job:5" in heard)
            assert "job:never" not in heard
            assert own.count("job:5") == 1
