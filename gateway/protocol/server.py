"""The uvicorn server, with bounds on connections. Before it stops it tells streams and sockets, and waits for them."""

import asyncio
import logging
import resource
import socket
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from db.types import instant_text
from gateway.protocol.connections import RESERVE, Connection, Connections
from gateway.settings.server import ServerSettings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The value by which the log lines of one request belong together."""

GRACE = 10
"""Seconds in which running requests may finish."""
FRAME = 256 * 1024
"""The most bytes of a WebSocket message."""
FILES = 512
"""Open files for everything but connections: databases, tasks, logs."""

log = structlog.get_logger("torana")


class Server(uvicorn.Server):
    """The server. uvicorn closes sockets with 1012; streams end themselves when they are told."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.server_state = self._connections = connections

    async def on_tick(self, counter: int) -> bool:
        self._connections.tick(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.closing.set()
        await super().shutdown(sockets)


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket that buffers nothing for a client that sends without reading, or that sends empty fragments."""

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        if event.data or event.fin:
            super().handle_cont(event)


def make_server(app: Starlette, settings: ServerSettings) -> Server:
    _allow_files(settings.max_connections + 2 * RESERVE + FILES)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Connection,
        ws=Socket,
        log_config=None,
        access_log=False,
        ws_max_size=FRAME,
        ws_ping_interval=20,
        ws_per_message_deflate=False,  # costs more memory for each socket than all else that it holds
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        lifespan="on",
    )
    return Server(config, Connections(settings))


def _allow_files(needed: int) -> None:
    """Let the process open so many files, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("files.few", needed=needed, allowed=allowed)


def _stamp(_: Any, method: str, event: Any) -> Any:
    """Add the request, the level and the time."""
    if (number := request_id.get()) is not None:
        event["request"] = number
    event["level"] = method
    event["timestamp"] = instant_text(datetime.now(UTC))
    return event


def set_up_logs(form: str, level: int = logging.INFO) -> None:
    """Set up structured logs on standard error, as text or JSON; libraries' warnings go the same way."""
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    shared: list[Any] = [_stamp]
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=orjson.dumps)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    # Local variables would put passwords and tokens into the log.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    errors = [structlog.processors.ExceptionRenderer(transformer)] if form == "json" else []
    structlog.configure(
        processors=[*shared, *errors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer)
        if form == "json"
        else structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer() if form == "json" else renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
