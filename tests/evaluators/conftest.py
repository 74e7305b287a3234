"""Folders of a challenge, and its evaluation in this process or in one of its own."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from jobs.programs.evaluators import BUILT_IN
from jobs.programs.evaluators.command import run


@dataclass(frozen=True)
class Ended:
    status: int
    progress: list[str]
    message: str
    scores: Any


class Challenge:
    """The folders of an evaluator, and its run."""

    def __init__(self, name: str, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.evaluator, self.folder, self._captured = BUILT_IN[name], folder, captured
        for part in ("submission", "reference", "output"):
            (folder / part).mkdir()

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def table(self, name: str, *rows: Sequence[object]) -> Path:
        return self.put(name, table(rows))

    def arguments(self, *options: str) -> list[str]:
        folders = [
            word for part in ("submission", "reference", "output") for word in (f"--{part}", str(self.folder / part))
        ]
        return [*folders, *options]

    def run(self, *options: str) -> Ended:
        """Run in this process, and check what holds of every run."""
        self._captured.readouterr()
        status = run(self.evaluator, import_module(self.evaluator.module).evaluate, self.arguments(*options))
        out, err = self._captured.readouterr()
        return self.ended(status, out, err)

    def process(self, *options: str) -> Ended:
        words = [sys.executable, "-m", self.evaluator.module, *self.arguments(*options)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return self.ended(done.returncode, done.stdout, done.stderr)

    def ended(self, status: int, out: str, err: str) -> Ended:
        written = [path.name for path in (self.folder / "output").iterdir()]
        assert written == (["scores.json"] if status == 0 else []), "scores are whole, or there are none"
        assert "Traceback" not in err
        assert str(self.folder) not in err, "no path of the machine"
        assert err.count("\n") == (status != 0), "one line says what is wrong"
        scores = json.loads((self.folder / "output" / "scores.json").read_text()) if status == 0 else None
        if status == 0:
            jsonschema_rs.validator_for(self.evaluator.schema).validate(scores)
        return Ended(status, out.splitlines(), err.rstrip("\n"), scores)

    def refused(self, *options: str, status: int = 1) -> str:
        """The sentence with which the run ends."""
        ended = self.run(*options)
        assert ended.status == status, ended.message
        return ended.message


def table(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


Challenges = Callable[[str], Challenge]


@pytest.fixture
def challenge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Challenges:
    return lambda name: Challenge(name, tmp_path, capsys)
