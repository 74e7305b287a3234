"""Databases for tests, each a copy of a template that is made once for all workers of a run."""

import contextlib
import fcntl
import os
import pickle
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from db import migrating
from db.address import parse_address
from db.engine import Database
from db.models import Base
from db.searching import refolding
from resolvers.identity.hashing import Passwords
from tests.support.postgres import memory, running_postgres
from tests.support.world import PASSWORD, World, populate

BACKENDS = ("sqlite", "postgresql")


def quick_passwords() -> Passwords:
    """Hashes that are as wrong for real use as they are quick."""
    return Passwords(memory=64, rounds=1)


@dataclass(frozen=True)
class Recipe:
    """What a template holds: `fill(session, base)` puts rows into a copy of the template `base`, and returns what tests
    must know of them, which can be pickled. The rows have the same keys on every database."""

    name: str
    fill: Callable[[AsyncSession, Any], Awaitable[Any]]
    base: "Recipe | None" = None


async def _populate(session: AsyncSession, _: None) -> World:
    return await populate(session, await quick_passwords().hash(PASSWORD))


WORLD = Recipe("world", _populate)


class Prepared:
    """Templates in the folder `shared`, which the workers of a run have in common, and copies of them in `folder`.

    `server` is the URL of a PostgreSQL server without a database name; one is started where none is given. `run` begins
    the names of the databases that are made in it.
    """

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        shared: Path | None = None,
        server: str | None = None,
        run: str = "torana",
    ) -> None:
        self._folder = folder
        self._shared = shared or folder
        self._stack = stack
        self._known: dict[tuple[str, str], tuple[str, Any]] = {}
        self.server = server
        self._prefix = f"{run}_{os.getpid()}"
        self._number = 0

    async def copy(self, backend: str, recipe: Recipe = WORLD, name: str = "") -> tuple[str, Any]:
        """The URL of a database of one's own, and what is known of its rows; one of the same name is replaced."""
        template, known = await self.template(backend, recipe)
        self._number += 1
        name = f"{self._prefix}_{name or self._number}"
        if backend == "sqlite":
            shutil.rmtree(self._folder / name, ignore_errors=True)
            (self._folder / name).mkdir()
            shutil.copy(_file(template), self._folder / name / "torana.db")
            return f"sqlite:///{self._folder / name / 'torana.db'}", known
        await self._create(name, f'TEMPLATE "{template.rpartition("/")[2]}" STRATEGY FILE_COPY')
        return f"{self._postgres}/{name}", known

    @asynccontextmanager
    async def lent(self, backend: str, recipe: Recipe = WORLD) -> AsyncIterator[tuple[str, Any]]:
        """A copy that is dropped afterwards."""
        url, known = await self.copy(backend, recipe)
        yield url, known
        await self.drop(url)

    async def drop(self, url: str) -> None:
        if url.startswith("sqlite"):
            shutil.rmtree(_file(url).parent, ignore_errors=True)
            return
        async with _connected(self._postgres) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    async def empty(self, backend: str, name: str, options: str = "") -> str:
        """The URL of a database without tables; `options` are PostgreSQL's for its making."""
        if backend == "sqlite":
            (self._folder / name).mkdir()
            return f"sqlite:///{self._folder / name / 'torana.db'}"
        name = f"{self._prefix}_{name}"
        await self._create(name, options)
        return f"{self._postgres}/{name}"

    async def template(self, backend: str, recipe: Recipe = WORLD) -> tuple[str, Any]:
        """The URL of the template itself, which others copy: only to be read, and left."""
        if (backend, recipe.name) not in self._known:
            with self._alone():
                self._known[backend, recipe.name] = await self._made(backend, recipe)
        return self._known[backend, recipe.name]

    @contextlib.contextmanager
    def _alone(self) -> Any:
        """While no other worker makes a template."""
        with (self._shared / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    async def _made(self, backend: str, recipe: Recipe) -> tuple[str, Any]:
        note = self._shared / f"{backend}-{recipe.name}.pickle"
        if note.exists():
            url, known = pickle.loads(note.read_bytes())
        else:
            url, known = await (self._filled(recipe) if backend == "sqlite" else self._copied(recipe))
            note.write_bytes(pickle.dumps((url, known)))
        return url, known

    async def _filled(self, recipe: Recipe) -> tuple[str, Any]:
        file = self._shared / f"{recipe.name}.db"
        url, base = f"sqlite:///{file}", None
        if recipe.base is not None:
            template, base = await self._made("sqlite", recipe.base)
            shutil.copy(_file(template), file)
        else:
            await migrating.migrate(url)
        database = Database(url)
        async with database.write(as_system="test") as session:
            known = await recipe.fill(session, base)
        await refolding.complete(database)  # as a gateway that starts does
        await database.dispose()
        assert not file.with_name(f"{file.name}-wal").exists()  # a copy of the file is the whole of it
        return url, known

    async def _copied(self, recipe: Recipe) -> tuple[str, Any]:
        """The rows of the SQLite template on PostgreSQL."""
        source, known = await self._made("sqlite", recipe)
        name = f"{self._prefix}_{recipe.name}"
        await self._create(name)
        url = f"{self._postgres}/{name}"
        await migrating.migrate(url)
        await copy_rows(source, url)
        return url, known

    @property
    def _postgres(self) -> str:
        if self.server is None:
            self.server = self._stack.enter_context(running_postgres(memory()))
        return self.server

    async def _create(self, name: str, options: str = "") -> None:
        async with _connected(self._postgres) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name} {options}")


@asynccontextmanager
async def _connected(server: str) -> AsyncIterator[Any]:
    """A connection to a server, for what concerns its databases."""
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        yield connection
    finally:
        await connection.close()


async def drop_all(server: str, run: str) -> None:
    """Drop the databases of a run."""
    async with _connected(server) as connection:
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{run}_"):
            await connection.execute(f"DROP DATABASE IF EXISTS {row[0]} WITH (FORCE)")


async def copy_rows(source: str, target: str) -> None:
    """Put all rows of one migrated database into another, in place of those that its migrations made."""
    tables = Base.metadata.sorted_tables
    engines = [create_async_engine(parse_address(url)) for url in (source, target)]
    try:
        async with engines[0].connect() as reading, engines[1].begin() as writing:
            if writing.dialect.name == "postgresql":
                # Some tables refer to each other.
                await writing.execute(sa.text("SET session_replication_role = replica"))
            for table in reversed(tables):
                await writing.execute(sa.delete(table))
            for table in tables:
                for columns, rows in (await _rows(reading, table)).items():
                    # Columns without the model's defaults.
                    plain = sa.table(table.name, *(sa.column(name, table.c[name].type) for name in columns))
                    await writing.execute(sa.insert(plain), rows)
    finally:
        for engine in engines:
            await engine.dispose()


async def _rows(connection: Any, table: sa.Table) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The rows of a table by which of their columns are not null: a JSON null is something else."""
    absent = [column.is_(None).label(f"{column.name}_absent") for column in table.c]
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in await connection.execute(sa.select(*table.c, *absent)):
        columns = tuple(column.name for column in table.c if not row._mapping[f"{column.name}_absent"])
        found.setdefault(columns, []).append({name: row._mapping[name] for name in columns})
    return found


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
