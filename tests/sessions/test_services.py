"""What services are told of their sessions, by a signed call that is tried again."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from gateway.background.mail_sender import Outbox
from gateway.background.transports import Delivery
from resolvers.identity.tokens import digest_of
from tests.support.platforms import Platform
from tests.support.sessioning import make, run


class Endpoint:
    """A service's endpoint; the first `failures` calls fail."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[str, dict[str, str], bytes]] = asyncio.Queue()
        self.failures = 0
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        status = "503 Away" if self.failures > 0 else "204 Done"
        self.failures -= 1
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.calls.put_nowait((first.split()[1], headers, body))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    taking = Endpoint()
    server = await asyncio.start_server(taking.take, "127.0.0.1", 0)
    taking.port = server.sockets[0].getsockname()[1]
    yield taking
    server.close()
    await server.wait_closed()


async def serving(platform: Platform, endpoint: Endpoint) -> None:
    """The service runs the sessions of the world's type, at the endpoint."""
    here = platform.world.here
    async with platform.services.database.write(as_system="test") as session:
        where = {"hostname": "127.0.0.1", "port": endpoint.port, "endpoint": "/api/sessions"}
        await session.execute(sa.update(m.Service).where(m.Service.id == here.service).values(**where))
        await session.execute(sa.update(m.SessionType).values(service_id=here.service))
        session.add(
            m.ServiceConfig(
                service_id=here.service, participant_id=here.participant, specific_id="room-2", config={"volume": 9}
            )
        )


async def called(endpoint: Endpoint) -> tuple[str, dict[str, str], Any]:
    async with asyncio.timeout(30):
        path, headers, body = await endpoint.calls.get()
    return path, headers, json.loads(body)


async def test_a_service_is_called_with_the_configurations_of_the_members(
    platform: Platform, endpoint: Endpoint
) -> None:
    await serving(platform, endpoint)
    here, endpoint.failures = platform.world.here, 1
    outbox = Outbox(platform.services, Delivery(None, None, {}), pauses=(0.05, 0.05))
    outbox.start()
    try:
        participant = here.id("Participant", "participant")
        planned = await make(platform, "tom", participants=[participant], parameters={"room": 2})
        _, first, _ = await called(endpoint)
        path, headers, body = await called(endpoint)
        assert first["torana-call"] == headers["torana-call"]  # tried again
        assert (path, body["event"]) == ("/api/sessions", "CREATED")
        assert body["session"]["id"] == planned["id"]
        assert body["session"]["parameters"] == {"room": 2}
        assert body["members"] == [
            {
                "id": participant, "state": "INVITED", "config": {"volume": 3},
                "installations": {"room-2": {"volume": 9}},
            }
        ]  # fmt: skip
        said = dict(part.split("=", 1) for part in headers["torana-signature"].split(","))
        text = json.dumps(body, separators=(",", ":"))
        key = digest_of(here.secrets["service"]).encode()
        assert said["v1"] == hmac.new(key, f"{said['t']}.{text}".encode(), sha256).hexdigest()
        await run(platform, "tom", "startSession", id=planned["id"])
        await run(platform, "tom", "stopSession", id=planned["id"])
        assert {(await called(endpoint))[2]["event"] for _ in range(2)} == {"STARTED", "COMPLETED"}
    finally:
        await outbox.close()


async def test_a_service_that_is_disabled_is_not_called(platform: Platform, endpoint: Endpoint) -> None:
    await serving(platform, endpoint)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(m.Service).values(enabled=False))
    await make(platform, "tom")
    rows = await platform.services.database.rows(sa.select(m.Notification.id))
    assert rows == []
