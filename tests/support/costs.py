"""What an answer costs, counted without a clock: in the database by its plans, in Python by its calls."""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop

from bench.load import Connection, post
from bench.operations import DOCUMENTS, OWN
from db import plans
from db.engine import Database
from db.readers import driver
from gateway.app import create_app, make_services
from gateway.protocol.server import make_server
from gateway.settings import load
from schema import Schema
from schema.fields.cost import Bounds
from tests.support.databases import quick_passwords
from tests.support.platforms import KEY, Platform, platform_on
from tests.support.postgres import free_port
from tests.support.volume import Volume
from tests.support.world import PASSWORD

Plan = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """Of one answer. `scans` are the tables and indexes that plans read, `work` what that reads: shared buffers on
    PostgreSQL, steps of the virtual machine on SQLite. `rows` went through the nodes of PostgreSQL's plans. `items` are
    in parameters that hold many. `calls` are Python's, from the first byte of the request to the last of the answer."""

    statements: int
    characters: int
    scans: int
    work: int
    rows: int
    items: int
    calls: int = 0


OPERATIONS = {
    **{name: query for name, query in DOCUMENTS.items() if name not in OWN},
    "deep page": """query($after: String) { simulations(first: 50, after: $after) {
        edges { cursor node { id title owner { username } } } pageInfo { hasNextPage } } }""",
    "filtered page": """{ simulations(first: 20, filter: {text: "beam 7 ", simType: {in: [SHIELDHIT]}}) {
        nodes { id title createdAt project { name } } } }""",
    "participants": """{ participants(first: 50) { nodes { id name project { name site { name } }
        devices(first: 5) { nodes { name type { key } } } } pageInfo { hasNextPage endCursor } } }""",
    "challenges": """{ challenges(first: 20) { nodes { label leaderboards(first: 5) { nodes { label
        entries(first: 10) { nodes { place authorLabel data } } } } } } }""",
    "jobs": """{ jobs(first: 20) { nodes { id key state progress owner { username }
        tasks(first: 10) { totalCount nodes { ordinal state requested done } } } } }""",
}
"""The bench's operations, and five more."""

LISTS = {
    "page": "{ participants(first: 1) { nodes { id name } } }",
    "search": '{ participants(first: 1, filter: {text: "zzz%"}) { nodes { id name } } }',
    "count": '{ participants(first: 0, filter: {text: "zzz"}) { totalCount } }',
    "simulations": "{ simulations(first: 20) { nodes { id title } } }",
    "simulations by title": '{ simulations(first: 20, filter: {title: {contains: "zzz"}}) { totalCount nodes { id } } }',
    "simulations by type": "{ simulations(first: 20, filter: {simType: {in: [TOPAS]}}) { totalCount nodes { id } } }",
    "jobs": "{ jobs(first: 20) { nodes { id title } } }",
    "jobs by text": '{ jobs(first: 20, filter: {text: "zzz"}) { totalCount nodes { id } } }',
    "users by text": '{ users(first: 20, filter: {text: "zzz"}) { totalCount nodes { id } } }',
    "devices": "{ devices(first: 20) { nodes { id name } } }",
}
"""What somebody asks who sees few of the rows, by what is asked for."""


async def variables_of(ask: Any, name: str, volume: Volume) -> dict[str, Any]:
    """What an operation is asked with; `ask(query, **variables)` gives data, to find a cursor by."""
    if name != "deep page":
        return volume.variables(name)
    query = "query($after: String) { simulations(first: 100, after: $after) { pageInfo { endCursor } } }"
    after = None
    for _ in range(10):
        after = (await ask(query, after=after))["simulations"]["pageInfo"]["endCursor"] or after
    return {"after": after}


async def cost(platform: Platform, query: str, as_: Any, **variables: Any) -> Cost:
    """All of it but the calls. Raises AssertionError for an answer with errors."""
    await platform.ask(query, as_, **variables)  # so that what is made once is there
    await platform.ask(query, as_, **variables)
    counted, database = platform.counted, platform.services.database
    found = [
        await (_on_postgresql if database.dialect == "postgresql" else _on_sqlite)(database, text, arguments)
        for text, arguments in zip(counted.texts, counted.arguments, strict=True)
    ]
    items = sum(_items(value) for arguments in counted.arguments for value in arguments)
    characters = sum(map(len, counted.texts))
    scans, work, rows = (sum(column) for column in zip(*found, strict=True))
    return Cost(len(found), characters, scans, work, rows, items)


