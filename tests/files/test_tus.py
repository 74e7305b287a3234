"""Uploads by tus 1.0.0: each request of the protocol, and what is refused."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import sqlalchemy as sa

from db.engine import changed
from db.models import File, FileState, Upload, UploadState, UserGroupMember
from db.types import later
from resolvers.feed import RIGHTS
from resolvers.files import leases, receiving
from resolvers.files.uploads import MISSING
from resolvers.limits import FileBounds
from resolvers.spelling import global_id
from tests.support.serving import Serve, Served
from tests.support.uploading import OFFSET, Uploader, code, in_pieces, key_in, meta, nothing_staged, number_of, sha256

CONTENT = bytes(range(256)) * 40


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


async def test_the_options_tell_what_is_spoken(gateway: Served) -> None:
    answer = await gateway.client.options("/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "expiration", "termination", "checksum",
        "concatenation",
    }  # fmt: skip
    assert int(answer.headers["tus-max-size"]) == FileBounds().upload
    assert set(answer.headers["tus-checksum-algorithm"].split(",")) >= {"sha1", "sha256"}


async def test_a_file_comes_in_several_requests_and_is_fetched_as_it_was(tom: Uploader) -> None:
    url = await tom.begun(len(CONTENT))
    for start in range(0, len(CONTENT), 4000):
        answer = await tom.patch(url, start, CONTENT[start : start + 4000])
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["upload-offset"] == str(min(start + 4000, len(CONTENT)))
        assert "content-length" not in answer.headers
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    file = await tom.file(url)
    assert (file.state, file.digest, file.size) == (FileState.READY, sha256(CONTENT), len(CONTENT))
    assert (await tom.fetched(file)).content == CONTENT
    assert await tom.offset(url) == len(CONTENT)


async def test_the_offset_is_told_with_what_was_said_at_the_creation(tom: Uploader) -> None:
    said = meta(filename="x.csv", purpose="DATASET", color="green")
    url = await tom.begun(10, Upload_Metadata=said)
    answer = await tom.send("HEAD", url)
    assert (answer.status_code, answer.headers["upload-offset"], answer.headers["upload-length"]) == (200, "0", "10")
    assert (answer.headers["upload-metadata"], answer.headers["cache-control"]) == (said, "no-store")
    assert answer.headers["upload-expires"].endswith(" GMT")


async def test_another_version_of_the_protocol_is_refused_before_anything_is_done(tom: Uploader) -> None:
    for given in ("0.2.2", ""):
        answer = await tom.create(5, Tus_Resumable=given)
        assert code(answer) == (412, "INVALID")
        assert answer.headers["tus-version"] == "1.0.0"
    assert await number_of(tom.served, Upload) == 0


async def test_a_method_may_come_in_a_header(tom: Uploader) -> None:
    url = await tom.begun(5)
    override = {"X_HTTP_Method_Override": "PATCH", "Content_Type": OFFSET, "Upload_Offset": "0"}
    assert (await tom.send("POST", url, b"hello", **override)).status_code == 204
    assert (await tom.checked(url)).state is UploadState.COMPLETE


async def test_the_first_bytes_may_come_with_the_creation(tom: Uploader) -> None:
    answer = await tom.create(5, content=b"hel", Content_Type=OFFSET)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert (await tom.patch(answer.headers["location"], 3, b"lo")).status_code == 204
    whole = await tom.create(5, content=b"hello", Content_Type=OFFSET)
    assert whole.headers["upload-offset"] == "5"
    assert (await tom.checked(whole.headers["location"])).state is UploadState.COMPLETE


async def test_the_length_may_come_later_and_once(tom: Uploader) -> None:
    url = await tom.begun(None)
    assert (await tom.send("HEAD", url)).headers["upload-defer-length"] == "1"
    assert (await tom.patch(url, 0, b"hel")).status_code == 204
    assert code(await tom.patch(url, 3, b"l", Upload_Length="2")) == (400, "INVALID")
    assert (await tom.patch(url, 3, b"l", Upload_Length="5")).status_code == 204
    assert code(await tom.patch(url, 4, b"o", Upload_Length="6")) == (409, "CONFLICT")
    assert (await tom.patch(url, 4, b"o")).status_code == 204
    assert (await tom.checked(url)).state is UploadState.COMPLETE


async def test_a_request_of_another_offset_is_told_the_right_one(tom: Uploader) -> None:
    url = await tom.begun(10)
    await tom.patch(url, 0, b"hello")
    for offset in (0, 4, 6, 10):
        answer = await tom.patch(url, offset, b"x")
        assert code(answer) == (409, "CONFLICT")
        assert answer.headers["upload-offset"] == "5"
    assert await tom.offset(url) == 5


async def test_more_bytes_than_the_length_are_refused_and_change_nothing(tom: Uploader) -> None:
    url = await tom.begun(5)
    assert code(await tom.patch(url, 0, b"hello!")) == (400, "INVALID")
    assert code(await tom.patch(url, 0, in_pieces(b"hello!"))) == (400, "INVALID")
    assert await tom.offset(url) == 0
    assert (await tom.patch(url, 0, b"hello")).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
async def test_a_request_with_a_wrong_checksum_is_dropped(tom: Uploader, algorithm: str) -> None:
    def checksum(content: bytes) -> str:
        return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"

    url = await tom.begun(10)
    assert (await tom.patch(url, 0, b"hello", Upload_Checksum=checksum(b"hello"))).status_code == 204
    assert code(await tom.patch(url, 5, b"World", Upload_Checksum=checksum(b"world"))) == (460, "INVALID")
    assert await tom.offset(url) == 5
    assert (await tom.patch(url, 5, b"world", Upload_Checksum=checksum(b"world"))).status_code == 204
    await tom.checked(url)
    assert (await tom.fetched(await tom.file(url))).content == b"helloworld"


async def test_an_ended_upload_is_gone(tom: Uploader) -> None:
    url = await tom.begun(10)
    await tom.patch(url, 0, b"hello")
    assert (await tom.send("DELETE", url)).status_code == 204
    assert (await tom.send("HEAD", url)).status_code == 404
    assert code(await tom.send("DELETE", url)) == (404, "NOT_FOUND")
    assert code(await tom.patch(url, 5, b"world")) == (404, "NOT_FOUND")
    await nothing_staged(tom.served)


async def test_partial_uploads_are_put_together(tom: Uploader) -> None:
    first = await tom.begun(5, Upload_Concat="partial", Upload_Metadata="")
    second = await tom.begun(5, Upload_Concat="partial", Upload_Metadata="")
    assert (await tom.send("HEAD", first)).headers["upload-concat"] == "partial"
    await tom.patch(second, 0, b"world")
    final = {"Upload_Metadata": meta(filename="x.csv", purpose="DATASET"), "Upload_Concat": f"final;{first} {second}"}
    assert code(await tom.send("POST", "/uploads", **final)) == (403, "STATE")
    await tom.patch(first, 0, b"hello")
    absolute = f"final;{tom.served.url}{first} {tom.served.url}{second}"
    answer = await tom.send("POST", "/uploads", **{**final, "Upload_Concat": absolute})
    assert answer.status_code == 201
    whole = answer.headers["location"]
    assert (await tom.checked(whole)).state is UploadState.COMPLETE
    assert (await tom.fetched(await tom.file(whole))).content == b"helloworld"
    assert (await tom.send("HEAD", first)).status_code == 404
    assert code(await tom.patch(whole, 10, b"x")) == (403, "STATE")


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Upload_Length": "x"}, "Upload-Length"),
        ({"Upload_Length": "-1"}, "Upload-Length"),
        ({"Upload_Length": "0"}, "Upload-Length"),
        ({"Upload_Length": "5", "Upload_Defer_Length": "1"}, "Upload-Length"),
        ({"Upload_Length": "5", "Upload_Defer_Length": "2"}, "Upload-Defer-Length"),
        ({"Upload_Metadata": "filename ***"}, "Upload-Metadata"),
        ({"Upload_Metadata": "filename eA==,filename eA=="}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv", purpose="NONE")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="../x.csv", purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="", purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="a" * 129, purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x\0.csv", purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="\u202egpj.exe", purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="a\u200bb.csv", purpose="DATASET")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv", purpose="DATASET", target="x")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv", purpose="DATASET", checksum="sha256 12")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv", purpose="DATASET", checksum="crc 12")}, "Upload-Metadata"),
        ({"Upload_Metadata": meta(filename="x.csv", purpose="SESSION_ASSET")}, "Upload-Metadata"),
        ({"Upload_Concat": "whole"}, "Upload-Concat"),
        ({"Upload_Concat": "final;/uploads/x"}, "Upload-Concat"),
    ],
)
async def test_a_creation_that_makes_no_sense_is_refused_by_its_header(
    tom: Uploader, headers: dict[str, str], field: str
) -> None:
    given = {} if "Upload_Concat" in headers and "final" in headers["Upload_Concat"] else {"Upload_Length": "5"}
    answer = await tom.send(
        "POST", "/uploads", **{"Upload_Metadata": meta(filename="x.csv", purpose="DATASET"), **given, **headers}
    )
    assert code(answer) == (400, "INVALID")
    assert answer.json()["errors"][0]["extensions"]["field"] == field
    assert await number_of(tom.served, Upload) == 0


async def test_a_request_with_bad_headers_is_refused_and_changes_nothing(tom: Uploader) -> None:
    url = await tom.begun(5)
    for headers, wrong in (
        ({"Content_Type": "text/plain"}, (415, "INVALID")),
        ({"Upload_Offset": "x"}, (400, "INVALID")),
        ({"Upload_Checksum": "crc32 AAAA"}, (400, "INVALID")),
        ({"Upload_Checksum": "sha1 ***"}, (400, "INVALID")),
    ):
        assert code(await tom.patch(url, 0, b"hello", **headers)) == wrong
    bare = await tom.send("PATCH", url, b"hello", Content_Type=OFFSET)
    assert code(bare) == (400, "INVALID")
    assert await tom.offset(url) == 0
    assert code(await tom.send("PUT", url, b"x")) == (404, "NOT_FOUND")
    assert code(await tom.send("POST", "/uploads/x", b"x")) == (404, "NOT_FOUND")


async def test_others_uploads_are_none(tom: Uploader, gateway: Served) -> None:
    url = await tom.begun(5)
    for who in ("eve", "root", "maria"):
        other = Uploader(gateway, await gateway.log_in(who))
        for answer in (
            await other.patch(url, 0, b"hello"),
            await other.send("DELETE", url) if who != "root" else await other.send("GET", url),
            await other.send("PUT", f"{url}/parts/1", b"hello"),
            await other.send("POST", "/uploads", Upload_Concat=f"final;{url}",
                             Upload_Metadata=meta(filename="x.csv", purpose="DATASET")),
        ):  # fmt: skip
            assert code(answer) == (404, "NOT_FOUND")
        assert (await other.send("HEAD", url)).status_code == 404
    missing = await tom.patch(f"/uploads/{uuid4()}", 0, b"x")
    assert missing.json()["errors"][0]["message"] == MISSING
    assert await tom.offset(url) == 0


async def test_nobody_uploads_without_signing_in(gateway: Served) -> None:
    nobody = Uploader(gateway, None)
    answer = await nobody.create(5)
    assert code(answer) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert code(await Uploader(gateway, "Bearer nonsense").create(5)) == (401, "UNAUTHENTICATED")


async def test_an_expired_upload_is_gone_and_says_when(tom: Uploader) -> None:
    url = await tom.begun(10)
    async with tom.served.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Upload).values(expires_at=later(-1)))
    assert code(await tom.patch(url, 0, b"hello")) == (410, "STATE")
    assert (await tom.send("HEAD", url)).status_code == 410
    assert "begin another" in (await tom.patch(url, 0, b"hello")).json()["errors"][0]["message"]


async def test_a_finished_upload_takes_nothing_more(tom: Uploader) -> None:
    url = await tom.brought(b"hello")
    assert code(await tom.patch(url, 5, b"x"))[1] in ("STATE", "INVALID")
    await tom.checked(url)
    assert code(await tom.patch(url, 5, b"x")) == (403, "STATE")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes is written down at once."""
    monkeypatch.setattr(receiving, "CHUNK", 1)
    monkeypatch.setattr(receiving, "NOTED", 0.0)


