"""One failure in the background keeps no others from running."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from db.engine import Database
from db.models import Task
from jobs.engine import Batch, Held, Seen
from resolvers.queue.reports import Line, Report
from resolvers.retention import Sweep, tidy
from resolvers.work.dispatcher import Dispatcher, Post
from resolvers.work.releases import Release, release_all
from tests.support.platforms import Platform
from tests.support.work import claim, hand, job_of, submit


async def test_a_sweep_that_fails_keeps_none_behind_it_from_running(platform: Platform) -> None:
    async def fails(database: Database, days: float) -> int:
        raise RuntimeError("it can't")

    async def works(database: Database, days: float) -> int:
        return 3

    gone = await tidy(
        platform.services.database, [Sweep("one", 1, works), Sweep("two", 1, fails), Sweep("x", 1, works)]
    )
    assert gone == {"one": 3, "x": 3}


async def test_a_report_that_can_not_be_stored_takes_no_other_with_it(platform: Platform) -> None:
    submitted = await submit(platform, 2)
    good, bad = [worker.task_claim for worker in await claim(platform)]
    assert good is not None
    assert bad is not None
    put = platform.services.jobs.reports.put
    told = await asyncio.gather(
        put(good, Report(1, lines=[Line(1, "good")])),
        put(bad, Report(1, lines=[Line(1, "\ud800")])),
        return_exceptions=True,
    )
    assert [isinstance(one, Exception) for one in told] == [False, True]
    assert [line["text"] for line in (await job_of(platform, submitted))["log"]["nodes"]] == ["good"]


async def test_a_task_that_can_not_be_released_keeps_no_other_waiting(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    assert worker.task_claim is not None
    broken = replace(worker.task_claim, job_id=uuid4(), ordinal=object())  # type: ignore[arg-type]
    await release_all(platform.services, [Release(broken, "lost"), Release(worker.task_claim, "lost")])
    assert (await job_of(platform, submitted))["tasks"]["nodes"][0]["state"] == "PENDING"


class Deaf:
    """An engine that can't cancel anything."""

    personal = False

    def __init__(self) -> None:
        self.given = asyncio.Event()

    def room(self) -> int:
        return 1

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        self.given.set()
        return {}

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        raise RuntimeError("it can't")

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        return {}

    async def close(self) -> None: ...


async def test_an_engine_that_can_not_cancel_is_still_given_tasks(platform: Platform) -> None:
    cancelled = await submit(platform, 1)
    await hand(platform)
    await platform.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", "tom", i=cancelled["job"]["id"])
    held = sa.select(sa.func.count()).select_from(Task).where(Task.holder.is_not(None))
    assert await platform.services.database.rows(held) == [(1,)]
    await submit(platform, 1)
    engine = Deaf()

    async def merge() -> None: ...

    post = Post(engine, None, interval=0.05, patience=60.0)
    dispatcher = Dispatcher(platform.services, [post], "http://127.0.0.1:1", merge=merge, alone=False)
    dispatcher.start()
    async with asyncio.timeout(20):
        await engine.given.wait()
    await dispatcher.close()
