"""How many bytes a user and a project may have, and when the storage takes no more."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from db.models import Upload
from db.storage.storage import StorageFull
from resolvers.spelling import global_id
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, code, in_pieces, meta, number_of


async def _bounded(serve: Serve, backend: str, **bounds: Any) -> tuple[Served, Uploader]:
    gateway = await serve(backend)
    files = gateway.services.files
    object.__setattr__(files, "bounds", replace(files.bounds, **bounds))
    return gateway, Uploader(gateway, await gateway.log_in("tom"))


async def test_a_user_has_so_many_bytes_and_no_more(serve: Serve, backend: str) -> None:
    gateway, tom = await _bounded(serve, backend, user=100)
    file = await tom.ready(b"x" * 60)
    answer = await tom.begin(purpose="DATASET", name="x.csv", size="41")
    assert (answer["code"], answer["details"]) == ("QUOTA", {"limit": 100, "used": 60, "requested": 41})
    assert code(await tom.create(41)) == (413, "QUOTA")
    url = await tom.begun(40)
    assert code(await tom.create(1)) == (413, "QUOTA")
    await tom.send("DELETE", url)
    eve = Uploader(gateway, await gateway.log_in("eve"))
    assert (await eve.create(41)).status_code == 201
    bearer, id = tom.headers["Authorization"], global_id("File", file.id)
    await gateway.ask("mutation($id:ID!){deleteFile(id:$id){__typename}}", bearer, id=id)
    assert code(await tom.create(41)) == (413, "QUOTA"), "it may come back"
    await gateway.ask("mutation($id:ID!){deleteFileForever(id:$id){__typename}}", bearer, id=id)
    assert (await tom.create(41)).status_code == 201


async def test_a_project_has_so_many_bytes_whoever_brings_them(serve: Serve, backend: str) -> None:
    gateway, tom = await _bounded(serve, backend, project=100)
    target = global_id("Project", gateway.world.shared)
    await tom.ready(b"x" * 60, target=target)
    maria = Uploader(gateway, await gateway.log_in("maria"))
    answer = await maria.begin(purpose="DATASET", name="x.csv", size="41", target=target)
    assert (answer["code"], answer["details"]["used"]) == ("QUOTA", 60)
    assert (await maria.create(1000)).status_code == 201


async def test_of_ten_uploads_at_once_only_those_are_begun_that_fit(serve: Serve, backend: str) -> None:
    gateway, tom = await _bounded(serve, backend, user=100)
    answers = await asyncio.gather(*(tom.create(30) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [413] * 7
    assert await number_of(gateway, Upload) == 3


async def test_an_upload_of_unknown_size_is_counted_as_it_grows(serve: Serve, backend: str) -> None:
    _, tom = await _bounded(serve, backend, user=100)
    url = await tom.begun(None)
    assert (await tom.patch(url, 0, b"x" * 60)).status_code == 204
    assert code(await tom.patch(url, 60, b"x" * 60)) == (413, "QUOTA")
    assert code(await tom.patch(url, 60, b"", Upload_Length="120")) == (413, "QUOTA")
    assert (await tom.patch(url, 60, b"x" * 40, Upload_Length="100")).status_code == 204


async def test_bytes_of_unknown_size_are_counted_before_they_come(serve: Serve, backend: str) -> None:
    _, tom = await _bounded(serve, backend, user=100)
    urls = [await tom.begun(None) for _ in range(8)]
    answers = await asyncio.gather(*(tom.patch(url, 0, b"x" * 40) for url in urls))
    assert sorted(answer.status_code for answer in answers) == [204] * 2 + [413] * 6
    unsized = await tom.patch(urls[0], await tom.offset(urls[0]), in_pieces(b"x"))
    assert (code(unsized), unsized.json()["errors"][0]["extensions"]["field"]) == ((400, "INVALID"), "Content-Length")


async def test_what_is_put_together_was_counted_with_its_parts(serve: Serve, backend: str) -> None:
    _, tom = await _bounded(serve, backend, user=100)
    places = [await tom.begun(50, Upload_Concat="partial", Upload_Metadata="") for _ in range(2)]
    for place in places:
        await tom.patch(place, 0, b"x" * 50)
    said = meta(filename="x.csv", purpose="DATASET")
    final = await tom.send("POST", "/uploads", Upload_Concat=f"final;{' '.join(places)}", Upload_Metadata=said)
    assert final.status_code == 201
    assert code(await tom.create(1)) == (413, "QUOTA")


async def test_a_file_over_the_bound_is_refused(serve: Serve, backend: str) -> None:
    _, tom = await _bounded(serve, backend, upload=100)
    answer = await tom.begin(purpose="DATASET", name="x.csv", size="101")
    assert answer["code"] == "LIMIT_EXCEEDED"
    assert answer["details"] == {"limit": "upload", "allowed": 100, "value": 101}
    assert code(await tom.create(101)) == (413, "LIMIT_EXCEEDED")
    url = await tom.begun(None)
    assert code(await tom.patch(url, 0, b"x" * 101)) == (400, "INVALID")


async def test_so_many_uploads_may_be_under_way(serve: Serve, backend: str) -> None:
    _, tom = await _bounded(serve, backend, under_way=2)
    first, _ = await tom.begun(5), await tom.begun(5)
    assert code(await tom.create(5)) == (413, "LIMIT_EXCEEDED")
    await tom.patch(first, 0, b"hello")
    assert (await tom.create(5)).status_code == 201


async def test_a_nearly_full_storage_takes_nothing_and_says_when_to_ask_again(
    serve: Serve, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, tom = await _bounded(serve, backend, floor=1_000)
    url = await tom.begun(5)

    async def free() -> int:
        return 1_002

    monkeypatch.setattr(gateway.services.files.storage, "free", free)
    for answer in (await tom.create(5), await tom.patch(url, 0, b"hello")):
        assert code(answer) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "60"
    assert (await tom.begin(purpose="DATASET", name="x.csv", size="5"))["code"] == "UNAVAILABLE"
    monkeypatch.undo()
    assert (await tom.patch(url, 0, b"hello")).status_code == 204


async def test_a_storage_that_is_full_in_the_middle_keeps_what_came(
    serve: Serve, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, tom = await _bounded(serve, backend)
    url = await tom.begun(3_000_000)
    storage: Any = gateway.services.files.storage
    sink = storage.sink

    async def small(key: str, size: int) -> Any:
        made = await sink(key, size)
        written = made.write

        async def write(pieces: Any) -> None:
            if made._size + sum(map(len, pieces)) > 2_200_000:
                raise StorageFull("full")
            await written(pieces)

        made.write = write
        return made

    monkeypatch.setattr(storage, "sink", small)
    answer = await tom.patch(url, 0, b"x" * 3_000_000)
    assert code(answer) == (503, "UNAVAILABLE")
    assert "nearly full" in answer.json()["errors"][0]["message"]
    monkeypatch.undo()
    came = await tom.offset(url)
    assert (await tom.patch(url, came, b"x" * (3_000_000 - came))).status_code == 204
    await tom.checked(url)
    assert (await tom.fetched(await tom.file(url))).content == b"x" * 3_000_000
