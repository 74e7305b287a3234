"""The connections that read, when they break, run out or are left; and what is read row by row when a statement can't
make it."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
import structlog.testing

from db import models, plans
from db.engine import Database, TooComplex
from db.prepared import Prepared as Statement
from gateway.operations.documents import Envelope
from resolvers.context import Context
from resolvers.identity.principal import ANONYMOUS
from resolvers.spelling import global_id
from schema import Schema
from schema.fields.cost import Bounds
from tests.support.databases import Prepared
from tests.support.platforms import Platform, platform_on
from tests.support.world import simulate

pytestmark = pytest.mark.slow

OURS = "datname = current_database() AND application_name = 'torana'"
SLEEPING = f"{OURS} AND state = 'active' AND query LIKE '%pg_sleep%'"
SLEEP = "SELECT pg_sleep(60)"
LABELS = "{challenges(first:1){nodes{label}}}"
LABELLED = {"challenges": {"nodes": [{"label": "units-2026"}]}}
BY_ROWS = "{job(id:$i){error{code} tasks(first:9,orderBy:{field:ORDINAL}){nodes{ordinal}}}}"


@pytest.fixture(scope="module")
async def postgres(
    prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """On a PostgreSQL database that the tests of this module only read."""
    url, world = await prepared.copy("postgresql")
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        yield made


@asynccontextmanager
async def _reading(postgres: Platform, readers: int) -> AsyncIterator[Platform]:
    """The same with connections of its own, which only read."""
    database = Database(postgres.settings.storage.url, readers=readers)
    try:
        yield replace(postgres, services=replace(postgres.services, database=database))
    finally:
        await database.dispose()


@pytest.fixture
async def other(postgres: Platform) -> AsyncIterator[asyncpg.Connection]:
    """A connection of someone else."""
    connection = await asyncpg.connect(postgres.settings.storage.url)
    await _end(connection)  # those of earlier tests
    yield connection
    await connection.close()


async def _open(database: Database, number: int) -> None:
    """So many connections, idle."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(database.read())


def _prepared(database: Database, text: str) -> Statement:
    return Statement(sa.text(text), database._prepared.dialect)  # type: ignore[arg-type]


async def _count(other: asyncpg.Connection, which: str = OURS) -> int:
    found: int = await other.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {which}")
    return found


