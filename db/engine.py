"""The connections: many short reads, one kind of write, and the changes that other processes made."""

import asyncio
import contextlib
import math
import re
import sqlite3
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from db import files, folding, plans, written
from db.models import Entity, Erasable
from db.outages import Contended, Outage, finished, passing
from db.prepared import Holder, Kept, Prepared, Shelf, Statement
from db.readers import Readers, driver
from db.turns import Turns
from db.types import now

log = structlog.get_logger("torana")

CHANNEL = "torana"
CHARACTERS = 20_000_000
"""Of the statements that are kept prepared."""
LISTENING = 10.0
"""Seconds after which the connection that listens is asked whether it still lives, and in which it must say so."""
_PAYLOAD = 7_900
"""Bytes of one NOTIFY; PostgreSQL refuses 8,000."""

_TOO_COMPLEX = re.compile("too large|too many|too deep|stack overflow")
"""What SQLite says of a statement over its limits; PostgreSQL has error codes for it, of the class 54."""

Listener = Callable[[Iterable[str]], None]


@dataclass(slots=True)
class Tally:
    """The texts of the statements of one operation, and how often it committed what was asked for."""

    texts: list[str] = field(default_factory=list)
    commits: int = 0

    @property
    def statements(self) -> int:
        return len(self.texts)

    def add(self, text: str, _arguments: Sequence[Any]) -> None:
        """Note a statement; its parameters, as the driver gets them, are not kept: a stream may last for hours."""
        self.texts.append(text)


tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


class AddressError(Exception):
    """A database URL that can't be used; the message says why, and what is allowed."""


class TooComplex(Exception):
    """A statement is larger than the database takes."""


class InUse(Exception):
    """Another process holds the SQLite file."""


