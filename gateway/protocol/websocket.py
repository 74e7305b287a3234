"""GraphQL over WebSocket: the graphql-transport-ws protocol."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from db.outages import Unavailable
from gateway.operations.documents import Documents, Envelope, Operation
from gateway.operations.errors import AGAIN, internal, of_outage, refused
from gateway.operations.execution import Execution
from gateway.operations.fanout import Broadcasts
from gateway.operations.responses import Answer, Refused, encode
from gateway.protocol import client_certificates, cookies
from gateway.protocol.asgi import client_of
from gateway.protocol.authentication import authenticate, keep, presented
from gateway.protocol.bodies import read
from gateway.protocol.http import note, run_logged
from gateway.settings.server import ServerSettings
from resolvers.context import Browser, Context, Services, lane_of
from resolvers.failures import Failure
from resolvers.identity.principal import Kind, Principal

PROTOCOL = "graphql-transport-ws"
INIT_WAIT = 10.0
"""Seconds that a client has for connection_init."""
AWAY = 1013
"""The close code "try again later" of the registry of RFC 6455."""
MOST = 100
"""The most operations of one socket at once."""
ANSWERS = 4
"""The most queries and mutations of one socket that run, or whose answers are being sent, at once."""

log = structlog.get_logger("torana")


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    documents: Documents
    execution: Execution
    broadcasts: Broadcasts
    services: Services
    settings: ServerSettings

    async def __call__(self, socket: WebSocket) -> None:
        if not self._from_here(socket):
            await socket.close(4403)
            return
        if PROTOCOL not in socket.scope.get("subprotocols", ()):
            await socket.accept()
            await socket.close(4406, f"this speaks {PROTOCOL}")
            return
        await socket.accept(PROTOCOL)
        await _Socket(self, socket).serve()

    def _from_here(self, socket: WebSocket) -> bool:
        """Whether the page that opens the socket is ours or allowed: other sites may not open sockets in a visitor's
        name. Programs send no Origin."""
        origin = socket.headers.get("origin")
        if origin is None or origin in self.settings.allowed_origins:
            return True
        scheme = {"ws": "http", "wss": "https"}[socket.url.scheme]
        return origin == f"{scheme}://{socket.headers.get('host', '')}"


class _Closed(Exception):
    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class _Socket:
    """A connected client: its principal, and its running operations by id."""

    def __init__(self, endpoint: SocketEndpoint, socket: WebSocket) -> None:
        self._endpoint = endpoint
        self._socket = socket
        self._client = client_of(socket.scope, socket.headers.get("user-agent"))
        self._cookie = cookies.HEADER in socket.headers
        self._principal: Principal | None = None
        self._no_good: Failure | None = None
        """The failure of a bad credential: the socket belongs to nobody, and runs only what anyone may."""
        self._authorization: str | None = None
        self._certificate = client_certificates.shown(socket.headers.get("authorization"))
        self._known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._contexts: dict[str, Context] = {}
        self._answers = asyncio.Semaphore(ANSWERS)

    async def serve(self) -> None:
        watchers = [asyncio.create_task(self._receive()), asyncio.create_task(self._expire())]
        try:
            done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            for watcher in done:
                watcher.result()
        except WebSocketDisconnect:
            pass
        except _Closed as closed:
            await self._close(closed.code, closed.reason)
        except Exception as error:
            internal(error)
            await self._close(4500, "internal server error")
        finally:
            pending = [*watchers, *self._operations.values()]
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout(INIT_WAIT):
                while not self._known.done():
                    await self._take(await self._message())
        except TimeoutError:
            raise _Closed(4408, "Connection initialisation timeout") from None
        while True:
            await self._take(await self._message())

    async def _message(self) -> dict[str, Any]:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        try:
            text = received.get("text")
            message = read(received.get("bytes") or b"" if text is None else text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise _Closed(4400, "a message must be a JSON object")
        return message

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        payload = message.get("payload")
        if kind == "ping":
            await self._send({"type": "pong"})
        elif kind == "pong":
            return
        elif kind == "connection_init":
            await self._init(payload)
        elif kind == "subscribe":
            await self._subscribe(message.get("id"), payload)
        elif kind == "complete" and isinstance(message.get("id"), str):
            if (task := self._operations.pop(message["id"], None)) is not None:
                self._contexts.pop(message["id"], None)
                task.cancel()
        else:
            raise _Closed(4400, "unknown message type")

    async def _init(self, payload: Any) -> None:
        if self._principal is not None:
            raise _Closed(4429, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise _Closed(4400, "the payload of connection_init must be an object")
        given = {name.lower(): value for name, value in (payload or {}).items()}
        self._cookie = self._cookie or cookies.HEADER in given
        authorization = given.get("authorization", self._certificate)
        if authorization is not None and not isinstance(authorization, str):
            raise _Closed(4400, "authorization must be a text")
        try:
            self._principal, self._no_good = await presented(self._endpoint.services, authorization)
        except Unavailable:
            raise _Closed(AWAY, "the database is away; try again") from None
        if self._no_good is not None and self._no_good.code in AGAIN:
            raise _Closed(AWAY, self._no_good.message[:120])
        self._authorization = authorization if self._no_good is None else None
        await self._send({"type": "connection_ack"})
        self._known.set_result(None)

    async def _subscribe(self, number: Any, payload: Any) -> None:
        if self._principal is None:
            raise _Closed(4401, "Unauthorized")
        if not isinstance(number, str) or not number:
            raise _Closed(4400, "subscribe needs an id")
        if number in self._operations:
            raise _Closed(4409, f"Subscriber for {number[:64]} already exists")
        if len(self._operations) >= MOST:
            raise _Closed(4429, f"at most {MOST} operations at once")
        try:
            envelope = msgspec.convert(payload, Envelope)
        except msgspec.ValidationError as error:
            raise _Closed(4400, f"the payload of subscribe is wrong: {error}"[:120]) from None
        self._operations[number] = asyncio.create_task(self._run(number, envelope, self._principal))

    async def _run(self, number: str, envelope: Envelope, principal: Principal) -> None:
        began = time.perf_counter()
        execution = self._endpoint.execution
        try:
            operation = await self._asked(envelope, principal)
            browser = Browser(unable=True) if self._cookie else None
            services = self._endpoint.services
            again = partial(authenticate, services, self._authorization)
            ctx = Context(services, principal, self._client, browser=browser, refused=self._no_good, presented=again)
            self._contexts[number] = ctx
            if operation.kind is not OperationType.SUBSCRIPTION:
                async with self._answers:
                    answer = await run_logged(execution, operation, envelope.variables, ctx)
                    if "data" not in answer.body:
                        raise Refused(answer)
                    await self._next(number, answer)
                    del answer
            else:
                try:
                    stream = self._endpoint.broadcasts.stream(operation, envelope.variables, ctx)
                    async with contextlib.aclosing(stream) as answers:
                        async for answer in answers:
                            if "data" not in answer.body:
                                raise Refused(answer)
                            await self._next(number, answer)
                            del answer  # not to be held until the next one comes
                finally:
                    note(operation, ctx, began, 0, [])
            await self._send({"id": number, "type": "complete"})
        except Refused as refusal:
            errors = refusal.answer.body["errors"]
            await self._send({"id": number, "type": "error", "payload": errors})
        except (WebSocketDisconnect, RuntimeError) as error:
            if self._socket.client_state is WebSocketState.CONNECTED and not isinstance(error, WebSocketDisconnect):
                raise
        except Exception as error:
            failure = of_outage(error)
            told = internal(error) if failure is None else refused(failure)
            await self._send({"id": number, "type": "error", "payload": [told]})
        finally:
            if self._operations.get(number) is asyncio.current_task():
                del self._operations[number]
                self._contexts.pop(number, None)

    async def _asked(self, envelope: Envelope, principal: Principal) -> Operation:
        lane = lane_of(principal, self._client)
        operation = await self._endpoint.documents.asked(envelope, lane, any_text=principal.kind is Kind.WORKER)
        if self._no_good is not None and not operation.defined.open:
            raise Refused(Answer.failed(refused(self._no_good)))
        return operation

    async def _next(self, number: str, answer: Answer) -> None:
        text = b'{"id":%b,"type":"next","payload":%b}' % (encode(number), answer.text)
        await self._socket.send_text(text.decode())

    async def _expire(self) -> None:
        """Close the socket when its token ends, or when its credential is no longer valid."""
        await self._known
        assert self._principal is not None
        try:
            await keep(self._endpoint.services, self._authorization, self._principal, self._renew)
        except Failure as failure:
            raise _Closed(4403, f"{failure.code.name}: {failure.message}"[:120]) from None

    def _renew(self, principal: Principal) -> None:
        self._principal = principal
        for ctx in self._contexts.values():
            ctx.become(principal)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(encode(message).decode())

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(code, reason)
