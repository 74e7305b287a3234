"""A bare ASGI function that hashes and writes what it is sent: what the machine and uvicorn leave to gain."""

import hashlib
import os
from typing import Any

TARGET = os.environ.get("BARE_TARGET", "")


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    status = 200
    if scope["method"] == "PUT":
        hasher = hashlib.sha256()
        with open(TARGET, "wb", buffering=0) as file:  # noqa: ASYNC230
            while True:
                message = await receive()
                piece = message.get("body", b"")
                hasher.update(piece)
                file.write(piece)
                if not message.get("more_body"):
                    break
            os.fdatasync(file.fileno())
        status = 204
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})
