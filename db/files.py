"""The files of an SQLite database, which no other account of the machine may read."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

PAUSE = 0.1
"""Seconds between two looks at a lock that another process holds."""


def made(folder: Path) -> None:
    """Make a folder of ours, and those above it that are missing, for this account alone; one that is there stays."""
    for missing in reversed([folder, *folder.parents]):
        missing.mkdir(mode=0o700, exist_ok=True)


def kept(file: Path) -> None:
    """Let this account alone read what SQLite keeps of a database. The file is made before SQLite makes it: what lies
    beside it gets its mode. What belongs to another account, or lies where nothing can be made, is left alone."""
    file = file.resolve()
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    tightened(file)


def tightened(file: Path) -> None:
    """Take from others what they may do with a database's files that are there."""
    file = file.resolve()
    for name in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal"))):
        _private(name)


def lock(file: Path) -> TextIO:
    """Hold the lock of a file until it is closed; raises BlockingIOError where another process does."""
    held = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "w")
    try:
        _private(file)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        held.close()
        raise
    return held


@contextlib.asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """The lock of a file, waited for."""
    while True:
        try:
            held = lock(file)
            break
        except BlockingIOError:
            await asyncio.sleep(PAUSE)
    with held:
        yield


def _private(file: Path) -> None:
    with contextlib.suppress(OSError):
        found = file.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            file.chmod(found.st_mode & 0o700)