def _items(value: Any) -> int:
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    return len(value) if isinstance(value, list | tuple) else 0


async def _on_postgresql(database: Database, text: str, arguments: Any) -> tuple[int, int, int]:
    options = ("ANALYZE", "BUFFERS", "TIMING OFF", "SUMMARY OFF", "FORMAT JSON")
    mode = plans.OWN if text.startswith(f"SELECT {plans.MARK}") else plans.GENERIC
    async with database.read(mode) as connection:
        for _ in range(2):  # the first one may set hints on rows
            rows = await plans.on_postgresql(connection, text, arguments, *options)
    (found,) = rows[0][0]
    root: Plan = found["Plan"]
    nodes = list(_nodes(root))
    return (
        sum("Relation Name" in node for node in nodes),
        root["Shared Hit Blocks"] + root["Shared Read Blocks"],
        round(sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes)),
    )


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


async def _on_sqlite(database: Database, text: str, arguments: Any) -> tuple[int, int, int]:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    single = Database(database.url.render_as_string(), readers=1)
    try:
        async with single.read() as connection:
            raw = driver(connection)
            lines = await plans.on_sqlite(raw, text, arguments)
            await raw.set_progress_handler(step, 1)
            await raw.execute_fetchall(text, arguments)
    finally:
        await single.dispose()
    return sum(line.lstrip().startswith(("SCAN", "SEARCH")) for line in lines), steps, 0


# Calls ----------------------------------------------------------------------------------------------------------------


Ask = Callable[..., Awaitable[tuple[Any, int]]]


@asynccontextmanager
async def counting(url: str, folder: Path) -> AsyncIterator[Ask]:
    """A gateway in a thread, whose calls are counted: `ask(query, authorization, **variables)` gives the data of an answer
    and their number."""
    settings = load(database_url=url, data_dir=folder, secret_keys=KEY, task_slots=0, port=free_port())
    ready, calls = threading.Event(), 0
    known: dict[str, Any] = {}

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    async def serve() -> None:
        app = create_app(settings, make_services(settings, quick_passwords()))
        known.update(loop=asyncio.get_running_loop(), server=make_server(app, settings.server))
        running = asyncio.create_task(known["server"]._serve())
        while not known["server"].started:
            await asyncio.sleep(0)
        ready.set()
        sys.setprofile(count)
        try:
            await running
        finally:
            sys.setprofile(None)

    async def ask(query: str, authorization: str | None = None, **variables: Any) -> tuple[Any, int]:
        headers = {"Authorization": authorization} if authorization else {}
        request = post(address, orjson.dumps({"query": query, "variables": variables}), headers)
        before = calls
        body = await line.ask(request)
        # The line in the log comes after the last byte.
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), known["loop"]))
        return orjson.loads(body)["data"], calls - before

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    assert await asyncio.to_thread(ready.wait, 30)
    address = f"http://127.0.0.1:{settings.server.port}/graphql"
    line = await Connection.open(address)
    try:
        yield ask
    finally:
        line.close()
        known["server"].should_exit = True
        await asyncio.to_thread(thread.join, 30)


LOG_IN = "mutation($u: String!, $p: String!) { logIn(username: $u, password: $p) { ... on Tokens { accessToken } } }"


async def signed_in(ask: Ask, name: str) -> str:
    """The Authorization header of one of a volume's people."""
    data, _ = await ask(LOG_IN, u=name, p=PASSWORD)
    return f"Bearer {data['logIn']['accessToken']}"


async def calls(ask: Ask, authorization: str, query: str, variables: Mapping[str, Any]) -> int:
    """The least that three answers in a row take alike, or of a hundred: the first ones prepare what is kept, and now and
    then something else has its turn, such as the sweeps of a gateway that has just begun."""
    found: list[int] = []
    while len(found) < 100 and not (len(found) > 2 and found[-1] == found[-2] == found[-3] == min(found)):
        found.append((await ask(query, authorization, **variables))[1])
    return min(found)


def platform_of(url: str, schema: Schema, folder: Path) -> Any:
    """A gateway on a database that has no world."""
    return platform_on(url, None, schema, folder, Bounds(cost=10**6))  # type: ignore[arg-type]
