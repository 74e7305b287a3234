"""Uploads in trouble: lines that are cut, gateways that are killed, a full disk. Nothing is lost, stuck or left over."""

import asyncio
import os
import random
import resource
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.models import Upload, UploadState
from resolvers.spelling import global_id
from tests.support.databases import Prepared
from tests.support.platforms import KEY
from tests.support.uploading import OFFSET, TUS, key_in, meta, sha256
from tests.work.test_running import Process

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

META = meta(filename="values.bin", purpose="DATASET")


class Gateways:
    """Gateways of their own processes, on one database and one folder of files."""

    def __init__(self, url: str, processes: list[Process], folder: Path) -> None:
        self.processes = processes
        self.folder = folder
        self.url = url
        self.headers: dict[str, str] = {}

    async def sign_in(self) -> None:
        self.headers = {**TUS, "Authorization": await self.processes[0].log_in("tom")}  # type: ignore[arg-type]

    async def begun(self, size: int) -> str:
        given = {"Upload-Length": str(size), "Upload-Metadata": META}
        answer = await self.processes[0].client.post("/uploads", headers={**self.headers, **given})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    async def offset(self, url: str, number: int = 0) -> int:
        """How much came, once nobody holds the upload."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.processes[number].client.head(url, headers=self.headers)
                if answer.status_code == 200:
                    return int(answer.headers["upload-offset"])
                assert answer.status_code == 423

    async def patch(self, url: str, offset: int, content: Any, number: int = 0) -> httpx2.Response:
        given = {"Upload-Offset": str(offset), "Content-Type": OFFSET}
        return await self.processes[number].client.patch(url, content=content, headers={**self.headers, **given})

    async def cut(self, url: str, offset: int, content: bytes, after: int, number: int = 0) -> None:
        """Send so many bytes of the rest, then reset the connection."""
        address = urlsplit(str(self.processes[number].client.base_url))
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        rest = len(content) - offset
        given = {"Host": address.netloc, "Upload-Offset": offset, "Content-Type": OFFSET, "Content-Length": rest}
        head = "".join(f"{name}: {value}\r\n" for name, value in {**self.headers, **given}.items())
        writer.write(f"PATCH {url} HTTP/1.1\r\n{head}\r\n".encode() + content[offset : offset + after])
        await writer.drain()
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        await asyncio.gather(reader.read(), return_exceptions=True)

    async def ready(self, url: str) -> None:
        """Wait until the file is READY."""
        async with asyncio.timeout(90):
            while True:
                (row,) = await self._rows(url)
                if row.state is UploadState.COMPLETE:
                    return
                assert row.state is UploadState.ASSEMBLING, row.refusal
                await asyncio.sleep(0.05)

    async def _rows(self, url: str) -> Any:
        database = Database(self.url)
        try:
            return await database.rows(
                sa.select(Upload.state, Upload.refusal, Upload.received).where(Upload.id == key_in(url))
            )
        finally:
            await database.dispose()

    async def received(self, url: str) -> int:
        """How much is written down."""
        (row,) = await self._rows(url)
        return int(row.received)

    async def content(self, url: str) -> bytes:
        query = "query($u:ID!){upload(id:$u){file{downloadUrl digest}}}"
        id = global_id("Upload", key_in(url))
        bearer = self.headers["Authorization"]
        told = (await self.processes[0].ask(query, bearer, u=id))["upload"]["file"]  # type: ignore[arg-type]
        parts = urlsplit(told["downloadUrl"])
        content = (await self.processes[0].client.get(f"{parts.path}?{parts.query}")).content
        assert sha256(content) == told["digest"]
        return content

    async def verified(self) -> str:
        """What `torana files verify` says."""
        environment = {
            **os.environ, "TORANA_DATABASE_URL": self.url, "TORANA_DATA_DIR": str(self.folder), "TORANA_SECRET_KEYS": KEY,
            "TORANA_FILES_DIR": str(self.folder / "files"),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "files", "verify", env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, complaint = await process.communicate()
        assert process.returncode == 0, (told, complaint)
        return told.decode()

    def staged(self) -> list[str]:
        return [path.name for path in (self.folder / "files" / "uploads").iterdir()]


@asynccontextmanager
async def _running(prepared: Prepared, folder: Path, backend: str, number: int) -> AsyncIterator[Gateways]:
    url, _ = await prepared.copy(backend)
    async with AsyncExitStack() as stack:
        processes = []
        for n in range(number):
            own = folder / str(n)
            own.mkdir()
            process = Process(url, own, TORANA_FILES_DIR=str(folder / "files"), TORANA_DISPATCH="false")
            await process.start()
            stack.push_async_callback(_end, process)
            processes.append(process)
        gateways = Gateways(url, processes, folder)
        await gateways.sign_in()
        yield gateways


async def _end(process: Process) -> None:
    if process._process is not None and process._process.returncode is None:
        await process.signal(signal.SIGKILL)


async def test_a_line_that_is_cut_at_random_bytes_over_two_gateways_in_turn(prepared: Prepared, tmp_path: Path) -> None:
    content, chance = random.Random(15).randbytes(9_000_000), random.Random(16)
    async with _running(prepared, tmp_path, "postgresql", 2) as gateways:
        url = await gateways.begun(len(content))
        offset = 0
        for n in range(10):
            await gateways.cut(url, offset, content, chance.randrange(1_500_000), n % 2)
            after = await gateways.offset(url, (n + 1) % 2)
            assert after >= offset
            offset = after
        # As a client does when bytes of the line that was cut came to be known after it asked.
        while (answer := await gateways.patch(url, offset, content[offset:], 1)).status_code in (409, 423):
            offset = await gateways.offset(url, 1)
        assert answer.status_code == 204
        await gateways.ready(url)
        assert await gateways.content(url) == content
        assert gateways.staged() == []
        assert "1 stored files of 9,000,000 bytes; nothing wrong" in await gateways.verified()


@pytest.mark.parametrize("kept_in", ["sqlite", "postgresql"])
async def test_a_gateway_killed_during_a_part(prepared: Prepared, tmp_path: Path, kept_in: str) -> None:
    content = random.Random(17).randbytes(6_000_000)
    async with _running(prepared, tmp_path, kept_in, 1) as gateways:
        url = await gateways.begun(len(content))
        killed = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            for start in range(0, 4_000_000, 500_000):
                yield content[start : start + 500_000]
                await asyncio.sleep(0.4)  # so that some is written down, and some is not
            await killed.wait()

        sending = asyncio.create_task(gateways.patch(url, 0, slowly()))
        async with asyncio.timeout(30):
            while not (came := await gateways.received(url)):
                await asyncio.sleep(0.05)
        await gateways.processes[0].signal(signal.SIGKILL)
        killed.set()
        await asyncio.gather(sending, return_exceptions=True)
        await gateways.processes[0].start()
        offset = await gateways.offset(url)
        assert came <= offset <= 4_000_000
        assert (await gateways.patch(url, offset, content[offset:])).status_code == 204
        await gateways.ready(url)
        assert await gateways.content(url) == content
        assert gateways.staged() == []


@pytest.mark.parametrize("kept_in", ["sqlite", "postgresql"])
async def test_a_gateway_killed_between_the_last_byte_and_ready(
    prepared: Prepared, tmp_path: Path, kept_in: str
) -> None:
    content = random.Random(18).randbytes(1_000_000) * 120
    async with _running(prepared, tmp_path, kept_in, 1) as gateways:
        for _ in range(2):
            url = await gateways.begun(len(content))
            assert (await gateways.patch(url, 0, content)).status_code == 204
            await gateways.processes[0].signal(signal.SIGKILL)
            await gateways.processes[0].start()
            await gateways.ready(url)
        assert await gateways.content(url) == content
        assert "1 stored files" in await gateways.verified()
        assert gateways.staged() == []


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(prepared: Prepared, tmp_path: Path) -> None:
    """The system refuses the gateway's process larger files: what a full disk does to a write."""
    content = random.Random(19).randbytes(8_000_000)
    async with _running(prepared, tmp_path, "postgresql", 1) as gateways:
        own = gateways.processes[0]._process
        assert own is not None
        url = await gateways.begun(len(content))
        _, most = resource.prlimit(own.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (3_500_000, most))
        answer = await gateways.patch(url, 0, content)
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await gateways.processes[0].client.get("/readyz")).status_code == 200
        resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (most, most))
        offset = await gateways.offset(url)
        assert offset <= 3_500_000
        assert (await gateways.patch(url, offset, content[offset:])).status_code == 204
        await gateways.ready(url)
        assert await gateways.content(url) == content
