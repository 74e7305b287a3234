"""The queries, and the application."""

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig

from bench.plain.connections import Connection, listing
from bench.plain.database import sessions
from bench.plain.loaders import Loaders
from bench.plain.pages import PROJECTS, SIMULATIONS
from bench.plain.scalars import SCALARS, parse_id
from bench.plain.types import Project, Simulation
from db import models


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
