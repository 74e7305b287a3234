"""A write and its consequences are one, whoever is cancelled; a database that is away says so, and is waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from db import models as m
from db.engine import Database, changed
from db.outages import Contended, Unavailable, finished, tried_again
from resolvers.queue.lifecycle import settle
from schema import Schema
from schema.fields.cost import Bounds
from schema.fields.scalars import key_of
from tests.support.databases import Prepared
from tests.support.platforms import Platform, platform_on
from tests.support.serving import Serve
from tests.support.work import RESULTS, claim, estimators, submit

MAKE = 'mutation { createSite(input: {name: "Cape"}) { __typename ... on Site { id name } ... on Problem { code details } } }'
READ = "{ sites(first: 5) { nodes { id } } }"


async def _cancelled_at(step: int, work: Any) -> bool:
    """Run until the task has waited so often, and cancel it then; whether it was still running."""
    task = asyncio.create_task(work)
    for _ in range(step):
        await asyncio.sleep(0)
        if task.done():
            await task
            return False
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return True


async def test_a_write_that_is_cancelled_anywhere_is_announced_if_it_is_stored_and_only_then(
    platform: Platform,
) -> None:
    database = platform.services.database
    heard: list[str] = []
    database.listen(lambda topics: heard.extend(t for t in topics if t.startswith("test:")), lambda: None)

    async def work(name: str) -> None:
        async with database.write(as_system="a test") as session:
            session.add(m.Site(name=name))
            changed(session, f"test:{name}")

    step, cancelled = 0, 0
    while await _cancelled_at(step, work(f"at {step}")):
        cancelled += 1
        step += 1 if step < 60 else step // 8  # a step may be far shorter than what it waits for
    stored = {row.name for row in await database.rows(sa.select(m.Site.name).where(m.Site.name.like("at %")))}
    assert {f"test:{name}" for name in stored} == set(heard)
    assert len(heard) == len(stored)
    assert cancelled > 3


async def test_a_write_that_is_cancelled_anywhere_leaves_no_lock_while_its_error_is_kept(platform: Platform) -> None:
    """A statement lives in its traceback; before, SQLite kept the lock of its connection for so long."""
    database = platform.services.database

    async def work(name: str) -> None:
        async with database.write(as_system="a test") as session:
            (await session.scalars(sa.update(m.Site).values(name=name).returning(m.Site.id))).all()
            await session.execute(sa.update(m.Site).values(name=f"{name} again"))

    for step in range(40):
        task = asyncio.create_task(work(f"at {step}"))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        kept = await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10), database.write(as_system="a test") as session:
            await session.execute(sa.update(m.Site).values(name="after it"))
        del kept


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_during_a_commit_waits_for_it(platform: Platform, times: int) -> None:
    database, reached, go = platform.services.database, asyncio.Event(), asyncio.Event()
    heard: list[str] = []
    database.listen(heard.extend, lambda: None)
    commit = sa.ext.asyncio.AsyncSession.commit

    async def slow(session: Any) -> None:
        reached.set()
        await go.wait()
        await commit(session)

    async def work() -> None:
        async with database.write(as_system="a test") as session:
            session.add(m.Site(name="Cape"))
            changed(session, "test")

    with patch.object(sa.ext.asyncio.AsyncSession, "commit", slow):
        task = asyncio.create_task(work())
        await reached.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "test" in heard
    assert await database.rows(sa.select(m.Site.id).where(m.Site.name == "Cape"))


async def test_what_is_finished_is_done_to_its_end_and_cancelled_after_it() -> None:
    go, done = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        done.append(1)

    task = asyncio.create_task(finished(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]


async def test_a_write_whose_row_is_gone_when_it_is_shown_says_that_it_is_done(platform: Platform) -> None:
    async def none(*_: Any) -> None:
        return None

    with patch("schema.fields.inputs.written", none):
        answer = (await platform.ask(MAKE, "root"))["createSite"]
    assert (answer["code"], answer["details"]) == ("UNCONFIRMED", {"committed": True})
    assert await platform.services.database.rows(sa.select(m.Site.id).where(m.Site.name == "Cape"))


@pytest.mark.parametrize("error", [Unavailable("away"), sa.exc.TimeoutError("busy"), RuntimeError("a fault")])
async def test_a_write_that_can_not_be_read_back_says_that_it_is_done(platform: Platform, error: Exception) -> None:
    async def fails(*_: Any) -> None:
        raise error

    with patch("schema.fields.inputs.written", fails):
        answer = (await platform.ask(MAKE, "root"))["createSite"]
    assert (answer["code"], answer["details"]) == ("UNCONFIRMED", {"committed": True})


async def test_below_what_was_written_no_error_says_that_it_may_be_tried_again(platform: Platform) -> None:
    nested = 'mutation { x: createSite(input: {name: "Cape"}) { ... on Site { projects(first: 1) { totalCount } } } }'

    async def fails(*_: Any, **__: Any) -> None:
        raise Unavailable("away")

    with (
        patch("resolvers.reading.loaders.Loaders.page", fails),
        patch("resolvers.reading.loaders.Loaders.below", fails),
    ):
        assert await platform.refused(nested, "root") == ["UNCONFIRMED"]


async def test_a_commit_of_which_nothing_is_known_says_so(platform: Platform) -> None:
    principal = await platform.principal("root")

    async def cut(_: Any) -> None:
        raise ConnectionResetError("cut")

    with patch.object(sa.ext.asyncio.AsyncSession, "commit", cut):
        answer = await platform.answer(MAKE, principal)
    (error,) = answer.body["errors"]
    assert error["extensions"] == {"code": "UNCONFIRMED", "committed": None}


async def test_what_others_get_in_the_way_of_is_tried_again_and_then_a_conflict(platform: Platform) -> None:
    principal = await platform.principal("root")
    write, times = Database.write, 0

    def contended(most: int) -> Any:
        @contextlib.asynccontextmanager
        async def writing(database: Database, **given: Any) -> AsyncIterator[Any]:
            nonlocal times
            times += 1
            async with write(database, **given) as session:
                yield session
                if times <= most:
                    raise Contended("deadlock")

        return writing

    with patch.object(Database, "write", contended(2)):
        assert (await platform.ask(MAKE, principal))["createSite"]["__typename"] == "Site"
    times = 0
    with patch.object(Database, "write", contended(99)):
        assert (await platform.ask(MAKE, principal))["createSite"]["code"] == "CONFLICT"
    assert len(await platform.services.database.rows(sa.select(m.Site.id).where(m.Site.name == "Cape"))) == 1


async def test_what_was_committed_in_part_is_not_tried_again() -> None:
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1
        raise Contended

    with pytest.raises(Contended):
        await tried_again(work, lambda: done == 0)
    assert done == 1


async def test_a_deadlock_on_postgresql_costs_nobody_their_write(platform: Platform) -> None:
    """Two transactions against the order of locks."""
    database = platform.services.database
    async with database.write(as_system="a test") as session:
        session.add_all(m.Site(name=name) for name in ("A", "B"))
    met = 0
    both = asyncio.Event()

    async def work(*names: str) -> None:
        nonlocal met
        async with database.write(as_system="a test") as session:
            for number, name in enumerate(names):
                if number:
                    met += 1
                    if met == 2:
                        both.set()
                    if database.dialect == "postgresql" and met <= 2:
                        await both.wait()
                raised = sa.update(m.Site).where(m.Site.name == name).values(version=m.Site.version + 1)
                await session.execute(raised.execution_options(synchronize_session=False))

    await asyncio.gather(tried_again(lambda: work("A", "B")), tried_again(lambda: work("B", "A")))
    rows = await database.rows(sa.select(m.Site.version).where(m.Site.name.in_(("A", "B"))))
    assert [row.version for row in rows] == [3, 3]


# The database away ----------------------------------------------------------------------------------------------------


class Cut:
    """A way to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
