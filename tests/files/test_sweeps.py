"""What nobody needs goes, and nothing else: uploads that expired, bytes without a file, rows past their time."""

import os
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Blob, File, Upload, UploadState
from db.types import later
from resolvers.files import blobs, sweeping
from resolvers.files.verifying import verify
from resolvers.retention import tidy
from resolvers.spelling import global_id
from tests.files.test_parts import PARTS, manifest
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, key_in, number_of, one, sha256

HOURS = 3_600
DAY = 86_400


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


async def _set(gateway: Served, model: Any, **values: Any) -> None:
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).values(**values))


async def _swept(gateway: Served) -> dict[str, int]:
    storage = gateway.services.files.storage
    sweeps = [sweeping.uploads(storage), sweeping.expired(), sweeping.deleted(30), sweeping.refused(), sweeping.unused(storage)]  # fmt: skip
    return dict(await tidy(gateway.services.database, sweeps))


def _age(gateway: Served, seconds: float) -> None:
    """Make all stored bytes older."""
    storage: Any = gateway.services.files.storage
    for folder in (storage._uploads, storage._blobs):
        for path in folder.rglob("*"):
            moment = path.stat().st_mtime - seconds
            os.utime(path, (moment, moment))


async def _stored(gateway: Served) -> tuple[int, int]:
    """How many keys are staged, and how many digests stored."""
    storage = gateway.services.files.storage
    return len([one async for one in storage.stagings()]), len([one async for one in storage.digests()])


async def test_an_upload_that_expired_goes_with_its_bytes_and_is_told_about_for_a_week(
    tom: Uploader, gateway: Served
) -> None:
    url, other = await tom.begun(10), await tom.begun(10)
    for each in (url, other):
        await tom.patch(each, 0, b"hello")
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Upload).where(Upload.id == key_in(url)).values(expires_at=later(-1)))
    assert (await _swept(gateway))["uploads"] == 1
    assert (await tom.upload(url)).state is UploadState.EXPIRED
    assert (await tom.send("HEAD", url)).status_code == 410
    assert await tom.offset(other) == 5
    assert await _stored(gateway) == (1, 0)
    await _set(gateway, Upload, updated_at=later(-8 * DAY))
    await _swept(gateway)
    assert await one(gateway, Upload, key_in(url)) is None
    assert await one(gateway, Upload, key_in(other)) is not None


async def test_a_request_under_way_is_not_swept(tom: Uploader, gateway: Served) -> None:
    url = await tom.begun(10)
    await _set(gateway, Upload, expires_at=later(-1), holder="somebody", lease_until=later(60))
    await _swept(gateway)
    assert (await tom.upload(url)).state is UploadState.OPEN


async def test_bytes_go_with_the_last_of_their_files_and_never_before(tom: Uploader, gateway: Served) -> None:
    first, second = await tom.ready(b"hello"), await tom.ready(b"hello", "other.csv")
    delete = "mutation($id:ID!){done:deleteFileForever(id:$id){__typename}}"
    bearer = tom.headers["Authorization"]
    await gateway.ask(delete, bearer, id=global_id("File", first.id))
    await _set(gateway, Blob, updated_at=later(-2 * HOURS))
    _age(gateway, 2 * HOURS)
    await _swept(gateway)
    assert (await tom.fetched(second)).content == b"hello"
    await gateway.ask(delete, bearer, id=global_id("File", second.id))
    assert (await _swept(gateway))["stored bytes"] == 1
    assert await _stored(gateway) == (0, 0)
    assert await number_of(gateway, Blob) == 0


async def test_bytes_that_were_just_pinned_stay(tom: Uploader, gateway: Served) -> None:
    """A check puts them in their place, and has not written that down yet."""
    file = await tom.ready(b"hello")
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(File))
        await session.execute(sa.update(Blob).values(updated_at=later(-2 * HOURS)))
        await blobs.pin(session, sha256(b"hello"), 5)
    _age(gateway, 2 * HOURS)
    await _swept(gateway)
    assert await _stored(gateway) == (0, 1)
    assert file.blob_id is not None


