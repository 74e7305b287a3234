"""What runs on a database while one watches: the statements of an operation, and the tables that were changed for good."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from db.engine import Database, Tally, tally
from db.models import Base

KEPT = {table.name for table in Base.metadata.sorted_tables if "version" in table.c} - {"audit_events"}
"""The tables whose rows people know of; what was refused is on record in the other."""
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")


@contextmanager
def recorded() -> Iterator[Tally]:
    """The statements of what runs inside."""
    counted = Tally()
    token = tally.set(counted)
    try:
        yield counted
    finally:
        tally.reset(token)


@contextmanager
def changes(database: Database) -> Iterator[list[str]]:
    """The tables, of those that are `KEPT`, in which a committed transaction wrote rows: one name for each statement."""
    engine: Any = database._writer.sync_engine
    done: list[str] = []
    open_: dict[Any, list[str]] = {}

    def write(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if cursor.rowcount != 0:
            open_.setdefault(connection, []).extend(name for name in _WRITES.findall(text) if name in KEPT)

    def commit(connection: Any) -> None:
        done.extend(open_.pop(connection, ()))

    def roll_back(connection: Any) -> None:
        open_.pop(connection, None)

    listeners = {"after_cursor_execute": write, "commit": commit, "rollback": roll_back}
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    try:
        yield done
    finally:
        for name, listener in listeners.items():
            sa.event.remove(engine, name, listener)
