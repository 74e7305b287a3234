"""Pages of lists, and their cursors."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench.plain.scalars import instant
from db import models


def encode(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str) -> list[Any]:
    found: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return found


@dataclass(frozen=True)
class Pages:
    """Pages of the children of many parents, in one order: how they are read and what their cursors say."""

    name: str
    parent: Any
    column: Any
    descending: bool = False
    deferred: tuple[Any, ...] = ()
    """Columns that the model leaves out unless asked."""

    def cursor(self, row: Any) -> str:
        value = getattr(row, self.column.key)
        return encode(self.name, instant(value) if isinstance(value, datetime) else value, str(row.id))

    def place(self, cursor: str) -> tuple[Any, UUID]:
        _, value, key = decode(cursor)
        kind = self.column.type.python_type
        return (kind.fromisoformat(value) if kind is datetime else kind(value)), UUID(key)

    def by(self, entity: Any) -> list[Any]:
        columns = [getattr(entity, self.column.key), entity.id]
        return [column.desc() if self.descending else column for column in columns]

    def beyond(self, entity: Any, cursor: str) -> Any:
        columns, place = sa.tuple_(getattr(entity, self.column.key), entity.id), sa.tuple_(*self.place(cursor))
        return columns < place if self.descending else columns > place


@dataclass(frozen=True)
class Slice:
    """One page of one parent's children."""

    pages: Pages
    parent: UUID
    first: int
    after: str | None


PROJECTS = Pages("Project.name+", None, models.Project.name)
SIMULATIONS = Pages("Simulation.created_at-", None, models.Simulation.created_at, descending=True)
NEWEST_OF_PROJECT = Pages(
    "Simulation.created_at-", models.Simulation.project_id, models.Simulation.created_at, descending=True
)
OLDEST_OF_PROJECT = Pages("Simulation.created_at+", models.Simulation.project_id, models.Simulation.created_at)
JOBS = Pages("Job.attempt-", models.Job.simulation_id, models.Job.attempt, descending=True)
TASKS = Pages("Task.ordinal+", models.Task.job_id, models.Task.ordinal)
ESTIMATORS = Pages("Estimator.name+", models.Estimator.simulation_id, models.Estimator.name)
NUMBERED = Pages(
    "Page.number+",
    models.Page.estimator_id,
    models.Page.number,
    deferred=(models.Page.data_values, models.Page.axis1_values, models.Page.axis2_values),
)