class Database:
    """Reads go through connections that never open a transaction; a write is one transaction.

    `url` names an SQLite file (`sqlite:///path`) or a PostgreSQL database (`postgresql://...`). `timeout` is the
    seconds that one statement may take, `readers` the most connections that read at once.
    """

    def __init__(self, url: str, *, timeout: float = 15.0, readers: int = 10, writers: int = 5) -> None:
        self.url = parse_address(url)
        self.dialect = self.url.get_backend_name()
        self.announce: Listener | None = None
        """Brings the topics of committed writes to other processes in place of NOTIFY, when it is set before `start`;
        what others commit then comes by `publish`, and `missed` says that some did not."""
        self._listeners: list[Listener] = []
        self._lost: list[Callable[[], None]] = []
        self._notified: asyncio.Task[None] | None = None
        self._lock: TextIO | None = None
        self._outage = Outage()
        self._sender = str(uuid4())
        if self.dialect == "sqlite":
            reader, self._writer = _sqlite(self.url, timeout)
        else:
            reader, self._writer = _postgresql(self.url, timeout, writers)
        for engine in (reader, self._writer):
            sa.event.listen(engine.sync_engine, "before_cursor_execute", _count)
        folding.keep(self._writer.sync_engine)
        self._timeout = timeout
        self.turns = Turns()
        self._prepared = Kept(reader.dialect, CHARACTERS)
        self.stored = Shelf()
        self._readers = Readers(reader, min(readers, 4) if self.dialect == "sqlite" else readers, timeout)

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        return file_of(self.url)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for several reads; one that broke while it was idle is an error of the first."""
        try:
            async with self._readers.borrowed() as connection:
                yield connection
        except Exception as error:
            self._failed(error)
            raise
        if self._outage.lasts:
            self._outage.answered()

    async def rows(
        self, statement: Statement, values: Mapping[str, Any] | None = None, lane: Hashable = None
    ) -> Sequence[Any]:
        """All rows of one read, for the client `lane`."""
        own = plans.is_planned(statement)

        async def work(connection: AsyncConnection) -> Sequence[Any]:
            if self.dialect == "postgresql":
                await plans.choose(connection, own=own)
            found: Sequence[Any] = (await connection.execute(statement, values)).all()
            return found

        try:
            rows = await self._readers.run(work, lane)
        except Exception as error:
            self._failed(error)
            raise
        if self._outage.lasts:
            self._outage.answered()
        return rows

    async def prepared(self, holder: Holder, key: Hashable, make: Callable[[], Statement], lane: Hashable) -> Prepared:
        """A prepared statement of the holder's, kept for the next time. To make one may take a fifth of a second: that
        is done in turns, for the client `lane`."""
        if (found := self._prepared.find(holder, key)) is not None:
            return found
        made = await self.turns.run(lane, lambda: holder.prepared.get(key) or Prepared(make(), self._prepared.dialect))
        self._prepared.keep(holder, key, made)
        return made

    async def explain(self, statement: Statement, values: Mapping[str, Any]) -> tuple[str, list[str]]:
        """A statement as the driver takes it, and the lines of the plan by which it is run with these values."""
        asked = Prepared(statement, self._prepared.dialect)
        arguments = asked.arguments(values)
        async with self.read() as connection:
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
            rows = await self._readers.run(partial(self._raw, prepared.sql, arguments), lane)
        except Exception as error:
            self._failed(error)
            if isinstance(error, asyncpg.PostgresError | sqlite3.OperationalError) and (
                str(getattr(error, "sqlstate", "")).startswith("54") or _TOO_COMPLEX.search(str(error))
            ):
                raise TooComplex(str(error)) from None
            raise
        if self._outage.lasts:
            self._outage.answered()
        return rows

    def _failed(self, error: Exception, *, committing: bool = False) -> None:
        """Raise what an error comes to that passes by itself, and note an outage."""
        if (known := passing(error, committing=committing)) is None:
            return
        if not isinstance(known, Contended):
            self._outage.failed(known)
        raise known from error

    async def _raw(self, text: str, arguments: Sequence[Any], connection: AsyncConnection) -> Sequence[Any]:
        raw = driver(connection)
        if self.dialect == "postgresql":
            await plans.choose(connection, own=plans.is_marked(text))
            return await raw.fetch(text, *arguments)  # type: ignore[no-any-return]
        connection.sync_connection.info["until"][0] = time.monotonic() + self._timeout  # type: ignore[union-attr]
        return await raw.execute_fetchall(text, arguments)  # type: ignore[no-any-return]

    @contextlib.asynccontextmanager
    async def write(self, as_system: str | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction, committed at its exit; the topics of `changed` are then published, or dropped with it. Both
        are one step: who is cancelled before it leaves nothing behind, who is cancelled in it is cancelled after it.

        Raises Unavailable or Contended when nothing was written, Unconfirmed when that can't be known, and Unasked for
        rows that are written without a rule asked for them (`db.written`). `as_system` says why none is asked: nobody's
        request is behind the write. It is a literal; a test lists them.
        """
        session = AsyncSession(self._writer, expire_on_commit=False, sync_session_class=_Writing)
        try:
            async with session:
                yield session
                await session.flush()  # which notes the rows that it writes
                if as_system is None:
                    written.check(session)
                topics: set[str] = session.info.get("topics", set())
                if topics and self.dialect == "postgresql" and self.announce is None:
                    for payload in _payloads(sorted(topics)):
                        await session.execute(sa.select(sa.func.pg_notify(CHANNEL, f"{self._sender}\n{payload}")))
                await finished(self._commit(session, topics))
        except Exception as error:
            self._failed(error)
            raise
        if self._outage.lasts:
            self._outage.answered()

    async def _commit(self, session: AsyncSession, topics: set[str]) -> None:
        try:
            await session.commit()
        except Exception as error:
            self._failed(error, committing=True)
            raise
        if (counted := tally.get()) is not None and "aside" not in session.info:
            counted.commits += 1
        if topics:
            self.publish(topics)
            if self.announce is not None:
                self.announce(topics)

    def listen(self, changed: Listener, lost: Callable[[], None]) -> None:
        """Call `changed` with the topics of every committed write of any process, `lost` when some were missed."""
        self._listeners.append(changed)
        self._lost.append(lost)

    @staticmethod
    def alone(file: Path) -> TextIO:
        """What holds an SQLite file for this process until it is closed; raises InUse."""
        try:
            return files.lock(file.with_suffix(".lock"))
        except BlockingIOError:
            raise InUse(f"another process serves {file}; SQLite is for one, use PostgreSQL for more") from None

    async def start(self) -> None:
        """Begin to hear of other processes' writes; with SQLite, be the one process that writes. Again after `dispose`,
        with the statements that were prepared before."""
        self._readers.begin()
        if self.file is not None:
            self._lock = self.alone(self.file)
        if self.dialect == "postgresql" and self.announce is None and self._notified is None:
            ready = asyncio.Event()
            self._notified = asyncio.create_task(self._hear(ready))
            await ready.wait()

    async def forget(self) -> bool:
        """Let nothing that was deleted or replaced be read from the SQLite files. Returns whether it is so: a reader or
        a writer under way keeps the log as it is, and is not waited for."""
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
        """End all connections, and hear of nothing."""
        if self._notified is not None:
            self._notified.cancel()
            await asyncio.gather(self._notified, return_exceptions=True)
            self._notified = None
        self._listeners, self._lost, self.announce = [], [], None
        await self._readers.dispose()
        await self.forget()
        await self._writer.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _heard(self, payload: str) -> None:
        """Hand on what another process changed; what this one did was handed on at its commit."""
        sender, *topics = payload.split("\n")
        if sender != self._sender:
            self.publish(topics)

    def publish(self, topics: Iterable[str]) -> None:
        """Tell those who listen what was committed."""
        for listener in self._listeners:
            listener(topics)

    def missed(self) -> None:
        """Tell those who listen that they were not told of everything."""
        for lost in self._lost:
            lost()

    async def _hear(self, ready: asyncio.Event) -> None:
        """Hold the LISTEN connection; one that broke is opened again, and what it missed counts as changed."""
        pause = 0.1
        while True:
            try:
                await self._listening(ready)
                pause = 0.1
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if passing(error) is None:
                    log.warning("database.not_listening", error=type(error).__name__)
                else:
                    self._outage.failed(error)
                ready.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _listening(self, ready: asyncio.Event) -> None:
        """Hand on what is heard until the connection ends."""
        asked = dict(self.url.query)
        if "ssl" in asked:  # the driver's own spelling of what a URL calls sslmode
            asked["sslmode"] = asked.pop("ssl")
        address = self.url.set(drivername="postgresql", query=asked)
        connection = await asyncpg.connect(address.render_as_string(hide_password=False))
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(CHANNEL, lambda *heard: self._heard(heard[3]))
            if ready.is_set():
                self.missed()
            ready.set()
            self._outage.answered()
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LISTENING):
                        await closed.wait()
                if not closed.is_set():
                    try:
                        await connection.execute("SELECT 1", timeout=LISTENING)
                        self._outage.answered()
                    except TimeoutError:
                        raise ConnectionError("the server no longer answers") from None
        finally:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)


