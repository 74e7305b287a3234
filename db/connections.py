"""How the gateway connects to each database: an engine for reads, an engine for writes, and the settings of both."""

import contextlib
import math
import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.util.concurrency import in_greenlet

from db import files, plans
from db.buckets import of_text

_COMMON: dict[str, Any] = {
    "hide_parameters": True,  # a failed statement is logged without its values
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    # SQLite takes a text that is a number for one.
    "json_deserializer": lambda stored: orjson.loads(stored) if isinstance(stored, str | bytes) else stored,
}
_KEPT: dict[str, Any] = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT", **_COMMON}
"""Options of connections that `Readers` keeps."""


def on_sqlite(url: sa.URL, timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
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

    @sa.event.listens_for(writer.sync_engine, "invalidate")
    def _give_up(connection: Any, *_: Any) -> None:
        # SQLite closes a connection once all its statements are gone, and holds its locks until then. The statement of
        # a cancelled task lives in the traceback of its error for as long as that is kept.
        if in_greenlet():
            with contextlib.suppress(sqlite3.Error, ValueError):  # one that is closed already, or broken
                connection.run_async(lambda raw: raw.rollback())

    @sa.event.listens_for(reader.sync_engine, "connect")
    def _open_reader(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        # A statement under way can't be cancelled from outside: it asks now and then whether its time is up.
        until = record.info["until"] = [math.inf]
        connection.run_async(lambda raw: raw.set_progress_handler(lambda: time.monotonic() > until[0], 20_000))
        # SQLite's own knows the letters of ASCII only.
        connection.create_function("lower", 1, lambda text: text.lower() if isinstance(text, str) else text)
        connection.create_function("bucket", 3, of_text)
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


def on_postgresql(url: sa.URL, timeout: float, writers: int) -> tuple[AsyncEngine, AsyncEngine]:
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
