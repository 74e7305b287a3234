"""Uploads by a manifest of parts (6.9), as clients of the challenges' old server send them."""

import hashlib
from typing import Any

import pytest

from db.models import Upload, UploadPart, UploadState
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, code, nothing_staged, number_of

PARTS = (b"a" * 1000, b"b" * 500, b"a" * 1000)


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


def md5(content: bytes) -> dict[str, str]:
    return {"algorithm": "MD5", "value": hashlib.md5(content).hexdigest()}


def manifest(*parts: bytes, whole: bytes | None = None) -> dict[str, Any]:
    whole = b"".join(parts) if whole is None else whole
    return {
        "purpose": "DATASET",
        "name": "all.csv",
        "size": str(sum(map(len, parts))),
        "checksum": md5(whole),
        "parts": [{"name": f"part{n}", "size": str(len(p)), "checksum": md5(p)} for n, p in enumerate(parts, 1)],
    }


async def _begun(tom: Uploader, *parts: bytes, **more: Any) -> str:
    answer = await tom.begin(**manifest(*parts, **more))
    assert answer["__typename"] == "UploadBegun", answer
    return str(answer["upload"]["url"])


async def test_parts_come_in_any_order_and_are_one_file_in_theirs(tom: Uploader) -> None:
    url = await _begun(tom, *PARTS)
    for number, lacking in ((3, [1, 2]), (1, [2]), (2, [])):
        answer = await tom.send("PUT", f"{url}/parts/{number}", PARTS[number - 1])
        assert answer.status_code == 200, answer.text
        assert answer.json()["lacking"] == lacking
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    assert (await tom.fetched(await tom.file(url))).content == b"".join(PARTS)
    await nothing_staged(tom.served)


async def test_the_same_part_twice_does_not_complete_an_upload(tom: Uploader) -> None:
    url = await _begun(tom, *PARTS[:2])
    for _ in range(2):
        answer = await tom.send("PUT", f"{url}/parts/1", PARTS[0])
        assert (answer.json()["state"], answer.json()["lacking"]) == ("OPEN", [2])
        assert answer.json()["received"] == 1000
    assert len([one async for one in tom.served.services.files.storage.stagings()]) == 1
    assert (await tom.send("GET", url)).json()["lacking"] == [2]


async def test_a_part_with_a_wrong_checksum_is_refused_and_the_one_before_stays(tom: Uploader) -> None:
    url = await _begun(tom, *PARTS[:2])
    wrong = await tom.send("PUT", f"{url}/parts/1", b"x" * 1000)
    assert code(wrong) == (460, "INVALID")
    assert (await tom.send("GET", url)).json()["lacking"] == [1, 2]
    await tom.send("PUT", f"{url}/parts/1", PARTS[0])
    assert code(await tom.send("PUT", f"{url}/parts/1", b"x" * 1000)) == (460, "INVALID")
    assert (await tom.send("GET", url)).json() | {"id": ""} == {
        "id": "", "state": "OPEN", "received": 1000, "size": 1500, "lacking": [2],
    }  # fmt: skip
    await tom.send("PUT", f"{url}/parts/2", PARTS[1])
    assert (await tom.checked(url)).state is UploadState.COMPLETE


async def test_a_part_of_another_size_is_refused(tom: Uploader) -> None:
    url = await _begun(tom, *PARTS[:2])
    for content in (b"", b"x", b"x" * 1001):
        assert code(await tom.send("PUT", f"{url}/parts/1", content)) == (400, "INVALID")
    assert code(await tom.send("PUT", f"{url}/parts/3", b"x")) == (404, "NOT_FOUND")
    assert code(await tom.send("PUT", f"{url}/parts/0", b"x")) == (404, "NOT_FOUND")


async def test_when_the_whole_is_wrong_parts_stay_and_may_be_sent_again(tom: Uploader) -> None:
    url = await _begun(tom, *PARTS[:2], whole=b"another file")
    for number in (1, 2):
        await tom.send("PUT", f"{url}/parts/{number}", PARTS[number - 1])
    failed = await tom.checked(url)
    assert (failed.state, failed.refusal and failed.refusal["code"]) == (UploadState.FAILED, "CHECKSUM")
    assert await number_of(tom.served, UploadPart, UploadPart.staged.is_not(None)) == 2
    again = await tom.send("PUT", f"{url}/parts/1", PARTS[0])
    assert again.json()["state"] == "ASSEMBLING"
    assert (await tom.checked(url)).state is UploadState.FAILED


async def test_a_finished_upload_takes_no_more_parts(tom: Uploader) -> None:
    url = await _begun(tom, PARTS[0])
    await tom.send("PUT", f"{url}/parts/1", PARTS[0])
    await tom.checked(url)
    assert code(await tom.send("PUT", f"{url}/parts/1", PARTS[0])) == (403, "STATE")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"size": "7"}, "input.size"),
        ({"size": None}, "input.size"),
        ({"parts": [{"name": "../x", "size": "5", "checksum": md5(b"")}]}, "input.parts.0.name"),
        ({"parts": [{"name": "", "size": "5", "checksum": md5(b"")}]}, "input.parts.0.name"),
        ({"parts": [{"name": "x", "size": "0", "checksum": md5(b"")}]}, "input.parts.0.size"),
        ({"parts": [{"name": "x", "size": "500000001", "checksum": md5(b"")}]}, "input.parts.0.size"),
        ({"parts": [{"name": "x", "size": "1", "checksum": md5(b"")}] * 2, "size": "2"}, "input.parts.1.name"),
        ({"parts": [{"name": "x", "size": "5", "checksum": {"algorithm": "MD5", "value": "zz"}}], "size": "5"},
         "input.parts.0.checksum"),
        ({"checksum": {"algorithm": "SHA256", "value": "zz"}}, "input.checksum"),
        ({"name": "a/b"}, "input.name"),
        ({"purpose": "ARCHIVE"}, None),
        ({"purpose": "PUBLIC"}, None),
    ],
)  # fmt: skip
async def test_a_manifest_that_makes_no_sense_is_refused(
    tom: Uploader, changed: dict[str, Any], field: str | None
) -> None:
    answer = await tom.begin(**manifest(*PARTS) | changed)
    assert answer["__typename"] == "Problem"
    assert (answer["code"], answer["field"]) == ("INVALID" if field else "FORBIDDEN", field)
    assert await number_of(tom.served, Upload) == 0
