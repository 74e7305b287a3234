"""An OpenID Connect provider that others wrote, in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.support.postgres import free_port


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """Its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "oidc_provider_mock", "-p", str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"running on" not in (line := await process.stderr.readline()):
            assert line, "the provider did not start"
    drained = asyncio.create_task(process.stderr.read())
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    await process.wait()
    await drained


async def person(provider: str, sub: str, **claims: Any) -> None:
    """Someone whom it knows."""
    async with httpx2.AsyncClient() as client:
        answer = await client.put(f"{provider}/users/{sub}", json=claims)
        assert answer.status_code == 204


def lab_of(issuer: str, **more: Any) -> list[dict[str, Any]]:
    """The setting of a gateway whose provider it is."""
    return [{"name": "lab", "issuer": issuer, "client_id": "torana", "client_secret": "hush", **more}]
