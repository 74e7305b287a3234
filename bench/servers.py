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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from bench import postgraphile
from bench.data import PASSWORD, USERNAME
from bench.load import Connection, post
from bench.node import PEERS
from bench.operations import Operation
from tests.support.postgres import free_port

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0
"""Seconds that a server has to start."""

Headers = Mapping[str, str]


class NotStarted(Exception):
    """A server ended, or doesn't listen; the message has the end of its log."""


@dataclass(frozen=True, eq=False)
class Server:
    """A process that answers GraphQL. `{port}`, `{database}` and `{node}` are filled in."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    path: str = "/graphql"
    sign_in: Callable[[str], Awaitable[Headers]] | None = None
    """Called with the URL; gives the headers of every request."""
    asked: Callable[[Operation], Operation] = lambda operation: operation
    """An operation as this server's schema puts it."""
    shaped: Callable[[Operation, Any], Any] = lambda operation, answer: answer
    """Its answer in the shape of Torana's."""
    own_cursors: bool = False
    """Whether its cursors have a text of their own, so that they are not compared."""

    @property
    def needs_node(self) -> bool:
        return self.command[0] == "{node}"


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    server: Server
    url: str
    log: Path
    pid: int

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


def _torana(name: str, **settings: str) -> Server:
    return Server(
        name,
        (sys.executable, "-m", "gateway.cli", "serve"),
        {
            "TORANA_DATABASE_URL": "{database}",
            "TORANA_SECRET_KEYS": f"bench:{secrets.token_urlsafe(48)}",
            "TORANA_TASK_SLOTS": "0",
            "TORANA_PORT": "{port}",
            "TORANA_ACCESS_MINUTES": "600",
            **settings,
        },
        sign_in=log_in,
    )


def _plainly(operation: Operation) -> Operation:
    """An operation for a schema whose filters are plain values, and whose orders are names."""
    query = operation.query.replace("{name: {contains: $name}}", "{name: $name}")
    return replace(operation, query=query.replace("orderBy: {field: CREATED_AT}", "order: OLDEST"))


def _python(name: str, app: str, *options: str) -> Server:
    command = (sys.executable, "-m", "uvicorn", app, "--port", "{port}", "--loop", "uvloop", "--http", "httptools")
    quiet = ("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-date-header")
    variables = {"BENCH_DATABASE_URL": "{database}"}
    if name == "floor":
        return Server(name, (*command, *quiet, *options), variables)
    return Server(name, (*command, *quiet, *options), variables, asked=_plainly, own_cursors=True)


def _node(name: str, script: str, **options: Any) -> Server:
    variables = {"DATABASE_URL": "{database}", "PORT": "{port}", "NODE_ENV": "production", "GRAPHILE_ENV": "production"}
    return Server(name, ("{node}", str(PEERS / script)), variables, **options)


TORANA = _torana("Torana")
ROWS = _torana("Torana by rows", TORANA_RENDERING="off")
PLAIN = _python("plain Strawberry", "bench.plain.app:app", "--lifespan", "off")
MERCURIUS = _node("Mercurius", "mercurius.js", asked=_plainly, own_cursors=True)
POSTGRAPHILE = _node(
    "PostGraphile", "postgraphile.js", asked=postgraphile.asked, shaped=postgraphile.shaped, own_cursors=True
)
FLOOR = _python("floor", "bench.floors.app:app", "--lifespan", "on")
SERVERS = (TORANA, ROWS, PLAIN, MERCURIUS, POSTGRAPHILE, FLOOR)


@contextlib.asynccontextmanager
async def running(server: Server, database: str, folder: Path, node: Path | None = None) -> AsyncIterator[Running]:
    """One process of `server` on a port of this machine, ended at the exit; its log goes into `folder`."""
    port = free_port()
    given = {"port": str(port), "database": database, "node": str(node)}
    command = [part.format(**given) for part in server.command]
    variables = {name: value.format(**given) for name, value in server.variables.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TORANA_")}
    prefix = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
    log_file = folder / f"{server.name} {port}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [*prefix, *command],
            cwd=ROOT,
            env=inherited | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    found = Running(server, f"http://127.0.0.1:{port}{server.path}", log_file, process.pid)
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
