"""Uvicorn, with an end that tells streams and sockets before it waits for them."""

import logging
import socket
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette

from db.types import instant_text

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""What tells the lines of one request in the log."""

GRACE = 10
"""Seconds that requests under way have to finish."""
FRAME = 256 * 1024
"""Bytes of a WebSocket message."""


class Server(uvicorn.Server):
    """Sockets are closed by uvicorn, with 1012; streams end themselves once told."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.closing.set()
        await super().shutdown(sockets)


def make_server(app: Starlette, host: str, port: int) -> Server:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        ws_max_size=FRAME,
        ws_ping_interval=20,
        ws_per_message_deflate=False,  # costs more memory for each socket than all else that it holds
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        lifespan="on",
    )
    return Server(config)


def _stamp(_: Any, method: str, event: Any) -> Any:
    """The request, the level and the time."""
    if (number := request_id.get()) is not None:
        event["request"] = number
    event["level"] = method
    event["timestamp"] = instant_text(datetime.now(UTC))
    return event


def set_up_logs(form: str, level: int = logging.INFO) -> None:
    """Structured lines to standard error, as text or JSON; libraries' warnings go the same way."""
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
