"""A WebSocket that does no more than a benchmark of subscriptions needs: it asks one, and tells of each answer."""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

PROTOCOL = "graphql-transport-ws"


class Subscriber(asyncio.Protocol):
    """Speaks graphql-transport-ws; `heard` gets each message's text, undecoded."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._buffer = b""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def ask(
        cls, url: str, authorization: str, query: str, variables: dict[str, Any], heard: Callable[[bytes], None]
    ) -> "Subscriber":
        """Connect, and subscribe."""
        parts = urlsplit(url)
        host, _, port = parts.netloc.partition(":")
        _, made = await asyncio.get_running_loop().create_connection(lambda: cls(heard), host, int(port))
        assert made._transport is not None
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {PROTOCOL}",
        ]  # fmt: skip
        made._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        await made._opened
        made._say({"type": "connection_init", "payload": {"Authorization": authorization}})
        await made._acknowledged
        made._say({"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})
        return made

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _say(self, message: Any) -> None:
        assert self._transport is not None
        text = orjson.dumps(message)
        size = len(text)
        head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2)
        self._transport.write(head + b"\0\0\0\0" + text)  # masked with nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done():
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._opened.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self._opened.set_result(None)
            self._buffer = rest
        while (frame := self._frame()) is not None:
            kind, text = frame
            if kind == 9:  # a ping
                assert self._transport is not None
                self._transport.write(bytes([0x8A, 0x80 | len(text)]) + b"\0\0\0\0" + text)
            elif kind == 1 and not self._acknowledged.done():
                self._acknowledged.set_result(None)
            elif kind == 1:
                self._heard(text)

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < 2:
            return None
        size, start = self._buffer[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(self._buffer) < start:
                return None
            size = int.from_bytes(self._buffer[2:start])
        if len(self._buffer) < start + size:
            return None
        kind, text = self._buffer[0] & 0x0F, self._buffer[start : start + size]
        self._buffer = self._buffer[start + size :]
        return kind, text
