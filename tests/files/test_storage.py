"""Where bytes lie: a folder and a bucket of S3 do the same, also in trouble."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from db.storage import s3
from db.storage.folder import FolderStorage
from db.storage.s3 import S3Storage
from db.storage.storage import Missing, Segment, Storage, StorageAway
from tests.support.store import Store, running_store, weed
from tests.support.uploading import sha256

pytestmark = pytest.mark.skipif(weed() is None, reason="the store of the tests is not installed")


@pytest.fixture(scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callable[[], Awaitable[Store]]]:
    """Starts the store for the first test that needs it."""
    async with AsyncExitStack() as stack:
        running: list[Store] = []

        async def start() -> Store:
            if not running:
                running.append(await stack.enter_async_context(running_store(tmp_path_factory.mktemp("store"))))
            return running[0]

        yield start


@pytest.fixture
async def store(started: Callable[[], Awaitable[Store]]) -> Store:
    return await started()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
async def storage(
    request: pytest.FixtureRequest, tmp_path: Path, started: Callable[[], Awaitable[Store]]
) -> AsyncIterator[Storage]:
    if request.param == "folder":
        made: Storage = FolderStorage(tmp_path / "files")
    else:
        made = S3Storage((await started()).bucket(prefix=uuid4().hex))
    yield made
    await made.close()


async def _staged(storage: Storage, key: str, *pieces: bytes, at: int = 0) -> int:
    sink = await storage.sink(key, at)
    await sink.write(pieces)
    kept = await sink.keep()
    await sink.close()
    return kept


async def _read(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([bytes(piece) async for piece in pieces])


async def test_bytes_are_appended_and_get_their_place(storage: Storage) -> None:
    assert await _staged(storage, "a", b"hello", b", ") == 7
    assert await _staged(storage, "a", b"world", at=7) == 12
    segment = [Segment("a", 12)]
    assert await _read(storage.staged(segment)) == b"hello, world"
    digest = sha256(b"hello, world")
    assert await storage.size_of(digest) is None
    await storage.place(segment, digest)
    assert await storage.size_of(digest) == 12
    assert await _read(storage.read(digest, 3, 8)) == b"lo, w"
    assert [one async for one in storage.stagings()] == []
    assert [one.name async for one in storage.digests()] == [digest]
    await storage.remove(digest)
    await storage.remove(digest)
    assert await storage.size_of(digest) is None


async def test_what_was_not_kept_may_be_written_over(storage: Storage) -> None:
    await _staged(storage, "a", b"hello, there")
    assert await _staged(storage, "a", b"world", at=7) == 12
    assert await _read(storage.staged([Segment("a", 12)])) == b"hello, world"


async def test_what_was_cut_is_gone(storage: Storage) -> None:
    sink = await storage.sink("a", 0)
    await sink.write([b"hello, there"])
    await sink.keep()
    await sink.cut(5)
    await sink.write([b"!"])
    assert await sink.keep() == 6
    await sink.close()
    assert await _read(storage.staged([Segment("a", 6)])) == b"hello!"


async def test_several_are_put_together(storage: Storage) -> None:
    for key, content in (("a", b"hello"), ("b", b", "), ("c", b"world")):
        await _staged(storage, key, content)
    segments = [Segment("a", 5), Segment("b", 2), Segment("c", 5)]
    digest = sha256(b"hello, world")
    await storage.place(segments, digest)
    assert await _read(storage.read(digest, 0, 12)) == b"hello, world"
    assert [one async for one in storage.stagings()] == []


async def test_placing_again_what_was_placed_and_not_written_down_is_fine(storage: Storage) -> None:
    await _staged(storage, "a", b"hello")
    digest = sha256(b"hello")
    await storage.place([Segment("a", 5)], digest)
    await storage.place([Segment("a", 5)], digest)
    assert await _read(storage.read(digest, 0, 5)) == b"hello"
    await storage.place([Segment("b", 2), Segment("c", 3)], digest)
    assert await _read(storage.read(digest, 0, 5)) == b"hello"
    with pytest.raises(Missing):
        await storage.place([Segment("d", 5)], sha256(b"other"))


async def test_missing_bytes_are_told(storage: Storage) -> None:
    await _staged(storage, "a", b"hello")
    with pytest.raises(Missing):
        await _read(storage.staged([Segment("a", 6)]))
    with pytest.raises(Missing):
        await _read(storage.staged([Segment("b", 1)]))
    with pytest.raises(Missing):
        await _read(storage.read("0" * 64, 0, 1))
    await storage.drop("nothing")


@pytest.mark.slow
async def test_large_files_are_whole_however_they_come(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART", 6 << 20)
    content = os.urandom(23 << 20)
    at = 0
    for size in (1 << 20, 9 << 20, 3, 12 << 20, 1 << 20):
        sink = await storage.sink("a", at)
        await sink.write([content[at : at + size]])
        at = await sink.keep()
        await sink.close()
    assert await _staged(storage, "a", content[at:], at=at) == len(content)
    segments = [Segment("a", len(content))]
    assert sha256(await _read(storage.staged(segments))) == sha256(content)
    await storage.place(segments, sha256(content))
    assert sha256(await _read(storage.read(sha256(content), 0, len(content)))) == sha256(content)


async def test_the_folder_is_for_the_gateway_alone(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "files")
    await _staged(storage, "a", b"hello")
    await _staged(storage, "b", b"world")
    await storage.place([Segment("a", 5), Segment("b", 5)], sha256(b"helloworld"))
    await _staged(storage, "c", b"x")
    for path in (tmp_path / "files").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert await storage.free() is not None


# S3 alone -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_signed_address_is_fetched_from_the_store_until_it_expires(store: Store) -> None:
    storage = S3Storage(store.bucket(prefix="links"))
    await _staged(storage, "a", b"hello")
    digest = sha256(b"hello")
    await storage.place([Segment("a", 5)], digest)
    link = await storage.link(digest, 60, "attachment; filename=\"x y.csv\"; filename*=UTF-8''x%20y.csv")
    assert link is not None
    async with httpx2.AsyncClient() as client:
        answer = await client.get(link)
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert answer.headers["content-disposition"].startswith('attachment; filename="x y.csv"')
        assert (await client.get(link, headers={"Range": "bytes=1-2"})).content == b"el"
        assert (await client.get(link.replace(digest, "0" * 64))).status_code in (403, 404)
        assert (await client.get(link[:-4] + "0000")).status_code == 403
    assert await S3Storage(store.bucket(links=False)).link(digest, 60, "") is None


@pytest.mark.slow
async def test_wrong_credentials_and_a_store_out_of_reach_are_away_and_tell_no_secret(store: Store) -> None:
    wrong = S3Storage(store.bucket(secret="wrong-secret"))
    with pytest.raises(StorageAway) as refused:
        await _staged(wrong, "a", b"hello")
    assert "wrong-secret" not in str(refused.value)
    elsewhere = S3Storage(s3.Bucket("x-y-z", store.bucket().credentials, "http://127.0.0.1:1"))
    with pytest.raises(StorageAway):
        await elsewhere.size_of("0" * 64)


@pytest.mark.slow
async def test_a_store_that_hangs_is_away_after_a_while_and_then_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PATIENCE", s3.PATIENCE / 10)
    storage = S3Storage(store.bucket(prefix="hangs"))
    await _staged(storage, "a", b"hello")
    store.pause()
    try:
        with pytest.raises(StorageAway):
            async with asyncio.timeout(60):
                await _staged(storage, "a", b"world", at=5)
    finally:
        store.go_on()
    assert await _staged(storage, "a", b"world", at=5) == 10
    assert await _read(storage.staged([Segment("a", 10)])) == b"helloworld"
