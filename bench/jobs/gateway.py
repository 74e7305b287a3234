"""What each measurement of jobs needs: a gateway, its services, and what is asked of it."""

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from bench.load import post
from bench.servers import Server, log_in
from db import models
from db.models import InputType, SimulationType
from gateway.app import make_services
from gateway.commands.demo.beam import beam_files
from gateway.settings import load
from resolvers.context import Context, Services
from resolvers.identity.principal import Kind, Principal
from resolvers.simulations import simulations

RESULTS = "mutation Results($e: JSON!) { workerPutResults(estimators: $e) { state } }"
WATCH = "subscription Watch($i: ID!) { jobUpdated(id: $i) { state progress tasks(first: 1) { nodes { done } } } }"
DOSE = {"name": "DOSE", "unit": "Gy", "values": [1.0]}
PLAIN: list[dict[str, Any]] = [{
    "name": "z_", "file_name": "z.bdo", "metadata": {},
    "pages": [{"dimensions": 0, "metadata": {"page_number": "0"}, "data": DOSE}],
}]  # fmt: skip


def torana(keys: str, **settings: str) -> Server:
    variables = {
        "TORANA_DATABASE_URL": "{database}", "TORANA_SECRET_KEYS": keys, "TORANA_PORT": "{port}",
        "TORANA_TASK_SLOTS": "0", "TORANA_ACCESS_MINUTES": "600", "TORANA_LOG_FORMAT": "json", **settings,
    }  # fmt: skip
    return Server("Torana", (sys.executable, "-m", "gateway.cli", "serve"), variables, sign_in=log_in)


@contextlib.asynccontextmanager
async def bare(url: str, keys: str, folder: Path) -> AsyncIterator[Services]:
    """What a gateway has, without its doors: to fill its database and to make tokens."""
    key: Any = keys
    services = make_services(load(database_url=url, data_dir=folder, secret_keys=key, task_slots=0))
    services = replace(services, limits=replace(services.limits, lease=3_600.0))
    if services.database.dialect == "postgresql":
        await services.database.start()
    try:
        yield services
    finally:
        await services.identity.close()
        await services.database.dispose()


async def submit(services: Services, user: UUID, tasks: int, primaries: int) -> None:
    ctx = Context(services, Principal(kind=Kind.USER, id=user))
    await simulations.submit_simulation(
        ctx, title="bench", sim_type=SimulationType.SHIELDHIT, input_type=InputType.FILES,
        given=beam_files(primaries), tasks=tasks,
    )  # fmt: skip


def ask(url: str, token: str, query: str, **variables: Any) -> bytes:
    body = orjson.dumps({"query": query, "variables": variables})
    return post(url, body, {"Authorization": f"Bearer {token}"})


async def unfinished(services: Services) -> int:
    ended = sa.select(sa.func.count().label("number")).where(models.Job.state.not_in(models.TERMINAL))
    (row,) = await services.database.rows(ended)
    return int(row.number)
