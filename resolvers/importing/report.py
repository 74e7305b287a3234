"""What an import did, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("challenges", "leaderboards", "entries")


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said about a file: the path below the folder of the import, and a sentence."""

    file: str
    reason: str


@dataclass
class Count:
    """How many rows were made, changed, and left as they are."""

    made: int = 0
    changed: int = 0
    same: int = 0


@dataclass
class BoardReport:
    """What became of one leaderboard."""

    label: str
    source: str
    entries: Count
    baselines: int
    rank_by: str | None
    columns: int
    scores: int
    built: bool = False


@dataclass
class Report:
    """`problems` name what was not taken, `notes` what was taken otherwise than it stands there. `numbers` counts the
    scores that stood there as texts, and `ignored` the files that are no entries."""

    counts: Mapping[str, Count] = field(default_factory=lambda: {kind: Count() for kind in KINDS})
    boards: list[BoardReport] = field(default_factory=list)
    problems: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    numbers: int = 0
    ignored: int = 0
    dry_run: bool = False

    def problem(self, file: str, reason: str) -> None:
        self.problems.append(Remark(shown(file), shown(reason)))

    def note(self, file: str, reason: str) -> None:
        self.notes.append(Remark(shown(file), shown(reason)))

    def data(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "dryRun": self.dry_run,
            **{kind: vars(count) for kind, count in self.counts.items()},
            "built": sum(board.built for board in self.boards),
            "numbersFromTexts": self.numbers,
            "ignoredFiles": self.ignored,
            "boards": [
                {
                    "label": board.label,
                    "source": board.source,
                    "entries": vars(board.entries),
                    "baselines": board.baselines,
                    "rankBy": board.rank_by,
                    "columns": board.columns,
                    "scores": board.scores,
                    "built": board.built,
                }
                for board in self.boards
            ],
            "problems": [{"file": one.file, "reason": one.reason} for one in self.problems],
            "notes": [{"file": one.file, "reason": one.reason} for one in self.notes],
        }


def shown(text: str) -> str:
    """A text that can be printed and stored: names of files may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
