"""The `Database` of a process: reads, write transactions, and the topics of changes that any process committed."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from db import connections, files, plans, written
from db.address import file_of, parse_address
from db.listener import Listener
from db.models import Base, Entity, Erasable
from db.outages import Outage, finished
from db.plans import Sizes
from db.prepared import Holder, Kept, Prepared, Shelf, Statement
from db.readers import Readers, driver
from db.searching import folding
from db.tally import count, tally
from db.turns import Turns
from db.types import now

CHARACTERS = 20_000_000
"""The most characters of the prepared statements that are kept."""
_TOO_COMPLEX = re.compile("too large|too many|too deep|stack overflow")
"""SQLite's messages for a statement over its limits; PostgreSQL has error codes for it, of the class 54."""

Changed = Callable[[Iterable[str]], None]
"""A function that is called with the topics of a committed write."""


class TooComplex(Exception):
    """A statement is too large for the database."""


class InUse(Exception):
    """Another process has the SQLite file open."""


class Database:
    """Reads go through connections that never open a transaction; a write is one transaction.

    `url` names an SQLite file (`sqlite:///path`) or a PostgreSQL database (`postgresql://...`). `timeout` is the
    seconds that one statement may take, `readers` the most connections that read at once.
    """

    def __init__(self, url: str, *, timeout: float = 15.0, readers: int = 10, writers: int = 5) -> None:
        self.url = parse_address(url)
        self.dialect = self.url.get_backend_name()
        self.announce: Changed | None = None
        """Sends the topics of committed writes to other processes in place of NOTIFY, when it is set before `start`.
        Topics of other processes then come by `publish`; `missed` says that some did not."""
        self._listeners: list[Changed] = []
        self._lost: list[Callable[[], None]] = []
        self._lock: TextIO | None = None
        self._outage = Outage()
        self._listener = Listener(self.url, self._outage, self.publish, self.missed)
        if self.dialect == "sqlite":
            reader, self._writer = connections.on_sqlite(self.url, timeout)
        else:
            reader, self._writer = connections.on_postgresql(self.url, timeout, writers)
        count(reader)
        count(self._writer)
        folding.keep(self._writer.sync_engine)
        self._timeout = timeout
        self.turns = Turns()
        self._prepared = Kept(reader.dialect, CHARACTERS)
        self.stored = Shelf()
        self._sizes = Sizes(self._aside)
        most, turn = (min(readers, 4), None) if self.dialect == "sqlite" else (readers, plans.choose)
        self._readers = Readers(reader, most, timeout, turn)

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        return file_of(self.url)

    @contextlib.asynccontextmanager
    async def read(self, mode: str = plans.GENERIC) -> AsyncIterator[AsyncConnection]:
        """A connection for several reads, which plans as `mode` says. One that broke while it was idle fails at its
        first read."""
        with self._outage:
            async with self._readers.borrowed(mode) as connection:
                yield connection

    async def rows(
        self, statement: Statement, values: Mapping[str, Any] | None = None, lane: Hashable = None
    ) -> Sequence[Any]:
        """All rows of one read, for the client `lane`."""

        async def work(connection: AsyncConnection) -> Sequence[Any]:
            found: Sequence[Any] = (await connection.execute(statement, values)).all()
            return found

        mode = statement.get_execution_options().get("plans", plans.GENERIC)
        with self._outage:
            return await self._readers.run(work, lane, mode)

    async def plans_alike(self, table: str) -> bool:
        """Whether no list of a table is worth a plan for its values: SQLite makes none, small tables are read whole."""
        return self.dialect == "sqlite" or await self._sizes.small(table)

    async def _aside(self, text: str, arguments: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement that is no part of a request."""
        with self._outage:
            return await self._readers.run(partial(self._raw, text, arguments), None, plans.GENERIC)

    async def prepared(self, holder: Holder, key: Hashable, make: Callable[[], Statement], lane: Hashable) -> Prepared:
        """A prepared statement of the holder, kept for the next time. Making one may take a fifth of a second, so that
        is done in turns, for the client `lane`."""
        if (found := self._prepared.find(holder, key)) is not None:
            return found
        made = await self.turns.run(lane, lambda: holder.prepared.get(key) or Prepared(make(), self._prepared.dialect))
        self._prepared.keep(holder, key, made)
        return made

    async def explain(self, statement: Statement, values: Mapping[str, Any]) -> tuple[str, list[str]]:
        """A statement as the driver takes it, and the lines of the query plan for these values."""
        asked = Prepared(statement, self._prepared.dialect)
        arguments = asked.arguments(values)
        async with self.read(asked.plans) as connection:
            if self.dialect == "postgresql":
                rows = await plans.on_postgresql(connection, asked.sql, arguments, "FORMAT TEXT")
                return asked.sql, [row[0] for row in rows]
            return asked.sql, await plans.on_sqlite(driver(connection), asked.sql, arguments)

    async def fetch(self, prepared: Prepared, values: Mapping[str, Any], lane: Hashable = None) -> Sequence[Any]:
        """All rows of one prepared read, as the driver gives them, for the client `lane`."""
        arguments = prepared.arguments(values)
        if (counted := tally.get()) is not None:
            counted.add(prepared.sql, arguments)
        try:
            with self._outage:
                return await self._readers.run(partial(self._raw, prepared.sql, arguments), lane, prepared.plans)
        except (asyncpg.PostgresError, sqlite3.OperationalError) as error:
            if str(getattr(error, "sqlstate", "")).startswith("54") or _TOO_COMPLEX.search(str(error)):
                raise TooComplex(str(error)) from None
            raise

    async def _raw(self, text: str, arguments: Sequence[Any], connection: AsyncConnection) -> Sequence[Any]:
        raw = driver(connection)
        if self.dialect == "postgresql":
            return await raw.fetch(text, *arguments)  # type: ignore[no-any-return]
        connection.sync_connection.info["until"][0] = time.monotonic() + self._timeout  # type: ignore[union-attr]
        return await raw.execute_fetchall(text, arguments)  # type: ignore[no-any-return]

    @contextlib.asynccontextmanager
    async def write(self, as_system: str | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction, committed at its exit. The topics of `changed` are then published, or dropped when it is
        rolled back. Commit and publishing are one step: a task that is cancelled before it leaves nothing behind, one
        that is cancelled in it is cancelled after it.

        Raises Unavailable or Contended when nothing was written, Unconfirmed when that can't be known, and Unasked for
        rows that were written without asking a rule (`db.written`). `as_system` is the reason why none is asked: no
        client's request is behind the write. It is a literal; a test lists them.
        """
        session = AsyncSession(self._writer, expire_on_commit=False, sync_session_class=_Writing)
        with self._outage:
            async with session:
                yield session
                await session.flush()  # which notes the rows that it writes
                if as_system is None:
                    written.check(session)
                topics: set[str] = session.info.get("topics", set())
                if topics and self.dialect == "postgresql" and self.announce is None:
                    for notification in self._listener.notifications(topics):
                        await session.execute(notification)
                await finished(self._commit(session, topics))

    async def _commit(self, session: AsyncSession, topics: set[str]) -> None:
        try:
            await session.commit()
        except Exception as error:
            self._outage.note(error, committing=True)
            raise
        if (counted := tally.get()) is not None and "aside" not in session.info:
            counted.commits += 1
        if topics:
            self.publish(topics)
            if self.announce is not None:
                self.announce(topics)

    def listen(self, changed: Changed, lost: Callable[[], None]) -> None:
        """Call `changed` with the topics of every committed write of any process, and `lost` when some were missed."""
        self._listeners.append(changed)
        self._lost.append(lost)

    @staticmethod
    def alone(file: Path) -> TextIO:
        """A lock that reserves an SQLite file for this process until it is closed; raises InUse."""
        try:
            return files.lock(file.with_suffix(".lock"))
        except BlockingIOError:
            raise InUse(f"another process serves {file}; SQLite is for one, use PostgreSQL for more") from None

    async def start(self) -> None:
        """Start listening to other processes' writes; with SQLite, become the one process that writes. It may be called
        again after `dispose`; prepared statements are kept."""
        self._readers.begin()
        if self.file is not None:
            self._lock = self.alone(self.file)
        if self.dialect == "postgresql" and self.announce is None:
            await self._listener.start()

    async def forget(self) -> bool:
        """Remove deleted and replaced values from the SQLite files; returns whether they are gone. A read or write that
        is running keeps the log as it is, and is not waited for."""
        if self.file is None or not await asyncio.to_thread(self.file.exists):
            return True
        try:
            async with self._writer.connect() as connection:
                raw = driver(connection)
                ((wait,),) = await raw.execute_fetchall("PRAGMA busy_timeout")
                await raw.execute_fetchall("PRAGMA busy_timeout=0")
                try:
                    ((busy, *_),) = await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await raw.execute_fetchall(f"PRAGMA busy_timeout={wait}")
                return not busy
        except (sqlite3.OperationalError, sa.exc.SQLAlchemyError):
            return False

    async def dispose(self) -> None:
        """Close all connections, and stop listening."""
        await self._listener.close()
        self._listeners, self._lost, self.announce = [], [], None
        await self._readers.dispose()
        await self.forget()
        await self._writer.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def publish(self, topics: Iterable[str]) -> None:
        """Tell the listeners what was committed."""
        for listener in self._listeners:
            listener(topics)

    def missed(self) -> None:
        """Tell the listeners that they missed changes."""
        for lost in self._lost:
            lost()


async def moment_of(session: AsyncConnection | AsyncSession) -> datetime:
    """The time by the database's clock."""
    moment: datetime | None = await session.scalar(sa.select(now()))
    assert moment is not None
    return moment


def changed(session: AsyncSession, *topics: str) -> None:
    """Publish `topics` when the transaction of `session` commits."""
    session.info.setdefault("topics", set()).update(topics)


def inserting(session: AsyncSession, model: type[Base]) -> Any:
    """An INSERT that may say what happens where there is such a row."""
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return make(model)


def aside(session: AsyncSession) -> None:
    """Mark the transaction of `session` as no part of the request: it counts an attempt, or records a refusal. Its
    commit does not keep the mutation from being tried again."""
    session.info["aside"] = True


def row_topic(model: type[Entity], key: object) -> str:
    """The topic of a changed row of `model`; with `*` for a key, of some rows. Code that writes rows by a statement
    publishes it itself; for mapped rows it is published automatically."""
    return f"{model.__name__}:{key}"


class _Writing(Session):
    """A session that notes which rows it writes, of the models whose rows people create and delete."""


@sa.event.listens_for(_Writing, "after_flush")
def _note(session: Session, _: Any) -> None:
    written.note(session, written.flushed(session))
    for row in (*session.new, *session.dirty):
        if isinstance(row, Entity) and isinstance(row, Erasable) and session.is_modified(row):
            session.info.setdefault("topics", set()).add(row_topic(type(row), row.id))


sa.event.listen(_Writing, "do_orm_execute", written.note_statement)