async def _end(other: asyncpg.Connection) -> int:
    """End all connections of ours, and wait until they are; their number."""
    return len(await other.fetch(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {OURS}"))


async def _until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0)


# Connections that break -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rendered", [True, False], ids=["rendered", "by rows"])
async def test_a_read_meets_no_error_when_all_idle_connections_were_ended(
    postgres: Platform, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, rendered: bool
) -> None:
    monkeypatch.setattr(postgres.execution, "renders", rendered)
    async with _reading(postgres, 5) as platform:
        await _open(platform.services.database, 5)
        for ended in (5, 1):
            assert await _end(other) == ended
            assert await platform.ask(LABELS) == LABELLED
            assert await _count(other) == 1


@pytest.mark.parametrize("rendered", [True, False], ids=["rendered", "by rows"])
async def test_many_reads_at_once_meet_no_error_when_all_connections_were_ended(
    postgres: Platform, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, rendered: bool
) -> None:
    monkeypatch.setattr(postgres.execution, "renders", rendered)
    async with _reading(postgres, 5) as platform:
        for _ in range(3):
            await _open(platform.services.database, 5)
            assert await _end(other) == 5
            assert await asyncio.gather(*(platform.ask(LABELS) for _ in range(20))) == [LABELLED] * 20
            assert await _count(other) <= 5


@pytest.mark.parametrize("said", ["InterfaceError", "InternalClientError", "AdminShutdownError"])
async def test_a_read_whose_connection_ended_is_done_once_more_on_a_new_one(postgres: Platform, said: str) -> None:
    async with _reading(postgres, 1) as platform:
        used: list[int] = []

        async def work(connection: Any) -> int:
            used.append(await connection.scalar(sa.text("SELECT pg_backend_pid()")))
            if len(used) == 1:
                raise getattr(asyncpg, said)("the connection was ended")
            return used[-1]

        assert await platform.services.database._readers.run(work) == used[1] != used[0]


async def test_a_failed_statement_keeps_its_connection(postgres: Platform, other: asyncpg.Connection) -> None:
    async with _reading(postgres, 1) as platform:
        database = platform.services.database
        (first,) = await database.rows(sa.text("SELECT pg_backend_pid()"))  # type: ignore[arg-type]
        for wrong in ("SELECT 1/0", "SELECT nonsense", "SELECT 'x'::int"):
            with pytest.raises(sa.exc.DBAPIError):
                await database.rows(sa.text(wrong))  # type: ignore[arg-type]
            with pytest.raises(asyncpg.PostgresError):
                await database.fetch(_prepared(database, wrong), {})
        assert list(await database.rows(sa.text("SELECT pg_backend_pid()"))) == [first]  # type: ignore[arg-type]


# Operations that are left ---------------------------------------------------------------------------------------------


def _asleep(patch: pytest.MonkeyPatch) -> None:
    """Every read takes a minute."""
    fetch, rows = Database.fetch, Database.rows

    async def slow_fetch(self: Database, *_: Any) -> Any:
        return await fetch(self, _prepared(self, SLEEP), {})

    async def slow_rows(self: Database, *_: Any) -> Any:
        return await rows(self, sa.text(SLEEP))  # type: ignore[arg-type]

    patch.setattr(Database, "fetch", slow_fetch)
    patch.setattr(Database, "rows", slow_rows)


@pytest.mark.parametrize("rendered", [True, False], ids=["rendered", "by rows"])
async def test_an_operation_that_its_client_left_leaves_no_busy_connection(
    postgres: Platform, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, rendered: bool
) -> None:
    monkeypatch.setattr(postgres.execution, "renders", rendered)
    async with _reading(postgres, 2) as platform:
        operation = platform.documents.operation(Envelope(LABELS))
        with monkeypatch.context() as patch:
            _asleep(patch)
            context = Context(platform.services, ANONYMOUS)
            asked = [asyncio.create_task(platform.execution.run(operation, {}, context)) for _ in range(2)]

            async def both_sleep() -> bool:
                return await _count(other, SLEEPING) == 2

            await _until(both_sleep)
            for task in asked:
                task.cancel()
            ended = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in ended] == [asyncio.CancelledError] * 2

        async def nobody_sleeps() -> bool:
            return await _count(other, SLEEPING) == 0

        await _until(nobody_sleeps)
        assert platform.services.database._readers._places._value == 2
        assert await asyncio.gather(*(platform.ask(LABELS) for _ in range(5))) == [LABELLED] * 5
        assert await _count(other) <= 2


async def test_who_gives_up_waiting_for_a_connection_takes_no_place(postgres: Platform) -> None:
    async with _reading(postgres, 1) as platform:
        database = platform.services.database
        async with database.read():
            waiting = [asyncio.create_task(database.rows(sa.select(1))) for _ in range(5)]
            await asyncio.sleep(0)
            for task in waiting[:4]:
                task.cancel()
        assert list(await waiting[4]) == [(1,)]
        assert database._readers._places._value == 1


# More reads than connections ------------------------------------------------------------------------------------------


async def test_more_reads_than_connections_all_answer(postgres: Platform, other: asyncpg.Connection) -> None:
    counting = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}")
    async with _reading(postgres, 2) as platform:
        database = platform.services.database
        prepared = _prepared(database, counting.text)
        found = await asyncio.gather(
            *(database.rows(counting) for _ in range(20)),  # type: ignore[arg-type]
            *(database.fetch(prepared, {}) for _ in range(20)),
            *(platform.ask(LABELS) for _ in range(20)),
        )
        assert {rows[0][0] for rows in found[:40]} <= {1, 2}
        assert found[40:] == [LABELLED] * 20
        assert await _count(other) == 2
        assert database._readers._places._value == 2


@pytest.mark.parametrize("rendered", [True, False], ids=["rendered", "by rows"])
async def test_a_wait_for_a_connection_ends(
    postgres: Platform, monkeypatch: pytest.MonkeyPatch, rendered: bool
) -> None:
    monkeypatch.setattr(postgres.execution, "renders", rendered)
    async with _reading(postgres, 1) as platform:
        database = platform.services.database
        monkeypatch.setattr(database._readers, "_wait", 0.01)
        async with database.read():
            with pytest.raises(sa.exc.TimeoutError, match="no connection became free"):
                await database.rows(sa.select(1))
            assert await platform.refused(LABELS) == ["TIMEOUT"]
        assert await platform.ask(LABELS) == LABELLED


