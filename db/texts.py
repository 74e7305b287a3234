"""SQL that builds JSON text, the same on both dialects: scalars, ids, cursors, and the joining of texts.

It does not use the JSON functions of PostgreSQL and SQLite to build objects: they look up types and escape keys for
each row, and parse again the JSON that a column or a subquery gives them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from db.types import Instant, Key, Name

Piece = str | sa.ColumnElement[Any]
"""A constant text, or SQL that gives a text and is never null."""

_ARGUMENTS = 90
"""The most arguments of one call; PostgreSQL takes 100."""
_CHAIN = 250
"""The most texts of one chain in SQLite, whose expressions may be 1,000 deep."""


def joined(pieces: Iterable[Piece]) -> sa.ColumnElement[str]:
    """All pieces, one after another."""
    found: list[Any] = []
    constant = ""
    for piece in pieces:
        if isinstance(piece, str):
            constant += piece
            continue
        found += [_constant(constant), piece] if constant else [piece]
        constant = ""
    if constant:
        found.append(_constant(constant))
    return found[0] if len(found) == 1 else _Joined(*found)


def _constant(text: str) -> sa.ColumnElement[str]:
    return sa.literal_column("'" + text.replace("'", "''") + "'", sa.Text())


class _Text(FunctionElement[str]):
    type = sa.Text()
    inherit_cache = True


class _Joined(_Text):
    name = "joined"
    inherit_cache = True


@compiles(_Joined, "postgresql")
def _joined_postgresql(element: _Joined, compiler: Any, **kw: Any) -> str:
    texts = [compiler.process(piece, **kw) for piece in element.clauses]
    while len(texts) > 1:
        texts = [f"concat({', '.join(texts[i : i + _ARGUMENTS])})" for i in range(0, len(texts), _ARGUMENTS)]
    return str(texts[0])


@compiles(_Joined, "sqlite")
def _joined_sqlite(element: _Joined, compiler: Any, **kw: Any) -> str:
    """Join without parentheses as far as possible: SQLite bounds their depth, and the length of a chain as well."""
    texts = [compiler.process(piece, **kw) for piece in element.clauses]
    while len(texts) > _CHAIN:
        texts = [f"({' || '.join(texts[i : i + _CHAIN])})" for i in range(0, len(texts), _CHAIN)]
    return " || ".join(texts)


def _spelled(name: str, postgresql: str, sqlite: str, kind: type[FunctionElement[Any]] = _Text) -> Any:
    """An SQL element of one argument, with the text of each dialect; `{}` is the argument."""
    element = type(name, (kind,), {"name": name, "inherit_cache": True})
    for dialect, spelling in (("postgresql", postgresql), ("sqlite", sqlite)):

        def compile_(element: Any, compiler: Any, spelling: str = spelling, **kw: Any) -> str:
            return spelling.replace("{}", compiler.process(element.clauses, **kw))

        compiles(element, dialect)(compile_)
    return element


class _Number(FunctionElement[int]):
    type = sa.BigInteger()
    inherit_cache = True


quoted = _spelled("quoted", "to_json({})::text", "json_quote({})")
"""A text as a JSON string."""

base64 = _spelled("base64", r"translate(encode(convert_to({}, 'UTF8'), 'base64'), E'\n', '')", "torana_base64({})")
"""A text in base64, without line breaks."""

base64url = _spelled(
    "base64url",
    r"rtrim(translate(encode(convert_to({}, 'UTF8'), 'base64'), E'+/\n', '-_'), '=')",
    "torana_base64url({})",
)
"""A text in the URL-safe base64, without padding."""

listed = _spelled("listed", "string_agg({}, ',')", "group_concat({}, ',')")
"""The texts of a group with commas between them, in the order in which the rows arrive; null without rows."""

octets = _spelled("octets", "octet_length({})", "length(CAST({} AS BLOB))", _Number)
"""The bytes of a text."""

json_octets = _spelled("json_octets", "octet_length({}::text)", "length(CAST({} AS BLOB))", _Number)
"""The bytes of a JSON value."""

moment = _spelled(
    "moment",
    "to_char(least(greatest({}, '0001-01-01Z'), '9999-12-31 23:59:59.999999Z') AT TIME ZONE 'UTC', "
    """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "{}",
)
"""An instant as clients see it, which is also how SQLite stores it. PostgreSQL's infinities, which its driver reads as
Python's first and last instants, become those."""

day = _spelled("day", "to_char(least(greatest({}, '0001-01-01'), '9999-12-31'), 'YYYY-MM-DD')", "{}")
"""A date as clients see it."""

_float = _spelled(
    "float",
    "CASE WHEN {} = trunc({}) AND abs({}) < 1e15 THEN {}::text || '.0' ELSE {}::text END",
    "printf('%!.17g', {})",
)


def number(column: Any) -> Iterator[Piece]:
    """A number, or a JSON text that is sent as it is stored."""
    yield sa.cast(column, sa.Text())


def string(column: Any) -> Iterator[Piece]:
    """A value whose text needs no escapes, in quotes."""
    yield from ('"', sa.cast(column, sa.Text()), '"')


def value(column: Any) -> Iterator[Piece]:
    """A column that is not null, as JSON, by its SQL type; raises TypeError for a type that has no such text."""
    kind = column.type
    if isinstance(kind, Instant):
        yield from ('"', moment(column), '"')
    elif isinstance(kind, sa.Date):
        yield from ('"', day(column), '"')
    elif isinstance(kind, Key | sa.Enum):
        yield from string(column)
    elif isinstance(kind, sa.String | Name):
        yield quoted(column)
    elif isinstance(kind, sa.Boolean):
        yield sa.case((column, _constant("true")), else_=_constant("false"))
    elif isinstance(kind, sa.Float):
        yield _float(column)
    elif isinstance(kind, sa.Integer | sa.JSON):
        yield from number(column)
    else:
        raise TypeError(f"no JSON text for {kind!r}")


def maybe(column: Any, pieces: Iterable[Piece]) -> sa.ColumnElement[str]:
    """The pieces, or null where the column is."""
    return sa.case((column.is_(None), _constant("null")), else_=joined(pieces))


def otherwise(text: Any, fallback: str) -> sa.ColumnElement[str]:
    """The text, or `fallback` where it is null."""
    return sa.func.coalesce(text, _constant(fallback), type_=sa.Text())