def file_of(address: sa.URL) -> Path | None:
    """The SQLite file that an address names."""
    return Path(address.database) if address.get_backend_name() == "sqlite" and address.database else None


def parse_address(url: str) -> sa.URL:
    """The parts of a database URL with the driver that serves it; raises AddressError for one that can't be used."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise AddressError("a database URL looks like postgresql://user:password@host/name or sqlite:///file") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    backend = parsed.drivername.partition("+")[0]
    if backend not in drivers:
        raise AddressError(f"a database URL names postgresql or sqlite, not {backend}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise AddressError("an SQLite URL names a file: readers and the writer are different connections")
    return parsed.set(drivername=drivers[backend])


async def moment_of(session: AsyncSession) -> datetime:
    """The database's clock."""
    moment: datetime | None = await session.scalar(sa.select(now()))
    assert moment is not None
    return moment


def changed(session: AsyncSession, *topics: str) -> None:
    """Have `topics` published when the transaction of `session` commits."""
    session.info.setdefault("topics", set()).update(topics)


def aside(session: AsyncSession) -> None:
    """What the transaction of `session` writes is no part of what was asked for: a try that is counted, a refusal on
    record. It does not keep the rest from being tried again."""
    session.info["aside"] = True


def row_topic(model: type[Entity], key: object) -> str:
    """A row of `model` changed, or with `*` for a key, some did. Who writes rows by a statement of its own says so; of
    mapped ones it is known."""
    return f"{model.__name__}:{key}"


class _Writing(Session):
    """A session that notes which rows it writes, of those that people make and delete."""


@sa.event.listens_for(_Writing, "after_flush")
def _note(session: Session, _: Any) -> None:
    written.note(session, written.flushed(session))
    for row in (*session.new, *session.dirty):
        if isinstance(row, Entity) and isinstance(row, Erasable) and session.is_modified(row):
            session.info.setdefault("topics", set()).add(row_topic(type(row), row.id))


