"""What else may go wrong beneath a job: a full disk, a database that dies, a clock that is wrong."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import asyncpg
import pytest
import sqlalchemy as sa

from db import models
from db.outages import Unavailable
from gateway.protocol.authentication import authenticate
from resolvers.identity import tokens
from resolvers.work.finishing import merge_ready
from schema import Schema
from schema.fields.cost import Bounds
from tests.support.databases import Prepared
from tests.support.platforms import Platform, platform_on
from tests.support.work import REPORT, RESULTS, claim, estimators, job_of, submit, values_of

ON_SQLITE = True


@pytest.fixture
async def own_postgres(schema: Schema, tmp_path: Path) -> AsyncIterator[Platform]:
    """On a server that may be killed."""
    with ExitStack() as stack:
        url, world = await Prepared(tmp_path, stack).copy("postgresql")
        connection = await asyncpg.connect(url)
        await connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = on")
        await connection.close()
        async with platform_on(url, world, schema, tmp_path, Bounds()) as made:
            yield made


@pytest.mark.slow
async def test_results_are_stored_once_though_postgresql_dies_while_they_are_written(own_postgres: Platform) -> None:
    platform = own_postgres
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    holding = await asyncpg.connect(platform.settings.storage.url)
    lock = holding.transaction()
    await lock.start()
    await holding.execute("SELECT 1 FROM tasks FOR UPDATE")
    writing = asyncio.create_task(platform.answer(RESULTS, worker, e=estimators(2.0)))
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'torana'"
    async with asyncio.timeout(30):
        while not (blocked := await holding.fetch(waiting)):
            await asyncio.sleep(0.01)
    os.kill(blocked[0]["pid"], signal.SIGKILL)  # the server then ends every connection, and recovers
    assert (await writing).codes == ["UNAVAILABLE"]
    async with asyncio.timeout(20):
        while (again := await platform.answer(RESULTS, worker, e=estimators(2.0))).codes:
            assert again.codes == ["UNAVAILABLE"]
            await asyncio.sleep(0.05)
    await platform.ask(RESULTS, worker, e=estimators(9.0))
    async with asyncio.timeout(30):
        while (await job_of(platform, submitted))["state"] != "COMPLETED":
            with contextlib.suppress(Unavailable):  # of connections that the server ended, too
                await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"
    assert await values_of(platform, submitted) == [2.0, 2.0, 2.0]


async def test_a_log_is_stored_whole_though_the_disk_was_full_in_between(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    lines = [{"number": n, "text": "x" * 4_000} for n in range(1, 201)]

    async def pages(most: int) -> None:
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(sa.text(f"PRAGMA max_page_count={most}"))

    async with platform.services.database.read() as connection:
        size = (await connection.execute(sa.text("PRAGMA page_count"))).scalar_one()
    await pages(size + 5)
    assert await platform.refused(REPORT, worker, l=lines) == ["UNAVAILABLE"]
    job = await job_of(platform, submitted)
    assert (job["state"], job["log"]["nodes"]) == ("RUNNING", [])
    await pages(2**30)
    await platform.ask(REPORT, worker, l=lines)
    async with platform.services.database.read() as connection:
        stored = sa.select(sa.func.count()).select_from(models.LogEntry)
        assert await connection.scalar(stored.where(models.LogEntry.text == "x" * 4_000)) == 200


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_a_worker_reports_to_gateways_whose_clock_is_an_hour_off(platform: Platform, wrong: timedelta) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            return super().now(UTC) + wrong  # type: ignore[return-value]

    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    assert worker.task_claim is not None
    with patch.object(tokens, "datetime", Clock):
        token = platform.services.identity.keys.worker_token(
            worker.task_claim, platform.services.limits.worker_lifetime
        )
    known = await authenticate(platform.services, f"Bearer {token}")
    await platform.ask(RESULTS, known, e=estimators(1.0))
    await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"
