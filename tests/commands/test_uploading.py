"""`torana upload` and `torana files verify`, as people run them."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from db.models import Upload, UploadState
from resolvers.spelling import global_id
from tests.support.platforms import KEY as KEYS
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, number_of, one, sha256

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

KEY = 'mutation{createApiKey(label:"x",scopes:[READ,WRITE]){__typename ...on IssuedCredential{secret}}}'


class Torana:
    """The command, with a key of tom's."""

    def __init__(self, gateway: Served, folder: Path, token: str) -> None:
        self.environment = {**os.environ, "TORANA_TOKEN": token, "TORANA_GATEWAY": gateway.url, "COLUMNS": "100"}
        self.folder = folder

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", *arguments, env=self.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        told, complaint = await process.communicate()
        return process.returncode, told.decode(), complaint.decode()

    def file(self, content: bytes, name: str = "values.bin") -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture
async def gateway(serve: Serve) -> Served:
    return await serve("sqlite")


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


@pytest.fixture
async def torana(gateway: Served, tom: Uploader, tmp_path: Path) -> Torana:
    made: Any = (await gateway.ask(KEY, tom.headers["Authorization"]))["createApiKey"]
    return Torana(gateway, tmp_path, made["secret"])


async def test_a_file_is_uploaded_and_its_id_printed(torana: Torana, tom: Uploader, gateway: Served) -> None:
    content = os.urandom(300_000)
    status, told, complaint = await torana.run("upload", torana.file(content), "--to", gateway.world.id("Project", "shared"))  # fmt: skip
    assert status == 0, complaint
    assert "100%" in complaint or "0:00:00" in complaint
    rows = await gateway.services.database.rows(Upload.__table__.select())
    upload = await one(gateway, Upload, rows[0].id)
    assert told.strip() == global_id("File", upload.file_id)
    assert upload.project_id == gateway.world.shared
    assert (await tom.fetched(await tom.file(f"/uploads/{upload.id}"))).content == content


async def test_a_command_that_was_killed_goes_on(torana: Torana, tom: Uploader, gateway: Served) -> None:
    content = os.urandom(40_000_000)
    path = torana.file(content)
    process = await torana.start("upload", path, "--to", "DATASET")
    with gateway.services.feed.subscription("upload:*") as changes:
        while not await number_of(gateway, Upload):
            await changes.next()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    status, told, complaint = await torana.run("upload", path, "--to", "DATASET")
    assert status == 0, complaint
    assert await number_of(gateway, Upload) == 1, "it is the same upload"
    rows = await gateway.services.database.rows(Upload.__table__.select())
    upload = await one(gateway, Upload, rows[0].id)
    assert upload.state is UploadState.COMPLETE
    file = await tom.file(f"/uploads/{upload.id}")
    assert (told.strip(), file.digest) == (global_id("File", file.id), sha256(content))


@pytest.mark.parametrize(
    ("content", "name", "to", "says"),
    [
        (b"no picture", "x.png", "DATASET", "x.png was refused: its content is not that of a .png file"),
        (b"hello", "x.csv", "PUBLIC", "only superadmins may bring files of purpose PUBLIC"),
        (b"", "x.csv", "DATASET", "x.csv is empty"),
    ],
)
async def test_what_is_refused_is_told_in_a_line(torana: Torana, content: bytes, name: str, to: str, says: str) -> None:
    status, told, complaint = await torana.run("upload", torana.file(content, name), "--to", to)
    assert (status, told) == (1, "")
    assert says in complaint
    assert "Traceback" not in complaint


async def test_what_is_no_purpose_and_no_address_is_told_at_once(torana: Torana) -> None:
    path = torana.file(b"x")
    status, _, complaint = await torana.run("upload", path, "--to", "UHJvamVjdDow")
    assert (status, "is no purpose (SESSION_ASSET, DATASET" in complaint) == (2, True)
    status, _, complaint = await torana.run("upload", path, "--to", "DATASET", "--gateway", "nonsense")
    assert (status, "begins with http:// or https://" in complaint) == (2, True)


async def test_without_a_token_it_says_how_to_get_one(torana: Torana) -> None:
    torana.environment.pop("TORANA_TOKEN")
    status, _, complaint = await torana.run("upload", torana.file(b"x"), "--to", "DATASET")
    assert status == 2
    assert "set TORANA_TOKEN" in complaint


async def test_verify_names_what_is_wrong_and_ends_with_1(torana: Torana, tom: Uploader, gateway: Served) -> None:
    storage: Any = gateway.services.files.storage
    torana.environment |= {
        "TORANA_SECRET_KEYS": KEYS,
        "TORANA_DATABASE_URL": gateway.services.database.url.render_as_string(False),
        "TORANA_FILES_DIR": str(storage._uploads.parent),
    }
    file = await tom.ready(b"hello")
    status, told, _ = await torana.run("files", "verify")
    assert (status, told) == (0, "1 stored files of 5 bytes; nothing wrong\n")
    await storage.remove(file.digest)
    status, told, _ = await torana.run("files", "verify", "--quick")
    assert status == 1
    assert f"{file.digest}: the bytes are missing; 1 files have them" in told
