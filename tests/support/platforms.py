"""A gateway without its HTTP, to ask as anyone, and the statements that its answers took."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from db.engine import Database
from db.models import Credential, CredentialKind
from db.types import later, uuid7
from gateway.app import make_database, make_services
from gateway.operations.documents import Documents, Envelope
from gateway.operations.execution import Execution
from gateway.operations.responses import Answer, Refused, encode
from gateway.settings import Settings, load
from resolvers.context import Context, Services
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import ANONYMOUS, Kind, Principal
from resolvers.identity.tokens import Secret, Session, digest_of
from schema import Schema
from schema.fields.cost import Bounds
from tests.support.databases import quick_passwords
from tests.support.recording import Recording, recorded
from tests.support.world import World

KEY = "test:" + "0123456789abcdefghijklmnopqrstuvwxyz"
PATIENCE = 60.0
"""Seconds for an operation of a test: others run beside it, on a machine that may be slow."""


@dataclass
class Platform:
    """A gateway without its HTTP, to ask as anyone."""

    services: Services
    documents: Documents
    execution: Execution
    world: World
    settings: Settings
    counted: Recording = field(default_factory=Recording)
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
        with recorded() as self.counted:
            try:
                found = await self.execution.run(self.documents.operation(Envelope(query)), variables, ctx)
            except Refused as refusal:
                return refusal.answer
        assert ctx.rendering or self.faulty or not self.execution.renders, (
            "this could not be rendered; the log says why"
        )
        return received(found)

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


async def login_session(services: Services, owner: UUID, kind: Kind = Kind.USER, seconds: float = 600) -> UUID:
    """The family of a login session of a user or participant, made without signing in."""
    family = uuid7()
    async with services.database.write(as_system="test") as session:
        session.add(
            Credential(
                **{f"{kind.value}_id": owner}, kind=CredentialKind.LOGIN_SESSION, secret_hash=str(family),
                algorithm="none", family=family, expires_at=later(seconds),
            )
        )  # fmt: skip
    return family


async def principal_as(services: Services, owner: UUID, kind: Kind = Kind.USER) -> Principal:
    """A signed-in user or participant, from the statement that requests use."""
    family = await login_session(services, owner, kind)
    principal = await principal_of(services.database, Session(kind, owner, family, None))  # type: ignore[arg-type]
    assert principal.kind is kind
    return principal


@dataclass(frozen=True)
class Reused:
    """What is made once for many gateways: statements and documents that are prepared."""

    database: Database
    documents: Documents

    @classmethod
    def of(cls, settings: Settings, schema: Schema, bounds: Bounds) -> "Reused":
        return cls(make_database(settings), Documents(schema.core, bounds, keep=10**7))


@asynccontextmanager
async def platform_on(
    url: str, world: World, schema: Schema, folder: Path, bounds: Bounds, reused: Reused | None = None
) -> AsyncIterator[Platform]:
    """A gateway on a database, with what is `reused` from one to the next on a database of the same URL."""
    settings = load(database_url=url, data_dir=folder, secret_keys=KEY, task_slots=0, operation_timeout=PATIENCE)
    reused = reused or Reused.of(settings, schema, bounds)
    services, documents = make_services(settings, quick_passwords(), reused.database), reused.documents
    await services.database.start()
    try:
        yield Platform(services, documents, Execution(schema, bounds, timeout=PATIENCE), world, settings)
    finally:
        await services.database.dispose()
        await services.identity.close()
