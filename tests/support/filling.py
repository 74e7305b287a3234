"""Rows for every table of a database, made from what the database itself says of its tables."""

import json
import random
import re
import warnings
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

ROWS = 2
"""In each table at least."""
TRIES = 400
"""Of one row, which the checks of its table may refuse."""
SOME = 20
"""Of a row with one value of a choice."""

Row = dict[str, Any]


def reflected(connection: sa.Connection) -> dict[str, sa.Table]:
    metadata = sa.MetaData()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", sa.exc.SAWarning)
        metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if name != "alembic_version"}


class Filling:
    """Puts rows into the tables of an SQLite database: each column is set in one of them, and
    each value of a choice stands in one. Rows that a constraint refuses are made anew; the same seed gives the same rows."""

    def __init__(self, connection: sa.Connection, seed: int = 1) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._number = seed * 100_000
        self._tables = reflected(connection)
        self._keys: dict[str, list[Row]] = {}
        self.made: dict[str, list[Row]] = {name: [] for name in self._tables}

    def fill(self) -> dict[str, list[Row]]:
        for name, table in self._tables.items():
            found = self._connection.execute(sa.select(sa.text("*")).select_from(table)).mappings()
            self._keys[name] = [dict(row) for row in found]
        waiting = dict(self._tables)
        while waiting:
            ready = [n for n, table in waiting.items() if not self._needed(table) & waiting.keys() - {n}]
            assert ready, f"these tables need each other: {sorted(waiting)}"
            for name in ready:
                self._fill(waiting.pop(name))
        return self.made

    def _needed(self, table: sa.Table) -> set[str]:
        keys = table.foreign_keys
        return {key.column.table.name for key in keys if not key.parent.nullable}

    def _fill(self, table: sa.Table) -> None:
        choices = self._choices(table)
        for _ in range(ROWS):
            assert self._put(table, choices, {}), f"no row of {table.name} could be made"
        for column in table.c:
            if column.nullable and not any(row[column.name] is not None for row in self.made[table.name]):
                done = self._put(table, choices, {column.name: "set"})
                assert done or not self._parents(column), f"no row of {table.name} could be made with {column.name}"
        for name, values in choices.items():
            for value in sorted({*values} - {row[name] for row in self.made[table.name]}):
                self._put(table, choices, {name: value}, SOME)  # another check may rule it out

    def _put(self, table: sa.Table, choices: dict[str, list[str]], wish: Row, tries: int = TRIES) -> bool:
        for _ in range(tries):
            row = self._row(table, choices, wish)
            try:
                with self._connection.begin_nested():
                    self._connection.execute(_plain(table, row), row)
            except sa.exc.IntegrityError:
                continue
            self.made[table.name].append(row)
            self._keys[table.name].append(row)
            return True
        return False

    def _parents(self, column: sa.Column[Any]) -> bool:
        return all(self._keys[key.column.table.name] for key in column.foreign_keys)

    def _row(self, table: sa.Table, choices: dict[str, list[str]], wish: Row) -> Row:
        self._number += 1
        row: Row = {}
        for column in table.c:
            given = wish.get(column.name, "set" if not column.nullable else self._random.choice(("set", None)))
            if given is None:
                row[column.name] = None
            elif given != "set":
                row[column.name] = given
            elif column.foreign_keys:
                (key,) = column.foreign_keys
                there = self._keys[key.column.table.name]
                row[column.name] = self._random.choice(there)[key.column.name] if there else None
            elif column.name in choices:
                row[column.name] = self._random.choice(choices[column.name])
            else:
                row[column.name] = self._value(column)
        return row

    def _value(self, column: sa.Column[Any]) -> Any:
        kind, n = column.type, self._number
        length = getattr(kind, "length", None)
        if isinstance(kind, sa.CHAR) and length == 36:
            return str(UUID(int=(n << 64) | self._random.getrandbits(62)))
        if isinstance(kind, sa.CHAR) and length == 27:
            return f"2026-03-{n % 27 + 1:02}T{n % 24:02}:{n % 60:02}:07.{n % 1_000_000:06}Z"
        if isinstance(kind, sa.JSON):
            return json.dumps(self._random.choice(({"é": n}, {"a": [1, None, True]})), ensure_ascii=False)
        if isinstance(kind, sa.Boolean):
            return self._random.choice((0, 1))
        if isinstance(kind, sa.Integer):
            return self._random.choice((0, 1, 2, 3, n))
        if isinstance(kind, sa.Numeric | sa.Float):
            return self._random.choice((0.25, 1.0))
        if isinstance(kind, sa.LargeBinary):
            return b"\x00%d" % n
        if isinstance(kind, sa.Date):
            return f"2026-05-{n % 27 + 1:02}"
        if column.name in ("email", "recipient"):
            return f"maria{n}@example.org"
        # Quoted, so that it is JSON where a text is that.
        text = f'"{n} École"' if length is None or length > 30 else str(n)
        return text if length is None else text[:length]

    def _choices(self, table: sa.Table) -> dict[str, list[str]]:
        """Columns whose values a check lists."""
        checks = sa.inspect(self._connection).get_check_constraints(table.name)
        found = (re.fullmatch(r"\s*\"?(\w+)\"? IN \(([^()]*)\)\s*", check["sqltext"]) for check in checks)
        return {match[1]: re.findall(r"'([^']*)'", match[2]) for match in found if match}


def _plain(table: sa.Table, row: Row) -> Any:
    """Values as SQLite stores them."""
    return sa.insert(sa.table(table.name, *(sa.column(name) for name in row)))


def copy_into(connection: sa.Connection, made: dict[str, list[Row]]) -> None:
    """Put rows of SQLite into the same tables on PostgreSQL."""
    connection.exec_driver_sql("SET session_replication_role = replica")
    for name, table in reflected(connection).items():
        rows = [{k: v if v is None else _as(table.c[k].type, v) for k, v in row.items()} for row in made[name]]
        plain = sa.table(name, *(sa.column(c.name, _nullable(c.type)) for c in table.c))
        connection.execute(sa.insert(plain), rows)
    connection.exec_driver_sql("SET session_replication_role = origin")


def _nullable(kind: Any) -> Any:
    return type(kind)(none_as_null=True) if isinstance(kind, sa.JSON) else kind


def _as(kind: Any, value: Any) -> Any:
    if isinstance(kind, sa.Uuid):
        return UUID(value)
    if isinstance(kind, sa.DateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, sa.Date):
        return date.fromisoformat(value)
    if isinstance(kind, sa.JSON):
        return json.loads(value)
    return bool(value) if isinstance(kind, sa.Boolean) else value


def stored(connection: sa.Connection) -> dict[str, dict[str, Row]]:
    """The rows of each table by key, with values that can be compared between revisions."""
    found: dict[str, dict[str, Row]] = {}
    for name, table in reflected(connection).items():
        key = next(iter(table.primary_key)).name
        columns = sa.select(*(sa.cast(c, sa.Text).label(c.name) if _text(c) else c for c in table.c))
        rows = [{k: _same(v) for k, v in row.items()} for row in connection.execute(columns).mappings()]
        found[name] = {str(row[key]): row for row in rows}
    return found


def _text(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def _same(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("[", "{")):
        return json.dumps(json.loads(value), sort_keys=True)
    return value if isinstance(value, int | float | bytes | None) else str(value)
