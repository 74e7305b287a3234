"""Databases of every revision come to the newest one, whole or not at all."""

import asyncio
import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db import migrating
from db.engine import Database
from tests.support.databases import Prepared
from tests.support.filling import Filling, copy_into, reflected, stored
from tests.support.recording import listening

REVISIONS = [script.revision for script in migrating._scripts().walk_revisions()][::-1]
PRESENT = "b7d4f2c61a08"
"""From the next revision on, the code before it must be able to serve."""
DROPPED = {"memberships": "its rows become groups that hold a role"}
LATER: dict[str, str] = {}
"""Revisions that take away what the release before no longer uses, and what that is."""


async def run(url: str, work: Callable[[sa.Connection], Any]) -> Any:
    async with migrating._alone(url) as connection:
        return await connection.run_sync(work)


async def at(prepared: Prepared, backend: str, revision: str, name: str) -> str:
    """A filled database of a revision."""
    lite = await prepared.empty("sqlite", f"{name}_lite_{revision}")
    await migrating.migrate(lite, revision)

    def fill(connection: sa.Connection) -> dict[str, Any]:
        made = Filling(connection).fill()
        assert not connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        return made

    made = await run(lite, fill)
    assert {table for table, rows in made.items() if len(rows) < 2} == set()
    if backend == "sqlite":
        return lite
    url = await prepared.empty(backend, f"{name}_{revision}")
    await migrating.migrate(url, revision)
    await run(url, lambda connection: copy_into(connection, made))
    return url


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_filled_database_of_every_revision_comes_to_the_newest(
    prepared: Prepared, backend: str, revision: str
) -> None:
    url = await at(prepared, backend, revision, "filled")
    before = await run(url, stored)
    assert await migrating.migrate(url) == (revision, migrating.newest())
    after = await run(url, stored)
    assert await migrating.differences(url) == []
    assert before.keys() - after.keys() <= DROPPED.keys()
    for table, rows in before.items():
        if table not in DROPPED:
            for key, row in rows.items():
                assert row == {column: after[table][key][column] for column in row}, table
    members = {(m["user_id"], m["project_id"], m["role"].lower()) for m in before.get("memberships", {}).values()}
    roles, grants = after["roles"], after["role_grants"].values()
    held = {
        (m["user_id"], roles[g["role_id"]]["project_id"], roles[g["role_id"]]["name"])
        for g in grants
        for m in after["user_group_members"].values()
        if m["user_group_id"] == g["user_group_id"]
    }
    assert members <= held


class Interrupted(Exception):
    pass


