"""The logs that a program writes beside its standard output."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.programs.outputs import Outputs, Stamp, stamp
from jobs.results.names import printable

MOST = 20
"""The most files of one run that are followed."""
TAIL = 64
"""Bytes before the place up to which a file was read that tell whether it was only appended to."""


@dataclass
class _Log:
    """A file as it was when it was last read, up to `place`."""

    path: Path
    stamp: Stamp = (0, 0, 0)
    moved: bool = False
    place: int = 0
    tail: bytes = b""

    def added(self) -> bytes:
        """What is new. A file that was written anew is read from its start; raises OSError."""
        with self.path.open("rb") as stream:
            stream.seek(max(0, self.place - TAIL))
            before = stream.read(min(self.place, TAIL))
            anew = before != self.tail or self._is_another(stamp(self.path))
            begun = anew and self.tail[-1:] not in (b"", b"\n", b"\r")
            if anew:
                stream.seek(0)
                self.place = 0
            data = stream.read()
        self.tail = ((b"" if anew else self.tail) + data)[-TAIL:]
        self.place += len(data)
        # After it was read, or a line that came meanwhile would count as written anew.
        self.stamp, self.moved = stamp(self.path), False
        return b"\n" + data if begun else data

    def _is_another(self, now: Stamp) -> bool:
        """Whether what was read was replaced, by another file or by as many bytes."""
        inode, size, changed = now
        if not self.place:
            return False
        if inode != self.stamp[0] and not self.moved:
            return True
        return size == self.place and changed != self.stamp[2] and not self.moved


class Logs:
    """What a program writes to the files of its output folder that fit a pattern. They may appear late, and move: a
    file of the same name is the same. They may be written anew, as those that tell a status are."""

    warnings: list[str]
    """What could not be read."""

    def __init__(self, outputs: Outputs, pattern: str) -> None:
        self.warnings = []
        self._outputs = outputs
        self._pattern = pattern
        self._logs: dict[str, _Log] = {}

    def added(self) -> Iterator[tuple[str, bytes]]:
        """The names of the files that have grown or were written anew since the last call, each with what is new."""
        for name, log in self._found():
            try:
                data = log.added()
            except FileNotFoundError:  # moved this very moment, as FLUKA's is at the end; next time it is found again
                continue
            except OSError as error:
                self._warn(f"the log {printable(name)} can't be read: {error.strerror}")
                continue
            if data:
                yield printable(name), data

    def _found(self) -> list[tuple[str, _Log]]:
        """The files that are there, by name: also new ones, and those that have moved."""
        paths = self._outputs.fitting(self._pattern)
        for path in paths:
            known = self._logs.get(path.name)
            if known is not None and known.path not in paths:
                known.path, known.moved = path, True
            elif known is None and len(self._logs) < MOST:
                self._logs[path.name] = _Log(path)
            elif known is None:
                self._warn(f"not every log is followed: of one run {MOST} are at most")
        return [(name, log) for name, log in self._logs.items() if log.path in paths]

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
