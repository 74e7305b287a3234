"""Bounds on client connections: how many there may be, and how long each may wait for its client.

uvicorn ends only a connection that is idle between two requests. This module looks at all of them once a second, and
ends those whose client does not send what it is to send. The system ends those whose client does not receive.
"""

import asyncio
import socket
from collections import Counter
from enum import Enum, auto
from typing import Any

import orjson
import structlog
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.operations.errors import BAD_REQUEST, Formatted, refused
from gateway.protocol.asgi import Reply
from gateway.settings.server import ServerSettings
from resolvers.failures import RETRY_AFTER, Away, TimedOut

HEAD = 64 * 1024
"""The most bytes of a request besides its body: its head, the framing of a chunked body, its trailers."""
RESERVE = 64
"""Connections over the bound whose request is still read, to answer `HEALTH` and refuse others; any further one is
refused at once."""
HEALTH = b"/healthz"
AHEAD = 100
"""The most requests that a client may send before the first is answered."""
SILENT = 2.0
"""Seconds after which a client that must send something makes room for another, when there are as many as allowed."""
LOOKS = 0.1
"""The least seconds between two searches for connections that make room."""
_JSON = "application/json; charset=utf-8"

log = structlog.get_logger("torana")


class Wait(Enum):
    """What the client must send next."""

    HEAD = auto()
    BODY = auto()
    ANOTHER = auto()
    """A further request, if it likes; uvicorn ends the connection otherwise."""