@contextlib.contextmanager
def interrupted(at: int | None = None) -> Iterator[list[str]]:
    """Fail at one of the statements of what is done meanwhile, by default as they are committed."""
    texts: list[str] = []

    def count(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        texts.append(text)
        if len(texts) == at:
            raise Interrupted

    def commit(_connection: Any) -> None:
        raise Interrupted

    with (
        listening(sa.Engine, {"before_cursor_execute": count, "commit": commit}),
        pytest.raises(Interrupted),
    ):
        yield texts


async def look(url: str) -> Any:
    def whole(connection: sa.Connection) -> Any:
        ask = connection.exec_driver_sql
        if connection.dialect.name == "sqlite":
            shape = sorted(map(str, ask("SELECT type, name, sql FROM sqlite_master")))
            tables = ask("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        else:
            columns = "SELECT attrelid::regclass, attname, atttypid, attnotnull FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attnum > 0 AND relnamespace = 'public'::regnamespace"
            checks = "SELECT conrelid::regclass, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE connamespace = 'public'::regnamespace"
            indexes = "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace"
            shape = sorted(str(row) for text in (columns, checks, indexes) for row in ask(text))
            tables = ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars()
        rows = {name: sorted(map(str, ask(f'SELECT * FROM "{name}"'))) for name in tables.all()}
        return shape, rows

    return await run(url, whole)


async def interrupt(prepared: Prepared, backend: str, revision: str, to: str, parts: int) -> None:
    """Interrupt the way from a revision to another at so many of its statements."""
    url = await at(prepared, backend, revision, f"stopped_{parts}")
    before = await look(url)
    with interrupted() as texts:
        await migrating.migrate(url, to)
    assert await look(url) == before
    number = len(texts)
    for point in sorted({1 + n * (number - 1) // (parts - 1) for n in range(parts)}):
        with interrupted(point):
            await migrating.migrate(url, to)
        assert await look(url) == before, texts[point - 1]
    assert await migrating.migrate(url, to) == (revision, to)


async def test_an_interrupted_migration_leaves_what_was_there(prepared: Prepared, backend: str) -> None:
    await interrupt(prepared, backend, REVISIONS[0], REVISIONS[-1], 10)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("revision", "to"), list(pairwise(REVISIONS)))
async def test_a_revision_interrupted_at_any_statement_leaves_what_was_there(
    prepared: Prepared, backend: str, revision: str, to: str
) -> None:
    """At twenty statements of the newest, and at six of those that were tried so when they were new."""
    await interrupt(prepared, backend, revision, to, 20 if to == REVISIONS[-1] else 6)


async def test_of_two_migrations_at_once_one_waits_and_finds_nothing_to_do(prepared: Prepared, backend: str) -> None:
    url = await prepared.empty(backend, "twice")
    done = await asyncio.gather(migrating.migrate(url), migrating.migrate(url))
    assert sorted(done, key=str) == sorted([(None, migrating.newest()), (migrating.newest(),) * 2], key=str)


async def test_a_database_that_a_newer_version_migrated_is_told_and_left(prepared: Prepared, backend: str) -> None:
    async with prepared.lent(backend) as (url, _):
        text = sa.text("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        await run(url, lambda connection: connection.execute(text))
        with pytest.raises(migrating.Newer, match="ffffffffffff, which this version of Torana does not know"):
            await migrating.migrate(url)
        assert await migrating.present(url) == "ffffffffffff"


async def test_what_a_failed_migration_of_an_earlier_version_left_is_cleared(prepared: Prepared) -> None:
    url = await at(prepared, "sqlite", "8c1d2e7a5b90", "remains")
    for text in ("CREATE TABLE device_types (id CHAR(36))", "CREATE TABLE roles (id CHAR(36))"):
        await run(url, lambda connection, text=text: connection.exec_driver_sql(text))
    await migrating.migrate(url)
    assert await migrating.differences(url) == []


async def served(prepared: Prepared, before: str, revision: str) -> list[str]:
    """What the code before a revision can no longer write after it."""
    url = await prepared.empty("sqlite", f"served_{revision}")
    await migrating.migrate(url, before)
    made = await run(url, lambda connection: Filling(connection, 2).fill())
    old = await run(url, lambda connection: {n: [c.name for c in t.c] for n, t in reflected(connection).items()})
    await migrating.migrate(url, revision)

    def again(connection: sa.Connection) -> list[str]:
        tables = reflected(connection)
        found = [name for name in old if name not in tables]
        for name in old.keys() & tables.keys():
            found += [f"{name}.{column}" for column in old[name] if column not in tables[name].c]
        for name in tables.keys() & old.keys():
            plain = sa.table(name, *(sa.column(column) for column in old[name]))
            for row in made[name] if not found else []:
                key = next(iter(tables[name].primary_key)).name
                connection.execute(sa.delete(plain).where(plain.c[key] == row[key]))
                try:
                    with connection.begin_nested():
                        connection.execute(sa.insert(plain), row)
                except sa.exc.IntegrityError as error:
                    found.append(f"{name}: {error.orig}")
        return found

    found: list[str] = await run(url, again)
    return found


@pytest.mark.parametrize("revision", [PRESENT, *REVISIONS[REVISIONS.index(PRESENT) + 1 :]])
async def test_the_code_before_a_revision_can_still_write(prepared: Prepared, revision: str) -> None:
    if revision not in LATER:
        assert await served(prepared, REVISIONS[REVISIONS.index(revision) - 1], revision) == []


async def test_a_revision_that_takes_a_table_away_is_found(prepared: Prepared) -> None:
    assert await served(prepared, "8c1d2e7a5b90", "9064098be082") == ["memberships"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
async def test_files_of_sqlite_are_read_by_their_owner_alone(prepared: Prepared) -> None:
    async with prepared.lent("sqlite") as (url, _):
        file = Path(url.removeprefix("sqlite:///"))
        os.chmod(file, 0o644)
        os.close(os.open(file.with_suffix(".lock"), os.O_CREAT, 0o644))
        database = Database(url)
        await database.start()
        async with database.write() as session:
            await session.execute(sa.text("UPDATE users SET notes = 'x'"))
        await database.rows(sa.select(1))
        await migrating.migrate(url)
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
        await database.dispose()
        assert {"torana.db", "torana.db-wal", "torana.db-shm", "torana.lock", "torana.migrating"} <= modes.keys()
        assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("running", [True, False])
async def test_what_was_replaced_can_not_be_read_from_the_files(prepared: Prepared, running: bool) -> None:
    async with prepared.lent("sqlite") as (url, _):
        file, database = Path(url.removeprefix("sqlite:///")), Database(url)
        for n in range(40):
            async with database.write() as session:
                await session.execute(
                    sa.text("UPDATE users SET notes = :t"), {"t": f"SECRETWORD{n}" * (1 + 60 * (n % 7))}
                )
        async with database.write() as session:
            await session.execute(sa.text("UPDATE users SET notes = ''"))
        if running:
            assert await database.forget()
        else:
            await database.dispose()
        held = [path.name for path in file.parent.iterdir() if b"SECRETWORD" in path.read_bytes()]
        await database.dispose()
        assert held == []


async def test_numbers_that_are_preferences_keep_all_their_digits(prepared: Prepared) -> None:
    url = await at(prepared, "sqlite", "9a7c31f0e582", "digits")
    numbers = (1764410923.1234567, 0.30000000000000004, 9.223372036854776e18, math.inf)

    def put(connection: sa.Connection) -> list[Any]:
        keys = connection.exec_driver_sql("SELECT id FROM preferences ORDER BY id").scalars().all()
        for n, number in enumerate(numbers):
            connection.exec_driver_sql(
                "INSERT INTO preferences (id, created_at, updated_at, version, user_id, app_tag, value) "
                "SELECT ?, created_at, updated_at, version, user_id, ?, ? FROM preferences WHERE id = ?",
                (f"{n:032x}", f"number {n}", number, keys[0]),
            )
        return [f"{n:032x}" for n in range(len(numbers))]

    keys = await run(url, put)
    await migrating.migrate(url)

    def read(connection: sa.Connection) -> list[Any]:
        ask = "SELECT value FROM preferences WHERE id = ?"
        return [connection.exec_driver_sql(ask, (key,)).scalar() for key in keys]

    assert [json.loads(text) for text in await run(url, read)] == [*numbers[:3], None]