async def _came(tom: Uploader, url: str, number: int) -> None:
    with tom.served.services.feed.subscription(f"upload:{key_in(url)}") as changes:
        while (await tom.upload(url)).received < number:
            await changes.next()


@pytest.mark.usefixtures("at_once")
async def test_what_came_before_the_connection_broke_is_kept(tom: Uploader) -> None:
    url = await tom.begun(100_000)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 30_000
        await _came(tom, url, 30_000)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await tom.patch(url, 0, broken(), Content_Length="100000")
    assert await tom.offset(url) == 30_000
    assert (await tom.patch(url, 30_000, b"x" * 70_000)).status_code == 204


@pytest.mark.usefixtures("at_once")
async def test_nothing_is_kept_of_a_request_with_a_checksum_that_broke(tom: Uploader) -> None:
    url = await tom.begun(100_000)
    checksum = f"sha1 {base64.b64encode(hashlib.sha1(b'x').digest()).decode()}"

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 30_000
        with tom.served.services.feed.subscription(f"upload:{key_in(url)}") as changes:
            await changes.next()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await tom.patch(url, 0, broken(), Content_Length="100000", Upload_Checksum=checksum)
    assert await tom.offset(url) == 0


@pytest.mark.usefixtures("at_once")
async def test_a_second_request_stops_the_first_and_goes_on_after_it(tom: Uploader) -> None:
    url = await tom.begun(10)
    ended = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"hello"
        await ended.wait()

    first = asyncio.create_task(tom.patch(url, 0, slow()))
    await _came(tom, url, 5)
    assert await tom.offset(url) == 5
    second = await tom.patch(url, 5, b"world")
    assert second.status_code == 204
    ended.set()
    assert code(await first) == (423, "UNAVAILABLE")
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    assert (await tom.fetched(await tom.file(url))).content == b"helloworld"


