"""The files of an SQLite database: only the gateway's account may read them."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

PAUSE = 0.1
"""Seconds between two attempts to get a lock that another process holds."""


def made(folder: Path) -> None:
    """Create a folder, and missing ones above it, for this account alone; an existing one stays as it is."""
    for missing in reversed([folder, *folder.parents]):
        missing.mkdir(mode=0o700, exist_ok=True)


def kept(file: Path) -> None:
    """Let only this account read the files of a database. The file is created before SQLite does it, because the files
    beside it get its mode. Files of another account, and places where nothing can be created, are left alone."""
    file = file.resolve()
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    tightened(file)


def tightened(file: Path) -> None:
    """Remove other accounts' rights to existing files of a database."""
    file = file.resolve()
    for name in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal"))):
        _private(name)


def lock(file: Path) -> TextIO:
    """Lock a file until it is closed; raises BlockingIOError when another process has the lock."""
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
    """Lock a file, waiting until it is free."""
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
