"""What an evaluator prints: passed on up to a bound, with its steps in per cent."""

import contextlib
import re
import subprocess
import threading
from typing import IO

SHARE = 100
"""What a task of an evaluation counts as: per cent."""
_PIECE = 1 << 16
_STEP = re.compile(rb"(?m)^evaluated (\d{1,18}) of (\d{1,18})$")


class Meter:
    """Passes on what a program prints, up to a bound; then it ends the program."""

    def __init__(self, most: int, process: "subprocess.Popen[bytes]") -> None:
        self._left, self._process = most, process
        self._held = threading.Lock()
        self.over = False

    def pass_on(self, source: IO[bytes], target: IO[bytes]) -> None:
        while data := source.read1(_PIECE):  # type: ignore[attr-defined]
            with self._held:
                shown, self._left = data[: self._left], self._left - len(data)
                if self._left < 0 and not self.over:
                    self.over, self._left = True, 0
                    self._process.terminate()
                self._left = max(self._left, 0)
            if shown:
                with contextlib.suppress(BrokenPipeError):
                    target.write(_STEP.sub(_percent, shown))
                    target.flush()


def _percent(step: "re.Match[bytes]") -> bytes:
    """A step of an evaluator, in per cent."""
    return b"evaluated %d of 100" % share(int(step[1]), int(step[2]))


def share(done: int, total: int) -> int:
    """So many steps of all, in per cent."""
    return min(SHARE, SHARE * done // max(total, 1))
