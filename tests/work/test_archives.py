"""Archives: a job of another kind, from what its owner may read to a file that is fetched, expires and is swept."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Archive, File, Job, Simulation, Upload
from db.types import later
from gateway.protocol.authentication import authenticate
from resolvers.archives import archives
from resolvers.archives import kind as archive_kind
from resolvers.files import sweeping
from resolvers.retention import tidy
from resolvers.spelling import global_id
from tests.support.platforms import Platform
from tests.support.serving import Serve, Served
from tests.support.uploading import number_of
from tests.support.work import CLAIM, hand
from tests.work.test_running import ended, until

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

CREATE = """mutation($s:ID!){createArchive(input:{subject:$s}){__typename ...on Archive{id job{id kind state}}
  ...on Problem{code message field details}}}"""
READ = """query($id:ID!){archive(id:$id){title expiresAt job{state tasks(first:9){nodes{requested done state}}}
  file{id name size state digest expiresAt downloadUrl purpose}}}"""


async def archived(gateway: Served, bearer: str, subject: str) -> dict[str, Any]:
    """The archive of a subject, once its job has ended."""
    made = (await gateway.ask(CREATE, bearer, s=subject))["createArchive"]
    assert made["__typename"] == "Archive", made
    assert made["job"]["kind"] == "ARCHIVE"
    seen = await until(gateway, bearer, made["job"]["id"], ended)
    assert seen[-1]["state"] == "COMPLETED", await gateway.ask(JOB, bearer, id=made["job"]["id"])
    return {"id": made["id"], **(await gateway.ask(READ, bearer, id=made["id"]))["archive"]}


JOB = "query($id:ID!){job(id:$id){state error{code message} log(first:99){nodes{text}}}}"


async def content_of(gateway: Served, archive: dict[str, Any]) -> zipfile.ZipFile:
    answer = await gateway.client.get(archive["file"]["downloadUrl"])
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).hexdigest() == archive["file"]["digest"]
    return zipfile.ZipFile(io.BytesIO(answer.content))


async def test_a_simulation_becomes_a_zip_that_is_fetched_in_ranges(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=1)
    tom = await gateway.log_in("tom")
    archive = await archived(gateway, tom, gateway.world.id("Simulation", "simulation"))
    file = archive["file"]
    assert (file["state"], file["purpose"], file["name"]) == ("READY", "ARCHIVE", "shared by tom.zip")
    assert file["expiresAt"] == archive["expiresAt"]
    assert archive["job"]["tasks"]["nodes"] == [{"requested": "1", "done": "1", "state": "COMPLETED"}]
    content = await content_of(gateway, archive)
    manifest = {one["path"]: one for one in json.loads(content.read("manifest.json"))["files"]}
    assert set(content.namelist()) == {*manifest, "manifest.json"} >= {"results.json", "inputs/beam.dat", "log.txt"}
    for path, told in manifest.items():
        assert hashlib.sha256(content.read(path)).hexdigest() == told["sha256"]
    url, size = file["downloadUrl"], int(file["size"])
    halves = [(0, size // 2 - 1), (size // 2, size - 1)]
    parts = [(await gateway.client.get(url, headers={"Range": f"bytes={a}-{b}"})).content for a, b in halves]
    assert hashlib.sha256(b"".join(parts)).hexdigest() == file["digest"]


async def test_a_project_becomes_one_zip_of_what_its_asker_may_read(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=1)
    async with gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Simulation).values(project_id=gateway.world.shared, title='a/"b"'))
    maria = await gateway.log_in("maria")
    archive = await archived(gateway, maria, gateway.world.id("Project", "shared"))
    names = (await content_of(gateway, archive)).namelist()
    assert {name.split("/")[0] for name in names} == {"a__b_", "a__b_-2", "manifest.json"}
    assert not any("inputs" in name for name in names), "inputs are their owners' alone"


async def test_an_archive_is_its_owners_alone_and_so_is_its_job(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=1)
    maria, tom = await gateway.log_in("maria"), await gateway.log_in("tom")
    archive = await archived(gateway, maria, gateway.world.id("Project", "shared"))
    assert (await gateway.ask(READ, tom, id=archive["id"]))["archive"] is None
    jobs = "{jobs(first:99,filter:{kind:{in:[ARCHIVE]}}){totalCount}}"
    assert (await gateway.ask(jobs, tom))["jobs"]["totalCount"] == 0
    assert (await gateway.ask(jobs, maria))["jobs"]["totalCount"] == 1
    assert (await gateway.client.get(archive["file"]["downloadUrl"].partition("?")[0])).status_code == 401


async def test_an_archive_expires_and_is_swept_with_its_job(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=1)
    tom = await gateway.log_in("tom")
    archive = await archived(gateway, tom, gateway.world.id("Simulation", "simulation"))
    database, storage = gateway.services.database, gateway.services.files.storage
    async with database.write(as_system="test") as session:
        await session.execute(sa.update(File).values(expires_at=later(-1)))
        await session.execute(sa.update(Archive).values(expires_at=later(-40 * 86_400)))
    assert (await gateway.ask(READ, tom, id=archive["id"]))["archive"]["file"] is None
    swept = await tidy(database, [sweeping.expired(), sweeping.archives(30)])
    assert swept == {"expired files": 1, "archives": 1}
    assert await number_of(gateway, Job, Job.kind == "ARCHIVE") == 0
    assert (await gateway.ask(READ, tom, id=archive["id"]))["archive"] is None
    assert len([one async for one in storage.digests()]) == 1, "its bytes go with a later sweep"


async def test_an_archive_is_deleted_with_its_file_and_its_job(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend, task_slots=1)
    tom = await gateway.log_in("tom")
    archive = await archived(gateway, tom, gateway.world.id("Simulation", "simulation"))
    deleted = "mutation($id:ID!){deleteArchive(id:$id){__typename}}"
    assert (await gateway.ask(deleted, tom, id=archive["id"]))["deleteArchive"]["__typename"] == "Deleted"
    assert (await gateway.client.get(archive["file"]["downloadUrl"])).status_code == 404
    assert (await gateway.ask("{jobs(first:9,filter:{kind:{in:[ARCHIVE]}}){totalCount}}", tom))["jobs"][
        "totalCount"
    ] == 0


# By hand --------------------------------------------------------------------------------------------------------------


async def _asked(platform: Platform, who: str, subject: str) -> dict[str, Any]:
    made: dict[str, Any] = (await platform.ask(CREATE, who, s=subject))["createArchive"]
    return made


async def test_what_may_not_be_seen_or_is_empty_is_not_archived(platform: Platform) -> None:
    world = platform.world
    assert (await _asked(platform, "eve", world.id("Simulation", "simulation")))["code"] == "NOT_FOUND"
    assert (await _asked(platform, "tom", world.id("Simulation", "private")))["code"] == "NOT_FOUND"
    wrong = await _asked(platform, "tom", world.id("Job", "job"))
    assert (wrong["code"], wrong["field"]) == ("INVALID", "input.subject")
    empty = await _asked(platform, "root", world.id("Project", "apart"))
    assert (empty["code"], empty["message"]) == ("INVALID", "the project has no simulation that you may read")


async def test_so_many_archives_wait(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "WAITING", 1)
    subject = platform.world.id("Simulation", "simulation")
    assert (await _asked(platform, "tom", subject))["__typename"] == "Archive"
    assert (await _asked(platform, "tom", subject))["code"] == "LIMIT_EXCEEDED"
    assert (await _asked(platform, "maria", subject))["__typename"] == "Archive"


async def test_rights_that_ended_meanwhile_fail_the_job_with_the_reason(platform: Platform) -> None:
    """The task is given what the owner may read by then."""
    made = await _asked(platform, "maria", platform.world.id("Project", "shared"))
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Simulation).values(project_id=platform.world.apart))
    (worker,) = await hand(platform)
    assert await platform.refused(CLAIM, worker, n="worker-one") == ["NOT_FOUND"]
    job = (await platform.ask("query($id:ID!){job(id:$id){state error{code message}}}", "maria", id=made["job"]["id"]))["job"]  # fmt: skip
    assert (job["state"], job["error"]["message"]) == ("FAILED", archive_kind.NOTHING)


async def test_a_worker_delivers_only_what_its_own_task_uploaded(platform: Platform) -> None:
    await _asked(platform, "tom", platform.world.id("Simulation", "simulation"))
    (worker,) = await hand(platform)
    token = (await platform.ask(CLAIM, worker, n="worker-one"))["workerClaim"]["token"]
    mine = await authenticate(platform.services, f"Bearer {token}")
    deliver = "mutation($u:[ID!]!){workerDeliver(uploads:$u){state}}"
    (row,) = await platform.services.database.rows(sa.select(sa.func.count()).select_from(Upload))
    assert row[0] == 0
    stranger = global_id("Upload", platform.world.job)
    assert await platform.refused(deliver, mine, u=[stranger]) == ["NOT_FOUND"]
    assert await platform.refused(deliver, mine, u=[]) == ["INVALID"]
    assert await platform.refused(deliver, mine, u=[stranger] * 101) == ["LIMIT_EXCEEDED"]
    results = "mutation{workerPutResults(estimators:[]){state}}"
    assert await platform.refused(results, mine) == ["INVALID"]
