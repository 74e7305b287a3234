"""What is checked after the last byte of an upload: its hash, its type, and what an archive holds."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Blob, File, FileState, Upload, UploadState
from db.types import later
from jobs.archives import findings
from resolvers.feed import UPLOADED
from resolvers.files import checking
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, nothing_staged, number_of, sha256


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


@pytest.fixture
async def tom(gateway: Served) -> Uploader:
    return Uploader(gateway, await gateway.log_in("tom"))


async def _refused(tom: Uploader, content: bytes, name: str, **said: str) -> dict[str, Any]:
    url = await tom.brought(content, name, **said)
    upload = await tom.checked(url)
    assert upload.state is UploadState.FAILED
    file = await tom.file(url)
    assert (file.state, file.refusal, file.blob_id) == (FileState.REFUSED, upload.refusal, None)
    await nothing_staged(tom.served)
    assert (await tom.send("HEAD", url)).status_code == 410
    assert upload.refusal is not None
    return upload.refusal


async def test_a_file_with_another_hash_is_refused(tom: Uploader) -> None:
    told = await _refused(tom, b"hello", "x.csv", checksum=f"sha256 {sha256(b'other')}")
    assert (told["code"], told["given"], told["found"]) == ("CHECKSUM", sha256(b"other"), sha256(b"hello"))
    assert await number_of(tom.served, Blob) == 0


async def test_a_file_that_is_not_what_its_name_says_is_refused(tom: Uploader) -> None:
    for name in ("x.png", "x.jpg", "x.pdf", "x.zip", "x.tgz"):
        assert (await _refused(tom, b"hello, world, hello", name))["code"] == "TYPE"


async def test_the_same_bytes_are_stored_once_and_stay_with_the_last_file(tom: Uploader, gateway: Served) -> None:
    maria = Uploader(gateway, await gateway.log_in("maria"))
    first = await tom.ready(b"hello")
    second = await maria.ready(b"hello", "other.csv")
    assert first.blob_id == second.blob_id
    assert len([one async for one in gateway.services.files.storage.digests()]) == 1
    assert (await maria.fetched(second)).content == b"hello"


async def test_a_known_hash_does_not_fetch_a_strangers_bytes(tom: Uploader, gateway: Served) -> None:
    file = await tom.ready(b"secret")
    eve = Uploader(gateway, await gateway.log_in("eve"))
    begun = await eve.begin(
        purpose="DATASET", name="x.csv", size="6", checksum={"algorithm": "SHA256", "value": sha256(b"secret")}
    )
    assert begun["upload"]["state"] == "OPEN"
    assert (await eve.fetched(file)).status_code == 404


# Archives -------------------------------------------------------------------------------------------------------------


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], **given: Any) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **given) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return target.getvalue()


def tarred(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, mode: str = "w:gz") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def _link() -> bytes:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((entry, b"/etc/passwd"))


def _device() -> bytes:
    entry = zipfile.ZipInfo("device")
    entry.external_attr = (stat.S_IFBLK | 0o777) << 16
    return zipped((entry, b""))


def _nested(depth: int, width: int = 2) -> bytes:
    content = b"\0" * 100_000
    for level in range(depth):
        end = ".zip" if level else ".bin"
        content = zipped(*((f"lib {n}{end}", content) for n in range(width)))
    return content


def _lying() -> bytes:
    """An entry that says that it has fewer bytes than it unpacks to."""
    content = bytearray(zipped(("x.bin", b"\0" * 100_000)))
    central = content.rindex(b"PK\x01\x02")
    struct.pack_into("<L", content, central + 24, 50_000)
    struct.pack_into("<L", content, 22, 50_000)
    return bytes(content)


def _overlapping() -> bytes:
    """Two entries of the directory that lie in the same bytes."""
    content = zipped(("a.bin", b"x" * 1000), ("b.bin", b"x" * 1000))
    made = bytearray(content)
    second = made.rindex(b"PK\x01\x02")
    struct.pack_into("<L", made, second + 42, 0)
    return bytes(made)


def _many() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for n in range(findings.ENTRIES + 1):
            archive.writestr(f"{n}", b"")
    return target.getvalue()


BAD: dict[str, tuple[str, Callable[[], bytes], str, str | None]] = {
    "out of it": ("x.zip", lambda: zipped(("a/../../x", b"1")), "ARCHIVE_PATH", "a/../../x"),
    "absolute": ("x.zip", lambda: zipped(("/etc/passwd", b"1")), "ARCHIVE_PATH", "/etc/passwd"),
    "a drive": ("x.zip", lambda: zipped(("C:/x", b"1")), "ARCHIVE_PATH", "C:/x"),
    "a backslash": ("x.zip", lambda: zipped(("a\\b", b"1")), "ARCHIVE_NAME", "a\\b"),
    "invisible": ("x.zip", lambda: zipped(("a\nb", b"1")), "ARCHIVE_NAME", "a\nb"),
    "twice": ("x.zip", lambda: zipped(("a.txt", b"1"), ("A.TXT", b"2")), "ARCHIVE_DUPLICATE", "A.TXT"),
    "a file as a folder": ("x.zip", lambda: zipped(("a", b"1"), ("a/b", b"2")), "ARCHIVE_DUPLICATE", "a/b"),
    "a link": ("x.zip", _link, "ARCHIVE_LINK", "link"),
    "a device": ("x.zip", _device, "ARCHIVE_DEVICE", "device"),
    "overlapping": ("x.zip", _overlapping, "ARCHIVE_", None),
    "a lying size": ("x.zip", _lying, "ARCHIVE_", None),
    "42.zip": ("x.zip", lambda: _nested(6), "ARCHIVE_NESTED", None),
    "broken": ("x.zip", lambda: b"PK\x03\x04" + b"x" * 100, "ARCHIVE_BROKEN", None),
    "cut": ("x.zip", lambda: zipped(("a", b"x" * 5000))[:-40], "ARCHIVE_BROKEN", None),
    "tar out of it": ("x.tar.gz", lambda: tarred(("../x", b"1")), "ARCHIVE_PATH", "../x"),
    "tar symlink": ("x.tar.gz", lambda: tarred(("x", b""), kind=tarfile.SYMTYPE), "ARCHIVE_LINK", "x"),
    "tar hard link": ("x.tar", lambda: tarred(("x", b""), kind=tarfile.LNKTYPE, mode="w"), "ARCHIVE_LINK", "x"),
    "tar device": ("x.tgz", lambda: tarred(("x", b""), kind=tarfile.CHRTYPE), "ARCHIVE_DEVICE", "x"),
    "tar twice": ("x.tar.xz", lambda: tarred(("x", b"1"), ("x", b"2"), mode="w:xz"), "ARCHIVE_DUPLICATE", "x"),
    "tar cut": ("x.tar.gz", lambda: tarred(("x", bytes(range(256)) * 99))[:-20], "ARCHIVE_BROKEN", None),
}


@pytest.mark.parametrize("what", BAD)
async def test_an_archive_made_to_hurt_is_refused_with_the_entry(tom: Uploader, what: str) -> None:
    name, make, wanted, entry = BAD[what]
    told = await _refused(tom, make(), name)
    assert told["code"].startswith(wanted)
    if entry is not None:
        assert told["entry"] == entry
    assert "/" not in told["message"] or told["code"] == "ARCHIVE_BROKEN"


@pytest.mark.slow
async def test_too_many_entries_and_a_bomb_are_refused(tom: Uploader) -> None:
    assert (await _refused(tom, _many(), "x.zip"))["code"] == "ARCHIVE_ENTRIES"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zero", "w") as zero:
        for _ in range(findings.SMALL // 1_000_000 + 1):
            zero.write(b"\0" * 1_000_000)
    assert (await _refused(tom, target.getvalue(), "x.zip"))["code"] == "ARCHIVE_RATIO"


async def test_good_archives_are_taken(tom: Uploader) -> None:
    for name, content in {
        "x.zip": zipped(("a/b.txt", b"1"), ("a/c.zip", zipped(("d", b"2"))), ("e/", b"")),
        "x.tar.gz": tarred(("a/b", b"1"), ("a/c", b"2")),
        "x.tar": tarred(("a", b"1"), mode="w"),
        "x.tar.bz2": tarred(("a", b"1"), mode="w:bz2"),
    }.items():
        assert (await tom.ready(content, name)).state is FileState.READY


# Trouble --------------------------------------------------------------------------------------------------------------


async def test_a_check_that_ended_with_its_process_is_done_by_another(
    tom: Uploader, gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = checking._claim

    async def nothing(_: Any) -> None:
        return None

    monkeypatch.setattr(checking, "_claim", nothing)
    url = await tom.brought(b"hello")
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Upload).values(holder="a gateway that was killed", lease_until=later(-1)))
    monkeypatch.setattr(checking, "_claim", claim)
    gateway.services.feed.publish([UPLOADED])
    assert (await tom.checked(url)).state is UploadState.COMPLETE


async def test_a_check_that_goes_on_after_another_moved_the_bytes_finds_them(
    tom: Uploader, gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a gateway that was killed between the bytes and their row."""
    monkeypatch.setattr(checking, "AGAIN", 0)
    ready, failed = checking._ready, []

    async def dies(*given: Any) -> None:
        if not failed:
            failed.append(given)
            raise RuntimeError("killed")
        await ready(*given)

    monkeypatch.setattr(checking, "_ready", dies)
    file = await tom.ready(b"hello")
    assert failed
    assert (await tom.fetched(file)).content == b"hello"


async def test_a_check_that_never_ends_is_given_up(tom: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(checking, "_pinned", fails)
    monkeypatch.setattr(checking, "AGAIN", 0)
    told = await _refused(tom, b"hello", "x.csv")
    assert told == {"code": "CHECK_FAILED", "message": "its check did not end, several times"}


async def test_a_refused_file_tells_why_and_is_not_fetched(tom: Uploader, gateway: Served) -> None:
    url = await tom.brought(b"hello", "x.png")
    await tom.checked(url)
    answer = await tom.fetched(await tom.file(url))
    assert answer.status_code == 400
    assert "refused" in answer.text
    files = await gateway.ask("{files(first:9){nodes{state refusal{code message entry} downloadUrl}}}", tom.headers["Authorization"])  # fmt: skip
    (one,) = files["files"]["nodes"]
    assert (one["state"], one["refusal"]["code"], one["downloadUrl"]) == ("REFUSED", "TYPE", None)
    assert await number_of(gateway, File) == 1
