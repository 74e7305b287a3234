"""Logs as text."""

from collections.abc import AsyncIterator, Callable


async def log(read: Callable[[], AsyncIterator[tuple[int | None, str]]]) -> AsyncIterator[bytes]:
    """A line of text for each log line, with the number of its task."""
    async for ordinal, text in read():
        yield f"[{'-' if ordinal is None else ordinal}] {text}\n".encode(errors="replace")


async def lines(read: Callable[[], AsyncIterator[str]]) -> AsyncIterator[bytes]:
    """The lines of one file."""
    async for text in read():
        yield f"{text}\n".encode(errors="replace")