# What a statement can't make ------------------------------------------------------------------------------------------


class _Fetches:
    """Stands in for Database.fetch, and fails the first times."""

    def __init__(self, patch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
        self.tried = 0
        fetch = Database.fetch

        async def failing(database: Database, *given: Any) -> Any:
            self.tried += 1
            if self.tried <= times:
                raise error
            return await fetch(database, *given)

        patch.setattr(Database, "fetch", failing)


def _told(lines: list[Any], event: str) -> list[Any]:
    return [line for line in lines if line["event"] == event]


ALWAYS = 1_000_000


async def test_a_list_whose_statement_is_too_large_is_read_row_by_row_from_then_on(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "query TooLarge {challenges(first:1){nodes{label}}}"
    fetches = _Fetches(monkeypatch, TooComplex("parser stack overflow"), ALWAYS)
    with structlog.testing.capture_logs() as lines:
        assert await reading.ask(query) == LABELLED
    refusals = _told(lines, "rendering.refused")
    assert refusals
    assert {(line["log_level"], line["why"]) for line in refusals} == {("warning", "parser stack overflow")}
    assert all(line["characters"] > 0 for line in refusals)
    assert not _told(lines, "rendering.failed")
    fetches.tried = 0
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert await reading.ask(query) == LABELLED
    assert fetches.tried == 0
    assert not _told(lines, "rendering.refused")


async def test_what_is_too_large_below_a_row_is_read_row_by_row_from_then_on(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = f"query TooLarge($i:ID!){BY_ROWS}"
    expected = {"job": {"error": None, "tasks": {"nodes": [{"ordinal": 1}, {"ordinal": 2}]}}}
    id = reading.world.id("Job", "job")
    fetches = _Fetches(monkeypatch, TooComplex("parser stack overflow"), ALWAYS)
    with structlog.testing.capture_logs() as lines:
        assert await reading.ask(query, "tom", i=id) == expected
        assert await reading.ask(query, "tom", i=id) == expected
    assert len(_told(lines, "rendering.refused")) == 1
    assert fetches.tried == 1


async def test_other_documents_are_still_rendered(reading: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = _Fetches(monkeypatch, TooComplex("parser stack overflow"), 2)
    await reading.ask("query Large {challenges(first:1){nodes{label}}}")
    fetches.tried = 2
    assert await reading.ask("query Small {challenges(first:1){nodes{label}}}") == LABELLED
    assert fetches.tried == 3


async def test_a_fault_in_rendering_is_logged_and_the_answer_comes_all_the_same(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Fetches(monkeypatch, RuntimeError("a fault"), 1)
    monkeypatch.setattr(reading, "faulty", True)
    with structlog.testing.capture_logs() as lines:
        assert await reading.ask("query Faulty {challenges(first:1){nodes{label}}}") == LABELLED
    (told,) = _told(lines, "rendering.failed")
    assert (told["log_level"], str(told["exc_info"])) == ("error", "a fault")


async def test_an_error_in_one_field_does_not_end_what_another_waits_for(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.execution, "renders", False)
    answer = await reading.answer(
        """{ wrong:challenge(label:"units-2026"){leaderboards(first:1){nodes{challenge{label} entries(first:1,after:"x"){totalCount}}}}
        right:challenge(label:"units-2026"){leaderboards(first:1){nodes{challenge{label}}}} }"""
    )
    assert answer.codes == ["INVALID"]
    right = {"leaderboards": {"nodes": [{"challenge": {"label": "units-2026"}}]}}
    assert answer.body["data"] == {"wrong": None, "right": right}


# Numbers --------------------------------------------------------------------------------------------------------------

NUMBERS = """query($i:ID!){simulation(id:$i){estimators(first:50,orderBy:{field:NAME}){nodes{name pages(first:9,orderBy:{field:NUMBER}){
  nodes{number axis1{values} data{values}}}}}}}"""


async def test_numbers_are_fetched_by_one_further_statement_whatever_their_number(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        many = await simulate(session, platform.world.tom, None, "many", estimators=20)
    counts = set()
    for key, estimators in ((platform.world.simulation, 1), (many.simulation, 20)):
        with pytest.MonkeyPatch.context() as patch:
            fetches = _Fetches(patch, RuntimeError(), 0)
            found = await platform.ask(NUMBERS, "tom", i=global_id("Simulation", key))
            counts.add((fetches.tried, platform.counted.statements))
        nodes = found["simulation"]["estimators"]["nodes"]
        assert len(nodes) == estimators
        for node in nodes:
            assert [page["number"] for page in node["pages"]["nodes"]] == [0, 1]
            assert [page["data"]["values"] for page in node["pages"]["nodes"]] == [[1.0, None, 3.0]] * 2
            assert [page["axis1"]["values"] for page in node["pages"]["nodes"]] == [[0.5, 1.5, 2.5]] * 2
    assert counts == {(2, 2)}


@pytest.mark.parametrize("by_rows", [False, True], ids=["rendered", "below rows"])
async def test_numbers_that_go_away_between_the_two_statements_do_no_harm(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, by_rows: bool
) -> None:
    fetch = Database.fetch
    texts: list[str] = []

    async def deleting(self: Database, *given: Any) -> Any:
        found = await fetch(self, *given)
        if not texts:
            async with self.write(as_system="test") as session:
                await session.execute(sa.delete(models.Page).where(models.Page.number == 0))
        texts.append(given[0].sql)
        return found

    query = NUMBERS.replace("simulation(id:$i){", "simulation(id:$i){job{error{code}} ") if by_rows else NUMBERS
    monkeypatch.setattr(Database, "fetch", deleting)
    with structlog.testing.capture_logs() as lines:
        found = await platform.ask(query, "tom", i=platform.world.id("Simulation", "simulation"))
    (estimator,) = found["simulation"]["estimators"]["nodes"]
    assert [(page["number"], page["data"]["values"]) for page in estimator["pages"]["nodes"]] == [(1, [1.0, None, 3.0])]
    assert not [line for line in lines if line["log_level"] == "error"]
    assert len(texts) >= 2


# Modes of planning ----------------------------------------------------------------------------------------------------

MODE = sa.select(sa.func.current_setting("plan_cache_mode"))


@pytest.mark.parametrize("readers", [1, 4])
async def test_a_read_is_planned_in_its_mode_whatever_connections_there_are(postgres: Platform, readers: int) -> None:
    async with _reading(postgres, readers) as platform:
        ways = [(MODE, plans.GENERIC), (plans.planned(MODE), plans.OWN)] * 10
        found = await asyncio.gather(*(platform.services.database.rows(statement) for statement, _ in ways))
        assert [rows[0][0] for rows in found] == [mode for _, mode in ways]


async def test_a_connection_stays_in_its_mode(postgres: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read needs a statement beside its own while there is a connection of either mode."""
    settings: list[str] = []
    execute = asyncpg.Connection.execute

    async def noted(self: Any, query: str, *given: Any, **named: Any) -> Any:
        settings.append(query)
        return await execute(self, query, *given, **named)

    async with _reading(postgres, 4) as platform:
        database = platform.services.database
        for statement in (MODE, plans.planned(MODE)):
            await database.rows(statement)
        monkeypatch.setattr(asyncpg.Connection, "execute", noted)
        for _ in range(5):
            for statement in (MODE, plans.planned(MODE)):
                await database.rows(statement)
        assert settings == []


async def test_only_lists_of_larger_tables_are_planned_for_their_values(postgres: Platform) -> None:
    """tom sees a part of the simulations."""
    query, sizes = "{simulations(first:1){nodes{id}}}", postgres.services.database._sizes
    for small, marked in ((None, False), (frozenset[str](), True), (frozenset({"simulations"}), False)):
        if small is not None:
            sizes._small, sizes._until = small, math.inf
        assert (await postgres.answer(query, "tom")).body["data"]["simulations"]["nodes"]
        (text,) = postgres.counted.texts
        assert (plans.MARK in text) is marked
    sizes._until = 0.0
