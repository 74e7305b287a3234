"""The keys by which rows are sorted, and the indexes that have them.

A column that may be null is sorted by what stands for null: moments and days without a value come after all others,
texts before. So a key is never null, and is the same on both databases.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from db.types import Instant

_LAST_MOMENT, _LAST_DAY, _NO_TEXT = "9999-12-31T00:00:00.000000Z", "9999-12-30", ""
"""PostgreSQL's driver takes the very last ones for infinity."""


def instead(kind: Any) -> str:
    """What stands for null among values of a type; raises TypeError for a type that has nothing such."""
    if isinstance(kind, Instant):
        return _LAST_MOMENT
    if isinstance(kind, sa.Date):
        return _LAST_DAY
    if isinstance(kind, sa.Text | sa.String):
        return _NO_TEXT
    raise TypeError(f"nothing stands for null among values of {kind!r}")


def folded(name: str) -> sa.TextClause:
    """The key of a text's fold, for an index."""
    return sa.text(_text(f"{name}_folded", _NO_TEXT))


def last(name: str) -> sa.TextClause:
    """The key of a moment that may be null, for an index."""
    return sa.text(_text(name, _LAST_MOMENT))


def sort_key(entity: Any, column: sa.Column[Any]) -> Any:
    """The key of a column, of an alias of its table."""
    own = getattr(entity, column.key)
    if not column.nullable:
        return own
    return sa.func.coalesce(own, sa.literal_column(f"'{instead(column.type)}'"), type_=column.type)


def indexed(table: Any, columns: Sequence[sa.Column[Any]], parent: str | None = None) -> bool:
    """Whether an index of a table has rows, of each `parent` if one is given, in the order of these columns, and then
    of their ids."""
    wanted = [_text(c.name, instead(c.type)) if c.nullable else c.name for c in columns]
    wanted = [*([parent] if parent else []), *wanted, "id"]
    if wanted == ["id"]:
        return True
    for index in table.indexes:
        names = [part.text if isinstance(part, sa.TextClause) else part.name for part in index.expressions]
        if names[: len(wanted)] == wanted:
            return True
    return False


def _text(name: str, instead: str) -> str:
    return f"coalesce({name}, '{instead}')"
