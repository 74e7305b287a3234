"""Folds: texts without case and marks, which searches compare. One function makes them for rows and for patterns.

Beside a column that is searched or ordered by stands its fold, `<name>_folded`, a column that `folds` declares in the
model. The mapper fills it when a row is written; for plain statements `keep` of the engine does.
"""

import re
import unicodedata
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import MappedColumn, Mapper, mapped_column
from sqlalchemy.sql.elements import BindParameter

UNICODE = unicodedata.unidata_version
"""The version of the Unicode tables of this Python."""

MARKS = 30
"""The most marks of one letter."""
_SUFFIX = "_folded"


def fold(text: str) -> str:
    """Fold a text: no case, no marks, no compatibility forms, single blanks. NFKC, casefold, marks removed, then
    NFC."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", bounded(text)).casefold())
    # Once more: a letter may have lost its case by its decomposition alone.
    plain = unicodedata.normalize("NFKD", plain.casefold())
    bare = "".join(letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Me"))
    return " ".join(unicodedata.normalize("NFC", bare).split())


def words(text: str) -> list[str]:
    """The words of a search text, folded, each once."""
    return list(dict.fromkeys(fold(text).split()))


def composed(text: str) -> str:
    """The stored form of a text: NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", bounded(text))


def bounded(text: str) -> str:
    """A text with at most `MARKS` marks in a row: sorting them takes the square of their number. Unicode's stream-safe
    form (UAX 15) has no more either."""
    return text if len(text) <= MARKS or text.isascii() else beyond().sub(r"\1", text)


@cache
def beyond() -> re.Pattern[str]:
    """A pattern of as many marks as are allowed, and those after them. The few marks beyond 16 bits are matched apart,
    because one set of all would be slow."""

    def marks(first: int, last: int) -> str:
        return "".join(chr(n) for n in range(first, last) if unicodedata.category(chr(n))[0] == "M")

    high = f"(?=[\U00010000-\U0010ffff])[{marks(0x10000, 0x20000)}{marks(0xE0100, 0xE01F0)}]"
    mark = f"(?:[{marks(0x300, 0x10000)}]|{high})"
    return re.compile(f"({mark}{{{MARKS}}}){mark}+")


def folds(source: str) -> MappedColumn[Any]:
    """Declare the column with the fold of the column `source` of the same table. It may be null where code of the
    release before this one wrote the row."""

    def made(context: Any) -> str | None:
        return _fold(context.get_current_parameters().get(source))

    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return mapped_column(kind, default=made, nullable=True, deferred=True, info={"folds": source})


@cache
def folded(table: sa.Table) -> dict[str, str]:
    """The columns of a table that have a fold, each with the fold's name."""
    return {column.info["folds"]: column.name for column in table.columns if "folds" in column.info}


def beside(column: Any) -> Any:
    """The fold of a column of a table or an alias; where it is not made yet, the column in lower case."""
    return sa.func.coalesce(column.table.c[column.name + _SUFFIX], sa.func.lower(column), type_=sa.Text())


def follow(_mapper: Mapper[Any], _connection: Any, row: Any) -> None:
    """Set the folds of a mapped row whose texts changed."""
    attributes = sa.inspect(row).attrs
    for source, name in folded(sa.inspect(type(row)).local_table).items():
        if attributes[source].history.has_changes():
            setattr(row, name, _fold(getattr(row, source)))


def keep(engine: sa.Engine) -> None:
    """Make the plain UPDATE statements of an engine write folds with their texts. Raises TypeError for a statement
    whose texts are not known before it runs. INSERT statements get folds by the columns' defaults."""

    @sa.event.listens_for(engine, "before_execute", retval=True)
    def complete(_connection: Any, statement: Any, many: Any, one: Any, _options: Any) -> Any:
        if isinstance(statement, sa.Update | sa.Insert) and isinstance(statement.table, sa.Table):
            statement = _complete(statement, {*one, *(name for row in many for name in row)})
        return statement, many, one


def _complete(statement: Any, parameters: set[str]) -> Any:
    given = {getattr(column, "name", column): value for column, value in (statement._values or {}).items()}
    taken = {getattr(column, "name", column) for column in statement._select_names or ()} if statement.is_insert else ()
    for source, name in folded(statement.table).items():
        if name in given or name in parameters or source not in {*given, *parameters, *taken}:
            continue
        value = given.get(source)
        known = isinstance(value, BindParameter) and not value.required and value.callable is None
        if source in taken or (source in given and not known):
            raise TypeError(f"{statement.table.name}.{source} is not known here: write {name} with it")
        if statement.is_update:
            if source in parameters:
                raise TypeError(f"{statement.table.name}.{source} comes as a parameter: write {name} with it")
            statement = statement.values({statement.table.c[name]: _fold(value.value)})  # type: ignore[union-attr]
    return statement


def _fold(text: str | None) -> str | None:
    if text is not None and not isinstance(text, str):
        raise TypeError("only a text that is known can be folded")
    return None if text is None else fold(text)
