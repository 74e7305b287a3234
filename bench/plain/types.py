"""The types, by rows of the models."""

import json
from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry

from bench.plain.connections import Connection, children
from bench.plain.loaders import Info
from bench.plain.pages import ESTIMATORS, JOBS, NEWEST_OF_PROJECT, NUMBERED, OLDEST_OF_PROJECT, TASKS
from bench.plain.scalars import BigInt, global_id
from db import models

SimulationType = strawberry.enum(models.SimulationType)
JobState = strawberry.enum(models.JobState)


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
