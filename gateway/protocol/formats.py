"""File formats of results: YAPTIDE's JSON and CSV, made piece by piece from the stored numbers as they are."""

import asyncio
import csv
import io
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import orjson

from resolvers.context import Context
from resolvers.simulations import exports
from resolvers.simulations.exports import Chosen

PIECE = 64 * 1024
"""About the bytes that are made and sent at once."""
_ROWS = 2_000
"""The lines of a CSV that are made at once."""


async def results(ctx: Context, chosen: Sequence[Chosen]) -> AsyncIterator[bytes]:
    """Estimators with their pages, as `jobs.results.read` takes them."""
    yield b"["
    for n, estimator in enumerate(chosen):
        row = estimator.row
        head = orjson.dumps({"name": row.name, "file_name": row.file_name, "metadata": row.meta})
        yield (b"," if n else b"") + head[:-1] + b',"pages":['
        for place, key in enumerate(estimator.pages.values()):
            if place:
                yield b","
            for piece in _page(await exports.page(ctx, key)):
                yield piece
        yield b"]}"
    yield b"]"


def _page(row: Any) -> Iterator[bytes]:
    metadata = {"page_number": str(row.number), **row.meta}
    yield orjson.dumps({"dimensions": row.dimension, "metadata": metadata})[:-1]
    axes = (("axis_dim1", row.axis1_name, row.axis1_unit, row.axis1_values),
            ("axis_dim2", row.axis2_name, row.axis2_unit, row.axis2_values),
            ("data", row.name, row.unit, row.data_values))  # fmt: skip
    for part, name, unit, values in axes:
        if values is not None:
            yield b',"%b":%b,"values":' % (part.encode(), orjson.dumps({"name": name, "unit": unit or ""})[:-1])
            yield from pieces(values)
            yield b"}"
    yield b"}"


def pieces(text: str) -> Iterator[bytes]:
    """A text in UTF-8."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE].encode()


def table(row: Any) -> Iterator[bytes]:
    """A page as CSV (RFC 4180): a column for each axis and one for the values, axis 1 fastest; empty for a value that
    is not finite."""
    lines = itertools.chain([_header(row)], _lines(row))
    while chunk := "".join(itertools.islice(lines, _ROWS)):
        yield chunk.encode()


def _header(row: Any) -> str:
    columns = ((row.axis1_name, row.axis1_unit), (row.axis2_name, row.axis2_unit), (row.name, row.unit))
    there = [columns[n] for n in (0, 1) if n < row.dimension] + [columns[2]]
    written = io.StringIO()
    csv.writer(written).writerow([f"{name} [{unit}]" if unit else name for name, unit in there])
    return written.getvalue()


def _lines(row: Any) -> Iterator[str]:
    values = _numbers(row.data_values)
    if row.dimension == 0:
        yield from (f"{value}\r\n" for value in values)
    elif row.dimension == 1:
        for x, value in zip(_numbers(row.axis1_values), values, strict=True):
            yield f"{x},{value}\r\n"
    else:
        for y in _numbers(row.axis2_values):
            for x in _numbers(row.axis1_values):
                yield f"{x},{y},{next(values)}\r\n"


def _numbers(text: str) -> Iterator[str]:
    """The numbers of a JSON array as they are written in it, without reading all at once; null becomes empty."""
    start, end = 1, len(text) - 1
    while start < end:
        stop = text.find(",", start + PIECE)
        stop = end if stop < 0 else stop
        for number in text[start:stop].split(","):
            yield "" if number == "null" else number
        start = stop + 1


async def log(lines: AsyncIterator[tuple[int | None, str]]) -> AsyncIterator[bytes]:
    """A line of text for each log line, with the number of its task."""
    async for ordinal, text in lines:
        yield f"[{'-' if ordinal is None else ordinal}] {text}\n".encode(errors="replace")


async def each(made: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in made:
        yield piece


async def packed(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same in pieces of about one size; between two of them the event loop serves others."""
    waiting = bytearray()
    async for piece in content:
        waiting += piece
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
            await asyncio.sleep(0)
    if waiting:
        yield bytes(waiting)
