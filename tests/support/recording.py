"""What runs on a database while one watches: the statements of an operation, and the tables that were changed for good."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from db.engine import Database
from db.locks import ORDER
from db.models import Base
from db.tally import Tally, tally

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
def listening(engine: Any, listeners: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Have an engine, or all of a class, tell of events by their names."""
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            sa.event.remove(engine, name, listener)


@contextmanager
def changes(database: Database) -> Iterator[list[str]]:
    """The tables, of those that are `WATCHED`, in which a committed transaction wrote rows: one name for each statement."""
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
    with listening(database._writer.sync_engine, listeners):
        yield done


@contextmanager
def out_of_order(database: Database) -> Iterator[list[str]]:
    """What transactions on PostgreSQL locked or changed against the order of locks: rows of a table after those of a later
    one, or several rows at once without order."""
    place = {model.__tablename__: n for n, model in enumerate(ORDER)}
    open_: dict[Any, tuple[int, set[str]]] = {}
    found: list[str] = []

    def look(connection: Any, _cursor: Any, text: str, arguments: Any, *_: Any) -> None:
        if (key := _made_key(text, arguments)) is not None:  # which nobody else can lock yet
            highest, known = open_.get(connection, (-1, set()))
            open_[connection] = highest, known | {key}
        table = _locked_table(text)
        if table not in place or connection.dialect.name == "sqlite":  # where one transaction writes at a time
            return
        keys = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", str(arguments)))
        highest, known = open_.get(connection, (-1, set()))
        if place[table] < highest and not keys & known:
            found.append(f"{table} after {ORDER[highest].__tablename__}: {' '.join(text.split())[:300]}")
        open_[connection] = max(highest, place[table]), known | keys

    def end(connection: Any) -> None:
        open_.pop(connection, None)

    listeners = {"before_cursor_execute": look, "commit": end, "rollback": end}
    with listening(database._writer.sync_engine, listeners):
        yield found


def _made_key(text: str, arguments: Any) -> str | None:
    """The key of the row that a statement makes."""
    made = re.match(r"\s*INSERT INTO \w+ \(([^)]*)\)", text)
    columns = [] if made is None else made[1].split(", ")
    if "id" not in columns or not isinstance(arguments, tuple) or not arguments or isinstance(arguments[0], tuple):
        return None
    return str(arguments[columns.index("id")])


def _locked_table(text: str) -> str | None:
    """The table of which a statement locks or changes rows that are there."""
    if (changes := re.match(r"\s*(?:UPDATE|DELETE FROM) (\w+)", text)) is not None:
        return changes[1]
    if re.search(r"FOR (?:NO KEY )?(?:UPDATE|SHARE)", text) is None:
        return None
    of = re.search(r"FOR (?:NO KEY )?(?:UPDATE|SHARE) OF (\w+)", text)
    from_ = re.search(r"\bFROM (\w+)", text)
    return of[1] if of else from_ and from_[1]