async def test_bytes_that_no_row_knows_go_after_an_hour(tom: Uploader, gateway: Served) -> None:
    storage = gateway.services.files.storage
    sink = await storage.sink("0" * 36, 0)
    await sink.write([b"left over"])
    await sink.keep()
    await sink.close()
    file = await tom.ready(b"hello")
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(Upload))
        await session.execute(sa.delete(File))
        await session.execute(sa.delete(Blob))
    assert await _stored(gateway) == (1, 1)
    await _swept(gateway)
    assert await _stored(gateway) == (1, 1), "they are young"
    _age(gateway, 2 * HOURS)
    await _swept(gateway)
    assert await _stored(gateway) == (0, 1), "they have a row now, and go when that is old"
    await _set(gateway, Blob, updated_at=later(-2 * HOURS))
    await _swept(gateway)
    assert await _stored(gateway) == (0, 0)
    assert file.digest is not None


async def test_a_clock_that_is_an_hour_off_takes_nothing_that_is_needed(tom: Uploader, gateway: Served) -> None:
    url = await tom.begun(10)
    await tom.patch(url, 0, b"hello")
    begun = await tom.begin(**manifest(*PARTS))
    await tom.send("PUT", f"{begun['upload']['url']}/parts/1", PARTS[0])
    file = await tom.ready(b"stays")
    _age(gateway, 25 * HOURS)
    await _swept(gateway)
    assert await _stored(gateway) == (2, 1)
    assert (await tom.patch(url, 5, b"world")).status_code == 204
    assert (await tom.fetched(file)).content == b"stays"


async def test_rows_of_deleted_files_go_after_their_days(tom: Uploader, gateway: Served) -> None:
    await tom.ready(b"hello")
    await _set(gateway, File, deleted_at=later(-31 * DAY))
    assert (await _swept(gateway))["files"] == 1
    assert await number_of(gateway, File) == 0


async def test_verifying_names_what_is_missing_cut_changed_and_unknown(tom: Uploader, gateway: Served) -> None:
    storage: Any = gateway.services.files.storage
    files = [await tom.ready(content, f"{n}.csv") for n, content in enumerate((b"good", b"gone", b"short", b"other"))]
    await storage.remove(files[1].digest)
    storage._blob(files[2].digest).write_bytes(b"sh")
    storage._blob(files[3].digest).write_bytes(b"OTHER")
    unknown = storage._blob("0" * 64)
    unknown.parent.mkdir(exist_ok=True)
    unknown.write_bytes(b"unknown")
    found = {v.digest: v.fault async for v in verify(gateway.services.database, storage)}
    assert found == {
        files[0].digest: None,
        files[1].digest: "the bytes are missing",
        files[2].digest: "they are 2 bytes, not 5",
        files[3].digest: "the bytes are others: their hash is wrong",
        "0" * 64: "no row has them",
    }
    quickly = {v.digest: v.fault async for v in verify(gateway.services.database, storage, read=False)}
    assert quickly[files[3].digest or ""] is None


async def test_a_sweep_that_ended_between_the_bytes_and_the_row_is_done_again(
    tom: Uploader, gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage: Any = gateway.services.files.storage
    file = await tom.ready(b"hello")
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(File))
        await session.execute(sa.update(Blob).values(updated_at=later(-2 * HOURS)))
    remove = storage.remove

    async def dies(digest: str) -> None:
        await remove(digest)
        raise RuntimeError("killed")

    monkeypatch.setattr(storage, "remove", dies)
    assert "stored bytes" not in await _swept(gateway)
    monkeypatch.undo()
    assert await number_of(gateway, Blob) == 1
    again = await tom.ready(b"hello", "again.csv")
    assert again.blob_id == file.blob_id
    await _set(gateway, Blob, updated_at=later(-2 * HOURS))
    assert (await _swept(gateway))["stored bytes"] == 0
    assert (await tom.fetched(again)).content == b"hello"


async def test_bytes_that_came_and_were_not_written_down_are_written_over(tom: Uploader, gateway: Served) -> None:
    """As after a gateway was killed between the one and the other."""
    url = await tom.begun(10)
    await tom.patch(url, 0, b"hello")
    storage: Any = gateway.services.files.storage
    with (storage._uploads / str(key_in(url))).open("ab") as staged:
        staged.write(b"lost!")
    assert await tom.offset(url) == 5
    await tom.patch(url, 5, b"world")
    await tom.checked(url)
    assert (await tom.fetched(await tom.file(url))).content == b"helloworld"
