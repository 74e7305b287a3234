"""A database to ask: its making on PostgreSQL and on SQLite, its filling, and what there is to ask for."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa

from bench import boards, registry, results, rows
from db import migrating, models
from db.address import of_driver
from db.engine import Database
from db.searching.folding import fold, folded
from db.types import instant_text
from resolvers.accounts.sign_in import create_user
from resolvers.identity.hashing import Passwords
from resolvers.spelling import global_id

DATABASE = "torana_bench"
USERNAME, PASSWORD = "reader", "correct horse battery staple"
ASKED = 1_000
"""Simulations that are asked for by id."""


@dataclass(frozen=True)
class Filled:
    """A filled database, and global ids in it."""

    url: str
    simulations: Sequence[str]
    """To ask for by id."""
    whole: str
    """The simulation that has a result."""
    board: str
    """The leaderboard that has entries."""


async def create(server: str) -> str:
    """The URL of a new, migrated database at `server`."""
    await drop(server)
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    await migrating.migrate(f"{server}/{DATABASE}")
    return f"{server}/{DATABASE}"


async def create_file(folder: Path) -> str:
    """The URL of a new, migrated SQLite file in `folder`."""
    url = f"sqlite:///{folder / 'bench.db'}"
    await migrating.migrate(url)
    return url


def copied(url: str, name: str) -> str:
    """The URL of a copy of an SQLite file, because one process serves a file."""
    file = Path(url.removeprefix("sqlite:///"))
    return f"sqlite:///{shutil.copy(file, file.with_name(f'{name}.db'))}"


async def drop(server: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    finally:
        await connection.close()


async def fill(url: str, simulations: int) -> Filled:
    """Store everything: generated rows, a user who may read all of them, one result, a leaderboard and specs."""
    database = Database(url)
    try:
        reader = await _reader(database)
        generated = rows.generate(simulations, reader)
        await store(database, generated)
        board = await contend(database, boards.Contest(generated.users))
        await close(database, registry.Registry(reader))
        await _index_all(database)
        whole = generated.simulations[0]
        await results.keep(database, whole, results.estimators())
    finally:
        await database.dispose()
    return Filled(
        url,
        [global_id("Simulation", key) for key in generated.chosen(ASKED)],
        global_id("Simulation", whole),
        global_id("Leaderboard", board),
    )


async def contend(database: Database, contest: boards.Contest) -> UUID:
    """Store a challenge with its submissions and its leaderboard; returns the key of both."""
    await close(database, contest)
    return contest.key


async def close(database: Database, generated: boards.Contest | registry.Registry) -> None:
    """Store rows that refer to each other in circles."""
    await store(database, generated)
    async with database.write(as_system="bench") as session:
        for text in generated.closing():
            await session.execute(text)


async def _reader(database: Database) -> UUID:
    """The user who asks, with a password to sign in with."""
    passwords = Passwords()
    try:
        hashed = await passwords.hash(PASSWORD)
        async with database.write(as_system="bench") as session:
            return (await create_user(session, USERNAME, hashed)).id
    finally:
        passwords.close()


async def reader_of(url: str) -> UUID:
    """The same, in a database that has nothing else."""
    database = Database(url)
    try:
        return await _reader(database)
    finally:
        await database.dispose()


class Tables(Protocol):
    """What gives the rows of some tables."""

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[rows.Row]]]: ...


async def store(database: Database, generated: Tables) -> None:
    """Put rows into their tables, and let the database count them."""
    if database.file is not None:
        await asyncio.to_thread(_insert, database.file, generated)
        return
    connection = await asyncpg.connect(of_driver(database.url))
    try:
        for model, columns, values in _tables(generated):
            await connection.copy_records_to_table(model.__tablename__, records=values, columns=columns)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _index_all(database: Database) -> None:
    """The lists' indexes once more, over all rows: the peers know nothing of rows that are deleted and kept, nor of
    folds: they order by the names themselves."""
    partial = (index for table in models.Base.metadata.tables.values() for index in table.indexes if not index.unique)
    texts = [
        f"CREATE INDEX {way}_{index.name} ON {index.table.name} ({', '.join(map(key, index.expressions))})"
        for index in partial
        if index.table is not None
        for way, key, wanted in (
            ("all", _key, index.dialect_options["postgresql"]["where"] is not None),
            ("plain", _plain, any("_folded" in _key(part) for part in index.expressions)),
        )
        if wanted
    ]
    async with database.write(as_system="bench") as session:
        for text in texts:
            await session.execute(sa.text(text))


def _key(part: Any) -> str:
    return str(part.text if isinstance(part, sa.TextClause) else part.name)


def _plain(part: Any) -> str:
    """The column whose fold a key is."""
    return _key(part).removeprefix("coalesce(").partition("_folded")[0]


def _insert(file: Path, generated: Tables) -> None:
    connection = sqlite3.connect(file)
    try:
        with connection:
            for model, columns, values in _tables(generated):
                statement = (
                    f"INSERT INTO {model.__tablename__} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
                )
                connection.executemany(statement, (tuple(map(_stored, row)) for row in values))
        connection.execute("ANALYZE")
    finally:
        connection.close()


def _stored(value: Any) -> Any:
    """A value as the column types of SQLite store it."""
    if isinstance(value, UUID):
        return str(value)
    return instant_text(value) if isinstance(value, datetime) else value


def _with_folds(model: type[models.Entity], row: rows.Row) -> rows.Row:
    """What the mapper adds to a row."""
    table: Any = model.__table__
    folds = {name: fold(row[text]) for text, name in folded(table).items() if row.get(text) is not None}
    return {**row, **folds}


def _tables(generated: Tables) -> Iterator[tuple[type[models.Entity], list[str], Iterator[tuple[Any, ...]]]]:
    """Each table with its columns and the values of its rows, which all have the same columns."""
    for model, found in generated.tables():
        coming = (_with_folds(model, row) for row in found)
        first = next(coming)
        yield model, list(first), (tuple(row.values()) for row in chain([first], coming))
