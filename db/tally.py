"""Count the statements and commits of one operation."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(slots=True)
class Tally:
    """The texts of the statements of one operation, and the number of commits for what was asked."""

    texts: list[str] = field(default_factory=list)
    commits: int = 0

    @property
    def statements(self) -> int:
        return len(self.texts)

    def add(self, text: str, _arguments: Sequence[Any]) -> None:
        """Note a statement. Its parameters are not kept, because a stream may last for hours."""
        self.texts.append(text)


tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


def count(engine: AsyncEngine) -> None:
    """Count the statements that run through SQLAlchemy."""
    sa.event.listen(engine.sync_engine, "before_cursor_execute", _count)


def _count(_connection: Any, _cursor: Any, text: str, arguments: Any, *_: Any) -> None:
    if (counted := tally.get()) is not None:
        counted.add(text, arguments)
