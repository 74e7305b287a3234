"""The gateway of a test session, in a process of its own, so that names such as `db` or `schema` of the tested program
stay its own. It is run as a script: `child.py <descriptor>`.

The descriptor is a socket, with one line of JSON for each message. The first line has the settings. The answer has the
port and the account, or why the gateway can't start. Then come commands. When the socket is closed, the gateway ends.
"""

import asyncio
import gc
import json
import os
import secrets
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

gc.disable()  # what is imported stays: to look through it again and again takes a fifth of the start


def _tell(link: socket.socket, **said: Any) -> None:
    link.sendall(json.dumps(said).encode() + b"\n")


_LINK = socket.socket(fileno=int(sys.argv[1]))

for _place in map(Path, sys.path):
    if (_place / "gateway" / "app.py").exists() and (_place / "resolvers" / "context.py").exists():
        sys.path.insert(0, str(_place))  # before modules of the same names, where PYTHONPATH leads to such
        break

try:
    import uvloop
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from db import migrating
    from db.tally import Tally, tally
    from gateway.app import create_app, make_services
    from gateway.protocol.server import make_server, set_up_logs
    from gateway.settings import SettingsError, load
    from resolvers.accounts.sign_in import create_user
    from resolvers.context import Services
    from resolvers.identity.hashing import Passwords
    from resolvers.identity.lookup import Principals
    from resolvers.identity.principal import Principal
except ModuleNotFoundError as error:
    _tell(_LINK, missing=str(error))
    sys.exit(1)

HOST = "127.0.0.1"
ROOT = "root"
"""The name of the superadmin whom every database has."""


class Recorder:
    """The statements of the requests that came since it began."""

    def __init__(self) -> None:
        self.requests: list[Tally] = []

    def told(self) -> dict[str, Any]:
        """What was recorded until now, as a message."""
        return {
            "requests": len(self.requests),
            "commits": sum(one.commits for one in self.requests),
            "texts": [text for one in self.requests for text in one.texts],
        }


class _Socket(Tally):
    """The statements of a WebSocket. Recorders may begin and end while it is open; for each it is one request."""

    def __init__(self, recorders: dict[int, Recorder]) -> None:
        super().__init__()
        self._recorders = recorders
        self._noted: dict[int, Tally] = {}

    def add(self, text: str, _arguments: Any) -> None:
        for number, recorder in self._recorders.items():
            if number not in self._noted:
                self._noted[number] = Tally()
                recorder.requests.append(self._noted[number])
            self._noted[number].texts.append(text)


class Recording:
    """Hands the statements of each request to the recorders that there were when it came."""

    def __init__(self, app: ASGIApp, recorders: dict[int, Recorder]) -> None:
        self._app = app
        self._recorders = recorders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            tally.set(_Socket(self._recorders))
        if scope["type"] != "http" or not self._recorders:
            await self._app(scope, receive, send)
            return
        recorders = tuple(self._recorders.values())
        tally.set(Tally())

        async def noted(message: Message) -> None:
            # Before the client has the answer, and in the context of the request, which may have set its own tally.
            if message["type"] == "http.response.start" and (counted := tally.get()) is not None:
                for recorder in recorders:
                    recorder.requests.append(counted)
            await send(message)

        await self._app(scope, receive, noted)


class Unrecorded(Principals):
    """Looks up who asks without counting it: a principal is kept for a moment, so the number would be a chance."""

    async def of(self, presented: Any) -> Principal:
        token = tally.set(None)
        try:
            return await super().of(presented)
        finally:
            tally.reset(token)


def _services(settings: Any) -> Services:
    """The services, with hashes of passwords that are as wrong for real use as they are quick."""
    services = make_services(settings, Passwords(memory=64, rounds=1))
    identity = replace(services.identity, principals=Unrecorded(services.database))
    return replace(services, identity=identity)


async def _founded(services: Services) -> str:
    """Make the superadmin; its password."""
    password = secrets.token_urlsafe(24)
    hashed = await services.identity.passwords.hash(password)
    async with services.database.write() as session:
        await create_user(session, ROOT, hashed, superadmin=True)
    return password


class Commands:
    """What the tests ask of the gateway besides HTTP."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last = 0
        self.recorders: dict[int, Recorder] = {}

    async def follow(self, link: socket.socket) -> None:
        """Do what is asked, until the other end is closed."""
        reader, writer = await asyncio.open_connection(sock=link)
        while line := await reader.readline():
            writer.write(json.dumps(self._do(**json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _do(self, do: str, recorder: int = 0) -> dict[str, Any]:
        match do:
            case "forget":  # what is kept in memory: rows were changed past the gateway
                self._services.database.missed()
                return {}
            case "record":
                self._last += 1
                self.recorders[self._last] = Recorder()
                return {"recorder": self._last}
            case "show":
                return self.recorders[recorder].told()
            case "end":
                return self.recorders.pop(recorder).told()
        raise ValueError(do)


async def _serve(link: socket.socket, given: dict[str, Any]) -> None:
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        settings = load(**given, host=HOST, port=port)
        set_up_logs(settings.server.log_format)
        await migrating.migrate(settings.storage.url)
        services = _services(settings)
        password = await _founded(services)
        commands = Commands(services)
        app = create_app(settings, services)
        app.add_middleware(Recording, recorders=commands.recorders)
        server = make_server(app, settings.server)
        running = asyncio.create_task(server._serve([listening]))
        while not server.started:
            if running.done():
                running.result()
                raise RuntimeError("the gateway did not start")
            await asyncio.sleep(0.001)
        gc.freeze()
        gc.enable()
        _tell(link, port=port, username=ROOT, password=password)
        await commands.follow(link)
        server.should_exit = True
        await running


def main() -> None:
    with _LINK.makefile("r") as lines:  # closing it leaves the socket open
        first = lines.readline()
    if not first:
        return
    given = json.loads(first)
    Path(given["data_dir"]).mkdir(mode=0o700, exist_ok=True)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(_LINK, given))
    except SettingsError as error:
        _tell(_LINK, wrong=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # all is closed; to take everything apart would take a second
