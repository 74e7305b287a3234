"""SQL that builds JSON text, the same on both dialects: scalars, ids, cursors, and the joining of texts.

It does not use the JSON functions of PostgreSQL and SQLite to build objects: they look up types and escape keys for
each row, and parse again the JSON that a column or a subquery gives them.
"""

from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from db.types import Instant, Key, Name

Piece = str | sa.ColumnElement[Any]
"""A constant text, or SQL that gives a text and is never null."""

_ARGUMENTS = 90
"""The most arguments of one call; both databases take 100."""


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


class _Base64(_Text):
    """A text in base64. SQLite has no such function and calling one of Python's for each row takes longer than the rest
    of a row: there the text stands between two marks, until `finished`."""

    name = "base64"
    inherit_cache = True
    mark, spelling = "\x01", "encode(convert_to({}, 'UTF8'), 'base64')"


class _LongBase64(_Base64):
    """PostgreSQL breaks a line after 57 bytes."""

    inherit_cache = True
    spelling = rf"translate({_Base64.spelling}, E'\n', '')"


class _UrlBase64(_Base64):
    inherit_cache = True
    mark, spelling = "\x02", rf"translate({_Base64.spelling}, E'+/=\n', '-_')"


UNBROKEN = 56
"""The most bytes of which PostgreSQL makes one line of base64."""


def base64(pieces: Iterable[Piece], most: int) -> sa.ColumnElement[str]:
    """The joined pieces, of at most so many bytes, in base64 without line breaks."""
    return (_Base64 if most <= UNBROKEN else _LongBase64)(joined(pieces))


def cursor(place: sa.ColumnElement[str]) -> Iterator[Piece]:
    """A text in the URL-safe base64 without padding, in quotes."""
    yield from ('"', _UrlBase64(place), '"')


def finished(text: str) -> str:
    """A text that SQLite made by these elements, as it is sent. JSON has no raw control characters, so what stands
    between two of them was marked."""
    if _Base64.mark in text:
        parts = text.split(_Base64.mark)
        parts[1::2] = [b2a_base64(part.encode(), newline=False).decode() for part in parts[1::2]]
        text = "".join(parts)
    if _UrlBase64.mark in text:
        parts = text.split(_UrlBase64.mark)
        parts[1::2] = [b2a_base64(part.encode(), newline=False).translate(_URL, b"=").decode() for part in parts[1::2]]
        text = "".join(parts)
    return text


_URL = bytes.maketrans(b"+/", b"-_")


@compiles(_Base64, "postgresql")
def _base64_postgresql(element: _Base64, compiler: Any, **kw: Any) -> str:
    return element.spelling.replace("{}", compiler.process(element.clauses, **kw))


@compiles(_Joined, "postgresql")
def _joined_postgresql(element: _Joined, compiler: Any, **kw: Any) -> str:
    texts = [compiler.process(_bare(piece), **kw) for piece in element.clauses]
    while len(texts) > 1:
        texts = [f"concat({', '.join(texts[i : i + _ARGUMENTS])})" for i in range(0, len(texts), _ARGUMENTS)]
    return str(texts[0])


@compiles(_Base64, "sqlite")
@compiles(_Joined, "sqlite")
def _joined_sqlite(element: _Text, compiler: Any, **kw: Any) -> str:
    """The pieces put into formats. A chain of `||` copies what it has so far with each piece."""
    texts: list[str] = []
    constant, given = "", list[str]()
    for piece in _pieces(element):
        if len(given) == _ARGUMENTS:
            texts.append(_format(constant, given))
            constant, given = "", []
        if isinstance(piece, str):
            constant += piece
        elif _is_constant(piece):
            constant += piece.name[1:-1].replace("%", "%%")
        else:
            constant += "%s"
            given.append(compiler.process(_bare(piece), **kw))
    return " || ".join([*texts, _format(constant, given)])


def _pieces(element: Any) -> Iterator[Any]:
    """The pieces of a text, and of texts in it; the marks as they are."""
    if isinstance(element, _Base64):
        yield element.mark
    for piece in element.clauses:
        yield from _pieces(piece) if isinstance(piece, _Joined | _Base64) else (piece,)
    if isinstance(element, _Base64):
        yield element.mark


def _format(constant: str, given: list[str]) -> str:
    return f"printf('{constant}', {', '.join(given)})" if given else f"'{constant.replace('%%', '%')}'"


def _is_constant(piece: Any) -> bool:
    return isinstance(piece, sa.ColumnClause) and piece.is_literal and piece.name.startswith("'")


def _bare(piece: Any) -> Any:
    """What is cast to a text: joining makes it one."""
    return piece.clause if isinstance(piece, sa.Cast) and isinstance(piece.type, sa.Text) else piece


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

listed = _spelled("listed", "string_agg({}, ',')", "group_concat({}, ',')")
"""The texts of a group with commas between them, in the order in which the rows arrive; null without rows."""


class _CursorItem(_Text):
    name = "cursor_item"
    inherit_cache = True


def cursor_item(place: sa.ColumnElement[str], number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """The `cursor` of the text of a group that arrives as this number, from 1; null where there are fewer. PostgreSQL
    encodes that one alone: to encode those of a hundred short rows took it half of its time."""
    return _CursorItem(place, number)


@compiles(_CursorItem, "postgresql")
def _cursor_item_postgresql(element: _CursorItem, compiler: Any, **kw: Any) -> str:
    text, number = (compiler.process(part, **kw) for part in element.clauses)
    return f"""'"' || {_UrlBase64.spelling.replace("{}", f"(array_agg({text}))[{number}]")} || '"'"""


@compiles(_CursorItem, "sqlite")
def _cursor_item_sqlite(element: _CursorItem, compiler: Any, **kw: Any) -> str:
    place, number = element.clauses
    text = compiler.process(joined(cursor(place)), **kw)
    return f"json_extract(json_group_array({text}), '$[' || max({compiler.process(number, **kw)} - 1, 0) || ']')"


octets = _spelled("octets", "octet_length({})", "length(CAST({} AS BLOB))", _Number)
"""The bytes of a text."""


class _Bytes(FunctionElement[bytes]):
    type = sa.LargeBinary()
    inherit_cache = True


utf8 = _spelled("utf8", "convert_to({}, 'UTF8')", "CAST({} AS BLOB)", _Bytes)
"""A text as bytes: the driver neither decodes it nor is it encoded again."""

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
