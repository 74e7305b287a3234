"""The same selections served plainly: Strawberry's types and DataLoaders over SQLAlchemy's ORM, as their documentation
shows. No sign-in, no visibility, no limits, no caches beyond the defaults.
"""

import base64
import json
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, NewType, TypeVar
from uuid import UUID

import sqlalchemy as sa
import strawberry
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import aliased, undefer
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


def instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


SCALARS: dict[object, Any] = {
    BigInt: strawberry.scalar(name="BigInt", serialize=str, parse_value=int),
    datetime: strawberry.scalar(name="DateTime", serialize=instant, parse_value=datetime.fromisoformat),
}


def global_id(typename: str, key: UUID) -> strawberry.ID:
    return strawberry.ID(base64.b64encode(f"{typename}:{key}".encode()).decode())


def parse_id(text: str, typename: str) -> UUID | None:
    """The key, if the id is one of a `typename`."""
    found, _, key = base64.b64decode(text).decode().partition(":")
    return UUID(key) if found == typename else None


def encode(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str) -> list[Any]:
    found: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return found


# Loaders ------------------------------------------------------------------------------------------------------------


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


async def load_pages(slices: list[Slice]) -> list[list[Any]]:
    """One row more than asked for, where there is one."""
    together: dict[Hashable, list[Slice]] = defaultdict(list)
    for slice in slices:
        together[slice.pages, slice.first, slice.after].append(slice)
    found: dict[Slice, list[Any]] = {slice: [] for slice in slices}
    async with sessions() as session:
        for group in together.values():
            pages, first, after = group[0].pages, group[0].first, group[0].after
            by_parent = {slice.parent: slice for slice in group}
            model = pages.column.class_
            number = sa.func.row_number().over(partition_by=pages.parent, order_by=pages.by(model))
            ranked = sa.select(*model.__table__.c, number.label("number_")).where(pages.parent.in_(by_parent))
            if after is not None:
                ranked = ranked.where(pages.beyond(model, after))
            rows = ranked.subquery()
            child = aliased(model, rows)
            statement = sa.select(child).where(rows.c.number_ <= first + 1).order_by(rows.c.number_)
            statement = statement.options(*(undefer(getattr(child, column.key)) for column in pages.deferred))
            for row in await session.scalars(statement):
                found[by_parent[getattr(row, pages.parent.key)]].append(row)
    return [found[slice] for slice in slices]


async def load_counts(lists: list[tuple[Pages, UUID]]) -> list[int]:
    """Of the children of a parent."""
    together: dict[Pages, list[UUID]] = defaultdict(list)
    for pages, parent in lists:
        together[pages].append(parent)
    found: dict[tuple[Pages, UUID], int] = {}
    async with sessions() as session:
        for pages, parents in together.items():
            counted = sa.select(pages.parent, sa.func.count()).where(pages.parent.in_(parents)).group_by(pages.parent)
            found |= {(pages, parent): count for parent, count in await session.execute(counted)}
    return [found.get(each, 0) for each in lists]


class Loaders:
    """Those of one request."""

    def __init__(self) -> None:
        self.users = DataLoader(load_users)
        self.jobs = DataLoader(load_latest_jobs)
        self.pages = DataLoader(load_pages)
        self.counts = DataLoader(load_counts)


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
    pages: strawberry.Private[Pages]
    counted: strawberry.Private[Any]
    """The key of the parent, or the statement that counts a whole list."""
    cursors: strawberry.Private[list[str]]
    page_info: PageInfo

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        return [Edge(node=node, cursor=cursor) for node, cursor in zip(self.nodes, self.cursors, strict=True)]

    @strawberry.field
    async def total_count(self, info: Info) -> int:
        if isinstance(self.counted, UUID):
            return await info.context.counts.load((self.pages, self.counted))
        async with sessions() as session:
            return (await session.scalar(self.counted)) or 0


