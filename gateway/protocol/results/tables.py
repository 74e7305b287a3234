"""Pages as CSV (RFC 4180)."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from resolvers.context import Context
from resolvers.simulations import numbers

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets take for a formula."""


async def table(ctx: Context, row: Any, *, bom: bool = False) -> AsyncIterator[bytes]:
    """A page: a column for each axis, one for the values and one for their standard errors, axis 1 fastest; empty for
    what is not known or not finite. With `bom` it begins with a byte order mark."""
    yield f"{BOM if bom else ''}{_header(row)}".encode()
    places = _places(row)
    errors = numbers.texts(ctx, row, "data_errors")
    async for values in numbers.texts(ctx, row, "data_values"):
        yield await asyncio.to_thread(_lines, places, values, await anext(errors, None))


def _header(row: Any) -> str:
    axes = [(getattr(row, f"axis{n}_name"), getattr(row, f"axis{n}_unit")) for n in range(1, row.dimension + 1)]
    columns = [*axes, (row.name, row.unit), (f"standard error of {row.name}", row.unit)]
    written = io.StringIO()
    csv.writer(written).writerow([_cell(f"{name} [{unit}]" if unit else name) for name, unit in columns])
    return written.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet computes."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _places(row: Any) -> Iterator[str]:
    """The coordinates of each value as the beginning of its line."""
    if row.dimension == 0:
        yield ""
        return
    for z in numbers.written(row.axis3_values or "[0]"):
        for y in numbers.written(row.axis2_values or "[0]"):
            further = f",{y},{z}," if row.dimension == 3 else f",{y}," if row.dimension == 2 else ","
            for x in numbers.written(row.axis1_values):
                yield x + further


def _lines(places: Iterator[str], values: str, errors: str | None) -> bytes:
    shown = numbers.cells(values)
    beside = [""] * len(shown) if errors is None else numbers.cells(errors)
    there = islice(places, len(shown))
    return "".join(
        [f"{place}{value},{error}\r\n" for place, value, error in zip(there, shown, beside, strict=True)]
    ).encode()
