"""The floor: what is left when nobody asks for a GraphQL server. SQL written by hand for each operation builds the
response's JSON; a bare ASGI function fetches it on connections that are kept open, and sends it.

No parsing, no validation, no sign-in, no visibility, no limits: an operation is known by its document.
"""

import asyncio
import os
from typing import Any

import orjson

from bench.floors import postgresql, sqlite

URL = os.environ.get("BENCH_DATABASE_URL", "")
DATABASE: Any = sqlite if URL.startswith("sqlite") else postgresql

kept: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
"""The connections that nobody uses."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    asked = orjson.loads(body)
    connection = await kept.get()
    try:
        answer = await DATABASE.ANSWERS[asked["query"]](connection, asked["variables"])
    finally:
        kept.put_nowait(connection)
    length = str(len(answer)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _live(receive: Any, send: Any) -> None:
    await receive()
    for _ in range(DATABASE.CONNECTIONS):
        kept.put_nowait(await DATABASE.connected(URL))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
