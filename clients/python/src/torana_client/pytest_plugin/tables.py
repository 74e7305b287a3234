"""The tables of a gateway under test, read and written past it: they can be kept, put back and emptied."""

# ruff: noqa: S608  (names come from the database itself, or from our own fixtures)

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START = "start"
"""The name of what the tables hold after the start."""


class Tables:
    """All tables of an SQLite file. `forget` makes the gateway forget what it has in memory of them."""

    def __init__(self, file: Path, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._connection = sqlite3.connect(
            file, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=1000
        )
        self._run("PRAGMA synchronous=OFF")
        names = self._run("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        self._columns = {_quoted(name): self._columns_of(name) for (name,) in names}
        self._kept: dict[str, list[str]] = {}
        self._now: tuple[str, int] | None = None
        """What the tables held when they were last put back, and the number of that moment."""

    def keep(self, name: str) -> None:
        """Keep what the tables hold, to be put back."""
        self._run(f"ATTACH ':memory:' AS {_quoted(name)}")
        with self._writing():
            filled = self._filled()
            for table in filled:
                self._run(f"CREATE TABLE {_quoted(name)}.{table} AS SELECT {self._columns[table]} FROM main.{table}")
            self._kept[name] = filled
            self._now = (name, self._number())

    def put_back(self, name: str = START) -> None:
        """Make all tables hold what was kept; nothing is done when nobody wrote since."""
        if self._now == (name, self._number()):
            return
        kept = self._kept[name]
        with self._writing():
            for table in self._filled():
                self._run(f"DELETE FROM main.{table}")
            for table in kept:
                columns = self._columns[table]
                self._run(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM {_quoted(name)}.{table}")
            self._now = (name, self._number())
        self._forget()

    def empty(self, table: str, where: str = "TRUE") -> None:
        """Delete rows of a table for good, with all rows that go with them."""
        self._run("PRAGMA foreign_keys=ON")
        try:
            with self._writing():
                done = self._run(f"DELETE FROM main.{_quoted(table)} WHERE {where}").rowcount
                if done:
                    self._now = None
        finally:
            self._run("PRAGMA foreign_keys=OFF")
        if done:
            self._forget()

    def rows(self, table: str) -> int:
        """The number of rows of a table."""
        count: int = self._run(f"SELECT count(*) FROM main.{_quoted(table)}").fetchone()[0]
        return count

    def close(self) -> None:
        self._connection.close()

    def _filled(self) -> list[str]:
        """The tables that have rows."""
        asked = (
            f"SELECT {number} WHERE EXISTS (SELECT 1 FROM main.{table})" for number, table in enumerate(self._columns)
        )
        tables = list(self._columns)
        return [tables[number] for (number,) in self._run(" UNION ALL ".join(asked)).fetchall()]

    def _columns_of(self, table: str) -> str:
        """The columns that can be written, separated by commas."""
        rows = self._run("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", table).fetchall()
        return ", ".join(_quoted(name) for (name,) in rows)

    def _number(self) -> int:
        """A number that changes whenever somebody else writes."""
        number: int = self._run("PRAGMA main.data_version").fetchone()[0]
        return number

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, in which nobody else writes."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def _run(self, statement: str, *values: str) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