async def test_a_client_that_sends_nothing_for_long_is_waited_for_no_longer(serve: Serve, backend: str) -> None:
    gateway = await serve(backend, stall_timeout=0.4)
    tom = Uploader(gateway, await gateway.log_in("tom"))
    url = await tom.begun(10)

    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    headers = {
        **tom.headers,
        "Host": address.netloc,
        "Content-Type": OFFSET,
        "Upload-Offset": "0",
        "Content-Length": "10",
    }
    spelled = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"PATCH {url} HTTP/1.1\r\n{spelled}\r\nhello".encode())
    told = await reader.read()  # to the end: the gateway closes the connection
    writer.close()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"TIMEOUT" in told
    assert await tom.offset(url) == 5


async def test_a_request_that_can_not_be_stopped_is_waited_for_briefly(
    tom: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "WAIT", 0.1)
    url = await tom.begun(10)
    async with tom.served.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Upload).values(holder="another gateway", lease_until=later(60)))
    answer = await tom.patch(url, 0, b"hello")
    assert code(answer) == (423, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    async with tom.served.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Upload).values(lease_until=later(-1)))
    assert (await tom.patch(url, 0, b"hello")).status_code == 204


async def test_of_twenty_requests_for_the_same_bytes_one_is_taken(tom: Uploader) -> None:
    url = await tom.begun(5)
    answers = await asyncio.gather(*(tom.patch(url, 0, b"hello") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers)[0] == 204
    assert {answer.status_code for answer in answers[0:]} <= {204, 403, 409, 423}
    assert [answer.status_code for answer in answers].count(204) == 1
    await tom.checked(url)
    assert (await tom.fetched(await tom.file(url))).content == b"hello"
    assert await number_of(tom.served, File) == 1


async def test_a_grant_is_good_for_its_upload_alone(tom: Uploader, gateway: Served) -> None:
    begun = await tom.begin(purpose="DATASET", name="x.csv", size="5")
    assert begun["url"] == f"{gateway.url}/uploads"
    other = await tom.begun(5)
    nobody = Uploader(gateway, None)
    grant = {"Upload_Grant": begun["grant"]}
    created = await nobody.send("POST", "/uploads", Upload_Length="5", **grant)
    assert created.status_code == 201
    assert begun["upload"]["url"] == f"{gateway.url}{created.headers['location']}"
    assert code(await nobody.patch(other, 0, b"hello", **grant)) == (401, "UNAUTHENTICATED")
    assert code(await nobody.patch(other, 0, b"hello", Upload_Grant="x")) == (401, "UNAUTHENTICATED")
    url = created.headers["location"]
    assert (await nobody.patch(url, 0, b"hello", **grant)).status_code == 204
    assert (await tom.checked(url)).state is UploadState.COMPLETE


async def test_a_grant_ends_with_its_session(tom: Uploader, gateway: Served) -> None:
    begun = await tom.begin(purpose="DATASET", name="x.csv", size="5")
    await gateway.ask("mutation{logOut{__typename}}", tom.headers["Authorization"])
    nobody = Uploader(gateway, None)
    answer = await nobody.patch(begun["upload"]["url"], 0, b"hello", Upload_Grant=begun["grant"])
    assert code(answer) == (401, "UNAUTHENTICATED")


async def test_a_key_that_only_reads_gets_no_grant(tom: Uploader, gateway: Served) -> None:
    await tom.begun(5)
    made = "mutation($s:[KeyScope!]!,$l:String!){createApiKey(label:$l,scopes:$s){...on IssuedCredential{secret}}}"
    for scopes, granted in (([], False), (["WRITE"], True)):
        bearer = tom.headers["Authorization"]
        key = (await gateway.ask(made, bearer, s=scopes, l=str(granted)))["createApiKey"]["secret"]
        (one,) = (await gateway.ask("{uploads(first:1){nodes{grant}}}", f"Bearer {key}"))["uploads"]["nodes"]
        assert (one["grant"] is not None) == granted
        answer = await Uploader(gateway, f"Bearer {key}").create(5)
        assert answer.status_code == (201 if granted else 403)


async def test_who_left_the_project_brings_no_more_files_for_it(tom: Uploader, gateway: Served) -> None:
    target = gateway.world.id("Project", "shared")
    url = await tom.begun(10, Upload_Metadata=meta(filename="x.csv", purpose="DATASET", target=target))
    assert (await tom.patch(url, 0, b"hello")).status_code == 204
    async with gateway.services.database.write(as_system="test") as session:
        changed(session, RIGHTS)
        await session.execute(sa.delete(UserGroupMember).where(UserGroupMember.user_id == gateway.world.tom))
    assert code(await tom.patch(url, 5, b"world")) == (404, "NOT_FOUND")
    assert await tom.offset(url) == 5


async def test_a_header_that_was_sent_twice_is_refused(tom: Uploader, gateway: Served) -> None:
    headers = [("Upload-Length", "5"), ("Upload-Length", "6"), *tom.headers.items()]
    answer = await gateway.client.post("/uploads", headers=headers)
    assert code(answer) == (400, "INVALID")


async def test_uploads_in_parallel_under_a_grant_become_the_granted_one(tom: Uploader, gateway: Served) -> None:
    begun = await tom.begin(purpose="DATASET", name="x.csv", size="10")
    nobody, grant = Uploader(gateway, None), {"Upload_Grant": begun["grant"]}
    places = []
    for part in (b"hello", b"world"):
        answer = await nobody.send("POST", "/uploads", Upload_Length="5", Upload_Concat="partial", **grant)
        assert answer.status_code == 201, answer.text
        places.append(answer.headers["location"])
        # Its own address is not the grant's: tus clients send the bytes of a part with the creation.
        assert code(await nobody.patch(places[-1], 0, part, **grant)) == (401, "UNAUTHENTICATED")
        assert (await tom.patch(places[-1], 0, part)).status_code == 204
    final = await nobody.send("POST", "/uploads", Upload_Concat=f"final;{' '.join(places)}", **grant)
    assert final.status_code == 201
    assert begun["upload"]["url"].endswith(final.headers["location"])
    await tom.checked(final.headers["location"])
    assert (await tom.fetched(await tom.file(final.headers["location"]))).content == b"helloworld"


async def test_while_the_gateway_is_locked_offsets_are_told_and_nothing_is_taken(
    tom: Uploader, gateway: Served
) -> None:
    url = await tom.begun(5)
    root = await gateway.log_in("root")
    await gateway.ask("mutation{setReadOnly(readOnly:true){__typename}}", root)
    assert code(await tom.create(5)) == (423, "LOCKED")
    assert code(await tom.patch(url, 0, b"hello")) == (423, "LOCKED")
    assert await tom.offset(url) == 0


async def test_scripts_of_allowed_origins_may_upload(serve: Serve, backend: str) -> None:
    gateway = await serve(backend, allowed_origins=["https://app.example"])
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "tus-resumable,upload-offset,content-type,upload-grant,authorization",
    }
    answer = await gateway.client.options("/uploads/x", headers=asked)
    assert answer.status_code == 200
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    tom = Uploader(gateway, await gateway.log_in("tom"))
    created = await tom.create(5, Origin="https://app.example")
    exposed = created.headers["access-control-expose-headers"].lower()
    assert {"location", "upload-offset", "upload-expires", "tus-resumable"} <= set(exposed.split(", "))


async def test_an_upload_is_watched_from_its_first_byte_to_its_file(tom: Uploader, gateway: Served) -> None:
    url = await tom.begun(5)
    query = f'query{{upload(id:"{global_id("Upload", key_in(url))}"){{state received size name file{{state}}}}}}'
    bearer = tom.headers["Authorization"]
    before = (await gateway.ask(query, bearer))["upload"]
    assert before == {"state": "OPEN", "received": "0", "size": "5", "name": "data.csv", "file": None}
    await tom.patch(url, 0, b"hello")
    await tom.checked(url)
    after = (await gateway.ask(query, bearer))["upload"]
    assert after == {
        "state": "COMPLETE",
        "received": "5",
        "size": "5",
        "name": "data.csv",
        "file": {"state": "READY"},
    }
