"""Pages of short lists that are made whole in Python, because their rows stand in no table of their own."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from resolvers.failures import Invalid
from resolvers.reading.paging import Page, Slice


@dataclass(frozen=True, eq=False)
class Listing:
    """An order by the texts that `key` gives for a row, no two alike. A cursor holds them, so it stays valid after its
    row is gone."""

    name: str
    key: Callable[[Any], tuple[str, ...]]
    descending: bool = False

    def cursor(self, row: Any) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.name, *self.key(row)])).decode().rstrip("=")

    def place(self, cursor: str, argument: str) -> tuple[str, ...]:
        """The texts of a cursor of this list."""
        try:
            name, *key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name != self.name or not all(isinstance(text, str) for text in key):
                raise ValueError
        except (ValueError, TypeError, binascii.Error):
            raise Invalid("this is not a cursor of this list in this order", field=argument) from None
        return tuple(key)

    def page(self, rows: Sequence[Any], slice: Slice) -> Page:
        """The page that a slice asks for, in this order."""
        down = self.descending != slice.backward
        ordered = sorted(rows, key=self.key, reverse=down)
        if (place := slice.after) is not None:
            ordered = [row for row in ordered if (self.key(row) < place if down else self.key(row) > place)]

        async def counted() -> int:
            return len(rows)

        return Page.cut(ordered[: slice.limit + 1], slice, counted)
