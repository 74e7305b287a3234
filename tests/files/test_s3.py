"""A gateway whose files lie in a bucket of S3: uploads, downloads by the store's own addresses, and the store in
trouble."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from db.models import Blob, File, FileState, Upload, UploadState
from db.storage import s3
from db.types import later
from resolvers.files import sweeping
from resolvers.files.verifying import verify
from resolvers.retention import tidy
from resolvers.spelling import global_id
from tests.files.test_checks import tarred, zipped
from tests.files.test_parts import PARTS, manifest
from tests.support.serving import Serve
from tests.support.store import Store, running_store, weed
from tests.support.uploading import Uploader, code, key_in, nothing_staged, sha256

pytestmark = [pytest.mark.slow, pytest.mark.skipif(weed() is None, reason="the store of the tests is not installed")]
"""Real components, started and ended."""

CONTENT = bytes(range(256)) * 60_000


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    async with running_store(tmp_path_factory.mktemp("store")) as running:
        yield running


async def _tom(serve: Serve, store: Store, **settings: Any) -> Uploader:
    gateway = await serve("sqlite", **{**store.settings, **settings})
    return Uploader(gateway, await gateway.log_in("tom"))


async def test_a_file_comes_in_requests_of_any_size_and_is_fetched_from_the_store(serve: Serve, store: Store) -> None:
    tom = await _tom(serve, store, s3_prefix="first")
    url = await tom.begun(len(CONTENT))
    at = 0
    for size in (1, 100, 5_000_000, 9_000_000, len(CONTENT)):
        answer = await tom.patch(url, at, CONTENT[at : at + size])
        assert answer.status_code == 204
        at = int(answer.headers["upload-offset"])
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    file = await tom.file(url)
    answer = await tom.fetched(file)
    assert answer.status_code == 307
    assert urlsplit(answer.headers["location"]).netloc == urlsplit(store.endpoint).netloc
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    fetched = await tom.served.client.get(answer.headers["location"], headers={"Range": "bytes=100-299"})
    assert (fetched.status_code, fetched.content) == (206, CONTENT[100:300])
    assert fetched.headers["content-disposition"].startswith('attachment; filename="data.csv"')
    head = await tom.send("HEAD", f"/files/{global_id('File', file.id)}/x")
    assert head.headers["content-length"] == str(len(CONTENT))
    found = [one async for one in verify(tom.served.services.database, tom.served.services.files.storage)]
    assert [(one.digest, one.fault) for one in found] == [(sha256(CONTENT), None)]


async def test_through_the_gateway_where_the_store_gives_no_addresses(serve: Serve, store: Store) -> None:
    tom = await _tom(serve, store, s3_prefix="second", s3_links=False)
    file = await tom.ready(CONTENT)
    assert (await tom.fetched(file)).content == CONTENT
    part = await tom.fetched(file, Range="bytes=5000000-5000099")
    assert (part.status_code, part.content) == (206, CONTENT[5_000_000:5_000_100])


async def test_parts_and_archives_are_taken_too(serve: Serve, store: Store) -> None:
    tom = await _tom(serve, store, s3_prefix="third", s3_links=False)
    begun = await tom.begin(**manifest(*PARTS))
    for number, part in enumerate(PARTS, 1):
        await tom.send("PUT", f"{begun['upload']['url']}/parts/{number}", part)
    assert (await tom.checked(begun["upload"]["url"])).state is UploadState.COMPLETE
    assert (await tom.ready(zipped(("a", b"1")), "x.zip")).state is FileState.READY
    bad = await tom.brought(tarred(("../x", b"1")), "x.tar.gz")
    assert (await tom.checked(bad)).state is UploadState.FAILED
    await nothing_staged(tom.served)


async def test_a_store_away_is_told_and_gone_on_with(
    serve: Serve, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PATIENCE", s3.PATIENCE / 10)
    tom = await _tom(serve, store, s3_prefix="fourth", s3_links=False)
    url = await tom.begun(10)
    await tom.patch(url, 0, b"hello")
    store.pause()
    try:
        answer = await tom.patch(url, 5, b"world")
        assert code(answer) == (503, "UNAVAILABLE")
        assert "retry-after" in answer.headers
        assert (await tom.served.client.get("/readyz")).status_code == 200
    finally:
        store.go_on()
    assert await tom.offset(url) == 5
    assert (await tom.patch(url, 5, b"world")).status_code == 204
    await tom.checked(url)
    assert (await tom.fetched(await tom.file(url))).content == b"helloworld"


async def test_wrong_credentials_are_told_without_them(serve: Serve, store: Store) -> None:
    tom = await _tom(serve, store, s3_prefix="fifth", s3_secret="not-the-secret")
    url = await tom.begun(5)
    answer = await tom.patch(url, 0, b"hello")
    assert code(answer) == (503, "UNAVAILABLE")
    assert "secret" not in answer.text
    assert store.endpoint not in answer.text


async def test_bytes_in_the_bucket_are_swept(serve: Serve, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ORPHANED", timedelta(seconds=-60))
    tom = await _tom(serve, store, s3_prefix="sixth")
    kept, _ = await tom.ready(b"kept"), await tom.ready(b"goes", "goes.csv")
    await tom.patch(await tom.begun(10), 0, b"hello")
    await tom.patch(gone := await tom.begun(10), 0, b"hello")
    async with tom.served.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(File).where(File.name == "goes.csv"))
        await session.execute(sa.delete(Upload).where(Upload.id == key_in(gone)))
        await session.execute(sa.update(Blob).values(updated_at=later(-7200)))
    storage = tom.served.services.files.storage
    await tidy(tom.served.services.database, [sweeping.unused(storage)])
    assert [one.name async for one in storage.digests()] == [kept.digest]
    assert len([one async for one in storage.stagings()]) == 1
