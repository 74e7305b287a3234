"""Read the output of `squeue`: its rows, and what its states mean for tasks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.engine import Ending, Seen, State

QUEUED = frozenset(
    ("PENDING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")
)
ENDED = frozenset(
    ("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "CANCELLED")
)
"""States of Slurm. In any other state, such as RUNNING and COMPLETING, a part of the task still runs."""
ENDINGS = {
    **dict.fromkeys(("TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"), Ending.FAILED),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED"), Ending.INTERRUPTED),
    "CANCELLED": Ending.CANCELED,
}
"""What these final states mean; after any other the task may be run again."""

_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::([1-9]\d*))?)?")
FIELDS = "ArrayJobID:|,ArrayTaskID:|,State:|,StartTime:|,exit_code:|,Name:|,Reason:|"
_NO_OUTPUT = 53
"""The signal that Slurm reports when a job's output file can't be opened."""
_PLAIN = frozenset(("None", "Priority", "Resources"))
"""Reasons for waiting that say nothing more."""


@dataclass(frozen=True, slots=True)
class Row:
    """What squeue says of some tasks of an array, or of a job that is no array and has no indices."""

    job: str
    indices: tuple[int, ...]
    state: str
    start: str
    status: str
    name: str
    reason: str

    @property
    def live(self) -> bool:
        return self.state not in ENDED


def compressed(ordinals: Iterable[int]) -> str:
    """A set of indices as Slurm writes it: 1-4,7."""
    runs: list[list[int]] = []
    for each in sorted(set(ordinals)):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def expanded(indices: str) -> tuple[int, ...]:
    """The indices of a text of Slurm's such as 1-4,7,10-16:2%5; none for other texts."""
    found: list[int] = []
    for part in indices.partition("%")[0].split(","):
        if match := _RANGE.fullmatch(part):
            first, last, step = match.groups()
            found += range(int(first), int(last or first) + 1, int(step or 1))
    return tuple(found)


def read_row(line: str) -> Row:
    """Read a row from one line."""
    job, indices, state, start, status, name, reason = line.split("|", 6)
    return Row(job, expanded(indices), state.split()[0] if state else "", start, status, name, reason.rstrip("|"))


def see(rows: Iterable[Row], found: dict[str, dict[int, Seen]]) -> None:
    """Add squeue's rows to what was found. When an index is there twice, the one that has not ended counts."""
    for row in rows:
        seen = _seen(row)
        for index in row.indices:
            tasks = found.setdefault(row.name, {})
            if index not in tasks or row.live:
                tasks[index] = seen


def _seen(row: Row) -> Seen:
    if row.state in ENDED:
        how = _exit(row.status)
        reason = f"Slurm ended it: {row.state}" + (f", {how}" if how else "")
        return Seen(State.ENDED, reason, ending=ENDINGS.get(row.state, Ending.LOST))
    if row.state in QUEUED:
        starts_at = datetime.fromtimestamp(int(row.start), UTC) if row.start.isdecimal() else None
        return Seen(State.QUEUED, "" if row.reason in _PLAIN else row.reason, starts_at)
    return Seen(State.RUNNING)


def _exit(status: str) -> str:
    """The meaning of a wait status, or of status:signal as newer versions write it; empty for an orderly end."""
    first, colon, second = status.partition(":")
    if not first.isdecimal() or (colon and not second.isdecimal()):
        return ""
    code, number = (int(first), int(second)) if colon else (int(first) >> 8, int(first) & 0x7F)
    if number == _NO_OUTPUT:
        return "its folder was gone"
    return f"signal {number}" if number else f"exit status {code}" if code else ""
