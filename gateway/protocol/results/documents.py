"""Results as JSON, made piece by piece from the stored numbers as they are: as YAPTIDE's `GET /results` has them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from gateway.protocol.pieces import pieces
from resolvers.context import Context
from resolvers.simulations import exports, numbers
from resolvers.simulations.exports import Chosen


async def results(ctx: Context, job_key: str | None, chosen: Sequence[Chosen]) -> AsyncIterator[bytes]:
    """An object with a message and the estimators, as `jobs.results.estimators.read` takes them."""
    told = "Results" if job_key is None else f"Results for job: {job_key}"
    yield orjson.dumps({"message": told})[:-1] + b',"estimators":'
    async for piece in estimators(ctx, chosen):
        yield piece
    yield b"}"


async def estimators(ctx: Context, chosen: Sequence[Chosen], *, camel: bool = False) -> AsyncIterator[bytes]:
    """Estimators with their pages; with `camel`, the keys are spelled as in YAPTIDE's editor."""
    yield b"["
    for n, estimator in enumerate(chosen):
        row = estimator.row
        head = orjson.dumps(
            {"name": row.name, "fileName" if camel else "file_name": row.file_name, "metadata": row.meta}
        )
        yield (b"," if n else b"") + head[:-1] + b',"pages":['
        for place, version in enumerate(estimator.pages.values()):
            if place:
                yield b","
            async for piece in _page(ctx, await exports.page(ctx, *version), "axisDim" if camel else "axis_dim"):
                yield piece
        yield b"]}"
    yield b"]"


async def _page(ctx: Context, row: Any, dim: str) -> AsyncIterator[bytes]:
    metadata = {"page_number": str(row.number), **row.meta}
    yield orjson.dumps({"dimensions": row.dimension, "metadata": metadata})[:-1]
    for axis in range(1, row.dimension + 1):
        yield _named(f"{dim}{axis}", getattr(row, f"axis{axis}_name"), getattr(row, f"axis{axis}_unit"))
        for piece in pieces(getattr(row, f"axis{axis}_values")):
            yield piece
        yield b"}"
    yield _named("data", row.name, row.unit)
    async for more in _array(ctx, row, "data_values"):
        yield more
    place = 0
    async for more in _array(ctx, row, "data_errors"):
        yield b',"errors":' + more if place == 0 else more
        place += 1
    yield b"}}"


def _named(part: str, name: str, unit: str | None) -> bytes:
    return b',"%b":%b,"values":' % (part.encode(), orjson.dumps({"name": name, "unit": unit or ""})[:-1])


async def _array(ctx: Context, row: Any, key: str) -> AsyncIterator[bytes]:
    """The numbers of a column as a JSON array; nothing where there are none, but for values."""
    begun = False
    async for text in numbers.texts(ctx, row, key):
        yield b"," if begun else b"["
        begun = True
        for piece in pieces(text):
            yield piece
    if begun:
        yield b"]"
    elif key == "data_values":
        yield b"[]"
