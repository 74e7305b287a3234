"""Marks in the JSON that a statement makes, and the values that replace them.

No stored value can hold a mark, because each process makes its own. There are three kinds. A guarded field that may not
be read leaves a mark that becomes null, and `Rendered` tells its path. Stored JSON (the numbers of a page, and any JSON
that may be long) leaves its place and size, so it is counted before it is fetched, is fetched once for all its places,
and is never copied by the database. A list that no longer has the row of its cursor leaves a mark, and is
read by rows.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from db import models
from db.aliases import model_of
from db.engine import TooComplex
from db.keys import among
from db.prepared import Statement
from db.texts import Piece, json_octets, octets, utf8
from resolvers.failures import check_errors
from resolvers.reading.numbers import DIGITS
from resolvers.reading.plan import (
    Denial,
)

SLABS = models.PageSlab.__tablename__
MARK = secrets.token_hex(16)
BY_ROWS = f'"{MARK}!"'
"""Stands for a list that has another answer than rows: it is found row by row."""
_DENIED, _STORED = f'"{MARK}:', f'"{MARK}#'
_DENIALS = re.compile(f'{_DENIED}[0-9]+"')
_STORES = re.compile(f'{_STORED}([a-z_]+)[.]([a-z0-9_]+):([0-9a-f-]+):([0-9]+)"')


@dataclass(frozen=True, slots=True)
class Rendered:
    """JSON text that is part of a response, in pieces, with the denied fields in it by path."""

    pieces: Sequence[str | bytes]
    denied: Sequence[tuple[list[str | int], Denial]] = ()

    @property
    def text(self) -> str:
        return "".join(piece if isinstance(piece, str) else piece.decode() for piece in self.pieces)

    @classmethod
    def of(cls, text: str, denials: Sequence[Denial]) -> "Rendered":
        """The text of a statement, with null for denied fields. Raises TooComplex for what is found row by row."""
        if BY_ROWS in text:
            raise TooComplex("a list was made anew since its cursor was given")
        if _DENIED not in text:
            return cls((text,))
        cleared, number = _DENIALS.subn("null", text)
        check_errors(number)
        return cls((cleared,), list(_denied(orjson.loads(text), denials, [])))


@dataclass(frozen=True, slots=True)
class Stored:
    """A text with gaps for stored JSON: the `pieces` around them, and for each gap its table, column and key."""

    pieces: Sequence[str]
    places: Sequence[tuple[str, str, str]]
    size: int

    @classmethod
    def of(cls, text: str) -> "Stored | None":
        if _STORED not in text:
            return None
        found = _STORES.split(text)
        places = list(zip(found[1::5], found[2::5], found[3::5], strict=True))
        return cls(found[0::5], places, sum(map(int, found[4::5])))

    def filled(self, values: Mapping[tuple[str, str, str], bytes | None]) -> list[str | bytes]:
        """The pieces with the values between them; raises KeyError for a value whose row is gone. They are not joined:
        an answer may be of megabytes, and each copy of it takes long."""
        texts: list[str | bytes] = [self.pieces[0]]
        for place, piece in zip(self.places, self.pieces[1:], strict=True):
            texts += (values[place] or "null", piece)
        return texts


def places(wanted: Iterable[Stored]) -> dict[str, tuple[frozenset[str], list[str]]]:
    """What to fetch for several texts: the columns and keys by table."""
    found: dict[str, tuple[set[str], dict[str, None]]] = {}
    for table, column, key in (place for one in wanted for place in one.places):
        columns, keys = found.setdefault(table, (set(), {}))
        columns.add(column)
        keys[key] = None
    return {table: (frozenset(columns), list(keys)) for table, (columns, keys) in found.items()}


def stored(table: str, columns: frozenset[str]) -> Statement:
    """The statement that reads stored JSON of the rows in `keys`: the text of the key, then the columns in the order of
    their names."""
    found = models.Base.metadata.tables[table]
    texts = [
        utf8(found.c[name] if isinstance(found.c[name].type, sa.Text) else sa.cast(found.c[name], sa.Text()))
        for name in sorted(columns)
    ]
    return sa.select(sa.cast(found.c.id, sa.Text()), *texts).where(among(found.c.id, "keys"))


def found(table: str, names: Sequence[str], rows: Iterable[Any]) -> dict[tuple[str, str, str], bytes | None]:
    """The texts that `stored` read, by their places."""
    return {(table, name, key): value for key, *texts in rows for name, value in zip(names, texts, strict=True)}


def slabs(series: frozenset[str]) -> Statement:
    """The statement that reads slabs of the contents in `keys`: the content, the series, and the text of each, in their
    order."""
    slab = models.PageSlab
    named = sa.cast(slab.series, sa.Text())
    wanted = [named == sa.literal_column(f"'{models.Series(name.upper()).value}'") for name in sorted(series)]
    made = sa.select(sa.cast(slab.content, sa.Text()), named, utf8(slab.text))
    made = made.where(among(slab.content, "keys"), sa.or_(*wanted))
    return made.order_by(slab.content, slab.series, slab.number)


def joined_slabs(
    series: frozenset[str], keys: Sequence[str], rows: Iterable[Any]
) -> dict[tuple[str, str, str], bytes | None]:
    """The arrays of contents, by their places; null for a series that has none."""
    held: dict[tuple[str, str, str], list[bytes]] = {}
    for key, name, text in rows:
        held.setdefault((SLABS, name.lower(), key), []).append(text)
    every = ((SLABS, name, key) for key in keys for name in series)
    return {place: b"[%b]" % b",".join(held[place]) if place in held else None for place in every}


def _denied(found: Any, denials: Sequence[Denial], path: list[str | int]) -> Iterator[tuple[list[str | int], Denial]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, dict):
        items = found.items()
    elif isinstance(found, list):
        items = enumerate(found)
    elif isinstance(found, str) and found.startswith(f"{MARK}:"):
        yield path, denials[int(found.rpartition(":")[2])]
    for key, inner in items:
        if isinstance(inner, dict | list | str):
            yield from _denied(inner, denials, [*path, key])


def place(entity: Any, key: str) -> Iterator[Piece]:
    """The mark of stored JSON."""
    column = sa.inspect(model_of(entity)).mapper.columns[key]
    yield f"{_STORED}{column.table.name}.{column.name}:"
    size = (json_octets if isinstance(column.type, sa.JSON) else octets)(getattr(entity, key))
    yield from (sa.cast(entity.id, sa.Text()), ":", sa.cast(size, sa.Text()), '"')


def slabbed(entity: Any, key: str) -> Iterator[Piece]:
    """The mark of numbers in slabs."""
    yield f"{_STORED}{SLABS}.{models.SLABBED[key].name.lower()}:"
    yield from (sa.cast(entity.content, sa.Text()), ":", sa.cast(entity.value_count * DIGITS, sa.Text()), '"')


def denial(number: int) -> str:
    """The mark of a field that may not be read."""
    return f'{_DENIED}{number}"'
