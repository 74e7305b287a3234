"""Many who follow a leaderboard that is rebuilt, and others who read it meanwhile."""

import asyncio
import secrets
import statistics
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from bench import data
from bench.challenges.rebuilding import MARK, built, contested, mark
from bench.jobs.gateway import bare, torana
from bench.load import Connection, percentile, post
from bench.servers import Running, log_in, running
from bench.sockets import Subscriber
from db import models
from db.types import uuid7
from resolvers.context import Services
from resolvers.identity.principal import Kind
from resolvers.spelling import global_id
from tests.support.platforms import login_session

FOLLOWERS, PEOPLE, READERS = 100, 10, 2
SHOWN = 100
_BOARD = f"build {{ number entryCount }} entries(first: {SHOWN}) {{ nodes {{ place data }} }}"
FOLLOW = f"subscription Follow($i: ID!) {{ leaderboardUpdated(id: $i) {{ {_BOARD} }} }}"
READ = f"query Read($i: ID!) {{ leaderboard(id: $i) {{ {_BOARD} }} }}"


class Seen:
    """What was seen of each build: by whom, and when last. `torn` are answers that are not all of one build."""

    def __init__(self) -> None:
        self.torn: list[str] = []
        self.answers = 0
        self.mark = -1
        self.waiting: set[int] = set()
        self.last = 0.0
        self.reached = asyncio.Event()

    def expect(self, number: int) -> None:
        """From now on everyone is to see the scores of this change."""
        self.mark, self.waiting = number, set(range(FOLLOWERS))
        self.reached.clear()

    def take(self, board: Any) -> int | None:
        """The change whose scores an answer has, if all of it is of one."""
        self.answers += 1
        nodes = board["entries"]["nodes"]
        marks = {node["data"][MARK] for node in nodes}
        places = [node["place"] for node in nodes]
        if len(marks) != 1 or places != list(range(1, 1 + min(SHOWN, board["build"]["entryCount"]))):
            self.torn.append(f"build {board['build']['number']}: {len(nodes)} entries, scores of {sorted(marks)[:3]}")
            return None
        return int(marks.pop())

    def hear(self, follower: int, text: bytes) -> None:
        if (payload := orjson.loads(text).get("payload")) is None:
            return
        if self.take(payload["data"]["leaderboardUpdated"]) == self.mark and follower in self.waiting:
            self.waiting.discard(follower)
            self.last = time.perf_counter()
            if not self.waiting:
                self.reached.set()


async def followers(server: str, folder: Path, entries: int, rounds: int) -> None:
    keys, url = f"bench:{secrets.token_urlsafe(48)}", await data.create(server)
    reader = await data.reader_of(url)
    async with bare(url, keys, folder) as services, running(torana(keys), url, folder) as gateway:
        board = await contested(services.database, reader, entries)
        await mark(services, 0)
        await built(services, board)
        await _followed(services, gateway, board, rounds)


async def _followed(services: Services, gateway: Running, board: UUID, rounds: int) -> None:
    seen, asked = Seen(), {"i": global_id("Leaderboard", board)}
    seen.expect(0)
    people = [await _person(services, n) for n in range(PEOPLE)]
    subscribers = [
        await Subscriber.ask(gateway.url, people[n % PEOPLE], FOLLOW, asked, partial(seen.hear, n))
        for n in range(FOLLOWERS)
    ]
    async with asyncio.timeout(60):
        await seen.reached.wait()
    stopping = asyncio.Event()
    question = post(gateway.url, orjson.dumps({"query": READ, "variables": asked}), await log_in(gateway.url))
    readers = [asyncio.create_task(_read(gateway.url, question, seen, stopping)) for _ in range(READERS)]
    taken, late = [], []
    for number in range(1, rounds + 1):
        await mark(services, number)
        seen.expect(number)
        taken.append(await built(services, board))
        committed = time.perf_counter()
        async with asyncio.timeout(60):
            await seen.reached.wait()
        late.append(max(0.0, seen.last - committed))
    stopping.set()
    await asyncio.gather(*readers)
    for subscriber in subscribers:
        subscriber.close()
    late.sort()
    print(
        f"followers: the last of {FOLLOWERS} saw a new build {statistics.median(late) * 1000:.0f} ms after its commit "
        f"at the median, {percentile(late, 99) * 1000:.0f} ms at most of {rounds}; builds took "
        f"{statistics.median(taken):.2f} s beside {READERS} readers; {len(seen.torn)} of {seen.answers:,} answers "
        f"were not all of one build{''.join(f'; {one}' for one in seen.torn[:3])}",
        flush=True,
    )


async def _read(url: str, question: bytes, seen: Seen, stopping: asyncio.Event) -> None:
    connection = await Connection.open(url)
    while not stopping.is_set():
        seen.take(orjson.loads(await connection.ask(question))["data"]["leaderboard"])
        await asyncio.sleep(0.02)
    connection.close()


async def _person(services: Services, number: int) -> str:
    """The Authorization header of a user."""
    key = uuid7()
    async with services.database.write(as_system="bench") as session:
        session.add(models.User(id=key, username=f"person{number}", email_verified=True))
    family = await login_session(services, key, seconds=3_600)
    return f"Bearer {services.identity.keys.access_token(Kind.USER, key, family, timedelta(hours=1))}"
