"""Databases by the copy of a prepared one, and gateways on them: in process, or served on a port."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import orjson
import pytest
import structlog

from db import migrating
from db.engine import Database, Tally, tally
from db.models import Credential, CredentialKind
from db.types import later, uuid7
from gateway.answers import Answer, Refused
from gateway.app import create_app, make_services
from gateway.documents import Documents, Envelope
from gateway.execution import Execution
from gateway.graphql import encode
from gateway.serving import make_server
from gateway.settings import Settings
from resolvers.context import Context, Services
from resolvers.keyring import Secret, Session, digest_of
from resolvers.passwords import Passwords
from resolvers.principal import ANONYMOUS, Kind, Principal
from resolvers.principals import principal_of
from schema import Schema, build
from schema.limits import Bounds
from tests.postgres import free_port, memory, running_postgres
from tests.world import PASSWORD, World, populate

structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
    cache_logger_on_first_use=False,
)

BACKENDS = ("sqlite", "postgresql")
KEY = "test:" + "0123456789abcdefghijklmnopqrstuvwxyz"


class Prepared:
    """One database of each kind with tables and a world in it, copied for each test that asks."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._templates: dict[str, tuple[str, World]] = {}
        self._server: str | None = None
        self._number = 0

    async def template(self, backend: str) -> tuple[str, World]:
        if backend not in self._templates:
            url = await self.empty(backend, "template")
            await migrating.migrate(url)
            database = Database(url)
            async with database.write() as session:
                world = await populate(session, await quick_passwords().hash(PASSWORD))
            await database.dispose()
            if backend == "sqlite":  # so that a copy of the file is the whole of it
                await migrating._sync(url, lambda c: c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)"))
            self._templates[backend] = (url, world)
        return self._templates[backend]

    async def copy(self, backend: str) -> tuple[str, World]:
        template, world = await self.template(backend)
        self._number += 1
        name = f"copy{self._number}"
        if backend == "sqlite":
            (self._folder / name).mkdir()
            shutil.copy(template.removeprefix("sqlite:///"), self._folder / name / "torana.db")
            return f"sqlite:///{self._folder / name / 'torana.db'}", world
        await self._create(f'{name} TEMPLATE "{template.rpartition("/")[2]}" STRATEGY FILE_COPY')
        return f"{self._postgres}/{name}", world

    @asynccontextmanager
    async def lent(self, backend: str) -> AsyncIterator[tuple[str, World]]:
        """A copy that is dropped afterwards."""
        url, world = await self.copy(backend)
        yield url, world
        await self.drop(url)

    async def drop(self, url: str) -> None:
        if url.startswith("postgresql"):
            connection = await asyncpg.connect(f"{self._postgres}/postgres")
            await connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")
            await connection.close()

    async def empty(self, backend: str, name: str) -> str:
        if backend == "sqlite":
            (self._folder / name).mkdir()
            return f"sqlite:///{self._folder / name / 'torana.db'}"
        await self._create(name)
        return f"{self._postgres}/{name}"

    @property
    def _postgres(self) -> str:
        if self._server is None:
            self._server = self._stack.enter_context(running_postgres(memory()))
        return self._server

    async def _create(self, what: str) -> None:
        connection = await asyncpg.connect(f"{self._postgres}/postgres")
        name = what.split(maxsplit=1)[0]
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")
        await connection.execute(f"CREATE DATABASE {what}")
        await connection.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with ExitStack() as stack:
        yield Prepared(tmp_path_factory.mktemp("databases"), stack)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a database runs on both. A module whose subject is not the database says `ON_SQLITE = True`; of its
    tests those that several run at once, whose locks differ, are marked `both`."""
    if "backend" in metafunc.fixturenames:
        one = getattr(metafunc.module, "ON_SQLITE", False) and not metafunc.definition.get_closest_marker("both")
        metafunc.parametrize("backend", BACKENDS[:1] if one else BACKENDS)


@pytest.fixture(scope="session")
def schema() -> Schema:
    return build()


def quick_passwords() -> Passwords:
    """Hashes that are as wrong for real use as they are quick."""
    return Passwords(memory=64, rounds=1)


@dataclass
class Platform:
    """A gateway without its HTTP, to ask as anyone."""

    services: Services
    documents: Documents
    execution: Execution
    world: World
    settings: Settings
    counted: Tally = field(default_factory=Tally)
    faulty: bool = False
    """Whether rendering may fail here; elsewhere nothing is answered row by row for that."""

    async def principal(self, name: str | None) -> Principal:
        """The principal of a person of the world, without the detour of signing in; or of its `participant`, `limited`
        (the participant with a static token), `device` or `service`."""
        if name is None:
            return ANONYMOUS
        here = self.world.here
        if name == "participant":
            return await principal_as(self.services, here.participant, Kind.PARTICIPANT)
        if name in PRESENTED:
            secret = here.secrets["participant" if name == "limited" else name]
            return await principal_of(self.services.database, Secret(PRESENTED[name], digest_of(secret)))
        return await principal_as(self.services, getattr(self.world, name))

    async def answer(self, query: str, as_: str | Principal | None = None, **variables: Any) -> Answer:
        """The answer to an operation; `counted` then has its statements."""
        principal = as_ if isinstance(as_, Principal) else await self.principal(as_)
        ctx = Context(self.services, principal, {"ip": "127.0.0.1"})
        self.counted = Tally()
        token = tally.set(self.counted)
        try:
            found = await self.execution.run(self.documents.operation(Envelope(query)), variables, ctx)
            assert ctx.rendering or self.faulty or not self.execution.renders, (
                "this could not be rendered; the log says why"
            )
            return received(found)
        except Refused as refusal:
            return refusal.answer
        finally:
            tally.reset(token)

    async def ask(self, query: str, as_: str | Principal | None = None, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        answer = await self.answer(query, as_, **variables)
        assert "errors" not in answer.body, answer.body["errors"]
        return answer.body["data"]

    async def refused(self, query: str, as_: str | Principal | None = None, **variables: Any) -> list[str]:
        """The codes of an operation that has errors."""
        answer = await self.answer(query, as_, **variables)
        assert "errors" in answer.body, answer.body
        return answer.codes

    @asynccontextmanager
    async def watch(self, query: str, as_: str | Principal | None, **variables: Any) -> AsyncIterator[Any]:
        """The answers of a subscription."""
        principal = as_ if isinstance(as_, Principal) else await self.principal(as_)
        operation = self.documents.operation(Envelope(query))
        stream = self.execution.stream(operation, variables, Context(self.services, principal))
        async with aclosing(stream), aclosing(received(answer) async for answer in stream) as answers:
            yield answers


def received(answer: Answer) -> Answer:
    """An answer as a client reads it."""
    return Answer(answer.status, orjson.loads(encode(answer.body)))


PRESENTED = {"limited": Kind.PARTICIPANT, "device": Kind.DEVICE, "service": Kind.SERVICE}


async def principal_as(services: Services, owner: UUID, kind: Kind = Kind.USER) -> Principal:
    """A signed-in user or participant, from the statement that requests use."""
    family = uuid7()
    async with services.database.write() as session:
        session.add(
            Credential(
                **{f"{kind.value}_id": owner}, kind=CredentialKind.LOGIN_SESSION, secret_hash=str(family),
                algorithm="none", family=family, expires_at=later(600),
            )
        )  # fmt: skip
    principal = await principal_of(services.database, Session(kind, owner, family, None))  # type: ignore[arg-type]
    assert principal.kind is kind
    return principal


@asynccontextmanager
async def platform_on(url: str, world: World, schema: Schema, folder: Path, bounds: Bounds) -> AsyncIterator[Platform]:
    settings = Settings(database_url=url, data_dir=folder, secret_keys=KEY, task_slots=0)
    services = replace(make_services(settings), passwords=quick_passwords())
    await services.database.start()
    try:
        documents = Documents(schema.core, bounds, keep=500)
        yield Platform(services, documents, Execution(schema, bounds, timeout=15), world, settings)
    finally:
        await services.uses.settled()
        await services.database.dispose()


@pytest.fixture
async def platform(prepared: Prepared, backend: str, schema: Schema, tmp_path: Path) -> AsyncIterator[Platform]:
    """On each database, for a test of its own."""
    async with prepared.lent(backend) as lent, platform_on(*lent, schema, tmp_path, Bounds()) as made:
        yield made


@pytest.fixture(scope="session", params=BACKENDS)
async def reading(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """On each database, for all tests that only read."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        yield made


