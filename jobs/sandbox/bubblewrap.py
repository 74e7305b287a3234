"""The sandbox by Bubblewrap, where users may have its namespaces and not make their own.

It knows no number of files for what can be written, and no bound that two folders share: each gets the bound, and what
both have together is watched.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from jobs.sandbox import first, kernel
from jobs.sandbox.order import DEVICES, ETC, GROUP, OUTPUT, PASSWD, SCRATCH, SYSTEM, USER, Order
from jobs.sandbox.root import PAGE

START = "import sys; sys.path.insert(0, sys.argv[1]); from jobs.sandbox.{} import main; main()"
"""Starts a module of this package, whose place is the first argument."""


def start(order: Order, inside: socket.socket, launcher: socket.socket, python: str) -> int:
    """Start Bubblewrap, which starts the first process inside. Returns an open file: when it is closed, as it also is
    at the end of this process, all inside ends. Raises OSError."""
    texts = {"/etc/passwd": PASSWD, "/etc/group": GROUP}
    files = {path: _filled(text) for path, text in texts.items()}
    words = [*_words(order, files), "--", python, "-I", "-S", "-c", START.format("first")]
    known = replace(order, read_only={}, runtime=(), output=OUTPUT, report=os.devnull)  # no place outside
    words += [order.modules, known.text(), str(inside.fileno())]
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            first.calm()
            os.close(writing)
            launcher.close()
            if os.fork() == 0:
                _become(words, (inside.fileno(), *files.values()))
            inside.close()
            _guard(reading)
        finally:
            os._exit(0)
    for file in (reading, *files.values()):
        os.close(file)
    return writing


def _become(words: list[str], files: Sequence[int]) -> NoReturn:
    try:
        first.end_first()
        for file in files:
            os.set_inheritable(file, True)
        os.execvp("bwrap", words)  # noqa: S606, S607
    finally:
        os._exit(127)


def _guard(launcher: int) -> None:
    """Wait for the end of the launcher, then end all that is there. Where Bubblewrap itself is ended while it begins,
    a process of it would wait for ever."""
    kernel.adopt()
    os.read(launcher, 1)
    while left := _children():
        for child in left:
            os.kill(child, signal.SIGKILL)  # a child that nobody waited for: the number is its own
        for child in left:  # what it started in turn is then adopted
            os.waitpid(child, 0)


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # After the name, which is in parentheses, come the state and the parent.
                if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


def _words(order: Order, files: dict[str, int]) -> list[str]:
    words = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    words += [
        "--as-pid-1",
        "--clearenv",
        "--cap-drop",
        "ALL",
        "--uid",
        str(USER),
        "--gid",
        str(USER),
        "--proc",
        "/proc",
    ]
    size = str((-(-order.bounds.output // PAGE) + 1) * PAGE)
    for path in (OUTPUT, SCRATCH):
        words += ["--perms", "0700", "--size", size, "--tmpfs", path]
    for path in SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        else:
            words += ["--ro-bind-try", path, path]
    for path in ETC:
        words += ["--ro-bind-try", os.path.realpath(path), path]
    for path, file in files.items():
        words += ["--perms", "0444", "--ro-bind-data", str(file), path]
    for name in DEVICES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in (("fd", "/proc/self/fd"), ("shm", SCRATCH)):
        words += ["--symlink", target, f"/dev/{name}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        words += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    for target, source in (*order.shown().items(), *sorted(order.read_only.items())):
        words += ["--ro-bind", os.path.realpath(source), target]
    return [*words, "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", OUTPUT]


def _filled(text: str) -> int:
    """An open pipe from which a short text is read."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading
