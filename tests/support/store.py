"""A store that speaks S3, as a process of its own."""

import asyncio
import hashlib
import hmac
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from db.storage.s3 import Bucket, S3Storage
from db.storage.signing import Credentials
from tests.support.postgres import free_port

KEY, SECRET, REGION, NAME = "torana", "a-secret-of-the-tests", "us-east-1", "torana-files"


@dataclass
class Store:
    """A running store with one empty bucket. `pause` and `go_on` make it hang, and answer again."""

    endpoint: str
    process: asyncio.subprocess.Process

    def bucket(self, *, secret: str = SECRET, prefix: str = "", links: bool = True) -> Bucket:
        return Bucket(NAME, Credentials(KEY, secret, REGION), self.endpoint, prefix, links)

    @property
    def settings(self) -> dict[str, object]:
        """Settings of a gateway that keeps its files here."""
        return {
            "s3_bucket": NAME,
            "s3_endpoint": self.endpoint,
            "s3_region": REGION,
            "s3_key": KEY,
            "s3_secret": SECRET,
        }

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


def weed() -> str | None:
    """The binary of the store."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@asynccontextmanager
async def running_store(folder: Path) -> AsyncIterator[Store]:
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    given = [f"-{name}.port={port}" for name, port in ports.items()]
    given += [f"-{name}.port.grpc={free_port()}" for name in ports]
    given += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20", "-master.telemetry=false"]
    given += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    sockets = [f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}"]
    binary = weed()
    assert binary is not None
    with (folder / "weed.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary, "server", "-filer", "-s3", *given, *sockets, stdout=log, stderr=log, start_new_session=True
        )
    store = Store(f"http://127.0.0.1:{ports['s3']}", process)
    try:
        await _made(store)
        yield store
    finally:
        store.go_on()
        process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _made(store: Store) -> None:
    """Wait until the store answers and takes an object, and has the bucket."""
    storage = S3Storage(store.bucket())
    async with asyncio.timeout(60), httpx2.AsyncClient() as client:
        while True:
            try:
                await client.put(f"{store.endpoint}/{NAME}", headers=_signed(store))
                await storage.put("probe", b"x")
                await storage._removed("probe")
                return
            except Exception:
                await asyncio.sleep(0.1)


def _signed(store: Store) -> dict[str, str]:
    """Headers that sign the request which makes the bucket (Signature Version 4)."""
    host, moment = store.endpoint.removeprefix("http://"), datetime.now(UTC)
    day, stamp, empty = f"{moment:%Y%m%d}", f"{moment:%Y%m%dT%H%M%SZ}", hashlib.sha256(b"").hexdigest()
    asked = f"PUT\n/{NAME}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{empty}"
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {
        "x-amz-content-sha256": empty,
        "x-amz-date": stamp,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}",
    }