def connect(
    pages: Pages, rows: Sequence[Any], first: int, after: str | None, counted: Any, made: Callable[[Any], Any]
) -> Any:
    """A page of `rows`, which hold one more than asked for when the list goes on."""
    shown = rows[:first]
    cursors = [pages.cursor(row) for row in shown]
    info = PageInfo(
        has_next_page=len(rows) > first,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    nodes = [made(row) for row in shown]
    return Connection(nodes=nodes, pages=pages, counted=counted, cursors=cursors, page_info=info)


async def children(
    info: Info, pages: Pages, parent: UUID, first: int, after: str | None, made: Callable[[Any], Any]
) -> Any:
    rows = await info.context.pages.load(Slice(pages, parent, first, after))
    return connect(pages, rows, first, after, parent, made)


async def listing(
    pages: Pages, first: int, after: str | None, made: Callable[[Any], Any], condition: Any = None
) -> Any:
    model = pages.column.class_
    whole = sa.select(model) if condition is None else sa.select(model).where(condition)
    statement = whole.order_by(*pages.by(model)).limit(first + 1)
    if after is not None:
        statement = statement.where(pages.beyond(model, after))
    async with sessions() as session:
        rows = (await session.scalars(statement)).all()
    counted = whole.with_only_columns(sa.func.count(), maintain_column_froms=True)
    return connect(pages, rows, first, after, counted, made)


@strawberry.type
class User:
    id: strawberry.ID
    username: str | None

    @classmethod
    def of(cls, row: models.User) -> "User":
        return cls(id=global_id("User", row.id), username=row.username)


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
            id=global_id("Task", row.id),
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
        return cls(key=row.id, id=global_id("Job", row.id), state=row.state)

    @strawberry.field
    async def tasks(self, info: Info, first: int, after: str | None = None) -> Connection[Task]:
        return await children(info, TASKS, self.key, first, after, Task.of)


@strawberry.type
class Series:
    name: str
    unit: str
    values: list[float | None]

    @classmethod
    def of(cls, name: str | None, unit: str | None, values: str | None) -> "Series | None":
        return None if values is None else cls(name=name or "", unit=unit or "", values=json.loads(values))


@strawberry.type
class Page:
    id: strawberry.ID
    name: str
    number: int
    data: Series | None
    axis1: Series | None
    axis2: Series | None

    @classmethod
    def of(cls, row: models.Page) -> "Page":
        return cls(
            id=global_id("Page", row.id),
            name=row.name,
            number=row.number,
            data=Series.of(row.name, row.unit, row.data_values),
            axis1=Series.of(row.axis1_name, row.axis1_unit, row.axis1_values),
            axis2=Series.of(row.axis2_name, row.axis2_unit, row.axis2_values),
        )


@strawberry.type
class Estimator:
    key: strawberry.Private[UUID]
    name: str

    @classmethod
    def of(cls, row: models.Estimator) -> "Estimator":
        return cls(key=row.id, name=row.name)

    @strawberry.field
    async def pages(self, info: Info, first: int, after: str | None = None) -> Connection[Page]:
        return await children(info, NUMBERED, self.key, first, after, Page.of)


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
            id=global_id("Simulation", row.id),
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

    @strawberry.field
    async def jobs(self, info: Info, first: int, after: str | None = None) -> Connection[Job]:
        return await children(info, JOBS, self.key, first, after, Job.of)

    @strawberry.field
    async def estimators(self, info: Info, first: int, after: str | None = None) -> Connection[Estimator]:
        return await children(info, ESTIMATORS, self.key, first, after, Estimator.of)


@strawberry.enum
class ProjectSimulationOrder(Enum):
    NEWEST = "NEWEST"
    OLDEST = "OLDEST"


@strawberry.type
class Project:
    key: strawberry.Private[UUID]
    id: strawberry.ID
    name: str

    @classmethod
    def of(cls, row: models.Project) -> "Project":
        return cls(key=row.id, id=global_id("Project", row.id), name=row.name)

    @strawberry.field
    async def simulations(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        order: ProjectSimulationOrder = ProjectSimulationOrder.NEWEST,
    ) -> Connection[Simulation]:
        pages = OLDEST_OF_PROJECT if order is ProjectSimulationOrder.OLDEST else NEWEST_OF_PROJECT
        return await children(info, pages, self.key, first, after, Simulation.of)


@strawberry.input
class ProjectFilter:
    name: str | None = None


@strawberry.type
class Query:
    @strawberry.field
    async def simulation(self, id: strawberry.ID) -> Simulation | None:
        key = parse_id(id, "Simulation")
        if key is None:
            return None
        async with sessions() as session:
            row = await session.get(models.Simulation, key)
        return None if row is None else Simulation.of(row)

    @strawberry.field
    async def simulations(self, first: int, after: str | None = None) -> Connection[Simulation]:
        return await listing(SIMULATIONS, first, after, Simulation.of)

    @strawberry.field
    async def projects(
        self, first: int, after: str | None = None, filter: ProjectFilter | None = None
    ) -> Connection[Project]:
        named = None if filter is None or filter.name is None else models.Project.name.icontains(filter.name)
        return await listing(PROJECTS, first, after, Project.of, named)


class Application(GraphQL[Loaders, None]):
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Loaders:
        return Loaders()


schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))
app = Application(schema, graphql_ide=None)