async def behind(prepared: Prepared, schema: Schema, tmp_path: Path) -> AsyncIterator[tuple[Platform, Cut]]:
    """A gateway whose PostgreSQL can be cut off."""
    url, world = await prepared.copy("postgresql")
    parsed = sa.make_url(url)
    assert parsed.host is not None
    cut = Cut(parsed.host, parsed.port or 5432)
    await cut.open()
    through = parsed.set(host="127.0.0.1", port=cut.port).render_as_string(hide_password=False)
    try:
        async with platform_on(through, world, schema, tmp_path, Bounds()) as made:
            yield made, cut
    finally:
        await cut.close()


async def test_while_the_database_is_away_all_is_unavailable_and_one_line_says_so(
    behind: tuple[Platform, Cut],
) -> None:
    platform, cut = behind
    submitted = await submit(platform, 1)
    assert submitted
    (worker,) = await claim(platform)
    root = await platform.principal("root")
    with capture_logs() as logs:
        await cut.close()
        for _ in range(5):
            answers = [
                await platform.answer(READ, root),
                await platform.answer("{ a: sites(first: 1) { nodes { id } } b: __typename }", root),
                await platform.answer(MAKE, root),
                await platform.answer(RESULTS, worker, e=estimators(2.0)),
                await platform.answer('mutation { logIn(username: "root", password: "x") { __typename } }'),
            ]
            for answer in answers:
                assert answer.codes == ["UNAVAILABLE"], answer.body
                assert (answer.status, answer.retry_after) == (503, 2)
        with pytest.raises(Unavailable):
            await platform.principal("maria")
        told = [one["event"] for one in logs if one["log_level"] in ("warning", "error")]
        assert told == ["database.away"]
        await cut.open()
        async with asyncio.timeout(20):
            while "database.back" not in [one["event"] for one in logs]:
                with contextlib.suppress(Unavailable):
                    await platform.services.database.rows(sa.select(1))
                await asyncio.sleep(0.1)
    await platform.ask(READ, root)
    assert (await platform.ask(MAKE, root))["createSite"]["__typename"] == "Site"
    await platform.ask(RESULTS, worker, e=estimators(2.0))
    assert [one["event"] for one in logs if one["event"].startswith("database.")].count("database.back") == 1


