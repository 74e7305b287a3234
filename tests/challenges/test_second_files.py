"""A submission has one file, the first that came: what comes later is not evaluated in its place."""

import asyncio

import pytest

from db import models as m
from db.types import later
from resolvers.challenges import evaluations
from tests.support.contests import begun, contest, done, key_of, read, set_row, until
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader, code, meta, number_of

ON_SQLITE = True
pytestmark = [pytest.mark.slow, pytest.mark.both]


def said(submission: str, name: str) -> dict[str, str]:
    return {"Upload_Metadata": meta(filename=name, purpose="SUBMISSION_INPUT", target=submission)}


async def test_an_upload_that_was_begun_before_and_ends_after_another_is_not_taken(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    of = await contest(gateway, root)
    submission = await begun(gateway, tom, of)
    uploader = Uploader(gateway, tom)
    late = await uploader.begun(4, "late.csv", **said(submission["id"], "late.csv"))
    await uploader.brought(b"first", "first.csv", purpose="SUBMISSION_INPUT", target=submission["id"])
    before = await until(gateway, tom, submission, lambda one: one["status"] == "ON_QUEUE")
    await set_row(gateway, m.Phase, of.phase, ends_at=later(-0.001))
    assert code(await uploader.patch(late, 0, b"late")) == (403, "STATE")
    assert code(await uploader.create(3, "third.csv", **said(submission["id"], "third.csv"))) == (403, "STATE")
    async with gateway.services.database.write(as_system="test") as session:
        file = await evaluations.input_of(session, key_of(submission["id"]))
        assert file is not None
        assert file.name == "first.csv"
    assert await number_of(gateway, m.File, m.File.submission_id == key_of(submission["id"])) == 1
    assert await read(gateway, tom, submission) == before


async def test_of_uploads_that_end_at_once_one_is_taken(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    submission = await begun(gateway, tom, await contest(gateway, root))
    uploader = Uploader(gateway, tom)
    urls = [await uploader.begun(4, f"{n}.csv", **said(submission["id"], f"{n}.csv")) for n in range(5)]
    answers = await asyncio.gather(*(uploader.patch(url, 0, f"id,{n}".encode()) for n, url in enumerate(urls)))
    assert sorted(answer.status_code for answer in answers) == [204] + [403] * 4
    await until(gateway, tom, submission, lambda one: one["status"] == "ON_QUEUE")
    (name,) = [f"{n}.csv" for n, answer in enumerate(answers) if answer.status_code == 204]
    async with gateway.services.database.write(as_system="test") as session:
        file = await evaluations.input_of(session, key_of(submission["id"]))
        assert file is not None
        assert file.name == name


async def test_a_file_for_a_submission_that_was_cancelled_is_not_taken(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    submission = await begun(gateway, tom, await contest(gateway, root))
    uploader = Uploader(gateway, tom)
    url = await uploader.begun(4, "x.csv", **said(submission["id"], "x.csv"))
    await done(gateway, tom, "cancelSubmission", id=submission["id"])
    assert code(await uploader.patch(url, 0, b"late")) == (403, "STATE")
    assert (await read(gateway, tom, submission))["status"] == "CANCELED"
    assert await number_of(gateway, m.File, m.File.submission_id == key_of(submission["id"])) == 0
