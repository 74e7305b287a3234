"""What runs tasks. The database's rows are the truth; an engine only starts a worker and tells how it ended."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of one task: a name for logs and folders, where the worker reports, and its token."""

    name: str
    gateway: str
    token: str


class Engine(Protocol):
    """`slots` is how many runs it takes at once."""

    slots: int

    async def run(self, run: Run) -> str:
        """Start a worker and wait for its end; returns how it ended, in words."""

    async def cancel(self, run: Run) -> None:
        """End the worker of a run, and whatever it started."""

    async def close(self) -> None:
        """End every run."""
