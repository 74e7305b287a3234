"""A bare ASGI function that sends a file: what the machine, uvicorn and the client leave to gain."""

import os
from pathlib import Path
from typing import Any

CONTENT = Path(os.environ["BARE_CONTENT"]).read_bytes() if "BARE_CONTENT" in os.environ else b""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    fresh = any(name == b"if-none-match" for name, _ in scope["headers"])
    headers = [(b"content-length", b"0" if fresh else str(len(CONTENT)).encode())]
    await send({"type": "http.response.start", "status": 304 if fresh else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if fresh else CONTENT})
