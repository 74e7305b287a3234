"""Clients that keep connections and send nothing, or read nothing: how long they may, and how many there may be."""

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from gateway.protocol import connections, websocket
from gateway.protocol import server as servers
from gateway.protocol.connections import Connection, Connections
from gateway.protocol.server import Server, Socket, make_server
from gateway.settings.server import ServerSettings
from resolvers.identity.principal import TaskClaim
from resolvers.queue.leases import SCOPES
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served

LONG = 60.0
WATCH = "subscription{entityChanged(types:[PROJECT]){id}}"
HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"query":"{__typename}"}'
POST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)


@dataclass
class Client:
    """A connection as it is: bytes there and back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The status, the headers and the JSON of an answer that has a length."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *fields = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields) if name}
            content = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(content)

    async def ended(self) -> bytes:
        """What comes until the gateway closes."""
        async with asyncio.timeout(20):
            return await self.reader.read()

    async def refused(self) -> tuple[int, str]:
        """The status and the code of an answer after which the gateway closes."""
        status, headers, body = await self.answer()
        assert headers["connection"] == "close"
        with contextlib.suppress(ConnectionError):
            assert await self.ended() == b""
        (error,) = body["errors"]
        assert headers.get("retry-after") == (None if status in (400, 431) else "2")
        return status, error["extensions"]["code"]


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Any]]:
    """Opens connections to a gateway, and closes them at the end."""
    writers = []

    async def open_one(url: str, data: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writers.append(writer)
        writer.write(data)
        return Client(reader, writer)

    yield open_one
    for writer in writers:
        writer.close()


@pytest.fixture(scope="module")
async def hasty(serve_module: Serve) -> Served:
    """Waits for no head and no byte."""
    return await serve_module(header_timeout=0.2, stall_timeout=0.2, body_timeout=LONG)


@pytest.fixture(scope="module")
async def patient(serve_module: Serve) -> Served:
    return await serve_module()


# What a client is to send -------------------------------------------------------------------------------------------


async def test_a_connection_that_sends_nothing_is_closed(hasty: Served, dial: Any) -> None:
    assert await (await dial(hasty.url)).ended() == b""


@pytest.mark.parametrize("part", [b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", HEAD + b"X: " + b"y" * 30_000])
async def test_half_a_head_is_given_up(hasty: Served, dial: Any, part: bytes) -> None:
    assert await (await dial(hasty.url, part)).refused() == (503, "TIMEOUT")


async def test_blank_lines_are_no_head(hasty: Served, dial: Any) -> None:
    assert await (await dial(hasty.url, b"\r\n" * 20)).refused() == (503, "TIMEOUT")


async def test_half_a_head_after_an_answer_is_given_up(hasty: Served, dial: Any) -> None:
    client = await dial(hasty.url, POST + BODY)
    assert (await client.answer())[0] == 200
    client.send(b"GET /hea")
    assert await client.refused() == (503, "TIMEOUT")


async def test_half_a_handshake_of_a_websocket_is_given_up(hasty: Served, dial: Any) -> None:
    part = b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key"
    assert await (await dial(hasty.url, part)).refused() == (503, "TIMEOUT")


@pytest.mark.parametrize("sent", [b"", b"{"])
async def test_a_head_and_a_byte_of_the_body_are_given_up(hasty: Served, dial: Any, sent: bytes) -> None:
    assert await (await dial(hasty.url, POST + sent)).refused() == (503, "TIMEOUT")


async def test_half_a_chunked_body_is_given_up(hasty: Served, dial: Any) -> None:
    client = await dial(hasty.url, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
    assert await client.refused() == (503, "TIMEOUT")


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_body_that_comes_byte_by_byte_ends_with_its_time(serve: Serve, dial: Any, accept: str) -> None:
    gateway = await serve(body_timeout=0.3, stall_timeout=LONG)
    client = await dial(gateway.url, HEAD + f"Accept: {accept}\r\nContent-Length: 100000\r\n\r\n".encode())
    answer = asyncio.create_task(client.refused())
    while not answer.done():
        client.send(b"{")
        await asyncio.sleep(0.02)
    assert answer.result() == (503, "TIMEOUT")


async def test_a_worker_s_body_lives_while_bytes_come(serve: Serve, dial: Any) -> None:
    gateway = await serve(body_timeout=0.1, stall_timeout=0.4)
    task_claim = TaskClaim(gateway.world.job, 1, 9, SCOPES)
    token = gateway.services.identity.keys.worker_token(task_claim, timedelta(minutes=1))
    head = HEAD + f"Authorization: Bearer {token}\r\n".encode()
    client = await dial(gateway.url, head + b"Content-Length: %d\r\n\r\n" % len(BODY))
    state = await _connected(gateway.server, 1)
    until = state.clock + 0.8
    for n in range(len(BODY)):
        client.send(BODY[n : n + 1])
        while state.clock < until * (n + 1) / len(BODY):
            await asyncio.sleep(0.01)
    assert (await client.answer())[2]["data"] == {"__typename": "Query"}
    client.send(head + b"Content-Length: %d\r\n\r\n{" % len(BODY))
    assert await client.refused() == (503, "TIMEOUT")


async def test_what_is_left_of_a_refused_body_is_waited_for_once(hasty: Served, dial: Any) -> None:
    """Each byte puts off uvicorn's own end of a connection that is answered."""
    client = await dial(hasty.url, b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    async with asyncio.timeout(20):
        while not client.reader.at_eof():
            client.send(b"x")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.reader.read(1000), 0.02)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: ",
    ],
    ids=["head", "extension of a chunk", "trailer"],
)
async def test_what_is_no_body_has_a_bound(patient: Served, dial: Any, sent: bytes) -> None:
    client = await dial(patient.url, sent)
    client.send(b"y" * 140_000)
    assert await client.refused() == (431, "BAD_REQUEST")


