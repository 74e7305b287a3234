"""What the input tells a stand-in to do, in comments such as "standin seconds 0.5"."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

STEPS = 5


def say(line: str) -> None:
    """Print a line to the standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Orders:
    """`seconds S` is how long a run takes, `exit N` ends it half way with this status, `die` by a signal; `cut N`
    leaves N bytes of each result, `nan` puts in a value that is not finite."""

    def __init__(self, text: str) -> None:
        self._said = dict(re.findall(r"standin (\w+)(?:[ \t]+(\S+))?", text))

    def __contains__(self, word: str) -> bool:
        return word in self._said

    def run(self, primaries: int, progress: Callable[[int, float], None]) -> None:
        """Take the time, telling the primaries done and the seconds left."""
        seconds = float(self._said.get("seconds", 0.0))
        for step in range(1, STEPS + 1):
            time.sleep(seconds / STEPS)
            progress(primaries * step // STEPS, seconds * (STEPS - step) / STEPS)
            if step == STEPS // 2 and "exit" in self._said:
                sys.stderr.write("ERROR: told to fail\n")
                sys.exit(int(self._said["exit"]))
            if step == STEPS // 2 and "die" in self._said:
                os.kill(os.getpid(), signal.SIGKILL)

    def write(self, path: Path, data: bytes) -> None:
        """Write a result, whole or cut."""
        path.write_bytes(data[: int(self._said["cut"])] if "cut" in self._said else data)