sa.event.listen(_Writing, "do_orm_execute", written.note_statement)


def _payloads(topics: list[str]) -> Iterable[str]:
    payload = ""
    for topic in topics:
        if payload and len(payload) + len(topic) >= _PAYLOAD:
            yield payload
            payload = ""
        payload += ("\n" if payload else "") + topic
    yield payload


def _count(_connection: Any, _cursor: Any, text: str, arguments: Any, *_: Any) -> None:
    if (counted := tally.get()) is not None:
        counted.add(text, arguments)


_COMMON: dict[str, Any] = {
    "hide_parameters": True,  # a failed statement is logged without its values
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    # SQLite takes a text that is a number for one.
    "json_deserializer": lambda stored: orjson.loads(stored) if isinstance(stored, str | bytes) else stored,
}
_KEPT: dict[str, Any] = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT", **_COMMON}
"""For connections that `Readers` keeps."""


def _sqlite(url: sa.URL, timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    file = url.set(database=f"file:{url.database}", query={"uri": "true"})
    writer = create_async_engine(
        file, poolclass=AsyncAdaptedQueuePool, pool_timeout=timeout, pool_size=1, max_overflow=0, **_COMMON
    )
    reader = create_async_engine(file.update_query_dict({"mode": "ro"}), **_KEPT)
    busy = f"busy_timeout={int(timeout * 1000)}"
    path = Path(str(url.database))

    @sa.event.listens_for(writer.sync_engine, "do_connect")
    def _keep(*_: Any) -> None:
        files.kept(path)

    @sa.event.listens_for(reader.sync_engine, "do_connect")
    def _tighten(*_: Any) -> None:
        files.tightened(path)

    @sa.event.listens_for(writer.sync_engine, "connect")
    def _open_writer(connection: Any, _: Any) -> None:
        # The driver's own transactions begin late, as readers, and lose updates; ours begin as writers.
        connection.isolation_level = None
        _pragmas(connection, busy, "journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", "secure_delete=ON")

    @sa.event.listens_for(writer.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @sa.event.listens_for(reader.sync_engine, "connect")
    def _open_reader(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        # A statement under way can't be cancelled from outside: it asks now and then whether its time is up.
        until = record.info["until"] = [math.inf]
        connection.run_async(lambda raw: raw.set_progress_handler(lambda: time.monotonic() > until[0], 20_000))
        # SQLite's own knows the letters of ASCII only.
        connection.create_function("lower", 1, lambda text: text.lower() if isinstance(text, str) else text)
        connection.create_function("torana_base64", 1, lambda text: b64encode(text.encode()).decode())
        connection.create_function(
            "torana_base64url", 1, lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("=")
        )
        _pragmas(connection, busy, "query_only=ON", "cache_size=-16000", "mmap_size=268435456")

    @sa.event.listens_for(reader.sync_engine, "before_cursor_execute")
    def _limit(connection: sa.Connection, *_: Any) -> None:
        connection.info["until"][0] = time.monotonic() + timeout

    return reader, writer


def _pragmas(connection: Any, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _postgresql(url: sa.URL, timeout: float, writers: int) -> tuple[AsyncEngine, AsyncEngine]:
    milliseconds = str(int(timeout * 1000))
    settings = {
        "application_name": "torana",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": str(int(timeout * 2000)),
        "jit": "off",
        "random_page_cost": "1.1",  # what is asked for often lies in memory, the rest on disks that don't turn
    }
    connecting = {
        "server_settings": settings,
        "timeout": timeout,
        "statement_cache_size": 300,
        "max_cached_statement_lifetime": 0,
        "max_cacheable_statement_size": 200_000,
        "command_timeout": timeout + 5,  # for a server that no longer answers; one that does ends a statement itself
    }
    # Lists of keys come as parameters: a plan of its own for each list costs more than it saves, but where a statement
    # is `planned`.
    reading = {**connecting, "server_settings": {**settings, "plan_cache_mode": plans.GENERIC}}
    reader = create_async_engine(url, connect_args=reading, **_KEPT)
    writer = create_async_engine(
        url,
        connect_args=connecting,
        pool_size=writers,
        pool_timeout=timeout,
        pool_pre_ping=True,  # a write is not done again, so its connection is looked at before
        max_overflow=0,
        **_COMMON,
    )
    return reader, writer
