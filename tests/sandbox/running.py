"""Programs in the sandbox, as the tests start them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.sandbox.bounds import Bounds
from jobs.sandbox.commands import RootImage, launch_command
from jobs.sandbox.reports import Ended, ended

ROOT = Path(__file__).parents[2]
BOUNDS: dict[str, Any] = {"seconds": 20.0, "memory": 256 << 20, "processes": 24, "output": 8 << 20, "files": 50}


def python(text: str, *arguments: str) -> list[str]:
    return ["python", "-I", "-S", "-c", text, *arguments]


def with_mark(mark: str) -> list[str]:
    """The processes of this machine that have a word in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@dataclass
class Ran:
    """What is left of a program."""

    ended: Ended
    said: str
    errors: str
    output: Path

    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.output.rglob("*") if not path.is_dir())
        return {str(path.relative_to(self.output)): path.read_bytes() for path in found}


@dataclass
class Launched:
    """A launcher at work."""

    process: "subprocess.Popen[str]"
    output: Path
    report: Path

    def wait(self) -> Ran:
        said, errors = self.process.communicate(timeout=60)
        return Ran(ended(self.report, self.process.returncode), said, errors, self.output)


class Sandboxes:
    """Starts programs, each with a folder of its own that only this user enters."""

    def __init__(self, folder: Path, image: RootImage | None = None) -> None:
        self.folder = folder
        self.image = image
        self._count = 0

    def command(
        self, words: Sequence[str], read_only: Mapping[str, Path], **bounds: Any
    ) -> tuple[list[str], Path, Path]:
        self._count += 1
        here = self.folder / f"task{self._count}"
        here.mkdir(mode=0o700)
        output, report = here / "output", here / "report"
        output.mkdir()
        (here / "secret").write_text("the worker's own")
        given = Bounds(**{**BOUNDS, **bounds})
        command = launch_command(given, words, read_only=read_only, output=output, report=report, image=self.image)
        return command, output, report

    @contextlib.contextmanager
    def started(
        self, words: Sequence[str], read_only: Mapping[str, Path] | None = None, **bounds: Any
    ) -> Iterator[Launched]:
        command, output, report = self.command(words, read_only or {}, **bounds)
        environment = {**os.environ, "TORANA_SECRET": "nobody's"}
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=output.parent,
            env=environment,
        ) as process:
            try:
                yield Launched(process, output, report)
            finally:
                process.kill()

    def run(self, words: Sequence[str], read_only: Mapping[str, Path] | None = None, **bounds: Any) -> Ran:
        with self.started(words, read_only, **bounds) as launched:
            return launched.wait()


def interpreter(user: int | None) -> str | None:
    """A Python that a user can run."""
    for path in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            test = [path, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            if subprocess.run(test, user=user, cwd="/", check=False, capture_output=True).returncode == 0:
                return path
    return None
