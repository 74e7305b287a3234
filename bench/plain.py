"""The same selection served plainly: Strawberry's types and DataLoaders over SQLAlchemy's ORM, as their documentation
shows. No sign-in, no visibility, no limits, no caches beyond the defaults.
"""

import base64
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NewType, TypeVar
from uuid import UUID

import sqlalchemy as sa
import strawberry
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import aliased
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig

from db import models

engine = create_async_engine(
    sa.make_url(os.environ["BENCH_DATABASE_URL"]).set(drivername="postgresql+asyncpg"), pool_size=10, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)

T = TypeVar("T")
BigInt = NewType("BigInt", int)
SimulationType = strawberry.enum(models.SimulationType)
JobState = strawberry.enum(models.JobState)

SCALARS: dict[object, Any] = {
    BigInt: strawberry.scalar(name="BigInt", serialize=str, parse_value=int),
    datetime: strawberry.scalar(
        name="DateTime",
        serialize=lambda value: value.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        parse_value=datetime.fromisoformat,
    ),
}


def encode(*parts: Any) -> str:
    return base64.b64encode(":".join(map(str, parts)).encode()).decode()


def decode(text: str) -> list[str]:
    return base64.b64decode(text).decode().split(":")


# Loaders ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskPage:
    """A page of one job's tasks."""

    job: UUID
    first: int
    after: int | None


async def load_users(keys: list[UUID]) -> list[models.User | None]:
    async with sessions() as session:
        rows = await session.scalars(sa.select(models.User).where(models.User.id.in_(keys)))
        found = {row.id: row for row in rows}
    return [found.get(key) for key in keys]


async def load_latest_jobs(keys: list[UUID]) -> list[models.Job | None]:
    """By the key of the simulation."""
    statement = (
        sa.select(models.Job)
        .where(models.Job.simulation_id.in_(keys))
        .distinct(models.Job.simulation_id)
        .order_by(models.Job.simulation_id, models.Job.attempt.desc())
    )
    async with sessions() as session:
        found = {row.simulation_id: row for row in await session.scalars(statement)}
    return [found.get(key) for key in keys]


async def load_tasks(pages: list[TaskPage]) -> list[list[models.Task]]:
    """One row more than asked for, where there is one."""
    together: dict[Hashable, list[TaskPage]] = defaultdict(list)
    for page in pages:
        together[page.first, page.after].append(page)
    found: dict[TaskPage, list[models.Task]] = {page: [] for page in pages}
    async with sessions() as session:
        for group in together.values():
            first, after = group[0].first, group[0].after
            by_job = {page.job: page for page in group}
            number = sa.func.row_number().over(partition_by=models.Task.job_id, order_by=models.Task.ordinal)
            ranked = sa.select(models.Task, number.label("number")).where(models.Task.job_id.in_(by_job))
            if after is not None:
                ranked = ranked.where(models.Task.ordinal > after)
            rows = ranked.subquery()
            task = aliased(models.Task, rows)
            statement = sa.select(task).where(rows.c.number <= first + 1).order_by(task.job_id, task.ordinal)
            for row in await session.scalars(statement):
                found[by_job[row.job_id]].append(row)
    return [found[page] for page in pages]


class Loaders:
    """Those of one request."""

    def __init__(self) -> None:
        self.users = DataLoader(load_users)
        self.jobs = DataLoader(load_latest_jobs)
        self.tasks = DataLoader(load_tasks)


Info = strawberry.Info[Loaders, None]

# Types --------------------------------------------------------------------------------------------------------------


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    node: T
    cursor: str


@strawberry.type
class Connection(Generic[T]):
    nodes: list[T]
    cursors: strawberry.Private[list[str]]
    page_info: PageInfo

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        return [Edge(node=node, cursor=cursor) for node, cursor in zip(self.nodes, self.cursors, strict=True)]


def connect(
    rows: Sequence[Any], first: int, after: str | None, cursor: Callable[[Any], str], made: Callable[[Any], Any]
) -> Any:
    """A page of `rows`, which hold one more than asked for when the list goes on."""
    shown = rows[:first]
    cursors = [cursor(row) for row in shown]
    info = PageInfo(
        has_next_page=len(rows) > first,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    return Connection(nodes=[made(row) for row in shown], cursors=cursors, page_info=info)


@strawberry.type
class User:
    id: strawberry.ID
    username: str | None

    @classmethod
    def of(cls, row: models.User) -> "User":
        return cls(id=strawberry.ID(encode("User", row.id)), username=row.username)


@strawberry.type
class Task:
    id: strawberry.ID
    ordinal: int
    state: JobState
    requested: BigInt
    done: BigInt

    @classmethod
    def of(cls, row: models.Task) -> "Task":
        return cls(
            id=strawberry.ID(encode("Task", row.id)),
            ordinal=row.ordinal,
            state=row.state,
            requested=BigInt(row.requested),
            done=BigInt(row.done),
        )


@strawberry.type
class Job:
    key: strawberry.Private[UUID]
    id: strawberry.ID
    state: JobState

    @classmethod
    def of(cls, row: models.Job) -> "Job":
        return cls(key=row.id, id=strawberry.ID(encode("Job", row.id)), state=row.state)

    @strawberry.field
    async def tasks(self, info: Info, first: int, after: str | None = None) -> Connection[Task]:
        beyond = int(decode(after)[0]) if after is not None else None
        rows = await info.context.tasks.load(TaskPage(self.key, first, beyond))
        return connect(rows, first, after, lambda row: encode(row.ordinal), Task.of)


@strawberry.type
class Simulation:
    key: strawberry.Private[UUID]
    user_id: strawberry.Private[UUID]
    id: strawberry.ID
    title: str
    sim_type: SimulationType
    created_at: datetime

    @classmethod
    def of(cls, row: models.Simulation) -> "Simulation":
        return cls(
            key=row.id,
            user_id=row.user_id,
            id=strawberry.ID(encode("Simulation", row.id)),
            title=row.title,
            sim_type=row.sim_type,
            created_at=row.created_at,
        )

    @strawberry.field
    async def owner(self, info: Info) -> User | None:
        row = await info.context.users.load(self.user_id)
        return None if row is None else User.of(row)

    @strawberry.field
    async def job(self, info: Info) -> Job | None:
        row = await info.context.jobs.load(self.key)
        return None if row is None else Job.of(row)


@strawberry.type
class Query:
    @strawberry.field
    async def simulation(self, id: strawberry.ID) -> Simulation | None:
        typename, key = decode(id)
        if typename != "Simulation":
            return None
        async with sessions() as session:
            row = await session.get(models.Simulation, UUID(key))
        return None if row is None else Simulation.of(row)

    @strawberry.field
    async def simulations(self, first: int, after: str | None = None) -> Connection[Simulation]:
        created_at, key = models.Simulation.created_at, models.Simulation.id
        statement = sa.select(models.Simulation).order_by(created_at.desc(), key.desc()).limit(first + 1)
        if after is not None:
            moment, last = decode(after)
            place = sa.tuple_(datetime.fromtimestamp(float(moment)).astimezone(), UUID(last))
            statement = statement.where(sa.tuple_(created_at, key) < place)
        async with sessions() as session:
            rows = (await session.scalars(statement)).all()
        return connect(rows, first, after, lambda row: encode(row.created_at.timestamp(), row.id), Simulation.of)


class Application(GraphQL[Loaders, None]):
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Loaders:
        return Loaders()


schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))
app = Application(schema, graphql_ide=None)
