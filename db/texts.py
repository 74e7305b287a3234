"""JSON text built by the database, the same on both dialects: scalars, ids, cursors, and how texts are put together.

PostgreSQL's and SQLite's own JSON functions are not used to build objects: they look up types and escape keys for each
row, and parse again what stored JSON or a subquery gives them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from db.types import Instant, Key

Piece = str | sa.ColumnElement[Any]
"""Constant text, or SQL that gives text and is never null."""

_ARGUMENTS = 90
"""Of one call in PostgreSQL, which takes 100."""
_CHAIN = 250
"""Texts of one chain in SQLite, whose expressions may be 1,000 deep."""


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


@compiles(_Joined, "postgresql")
def _joined_postgresql(element: _Joined, compiler: Any, **kw: Any) -> str:
    texts = [compiler.process(piece, **kw) for piece in element.clauses]
    while len(texts) > 1:
        texts = [f"concat({', '.join(texts[i : i + _ARGUMENTS])})" for i in range(0, len(texts), _ARGUMENTS)]
    return str(texts[0])


@compiles(_Joined, "sqlite")
def _joined_sqlite(element: _Joined, compiler: Any, **kw: Any) -> str:
    """Without parentheses as far as that goes: SQLite bounds their depth, and the length of a chain as well."""
    texts = [compiler.process(piece, **kw) for piece in element.clauses]
    while len(texts) > _CHAIN:
        texts = [f"({' || '.join(texts[i : i + _CHAIN])})" for i in range(0, len(texts), _CHAIN)]
    return " || ".join(texts)


class quoted(_Text):
    """A text as a JSON string."""

    name = "quoted"


@compiles(quoted, "postgresql")
def _quoted_postgresql(element: quoted, compiler: Any, **kw: Any) -> str:
    return f"to_json({compiler.process(element.clauses, **kw)})::text"


@compiles(quoted, "sqlite")
def _quoted_sqlite(element: quoted, compiler: Any, **kw: Any) -> str:
    return f"json_quote({compiler.process(element.clauses, **kw)})"


class base64(_Text):
    """A text in base64, without line breaks."""

    name = "base64"


@compiles(base64, "postgresql")
def _base64_postgresql(element: base64, compiler: Any, **kw: Any) -> str:
    return f"translate(encode(convert_to({compiler.process(element.clauses, **kw)}, 'UTF8'), 'base64'), E'\\n', '')"


@compiles(base64, "sqlite")
def _base64_sqlite(element: base64, compiler: Any, **kw: Any) -> str:
    return f"torana_base64({compiler.process(element.clauses, **kw)})"


class base64url(_Text):
    """A text in the URL-safe base64, without padding."""

    name = "base64url"


@compiles(base64url, "postgresql")
def _base64url_postgresql(element: base64url, compiler: Any, **kw: Any) -> str:
    encoded = f"encode(convert_to({compiler.process(element.clauses, **kw)}, 'UTF8'), 'base64')"
    return f"rtrim(translate({encoded}, E'+/\\n', '-_'), '=')"


@compiles(base64url, "sqlite")
def _base64url_sqlite(element: base64url, compiler: Any, **kw: Any) -> str:
    return f"torana_base64url({compiler.process(element.clauses, **kw)})"


class listed(_Text):
    """The texts of a group with commas between them, in the order in which the rows arrive; null without rows."""

    name = "listed"


@compiles(listed, "postgresql")
def _listed_postgresql(element: listed, compiler: Any, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **kw)}, ',')"


@compiles(listed, "sqlite")
def _listed_sqlite(element: listed, compiler: Any, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **kw)}, ',')"


class octets(FunctionElement[int]):
    """The bytes of a text."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "octets"


@compiles(octets, "postgresql")
def _octets_postgresql(element: octets, compiler: Any, **kw: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kw)})"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: Any, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


class moment(_Text):
    """An instant in the spelling of clients, which is the stored one on SQLite. The infinities of PostgreSQL, which its
    driver makes of Python's first and last instants, are those."""

    name = "moment"


@compiles(moment, "postgresql")
def _moment_postgresql(element: moment, compiler: Any, **kw: Any) -> str:
    instant = compiler.process(element.clauses, **kw)
    bounded = f"least(greatest({instant}, '0001-01-01Z'), '9999-12-31 23:59:59.999999Z')"
    return f"""to_char({bounded} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class day(_Text):
    """A date, likewise."""

    name = "day"


@compiles(day, "postgresql")
def _day_postgresql(element: day, compiler: Any, **kw: Any) -> str:
    date = compiler.process(element.clauses, **kw)
    return f"to_char(least(greatest({date}, '0001-01-01'), '9999-12-31'), 'YYYY-MM-DD')"


@compiles(moment, "sqlite")
@compiles(day, "sqlite")
def _stored_sqlite(element: _Text, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


class _Float(_Text):
    name = "float"


@compiles(_Float, "postgresql")
def _float_postgresql(element: _Float, compiler: Any, **kw: Any) -> str:
    number = compiler.process(element.clauses, **kw)
    whole = f"{number} = trunc({number}) AND abs({number}) < 1e15"
    return f"CASE WHEN {whole} THEN {number}::text || '.0' ELSE {number}::text END"


@compiles(_Float, "sqlite")
def _float_sqlite(element: _Float, compiler: Any, **kw: Any) -> str:
    return f"printf('%!.17g', {compiler.process(element.clauses, **kw)})"


def number(column: Any) -> Iterator[Piece]:
    """A number, or a JSON text that is stored as it is sent."""
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
    elif isinstance(kind, sa.String):
        yield quoted(column)
    elif isinstance(kind, sa.Boolean):
        yield sa.case((column, _constant("true")), else_=_constant("false"))
    elif isinstance(kind, sa.Float):
        yield _Float(column)
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
