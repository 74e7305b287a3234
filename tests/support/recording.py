"""What runs on a database while one watches: the statements of an operation, and the tables that were changed for good."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from db.engine import Database, Tally, tally
from db.models import Base

WATCHED = {table.name for table in Base.metadata.sorted_tables if "version" in table.c} - {"audit_events"}
"""The tables whose rows people know of; what was refused is on record in the other."""
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")


@dataclass(slots=True)
class Recording(Tally):
    """Statements with their parameters."""

    arguments: list[Sequence[Any]] = field(default_factory=list)

    def add(self, text: str, arguments: Sequence[Any]) -> None:
        self.texts.append(text)
        self.arguments.append(arguments)


@contextmanager
def recorded() -> Iterator[Recording]:
    """The statements of what runs inside."""
    counted = Recording()
    token = tally.set(counted)
    try:
        yield counted
    finally:
        tally.reset(token)


@contextmanager
def changes(database: Database) -> Iterator[list[str]]:
    """The tables, of those that are `WATCHED`, in which a committed transaction wrote rows: one name for each statement."""
    engine: Any = database._writer.sync_engine
    done: list[str] = []
    open_: dict[Any, list[str]] = {}

    def write(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if cursor.rowcount != 0:
            open_.setdefault(connection, []).extend(name for name in _WRITES.findall(text) if name in WATCHED)

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
