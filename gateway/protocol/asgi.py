"""HTTP requests and replies on plain ASGI, with no more than GraphQL needs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

PARAMETERS = 100
"""The most parameters of a URL."""


class Disconnected(Exception):
    """The client disconnected before it had sent its request."""


class Incoming:
    """A request. `headers` are by name in lower case; of a repeated header only the first counts, but all of Accept."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = {}
        self.repeated: list[bytes] = []
        for name, value in scope["headers"]:
            if name not in self.headers:
                self.headers[name] = value
            elif name == b"accept":
                self.headers[name] += b", " + value
            else:
                self.repeated.append(name)
        self._scope = scope
        self._receive = receive

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL; raises ValueError for too many."""
        text = self._scope["query_string"].decode("latin-1")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=PARAMETERS))

    @property
    def client(self) -> dict[str, Any]:
        """The client's address and program, for the audit record and rate limits."""
        return client_of(self._scope, self.header(b"user-agent"))

    async def body(self, most: int, seconds: float | None = None) -> bytes | None:
        """The body; None when it has more than `most` bytes. Raises Disconnected, and TimeoutError when it has begun
        and is not complete after so many seconds."""
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):  # as most do: no timer is made for it
            whole: bytes = message.get("body", b"")
            return whole if len(whole) <= most else None
        body = bytearray()
        async with asyncio.timeout_at(until):
            while True:
                if message["type"] == "http.disconnect":
                    raise Disconnected
                body += message.get("body", b"")
                if len(body) > most:
                    return None
                if not message.get("more_body"):
                    return bytes(body)
                message = await self._receive()


@dataclass(slots=True)
class Reply:
    """The reply: sent at once, or as a `stream`."""

    status: int
    media: str
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.stream is not None:
            await StreamingResponse(self.stream, self.status, self.headers, self.media)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status, "headers": list(self._fields())})
        await send({"type": "http.response.body", "body": self.body})

    def _fields(self) -> Iterator[tuple[bytes, bytes]]:
        if self.status != 204:  # which has no content
            yield b"content-type", self.media.encode()
            yield b"content-length", str(len(self.body)).encode()
        for name, value in self.headers.items():
            yield name.lower().encode(), value.encode()


def client_of(scope: Scope, agent: str | None) -> dict[str, Any]:
    """The address and the program of a client, as far as they are known."""
    found = {"ip": scope["client"][0]} if scope.get("client") else {}
    return {**found, "agent": agent[:200]} if agent else found
