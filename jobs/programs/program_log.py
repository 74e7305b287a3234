"""The log that a program writes beside its standard output."""

from pathlib import Path


class Log:
    """The lines that a program appends to a file of its output folder, which may appear late."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern
        self._path: Path | None = None
        self._place = 0
        self._begun = b""

    def lines(self) -> list[str]:
        """The lines added since the last call, without an unfinished last line."""
        try:
            added = self._added()
        except FileNotFoundError:  # moved this very moment, as FLUKA's is at the end; next time it is found again
            self._path = None
            return []
        self._place += len(added)
        *ended, self._begun = (self._begun + added).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in ended]

    def _added(self) -> bytes:
        if self._path is None or not self._path.exists():
            self._path = next(iter(sorted(self._folder.glob(self._pattern))), None)
        if self._path is None:
            return b""
        with self._path.open("rb") as stream:
            stream.seek(self._place)  # a file that has moved is the same
            return stream.read()
