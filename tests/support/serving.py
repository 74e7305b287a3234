"""Gateways on ports, as users meet them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from gateway.app import create_app, make_services
from gateway.protocol.server import make_server
from gateway.settings import load
from resolvers.context import Services
from tests.support.databases import Prepared, quick_passwords
from tests.support.platforms import KEY, PATIENCE
from tests.support.postgres import free_port
from tests.support.world import PASSWORD, World


@dataclass
class Served:
    """A gateway on a port, as users meet it."""

    url: str
    world: World
    client: httpx2.AsyncClient
    services: Services
    app: Any
    server: Any
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

UNSENT = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "torana@torana.example"}
"""Settings of a mail server that is out of reach. Mails keep their words, as they are tried again.
Without a mail server they are given up at once, and emptied."""


@asynccontextmanager
async def serving(prepared: Prepared, factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(backend: str = "sqlite", *, database: str | None = None, **given: Any) -> Served:
            if database is None:
                url, world = await stack.enter_async_context(prepared.lent(backend))
            else:
                url, world = database, None
            common = {"database_url": url, "data_dir": factory.mktemp("data"), "secret_keys": KEY, "task_slots": 0}
            common["dispatch"] = bool(given.get("task_slots"))
            common["operation_timeout"] = PATIENCE
            settings = load(**{**common, "port": free_port(), **given})
            services = make_services(settings, quick_passwords())
            app = create_app(settings, services)
            server = make_server(app, settings.server)
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
            base = f"http://127.0.0.1:{settings.server.port}"
            client = await stack.enter_async_context(
                httpx2.AsyncClient(base_url=base, timeout=2 * PATIENCE, verify=False)
            )
            return Served(base, world, client, services, app, server, stop)  # type: ignore[arg-type]

        yield start
