"""What is deleted after some days: each wing that has such rows declares a `Sweep`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from db.engine import Database
from db.locks import in_order
from db.models import Base
from db.types import later
from resolvers.steps import guarded

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows that are deleted after so many days. `clear` takes the days, and returns how many rows it deleted."""

    name: str
    kept: float
    clear: Callable[[Database, float], Awaitable[int]]

    @classmethod
    def of_rows(cls, model: type[Base], kept: float, old: Callable[[Any], sa.ColumnElement[bool]]) -> "Sweep":
        """A sweep by one statement. `old` makes the clause of rows that are older than a moment."""

        async def clear(database: Database, days: float) -> int:
            async with database.write(as_system="what is old is cleared away") as session:
                return await in_order(session, sa.delete(model).where(old(later(-days * DAY))))

        return cls(model.__tablename__, kept, clear)


async def tidy(database: Database, sweeps: Sequence[Sweep]) -> Mapping[str, int]:
    """Run the sweeps; returns how many rows each deleted, by its name. One that fails is logged, and left out; the
    others run all the same."""
    gone = {}
    for sweep in sweeps:
        number = await guarded(partial(sweep.clear, database, sweep.kept), f"sweep of {sweep.name}")
        if number is not None:
            gone[sweep.name] = number
    return gone
