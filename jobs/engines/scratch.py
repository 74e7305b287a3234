"""Working folders of runs. Those that a killed process left behind are removed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def default() -> Path:
    """A folder for this user among the machine's temporary files."""
    return Path(tempfile.gettempdir()) / f"torana-{os.getuid()}"


class NotOurs(Exception):
    """The folder belongs to another user."""


@contextlib.contextmanager
def scratch(base: Path) -> Iterator[Path]:
    """A new folder below `base`, which exists as long as the context; `base` is created if need be. Raises NotOurs.

    The folder is locked, so that others see that its process lives, also from other containers.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if base.stat().st_uid != os.getuid():
        raise NotOurs(f"{base} belongs to another user")
    with contextlib.ExitStack() as held:
        with _locked(base, fcntl.LOCK_EX):  # nobody sweeps between the making of a folder and its lock
            _sweep(base)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
            held.enter_context(_locked(folder, fcntl.LOCK_EX))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Lock a folder. Raises OSError; with LOCK_NB also when another process has the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _sweep(base: Path) -> None:
    """Remove the folders that no process has locked."""
    for folder in base.glob("run-*"):
        with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