class Connections(ServerState):
    """All connections of a server, WebSockets included. `clock` counts seconds, but only few of those in which the
    process stood still: what clients sent meanwhile must still be read."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__()
        self.most = settings.max_connections
        self.header_timeout = settings.header_timeout
        self.stall_timeout = settings.stall_timeout
        self.clock = self._swept = self._looked = 0.0
        self.leaving: set[Connection] = set()
        self.counted: Counter[str] = Counter()
        self._every = max(0.1, min(1.0, self.header_timeout / 4, self.stall_timeout / 4))
        self._spare: list[Connection] = []

    @property
    def over(self) -> int:
        """How many more connections there are than allowed."""
        return len(self.connections) - len(self.leaving) - self.most

    def tick(self, now: float) -> None:
        """Sweep when it is time."""
        if (passed := now - self._swept) >= self._every:
            self._swept = now
            self.clock += min(passed, 2 * self._every)
            self.sweep()

    def sweep(self) -> None:
        """End the connections whose clients kept the server waiting for too long."""
        self._spare.clear()
        for each in tuple(self.connections):
            if isinstance(each, Connection):
                each.check()
        if self.counted:
            write = log.warning if self.counted["over"] or self.counted["made_room"] else log.info
            write("connections.ended", held=len(self.connections), **+self.counted)
            self.counted.clear()

    def past(self, since: float, seconds: float) -> bool:
        """Whether so many seconds have passed for certain: `since` may be one sweep older than what happened."""
        return self.clock - since >= seconds + self._every

    def make_room(self, now: float) -> bool:
        """End one connection that does nothing: an idle one, else one that waits for its client in the middle of a
        request."""
        if not self._spare and now - self._looked >= LOOKS:
            self._looked = now
            found = [(wait, each) for each in self.connections if isinstance(each, Connection) if (wait := each.wait)]
            found.sort(key=lambda pair: (pair[0] is Wait.ANOTHER, -pair[1].since))
            self._spare = [each for _, each in found]
        while self._spare:
            if self._spare.pop().leave():
                self.counted["made_room"] += 1
                return True
        return False


class Connection(HttpToolsProtocol):
    """An HTTP/1.1 connection. `since` is when its client last did what it had to do."""

    __slots__ = (
        "_framing",
        "_over",
        "_part",
        "_running",
        "since",
    )  # a further attribute of uvicorn's would make all of them slow

    server_state: Connections

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.since = self.server_state.clock
        self._part: Wait | None = None
        self._running: RequestResponseCycle | None = None
        self._framing = 0
        self._over = False

    @property
    def answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    @property
    def wait(self) -> Wait | None:
        """What the client must send; None while the server works, or when the connection is done."""
        if self.transport.is_closing():
            return None
        if self._part is Wait.BODY:
            if not self.flow.read_paused:
                return Wait.BODY
            self.since = self.server_state.clock
            return None
        if self.answering:
            return None
        if self._part is None and self.timeout_keep_alive_task is not None:
            return Wait.ANOTHER
        return Wait.HEAD

    def check(self) -> None:
        """End the connection if its client took too long."""
        wait, every = self.wait, self.server_state
        if wait is Wait.HEAD and every.past(self.since, every.header_timeout):
            every.counted["head"] += 1
            self.end(503, refused(TimedOut(f"the head of a request is to come within {every.header_timeout:g} s")))
        elif wait is Wait.BODY and every.past(self.since, every.stall_timeout):
            every.counted["body"] += 1
            self.end(503, refused(TimedOut(f"no byte of the body came for {every.stall_timeout:g} s")))

    def leave(self) -> bool:
        """End the connection to make room, unless the client is being answered, or is just sending something."""
        wait, every = self.wait, self.server_state
        if wait is None or self.transport.get_write_buffer_size():
            return False
        if wait is not Wait.ANOTHER and every.clock - self.since < SILENT:
            return False
        self.end(503, refused(_full()))
        return True

    def end(self, status: int, error: Formatted, *, asked: bool = False) -> None:
        """Close the connection. When a request was begun and no answer has begun, say why."""
        begun = self._running is not None and self._running.response_started
        if (asked or self._part is not None) and not (begun and (self.answering or self._part is Wait.BODY)):
            content = orjson.dumps({"errors": [error]})
            fields = [
                *self.server_state.default_headers,
                (b"content-type", _JSON.encode()),
                (b"content-length", b"%d" % len(content)),
                (b"cache-control", b"no-store"),
                (b"connection", b"close"),
            ]
            if "retryAfterSeconds" in error["extensions"]:
                fields.append((b"retry-after", b"%d" % error["extensions"]["retryAfterSeconds"]))
            head = b"".join(b"%b: %b\r\n" % field for field in fields)
            self.transport.write(STATUS_LINE[status] + head + b"\r\n" + content)
        self.tell()
        self.server_state.leaving.add(self)
        self.transport.close()

    def tell(self) -> None:
        """Tell the running request that the client is gone: uvicorn tells only the newest request, which may be
        queued."""
        if self._running is not None and self.answering:
            self._running.disconnected = True
            self._running.message_event.set()

    # What uvicorn and its parser call ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        every = self.server_state
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux, which then resets connections that are not read from
            milliseconds = round(every.stall_timeout * 1000)
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        if every.over <= 0 or every.make_room(self.loop.time()):
            return
        every.counted["over"] += 1
        self._over = True
        if every.over > RESERVE:
            self.end(503, refused(_full()), asked=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.leaving.discard(self)
        self.tell()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        while len(data) > HEAD:
            self.data_received(data[:HEAD])
            data = data[HEAD:]
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
        if self._part is None:
            self._part = Wait.HEAD
            self.since = self.server_state.clock
        self._framing += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._framing >= HEAD:
            message = f"the head of a request, or the trailers of its body, are over {HEAD} bytes"
            self.end(431, {"message": message, "extensions": {"code": BAD_REQUEST}})

    def send_400_response(self, msg: str) -> None:
        message = f"this is not HTTP/1.1, or over {AHEAD} requests were sent ahead"
        self.end(400, {"message": message, "extensions": {"code": BAD_REQUEST}}, asked=True)

    def handle_websocket_upgrade(self) -> None:
        if self._over:
            self.end(503, refused(_full()), asked=True)
        else:
            super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        self._part = Wait.BODY
        self.since = self.server_state.clock
        if self._over and self.url != HEALTH:
            self.app = _answer_full
        HttpToolsProtocol.on_headers_complete(self)
        if not self.parser.should_upgrade():
            self.headers = _DROPPED  # trailers come the same way, when the request is under way already
        if self._over and self.cycle is not None:
            self.cycle.keep_alive = False
        if len(self.pipeline) > AHEAD:
            raise OverflowError("too many requests at once")  # which the parser takes for an error of the request

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        if self.cycle is not None and not self.cycle.response_complete:
            self.since = self.server_state.clock
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._part = None
        self._framing = 0
        HttpToolsProtocol.on_message_complete(self)


class _Dropped(list[tuple[bytes, bytes]]):
    def append(self, _: tuple[bytes, bytes]) -> None:
        """Drop the item."""


_DROPPED = _Dropped()


def _full() -> Away:
    return Away("the gateway has as many connections as it may; try again")


async def _answer_full(scope: Scope, receive: Receive, send: Send) -> None:
    content = orjson.dumps({"errors": [refused(_full())]})
    headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
    await Reply(503, _JSON, content, headers=headers)(scope, receive, send)