async def test_a_reader_whose_connection_is_refused_waits_for_another(prepared: Prepared) -> None:
    url, _ = await prepared.copy("postgresql")
    name = url.rpartition("/")[2]
    admin = await asyncpg.connect(url)
    await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 4")
    role = "reader_" + name[-12:]
    await admin.execute(f"CREATE ROLE {role} LOGIN")
    await admin.execute(f"GRANT pg_read_all_data TO {role}")
    plain = sa.make_url(url).set(username=role).render_as_string(hide_password=False)
    database = Database(plain, readers=10)
    try:
        rows = await asyncio.gather(*(database.rows(sa.text("SELECT pg_sleep(0.02)")) for _ in range(40)))
        assert len(rows) == 40
    finally:
        await database.dispose()
        await admin.execute(f"REVOKE pg_read_all_data FROM {role}")
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


async def test_over_http_a_database_that_is_away_is_503_with_the_time_to_wait(serve: Serve) -> None:
    served = await serve("sqlite")
    token = await served.log_in("root")
    headers = {"Authorization": token, "Accept": "application/graphql-response+json"}

    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("away")

    with patch("db.readers.Readers.run", away):
        said = [
            await served.client.post("/graphql", json={"query": READ}, headers=headers),
            await served.client.get(
                "/downloads/simulations/x/log.txt", headers={"Authorization": "Bearer sl_" + "x" * 43}
            ),
        ]
        alive, ready = [(await served.client.get(path)).status_code for path in ("/healthz", "/readyz")]
    assert [(one.status_code, one.headers["Retry-After"]) for one in said] == [(503, "2")] * 2
    assert said[0].json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfterSeconds": 2}
    assert (alive, ready) == (200, 503)


# What a task's end costs ----------------------------------------------------------------------------------------------


async def test_the_end_of_a_task_reads_as_little_of_a_large_job_as_of_a_small_one(platform: Platform) -> None:
    database = platform.services.database
    engine: Any = database._writer.sync_engine
    read: dict[int, tuple[int, int]] = {}
    for size in (10, 1_000):
        submitted = await submit(platform, 1)
        async with database.write(as_system="a test") as session:
            job = await session.get_one(m.Job, key_of("Job", submitted["job"]["id"]))
            tasks = (m.Task(job_id=job.id, ordinal=n, requested=1) for n in range(2, size + 1))
            session.add_all(tasks)
            job.state = m.JobState.RUNNING
        statements = rows = 0

        def count(_connection: Any, cursor: Any, *_: Any) -> None:
            nonlocal statements
            statements += 1

        def loaded(*_: Any) -> None:
            nonlocal rows
            rows += 1

        sa.event.listen(engine, "after_cursor_execute", count)
        sa.event.listen(m.Task, "load", loaded)
        try:
            async with database.write(as_system="a test") as session:
                held = await session.get_one(m.Job, job.id)
                await settle(session, held)
        finally:
            sa.event.remove(engine, "after_cursor_execute", count)
            sa.event.remove(m.Task, "load", loaded)
        read[size] = statements, rows
    assert read[10] == read[1_000]
    assert read[10][1] == 0
