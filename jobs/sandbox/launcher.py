"""The launcher: it starts a program in the sandbox, watches it, takes its output, and reports how it ended.

It ends everything inside when it is told to end by a signal, and so does the kernel when the launcher is killed.
"""

import contextlib
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

from jobs.sandbox import bubblewrap, kernel, namespaces, reports, talk
from jobs.sandbox.collection import Collection
from jobs.sandbox.order import Order
from jobs.sandbox.reports import Ended
from jobs.sandbox.usage import Breach, Usage

WATCH = 0.02
"""Seconds between two looks at what is used."""
READY = 30.0
"""Seconds after which a sandbox must be made."""
NAMESPACES, BUBBLEWRAP = "namespaces", "bubblewrap"
"""The means by which a sandbox is made."""


class _Stopped(BaseException):
    """A signal told the launcher to end."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Refused(Exception):
    """The sandbox, or the start of the program, failed; with a sentence."""


class _Inside:
    """The processes inside, and the folders that they write."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.folders: list[int] = []
        self._process = self._guarded = 0
        self._other, self._inside = talk.pair()
        self.usage: Usage

    def make(self) -> None:
        """Make the sandbox. Raises OSError and _Refused."""
        until = time.monotonic() + READY
        if self.order.means == BUBBLEWRAP:
            with self._inside as inside:
                self._guarded = bubblewrap.start(self.order, inside, self._other, sys.executable)
            (self.folders,) = self._expect(until, "ready")
        else:
            with self._inside as inside:
                maker = namespaces.start(self.order, inside, self._other)
            number, self.folders = self._expect(until, "pid", "ready")
            self._process = int(number)
            os.waitpid(maker, 0)
        self.usage = Usage(self.order.bounds, self.folders[:-1], self.folders[-1])

    def run(self) -> tuple[int | None, Breach | None]:
        """Run the program; returns its status where it ended by itself, and the bound that was met."""
        seconds = self.order.bounds.seconds
        until = time.monotonic() + seconds
        talk.say(self._other, "go")
        pause = WATCH
        while not self._waited(min(pause, until - time.monotonic())):
            begun = time.monotonic()
            if begun >= until:
                return None, (reports.TIME, f"it ran longer than {seconds:g} s and was ended")
            if breach := self.usage.breach():
                return None, breach
            pause = max(WATCH, time.monotonic() - begun)  # so that it takes half a processor at most
        heard, value, _ = talk.hear(self._other)
        if heard == "status":
            return int(value), None
        if heard == "refused":
            raise _Refused(str(value))
        return None, (reports.LOST, "the sandbox ended before its program did")

    def end(self) -> None:
        """End all inside, and wait until they are gone."""
        self._other.close()  # what is not known yet by its number ends for this
        if self._guarded:
            os.close(self._guarded)
        if self._process:  # a child that nobody waited for, or will be one: the number is its own
            os.kill(self._process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def _expect(self, until: float, *whats: str) -> list[Any]:
        """The values of these messages, or the folders that came with them. Two processes send them, in any order."""
        found: dict[str, Any] = {}
        while len(found) < len(whats):
            if not self._waited(until - time.monotonic()):
                raise _Refused(f"the sandbox was not ready after {READY:g} s")
            heard, value, folders = talk.hear(self._other)
            if heard == "refused":
                raise _Refused(str(value))
            if heard not in whats:
                raise _Refused("the sandbox ended before its program did")
            found[heard] = folders or value
        return [found[what] for what in whats]

    def _waited(self, seconds: float) -> bool:
        """Wait until the other side has said something, or is gone."""
        return bool(select.select([self._other], [], [], max(0.0, seconds))[0])


def launch(order: Order) -> Ended:
    """Run the program of an order and take its output."""
    kernel.adopt()
    inside = _Inside(order)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(order.report)
        if os.listdir(order.output):
            raise _Refused("the folder for the output is not empty")
        try:
            inside.make()
            status, breach = inside.run()
        finally:
            inside.end()
        breach = breach or inside.usage.storage()
        collection = Collection(inside.folders[0], order.output, order.bounds.output)
        left_out = collection.run()
    except _Refused as refusal:
        return Ended(-signal.SIGKILL, str(refusal), reports.REFUSED)
    except OSError as error:
        return Ended(-signal.SIGKILL, f"the sandbox failed: {talk.told(error)}", reports.REFUSED)
    if breach is None and collection.full:
        breach = reports.OUTPUT, "the sizes of its files are more than it may write"
    if breach:
        return Ended(-signal.SIGKILL if status is None else status, breach[1], breach[0], left_out)
    assert status is not None
    ended = reports.by_itself(status)
    return Ended(ended.status, ended.why, ended.code, left_out)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped(number)


def main() -> NoReturn:
    """Do what the order says, which is the last argument. The exit status is the program's; where a bound was met, or
    it was not started, 125; 128 and the number of the signal that ended it."""
    order = Order.read(sys.argv[-1])
    stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        for number in stops:
            signal.signal(number, _stop)
        ended = launch(order)
        for number in stops:
            signal.signal(number, signal.SIG_IGN)
    except _Stopped as stopped:
        ended = Ended(-signal.SIGKILL, f"the launcher was stopped by signal {stopped.number}", reports.STOPPED)
    try:
        reports.write(order.report, ended)
    except OSError:  # who reads it is told that there is none
        os._exit(reports.NOT_GOOD)
    if ended.code:
        os._exit(reports.NOT_GOOD)
    os._exit(ended.status if ended.status >= 0 else 128 - ended.status)
