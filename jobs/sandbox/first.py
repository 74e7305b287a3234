"""The first process inside the sandbox. It binds itself, starts the program, and takes care of what is left behind.

When it ends, the kernel ends all others inside. The program can't reach it: it runs as the same user, but this process
lets nobody look into it, and signals from inside do nothing to the first process of a namespace.
"""

import array
import contextlib
import math
import os
import re
import resource
import signal
import socket
import sys
import warnings
from typing import NoReturn

from jobs.sandbox import calls, kernel, talk
from jobs.sandbox.bounds import Bounds
from jobs.sandbox.order import Order
from jobs.sandbox.root import PAGE

_OPEN_FILES = 1024
_LOCKED = 1 << 16
_DUMP = 1
"""Less than any dump has. With 0 the kernel would still give one to a program of the machine that asks for it."""
_COUNTED = (5, 14)
"""The kernel from which on processes are counted in each namespace of users."""
_LOOK = 0.5
"""Seconds after which it looks whether the launcher is there. It gets a signal otherwise."""
_LOADED = (array, warnings)
"""What functions of the standard library import when they are called. In an image there is no file of Python."""
_REPORT = 3
"""The file number by which the start of a program tells that it failed."""


def run(order: Order, launcher: socket.socket, folders: list[int], alone: bool = False) -> NoReturn:
    """Run the program of the order and end; `alone` says that the kernel's user has no processes outside."""
    try:
        _run(order, launcher, folders, alone)
    except OSError as error:
        with contextlib.suppress(OSError):
            talk.say(launcher, "refused", f"the sandbox could not be made: {talk.told(error)}")
    finally:
        os._exit(0)


def calm() -> None:
    """Take back what Python and the launcher do about signals."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def end_first() -> None:
    """Where the machine's memory runs out, let this process and its program end before others."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("1000")


def _run(order: Order, launcher: socket.socket, folders: list[int], alone: bool) -> None:
    talk.say(launcher, "ready", folders=folders)
    if talk.hear(launcher)[0] != "go":
        return
    kernel.let_trace(False)
    kernel.die_with_parent()
    if talk.gone(launcher):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    _confine(order.bounds, alone)
    reading, writing = os.pipe()
    program = os.fork()
    if program == 0:
        _become(order, writing)
    os.close(writing)
    if failure := os.read(reading, 64):
        talk.say(launcher, "refused", f"the program could not be started: {os.strerror(int(failure))}")
        return
    while (status := _ended(program)) is None:
        signal.sigtimedwait({signal.SIGCHLD}, _LOOK)
        if talk.gone(launcher):
            return
    talk.say(launcher, "status", status)


def _confine(bounds: Bounds, alone: bool) -> None:
    """Bind this process and all that it starts."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    processes = bounds.processes + 2  # this one, and one more: then it is known that the bound is met
    if not alone and release < _COUNTED:  # a user's processes outside would count; the launcher's watch must do
        processes = resource.RLIM_INFINITY
    seconds = math.ceil(bounds.seconds) * (os.cpu_count() or 1) + 1
    for what, most in (
        (resource.RLIMIT_CORE, _DUMP),
        (resource.RLIMIT_FSIZE, (-(-bounds.output // PAGE) + 1) * PAGE),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_MEMLOCK, _LOCKED),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        limit = min((one for one in (most, resource.getrlimit(what)[1]) if one != resource.RLIM_INFINITY), default=most)
        resource.setrlimit(what, (limit, limit))
    kernel.gain_nothing()
    kernel.drop_capabilities()
    kernel.filter_calls(calls.instructions())


def _become(order: Order, failed: int) -> NoReturn:
    """Become the program. It has its standard streams and no other file."""
    try:
        calm()
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(failed, _REPORT, inheritable=False)
        os.closerange(_REPORT + 1, _OPEN_FILES)
        if order.image is not None:  # which is read-only, but may name a folder of /tmp
            os.makedirs(order.folder, exist_ok=True)
        os.chdir(order.folder)
        os.execvpe(order.words[0], list(order.words), order.environment())  # noqa: S606
    except OSError as error:
        os.write(_REPORT, str(error.errno or 0).encode())
    finally:
        os._exit(127)


def _ended(program: int) -> int | None:
    """Take the exit status of all that has ended; that of the program, or None while it runs."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == program:
            return os.waitstatus_to_exitcode(status)


def main() -> NoReturn:
    """Be started by another program that has made the sandbox: the order and the number of a socket are arguments."""
    order, launcher = Order.read(sys.argv[2]), socket.socket(fileno=int(sys.argv[3]))
    launcher.set_inheritable(False)
    calm()
    os.umask(0o022)
    run(order, launcher, [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in ("/output", "/tmp", "/proc")])  # noqa: S108
