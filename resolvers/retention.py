"""What is not kept for ever: each wing that has something to tidy makes a Sweep of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.engine import Database
from db.locks import in_order
from db.models import Base
from db.types import later

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows that go once they were kept for so many days. `clear` takes these, and returns how many rows went."""

    name: str
    kept: float
    clear: Callable[[Database, float], Awaitable[int]]

    @classmethod
    def of_rows(cls, model: type[Base], kept: float, old: Callable[[Any], sa.ColumnElement[bool]]) -> "Sweep":
        """By one statement. `old` is asked which rows are older than a moment."""

        async def clear(database: Database, days: float) -> int:
            async with database.write(as_system="what is old is cleared away") as session:
                return await in_order(session, sa.delete(model).where(old(later(-days * DAY))))

        return cls(model.__tablename__, kept, clear)


async def tidy(database: Database, sweeps: Sequence[Sweep]) -> Mapping[str, int]:
    """Run the sweeps; returns how many rows went, by their names."""
    return {sweep.name: await sweep.clear(database, sweep.kept) for sweep in sweeps}
