"""Fetching files: whole, in ranges, by an address of its own, and public ones."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import sqlalchemy as sa

from db.models import AuditEvent, File, FilePurpose
from db.storage.storage import Missing
from db.types import later
from resolvers.files import sweeping
from resolvers.retention import tidy
from resolvers.spelling import global_id
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, code, number_of, sha256

CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


@pytest.fixture
async def file(tom: Uploader) -> File:
    return await tom.ready(CONTENT)


async def test_a_file_comes_with_its_digest_its_name_and_no_leave_to_run(tom: Uploader, file: File) -> None:
    answer = await tom.fetched(file)
    assert answer.content == CONTENT
    tag = f'"sha256-{sha256(CONTENT)}"'
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    for name, value in {
        "etag": tag,
        "repr-digest": f"sha-256=:{digest}:",
        "accept-ranges": "bytes",
        "content-length": str(len(CONTENT)),
        "content-type": "text/csv; charset=utf-8",
        "content-disposition": "attachment; filename=\"data.csv\"; filename*=UTF-8''data.csv",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, no-store",
    }.items():
        assert answer.headers[name] == value
    head = await tom.send("HEAD", f"/files/{global_id('File', file.id)}/x")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))
    assert (await tom.fetched(file, If_None_Match=f'W/"x", {tag}')).status_code == 304


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=2559900-", 2_559_900, 2_560_000),
        ("bytes=2559900-9999999", 2_559_900, 2_560_000),
        ("bytes=-5", 2_559_995, 2_560_000),
        ("bytes=-9999999", 0, 2_560_000),
        ("bytes=1048570-1048580", 1_048_570, 1_048_581),
    ],
)
async def test_a_range_comes_by_itself(tom: Uploader, file: File, asked: str, start: int, stop: int) -> None:
    answer = await tom.fetched(file, Range=asked)
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.headers["repr-digest"].startswith("sha-256=:")


@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=0-1,5-6", "lines=0-1", "bytes=", "bytes=-", "bytes=a-b"])
async def test_a_range_that_is_none_gives_the_whole(tom: Uploader, file: File, asked: str) -> None:
    answer = await tom.fetched(file, Range=asked)
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


@pytest.mark.parametrize("asked", ["bytes=2560000-", "bytes=9999999-99999999", "bytes=-0"])
async def test_a_range_outside_is_refused_with_the_size(tom: Uploader, file: File, asked: str) -> None:
    answer = await tom.fetched(file, Range=asked)
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_a_range_of_another_version_gives_the_whole(tom: Uploader, file: File) -> None:
    tag = f'"sha256-{sha256(CONTENT)}"'
    assert (await tom.fetched(file, Range="bytes=0-9", If_Range=tag)).status_code == 206
    for other in ('"sha256-00"', f"W/{tag}", "Sun, 29 Nov 2026 22:00:00 GMT"):
        assert (await tom.fetched(file, Range="bytes=0-9", If_Range=other)).status_code == 200


async def test_sixteen_ranges_at_once_are_the_file(tom: Uploader, file: File) -> None:
    step = len(CONTENT) // 16
    ranges = [f"bytes={n * step}-{(n + 1) * step - 1}" for n in range(16)]
    answers = await asyncio.gather(*(tom.fetched(file, Range=one) for one in ranges))
    assert b"".join(answer.content for answer in answers) == CONTENT


async def _address(tom: Uploader, file: File) -> str:
    query = "query($id:ID!){file(id:$id){downloadUrl}}"
    found = await tom.served.ask(query, tom.headers["Authorization"], id=global_id("File", file.id))
    return str(found["file"]["downloadUrl"])


async def test_the_address_of_a_download_is_good_for_its_file_alone(tom: Uploader, file: File) -> None:
    url = await _address(tom, file)
    nobody = tom.served.client
    assert (await nobody.get(url, headers={"Range": "bytes=0-9"})).content == CONTENT[:10]
    other = await tom.ready(b"other", "other.csv")
    swapped = url.replace(quote(global_id("File", file.id)), quote(global_id("File", other.id))).replace(
        "data", "other"
    )
    assert swapped != url
    assert code(await nobody.get(swapped)) == (401, "UNAUTHENTICATED")
    assert code(await nobody.get(url.partition("?")[0])) == (401, "UNAUTHENTICATED")


async def test_who_may_not_see_a_file_does_not_find_it(tom: Uploader, gateway: Served, file: File) -> None:
    for who, there in (("eve", False), ("maria", False), ("root", True)):
        other = Uploader(gateway, await gateway.log_in(who))
        answer = await other.fetched(file)
        assert answer.status_code == (200 if there else 404)
    target = global_id("Project", gateway.world.shared)
    shared = await tom.ready(b"for all", "shared.csv", target=target)
    maria = Uploader(gateway, await gateway.log_in("maria"))
    assert (await maria.fetched(shared)).content == b"for all"


async def test_a_download_is_on_record(tom: Uploader, file: File) -> None:
    await tom.fetched(file)
    await tom.send("HEAD", f"/files/{global_id('File', file.id)}/x")
    assert (
        await number_of(tom.served, AuditEvent, AuditEvent.action == "DOWNLOAD", AuditEvent.entity_id == file.id) == 1
    )


async def test_bytes_that_are_gone_are_told_before_anything_is_sent(tom: Uploader, file: File) -> None:
    assert file.digest is not None
    await tom.served.services.files.storage.remove(file.digest)
    answer = await tom.fetched(file)
    assert code(answer) == (503, "UNAVAILABLE")
    assert "tell the operator" in answer.text
    again = await tom.ready(CONTENT, "again.csv")
    assert (await tom.fetched(file)).content == CONTENT, "the same bytes came again"
    assert again.digest == file.digest


async def test_bytes_that_go_in_the_middle_end_the_connection(
    tom: Uploader, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        raise Missing(digest)

    monkeypatch.setattr(tom.served.services.files.storage, "read", read)
    with pytest.raises(httpx2.HTTPError):
        await tom.fetched(file)


# Public files ---------------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


async def _public(gateway: Served, content: bytes, name: str) -> Any:
    root = Uploader(gateway, await gateway.log_in("root"))
    return await root.ready(content, name, purpose="PUBLIC")


async def test_everyone_sees_a_public_file_and_a_newer_one_takes_its_place(gateway: Served) -> None:
    first = await _public(gateway, PNG, "logo.png")
    answer = await gateway.client.get("/static/logo.png")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["content-security-policy"].endswith("sandbox")
    again = await gateway.client.get("/static/logo.png", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    second = await _public(gateway, PNG + b"!", "logo.png")
    assert (await gateway.client.get("/static/logo.png")).content == PNG + b"!"
    assert await number_of(gateway, File, File.id.in_((first.id, second.id)), File.deleted_at.is_(None)) == 1
    assert (await gateway.client.get("/static/other.png")).status_code == 404


async def test_only_superadmins_publish_and_only_types_that_run_nowhere(tom: Uploader, gateway: Served) -> None:
    assert (await tom.begin(purpose="PUBLIC", name="x.png", size="5"))["code"] == "FORBIDDEN"
    root = Uploader(gateway, await gateway.log_in("root"))
    for name in ("x.html", "x.svg", "x.js", "x"):
        assert (await root.begin(purpose="PUBLIC", name=name, size="5"))["code"] == "INVALID"


async def test_a_private_file_is_not_found_among_public_ones(tom: Uploader, gateway: Served) -> None:
    await tom.ready(b"hello", "hello.csv")
    assert (await gateway.client.get("/static/hello.csv")).status_code == 404
    assert FilePurpose.PUBLIC.name == "PUBLIC"


# Deletion -------------------------------------------------------------------------------------------------------------


async def test_a_deleted_file_comes_back_by_a_superadmin_alone(tom: Uploader, gateway: Served, file: File) -> None:
    id, delete = global_id("File", file.id), "mutation($id:ID!){done:deleteFile(id:$id){__typename}}"
    restore = "mutation($id:ID!){done:restoreFile(id:$id){__typename ...on Problem{code}}}"
    bearer = tom.headers["Authorization"]
    assert (await gateway.ask(delete, bearer, id=id))["done"]["__typename"] == "Deleted"
    assert (await tom.fetched(file)).status_code == 404
    assert (await gateway.ask(restore, bearer, id=id))["done"]["code"] == "NOT_FOUND"
    assert (await gateway.ask(restore, await gateway.log_in("root"), id=id))["done"]["__typename"] == "File"
    assert (await tom.fetched(file)).content == CONTENT


async def test_a_deleted_file_may_be_deleted_for_good_by_whom_it_belongs_to(
    tom: Uploader, gateway: Served, file: File
) -> None:
    id, bearer = global_id("File", file.id), tom.headers["Authorization"]
    forever = "mutation($id:ID!){done:deleteFileForever(id:$id){__typename ...on Problem{code}}}"
    await gateway.ask("mutation($id:ID!){deleteFile(id:$id){__typename}}", bearer, id=id)
    assert (await gateway.ask(forever, await gateway.log_in("eve"), id=id))["done"]["code"] == "NOT_FOUND"
    assert (await gateway.ask(forever, bearer, id=id))["done"]["__typename"] == "Deleted"
    assert await number_of(gateway, File) == 0


async def test_a_file_past_its_time_is_not_fetched_and_goes_with_the_sweep(
    tom: Uploader, gateway: Served, file: File
) -> None:
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(File).values(expires_at=later(-1)))
    assert (await tom.fetched(file)).status_code == 404
    assert (await gateway.ask("{files(first:9){totalCount}}", tom.headers["Authorization"]))["files"]["totalCount"] == 0
    assert (await tidy(gateway.services.database, [sweeping.expired()])) == {"expired files": 1}
    assert (await tom.fetched(file)).status_code == 404
