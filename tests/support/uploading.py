"""A client of uploads for tests: every request of tus by itself."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import sqlalchemy as sa

from db.models import File, Upload, UploadState
from resolvers.feed import upload_topic
from resolvers.spelling import global_id
from tests.support.serving import Served

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET = "application/offset+octet-stream"
BEGIN = """
mutation($input:NewUpload!){createUpload(input:$input){__typename
  ...on UploadBegun{url grant upload{id url state size received expiresAt}} ...on Problem{code message field details}}}
"""


def meta(**given: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in given.items())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Uploader:
    """Uploads of a person of the world, at one gateway or several."""

    def __init__(self, served: Served, authorization: str | None) -> None:
        self.served = served
        self.headers = {**TUS, **({"Authorization": authorization} if authorization else {})}

    async def send(self, method: str, url: str, content: Any = None, **headers: str) -> httpx2.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.served.client.request(method, url, content=content, headers={**self.headers, **given})

    async def create(self, size: int | None, name: str = "data.csv", content: Any = None, **headers: str) -> Any:
        said = {"Upload_Metadata": meta(filename=name, purpose="DATASET")}
        length = {"Upload_Defer_Length": "1"} if size is None else {"Upload_Length": str(size)}
        return await self.send("POST", "/uploads", content, **{**said, **length, **headers})

    async def begun(self, size: int | None, name: str = "data.csv", **headers: str) -> str:
        """The address of a new upload."""
        answer = await self.create(size, name, **headers)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    async def patch(self, url: str, offset: int, content: Any, **headers: str) -> httpx2.Response:
        given = {"Content_Type": OFFSET, "Upload_Offset": str(offset), **headers}
        return await self.send("PATCH", url, content, **given)

    async def offset(self, url: str) -> int:
        answer = await self.send("HEAD", url)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    async def brought(self, content: bytes, name: str = "data.csv", **said: str) -> str:
        """The address of an upload whose bytes have all come."""
        headers = {"Upload_Metadata": meta(**{"filename": name, "purpose": "DATASET", **said})}
        url = await self.begun(len(content), name, **headers)
        answer = await self.patch(url, 0, content)
        assert answer.status_code == 204, answer.text
        return url

    async def ready(self, content: bytes, name: str = "data.csv", **said: str) -> File:
        """A file that was uploaded and checked."""
        url = await self.brought(content, name, **said)
        assert (await self.checked(url)).state is UploadState.COMPLETE
        return await self.file(url)

    async def checked(self, url: str) -> Upload:
        """An upload whose bytes have all come, after its check."""
        with self.served.services.feed.subscription(upload_topic(key_in(url))) as changes:
            while (row := await self.upload(url)).state is UploadState.ASSEMBLING:
                await changes.next()
            return row

    async def upload(self, url: str) -> Upload:
        return await one(self.served, Upload, key_in(url))

    async def file(self, url: str) -> File:
        """The file of an upload."""
        upload = await self.upload(url)
        assert upload.file_id is not None
        return await one(self.served, File, upload.file_id)

    async def begin(self, **given: Any) -> dict[str, Any]:
        """What createUpload answers."""
        headers = {"Authorization": self.headers.get("Authorization", "")}
        body = {"query": BEGIN, "variables": {"input": given}}
        answer = (await self.served.client.post("/graphql", json=body, headers=headers)).json()
        assert answer.get("data"), answer
        found: dict[str, Any] = answer["data"]["createUpload"]
        return found

    async def fetched(self, file: File, **headers: str) -> httpx2.Response:
        return await self.send("GET", f"/files/{global_id('File', file.id)}/{file.name}", **headers)


async def one(served: Served, model: Any, key: UUID) -> Any:
    async with served.services.database.write(as_system="test") as session:
        row = await session.get(model, key)
        if row is not None:
            session.expunge(row)
        return row


async def number_of(served: Served, model: Any, *where: Any) -> int:
    rows = await served.services.database.rows(sa.select(sa.func.count()).select_from(model).where(*where))
    return int(rows[0][0])


def key_in(url: str) -> UUID:
    return UUID(url.rpartition("/")[2])


def code(answer: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


async def in_pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def nothing_staged(served: Served) -> None:
    """Wait until no bytes are staged: they are removed just after the state of their upload was written."""
    async with asyncio.timeout(20):
        while [one async for one in served.services.files.storage.stagings()]:
            await asyncio.sleep(0.01)
