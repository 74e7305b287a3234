"""Content in pieces of about one size."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

PIECE = 64 * 1024
"""About the bytes that are made and sent at once."""


def pieces(text: str) -> Iterator[bytes]:
    """A text in UTF-8."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE].encode(errors="replace")


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


async def length(content: AsyncIterator[bytes]) -> int:
    """How many bytes there are in all."""
    found = 0
    async for piece in content:
        found += len(piece)
        await asyncio.sleep(0)
    return found


async def cut(content: AsyncIterator[bytes], start: int, stop: int) -> AsyncIterator[bytes]:
    """The bytes from `start` to before `stop`."""
    place = 0
    async for piece in content:
        first, last = max(start - place, 0), min(stop - place, len(piece))
        place += len(piece)
        if first < last:
            yield piece[first:last]
        if place >= stop:
            return
