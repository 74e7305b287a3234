"""The statements and commits of one operation, counted as they are run."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(slots=True)
class Tally:
    """The texts of the statements of one operation, and how often it committed what was asked for."""

    texts: list[str] = field(default_factory=list)
    commits: int = 0

    @property
    def statements(self) -> int:
        return len(self.texts)

    def add(self, text: str, _arguments: Sequence[Any]) -> None:
        """Note a statement; its parameters, as the driver gets them, are not kept: a stream may last for hours."""
        self.texts.append(text)


tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


def count(engine: AsyncEngine) -> None:
    """Have the statements that run through SQLAlchemy counted."""
    sa.event.listen(engine.sync_engine, "before_cursor_execute", _count)


def _count(_connection: Any, _cursor: Any, text: str, arguments: Any, *_: Any) -> None:
    if (counted := tally.get()) is not None:
        counted.add(text, arguments)
