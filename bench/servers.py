"""The servers to compare, one declaration each, and how a process of one is started and ended."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from bench.data import PASSWORD, USERNAME
from bench.load import Connection, post
from tests.postgres import free_port

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0
"""Seconds that a server has to start."""

Headers = Mapping[str, str]


class NotStarted(Exception):
    """A server ended, or doesn't listen; the message has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A process that answers GraphQL. `{port}` and `{database}` in its command and variables are filled in."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    path: str = "/graphql"
    sign_in: Callable[[str], Awaitable[Headers]] | None = None
    """Called with the URL; gives the headers of every request."""


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    server: Server
    url: str
    log: Path

    async def headers(self) -> Headers:
        return {} if self.server.sign_in is None else await self.server.sign_in(self.url)

    def tail(self, lines: int = 20) -> str:
        """The end of what it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


async def log_in(url: str) -> Headers:
    """As an ordinary user of Torana, who sees the simulations as a member of their project."""
    query = "mutation($u: String!, $p: String!) { logIn(username: $u, password: $p) { ... on Tokens { accessToken } } }"
    body = orjson.dumps({"query": query, "variables": {"u": USERNAME, "p": PASSWORD}})
    connection = await Connection.open(url)
    try:
        answer = orjson.loads(await connection.ask(post(url, body, {})))
    finally:
        connection.close()
    return {"Authorization": f"Bearer {answer['data']['logIn']['accessToken']}"}


TORANA = Server(
    "Torana",
    (sys.executable, "-m", "gateway.cli", "serve"),
    {
        "TORANA_DATABASE_URL": "{database}",
        "TORANA_SECRET_KEYS": f"bench:{secrets.token_urlsafe(48)}",
        "TORANA_TASK_SLOTS": "0",
        "TORANA_PORT": "{port}",
        "TORANA_ACCESS_MINUTES": "600",
    },
    sign_in=log_in,
)
PLAIN = Server(
    "plain",
    (
        *(sys.executable, "-m", "uvicorn", "bench.plain:app", "--port", "{port}"),
        *("--loop", "uvloop", "--lifespan", "off", "--no-access-log", "--no-server-header"),
    ),
    {"BENCH_DATABASE_URL": "{database}"},
)
SERVERS = (TORANA, PLAIN)


@contextlib.asynccontextmanager
async def running(server: Server, database: str, folder: Path) -> AsyncIterator[Running]:
    """One process of `server` on a port of this machine, ended at the exit; its log goes into `folder`."""
    port = free_port()
    given = {"port": str(port), "database": database}
    command = [part.format(**given) for part in server.command]
    variables = {name: value.format(**given) for name, value in server.variables.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TORANA_")}
    prefix = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
    found = Running(server, f"http://127.0.0.1:{port}{server.path}", folder / f"{server.name}.log")
    with found.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [*prefix, *command],
            cwd=ROOT,
            env=inherited | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        await _await_port(process, port, found)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _await_port(process: subprocess.Popen[bytes], port: int, found: Running) -> None:
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if (status := process.poll()) is not None:
            raise NotStarted(f"{found.server.name} ended with status {status}; the end of its log:\n{found.tail()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        await asyncio.sleep(0.05)
    raise NotStarted(f"{found.server.name} doesn't listen after {PATIENCE:g} s; the end of its log:\n{found.tail()}")


async def answers(found: Running, requests: list[bytes]) -> list[bytes]:
    """The bodies of its answers, one after the other."""
    connection = await Connection.open(found.url)
    try:
        async with asyncio.timeout(PATIENCE):
            return [await connection.ask(request) for request in requests]
    finally:
        connection.close()