@pytest.fixture(scope="session", params=BACKENDS)
async def sharing(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """On each database, for all tests that write, and leave alone what they did not make."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        yield made


@dataclass
class Served:
    """A gateway on a port, as users meet it."""

    url: str
    world: World
    client: httpx2.AsyncClient
    services: Services
    app: Any
    stop: Callable[[], Any]

    async def log_in(self, username: str) -> str:
        """The Authorization header of a person of the world."""
        query = "mutation($u:String!,$p:String!){logIn(username:$u,password:$p){...on Tokens{accessToken}}}"
        body = {"query": query, "variables": {"u": username, "p": PASSWORD}}
        answer = await self.client.post("/graphql", json=body)
        return f"Bearer {answer.json()['data']['logIn']['accessToken']}"

    async def ask(self, query: str, authorization: str | None = None, **variables: Any) -> Any:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]


Serve = Callable[..., Any]


@asynccontextmanager
async def _serving(prepared: Prepared, factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(backend: str = "sqlite", *, database: str | None = None, **given: Any) -> Served:
            if database is None:
                url, world = await stack.enter_async_context(prepared.lent(backend))
            else:
                url, world = database, None
            common = {"database_url": url, "data_dir": factory.mktemp("data"), "secret_keys": KEY, "task_slots": 0}
            common["dispatch"] = bool(given.get("task_slots"))
            settings = Settings(**{**common, "port": free_port(), **given})
            services = replace(make_services(settings), passwords=quick_passwords())
            app = create_app(settings, services)
            server = make_server(app, settings.host, settings.port)
            running = asyncio.create_task(server._serve())
            while not server.started:
                if running.done():
                    running.result()
                    raise RuntimeError("the gateway did not start")
                await asyncio.sleep(0)

            async def stop() -> None:
                server.should_exit = True
                await running

            stack.push_async_callback(stop)
            base = f"http://127.0.0.1:{settings.port}"
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=base, timeout=30))
            return Served(base, world, client, services, app, stop)  # type: ignore[arg-type]

        yield start


@pytest.fixture
async def serve(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Start gateways on ports: `await serve(backend, setting=value)`; `database` shares one between several."""
    async with _serving(prepared, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
async def serve_module(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """The same, for gateways that the tests of a module share."""
    async with _serving(prepared, tmp_path_factory) as start:
        yield start