async def test_trailers_are_no_headers(dial: Any) -> None:
    async with toy() as (url, _):
        sent = HEAD.replace(b"/graphql", b"/headers") + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Late: 1\r\n\r\n"
        assert "x-late" not in (await (await dial(url, sent)).answer())[2]


async def test_what_is_no_http_is_told(patient: Served, dial: Any) -> None:
    assert await (await dial(patient.url, b"\x16\x03\x01\x02\x00\x01\x00")).refused() == (400, "BAD_REQUEST")


async def test_requests_in_a_row_are_answered_in_their_order(hasty: Served, dial: Any) -> None:
    named = [f'{{"query":"{{{name}:__typename}}"}}'.encode() for name in "abc"]
    one, two, three = (HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in named)
    client = await dial(hasty.url, one + two + three[:20])
    assert [(await client.answer())[2]["data"] for _ in range(2)] == [{"a": "Query"}, {"b": "Query"}]
    client.send(three[20:])
    assert (await client.answer())[2]["data"] == {"c": "Query"}


async def test_only_so_many_requests_are_sent_ahead(dial: Any) -> None:
    async with toy() as (url, server):
        client = await dial(url, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n" * 101)
        state = await _connected(server, 1)
        (one,) = state.connections
        assert isinstance(one, Connection)
        async with asyncio.timeout(20):
            while len(one.pipeline) < 100:
                await asyncio.sleep(0.01)
        many = await dial(url, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        assert await many.refused() == (400, "BAD_REQUEST")
        assert not client.reader.at_eof()
        client.writer.close()  # of which the first is told, too
        await _connected(server, 0)
        while server.server_state.tasks:
            await asyncio.sleep(0)


# What lives on --------------------------------------------------------------------------------------------------------


async def test_sockets_and_streams_may_be_silent(serve: Serve) -> None:
    gateway = await serve(header_timeout=0.2, body_timeout=0.2, stall_timeout=0.2)
    tom = await gateway.log_in("tom")
    async with _socket(gateway, {"authorization": tom}) as websocket:
        headers = {"Accept": "text/event-stream", "Authorization": tom}
        async with gateway.client.stream("POST", "/graphql", json={"query": WATCH}, headers=headers) as stream:
            await _clock(gateway.server, 1)
            await websocket.send('{"type":"ping"}')
            assert json.loads(await websocket.recv()) == {"type": "pong"}
            assert await anext(stream.aiter_bytes())


async def test_pings_are_no_connection_init(patient: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_WAIT", 0.1)
    async with _socket(patient) as held, asyncio.timeout(20):
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await held.send('{"type":"ping"}')
                await held.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


async def test_a_process_that_stood_still_takes_nobody_for_silent(dial: Any) -> None:
    async with toy(header_timeout=10, stall_timeout=10) as (url, server):
        client = await dial(url, POST.replace(b"/graphql", b"/headers"))
        state = await _connected(server, 1)
        state.tick(asyncio.get_running_loop().time() + 3600)
        client.send(BODY)
        assert (await client.answer())[0] == 200


# What a client is to read -------------------------------------------------------------------------------------------

LARGE = 30_000_000
ON_LINUX = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such bound")


@ON_LINUX
@pytest.mark.parametrize("path", ["/large", "/stream/"])
async def test_an_answer_that_is_not_read_is_given_up(path: str) -> None:
    async with toy(stall_timeout=0.2) as (url, server):
        with _unread(url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()):
            await _connected(server, 1)
            await _connected(server, 0)


async def test_an_answer_that_is_read_slowly_is_read_to_its_end() -> None:
    async with toy(stall_timeout=0.4) as (url, server):
        loop = asyncio.get_running_loop()
        with _unread(url, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            state = await _connected(server, 1)
            came, until = 0, state.clock + 1
            while state.clock < until:
                came += len(await loop.sock_recv(client, 200_000))
                await asyncio.sleep(0.05)
            while came < LARGE:
                came += len(piece := await loop.sock_recv(client, 1_000_000))
                assert piece


@ON_LINUX
async def test_a_socket_that_is_not_read_is_given_up(serve: Serve) -> None:
    gateway = await serve(stall_timeout=0.2)
    async with _socket(gateway, {}) as websocket:
        state = await _connected(gateway.server, 1)
        (one,) = state.connections
        assert isinstance(one, Socket)
        websocket.transport.pause_reading()
        one.transport.write(b"\x82\x7e\xff\xff" + bytes(65_535) + (b"\x82\x7e\xff\xff" + bytes(65_535)) * 300)
        await _connected(gateway.server, 0)


async def test_pings_of_who_reads_nothing_are_not_kept(serve: Serve) -> None:
    gateway = await serve()
    async with _socket(gateway, {}) as websocket:
        state = await _connected(gateway.server, 1)
        (one,) = state.connections
        one.pause_writing()
        writes: list[bytes] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(one, "transport", _Noting(one.transport, writes))
            for _ in range(3):
                await websocket.ping()
            await websocket.send('{"type":"pong"}')
            while one.queue.empty() and not one.read_paused:  # type: ignore[union-attr]
                await asyncio.sleep(0)
        assert writes == []
        one.resume_writing()
        await (await websocket.ping())


async def test_pieces_of_nothing_are_not_kept() -> None:
    config = make_server(Starlette(), ServerSettings()).config
    socket_ = Socket(config, Connections(ServerSettings()), {})
    for _ in range(1000):
        socket_.handle_cont(Frame(Opcode.CONT, b"", fin=False))
    assert socket_.frames == []


# How many there may be ----------------------------------------------------------------------------------------------


async def test_idle_connections_make_room(serve: Serve, dial: Any) -> None:
    gateway = await serve(max_connections=5)
    idle = [await dial(gateway.url, POST + BODY) for _ in range(5)]
    for client in idle:
        assert (await client.answer())[0] == 200
    await dial(gateway.url, POST)
    assert (await (await dial(gateway.url, POST + BODY)).answer())[0] == 200
    ended = [asyncio.create_task(client.ended()) for client in idle]
    async with asyncio.timeout(4):  # before uvicorn ends them all
        while sum(task.done() for task in ended) < 2:
            await asyncio.sleep(0.01)
    for client in idle:
        client.writer.close()
    await asyncio.gather(*ended)


async def test_a_full_gateway_says_so_and_answers_health_checks(serve: Serve, dial: Any) -> None:
    gateway = await serve(max_connections=5)
    tom = await gateway.log_in("tom")
    await gateway.client.aclose()
    body = json.dumps({"query": WATCH}).encode()
    stream = await dial(
        gateway.url,
        HEAD
        + f"Authorization: {tom}\r\nAccept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body,
    )
    assert b"200 OK" in await stream.reader.readuntil(b"\r\n\r\n")
    async with _socket(gateway, {}):
        busy = [await dial(gateway.url, POST) for _ in range(3)]
        await _connected(gateway.server, 5)
        assert await (await dial(gateway.url, POST + BODY)).refused() == (503, "UNAVAILABLE")
        assert await (await dial(gateway.url, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")).refused() == (
            503,
            "UNAVAILABLE",
        )
        health = await dial(gateway.url, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await health.answer())[0] == 200
        assert await health.ended() == b""
        with pytest.raises(InvalidStatus) as full:
            async with _socket(gateway):
                pass
        assert full.value.response.status_code == 503
        busy[0].send(BODY)
        assert (await busy[0].answer())[0] == 200
        busy[0].writer.close()
        await _connected(gateway.server, 4)
        assert (await (await dial(gateway.url, POST + BODY)).answer())[0] == 200


async def test_who_is_silent_in_a_request_makes_room(serve: Serve, dial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await serve(max_connections=5)
    held = [await dial(gateway.url, sent) for sent in (b"", b"GET /", POST, POST + b"{", POST)]
    state = await _connected(gateway.server, 5)
    assert await (await dial(gateway.url, POST + BODY)).refused() == (503, "UNAVAILABLE")
    monkeypatch.setattr(connections, "SILENT", 0.0)
    monkeypatch.setattr(connections, "LOOKS", 0.0)
    state.tick(asyncio.get_running_loop().time() + 1)
    for _ in held:
        await dial(gateway.url, POST[:-1])
    assert await held[0].ended() == b""
    for client in held[1:]:
        assert await client.refused() == (503, "UNAVAILABLE")


async def test_those_beyond_the_reserve_are_told_at_once(
    serve: Serve, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESERVE", 1)
    gateway = await serve(max_connections=1)
    for _ in range(2):
        await dial(gateway.url, b"POST")
    await _connected(gateway.server, 2)
    assert await (await dial(gateway.url)).refused() == (503, "UNAVAILABLE")


async def test_hundreds_that_hold_one_byte_each_are_gone_after_their_time(serve: Serve, dial: Any) -> None:
    gateway = await serve(stall_timeout=0.3, body_timeout=LONG)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    held = [await dial(gateway.url, POST + b"{") for _ in range(min(800, (files - 400) // 2))]
    assert (await gateway.client.get("/healthz")).status_code == 200
    assert {await client.refused() for client in held} == {(503, "TIMEOUT")}
    assert (await gateway.client.get("/healthz")).status_code == 200
    await _connected(gateway.server, 1)


async def test_files_are_allowed_as_far_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"given": (256, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["given"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.update(given=given))
    servers._allow_files(1000)
    assert limits["given"] == (1000, 4096)
    servers._allow_files(10_000)
    assert limits["given"] == (4096, 4096)
    servers._allow_files(100)
    assert limits["given"] == (4096, 4096)


# Helpers --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def toy(**given: Any) -> AsyncIterator[tuple[str, Server]]:
    """An application of a few lines behind the server that gateways have."""

    async def large(_: Request) -> Response:
        return Response(bytes(LARGE))

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(LARGE // 100_000):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def headers(request: Request) -> Response:
        await request.body()
        return Response(json.dumps(dict(request.headers)))

    async def never(request: Request) -> Response:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        return Response()

    app = Starlette(
        routes=[
            Route("/large", large),
            Mount("/stream", stream),
            Route("/headers", headers, methods=["POST"]),
            Route("/never", never),
        ]
    )
    app.state.closing = asyncio.Event()
    settings = ServerSettings(port=free_port(), **given)
    server = make_server(app, settings)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0)
    yield f"http://127.0.0.1:{settings.port}", server
    server.should_exit = True
    await running


@contextlib.contextmanager
def _unread(url: str, sent: bytes) -> Any:
    """A connection that keeps little, and of which nothing is read."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        client.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        client.sendall(sent)
        client.setblocking(False)
        yield client


@dataclass
class _Noting:
    """A transport that notes what is written."""

    transport: Any
    writes: list[bytes]

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


@asynccontextmanager
async def _socket(gateway: Served, init: Any = None) -> AsyncIterator[Any]:
    url = gateway.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"], close_timeout=0.1) as websocket:  # type: ignore[list-item]
        if init is not None:
            await websocket.send(json.dumps({"type": "connection_init", "payload": init}))
            assert json.loads(await websocket.recv()) == {"type": "connection_ack"}
        yield websocket


async def _connected(server: Any, number: int) -> Connections:
    """The connections of a server, once there are so many and each has said what it has."""
    state: Connections = server.server_state
    async with asyncio.timeout(20):
        while len(state.connections) != number:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    return state


async def _clock(server: Any, seconds: float) -> None:
    state: Connections = server.server_state
    until = state.clock + seconds
    while state.clock < until:
        await asyncio.sleep(0.02)
