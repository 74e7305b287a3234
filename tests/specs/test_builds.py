"""Packages are built by a job when a version is put, and again on demand, with the same bytes."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import now
from jobs.specs.distributions import Package, wheel
from resolvers.specs.reading import tables_of
from schema.fields.scalars import key_of
from tests.support.serving import Serve, Served
from tests.support.spec_owners import SpecOwner
from tests.support.specs import described
from tests.work.test_running import until, workers

pytestmark = pytest.mark.slow
"""Real components, started and ended."""


async def _owner(serve: Serve, backend: str, **given: Any) -> SpecOwner:
    gateway: Served = await serve(backend, **{"task_slots": 1, **given})
    return SpecOwner(gateway, await gateway.log_in("tom"))


async def test_a_version_is_built_into_a_wheel_a_source_distribution_and_a_json_schema(
    serve: Serve, backend: str, tmp_path: Path
) -> None:
    tom = await _owner(serve, backend)
    source = described("Magnet", "Monitor", version="1.2")
    done = await tom.put("Beam_Line", source)
    assert done["job"]["kind"] == "PACKAGE_BUILD"
    version = await tom.built(done["id"])
    assert version["job"]["state"] == "COMPLETED", version["job"]
    files = {file["name"]: file for file in version["files"]["nodes"]}
    assert set(files) == {
        "beam_line-1.2-py3-none-any.whl", "beam_line-1.2.tar.gz", "beam_line-1.2.schema.json",
    }  # fmt: skip
    assert {(file["state"], file["purpose"]) for file in files.values()} == {("READY", "SPEC_PACKAGE")}
    assert "beam-line 1.2: 2 models" in [line["text"] for line in version["job"]["log"]["nodes"]]
    fetched = await tom.fetched(files["beam_line-1.2-py3-none-any.whl"])
    package = Package(name="beam-line", version="1.2", title="Beams", description="What a beam line has.")
    assert fetched == wheel(package, tables_of(source, m.SpecLanguage.JSON))[1]
    schema = json.loads(await tom.fetched(files["beam_line-1.2.schema.json"]))
    assert set(schema["$defs"]) == {"Magnet", "Monitor"}
    (tmp_path / "x.whl").write_bytes(fetched)
    said = "import sqlalchemy, beam_line; print(sorted(beam_line.Base.metadata.tables))"
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'x.whl')!r}); {said}"
    told = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", code], text=True)
    assert told.strip() == "['magnet', 'monitor']"


async def test_packages_that_are_built_again_have_the_same_bytes(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    done = await tom.put("beams", described("Magnet"))
    first = await tom.built(done["id"])
    assert (await tom.run("buildPackage", done["id"]))["__typename"] == "SpecVersion"
    second = await tom.built(done["id"])
    assert (second["job"]["attempt"], second["job"]["state"]) == (2, "COMPLETED")
    digests = [{file["name"]: file["digest"] for file in one["files"]["nodes"]} for one in (first, second)]
    assert digests[0] == digests[1]


async def test_a_page_of_the_index_changes_with_a_build_and_the_spec_does_not(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    done = await tom.put("beams", described("Magnet"))

    async def page(etag: str = "") -> Any:
        headers = {"Authorization": tom.bearer, "If-None-Match": etag}
        return await tom.gateway.client.get("/simple/beams/", headers=headers)

    await tom.built(done["id"])
    first = await page()
    assert first.status_code == 200
    assert (await page(first.headers["ETag"])).status_code == 304
    await tom.run("buildPackage", done["id"])
    await tom.built(done["id"])
    second = await page(first.headers["ETag"])
    assert second.status_code == 200
    assert second.headers["ETag"] != first.headers["ETag"]
    found = await tom.gateway.ask("query($i:ID!){spec(id:$i){version}}", tom.bearer, i=done["spec"]["id"])
    assert found["spec"]["version"] == done["spec"]["version"], "who read it before may change it"


async def test_a_superadmin_does_not_delete_a_package_of_a_version(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    done = await tom.put("beams", described("Magnet"))
    (file, *_) = (await tom.built(done["id"]))["files"]["nodes"]
    root = await tom.gateway.log_in("root")
    for mutation in ("deleteFile", "deleteFileForever"):
        query = f"mutation($i:ID!){{done:{mutation}(id:$i){{__typename ...on Problem{{code message}}}}}}"
        told = (await tom.gateway.ask(query, root, i=file["id"]))["done"]
        assert told.get("code") == "STATE", (mutation, told)


async def test_a_version_put_anew_while_it_is_built_has_the_packages_of_the_latter(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    for name in ("Magnet", "Monitor", "Dipole"):
        done = await tom.put("beams", described(name, version="1"))
    version = await tom.built(done["id"])
    assert (version["job"]["state"], version["job"]["attempt"]) == ("COMPLETED", 3)
    (schema,) = [file for file in version["files"]["nodes"] if file["name"].endswith(".json")]
    assert set(json.loads(await tom.fetched(schema))["$defs"]) == {"Dipole"}
    assert len(version["files"]["nodes"]) == 3


async def test_a_deleted_version_takes_its_own_packages_and_build_along(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    kept = await tom.put("beams", described("Magnet", version="1"))
    await tom.built(kept["id"])
    other = await tom.put("beams-other", described("Magnet", version="1"))
    await tom.built(other["id"])
    gone = await tom.put("beams", described("Monitor", version="2"))
    file = (await tom.built(gone["id"]))["files"]["nodes"][0]
    assert (await tom.run("deleteSpecVersion", gone["id"]))["__typename"] == "Deleted"
    assert (await tom.gateway.client.get(file["downloadUrl"])).status_code == 404
    assert len((await tom.read(kept["id"]))["files"]["nodes"]) == 3
    assert (await tom.run("deleteSpec", kept["spec"]["id"]))["__typename"] == "Deleted"
    assert len((await tom.read(other["id"]))["files"]["nodes"]) == 3
    live = sa.select(m.File.id).where(m.File.purpose == m.FilePurpose.SPEC_PACKAGE, m.File.deleted_at.is_(None))
    assert len(await tom.gateway.services.database.rows(live)) == 3
    assert not await tom.gateway.services.database.rows(
        sa.select(m.Job.id).where(m.Job.spec_version_id.is_not(None), m.Job.ended_at.is_(None))
    )


async def test_a_deletion_cancels_the_build(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend, task_slots=0)
    done = await tom.put("beams", described("Magnet"))
    assert done["job"]["state"] == "PENDING"
    assert (await tom.run("buildPackage", done["id"]))["code"] == "STATE"
    await tom.run("deleteSpec", done["spec"]["id"])
    states = sa.select(m.Job.state).where(m.Job.kind == m.JobKind.PACKAGE_BUILD)
    assert [row.state for row in await tom.gateway.services.database.rows(states)] == [m.JobState.CANCELED]


async def test_a_fetched_package_is_not_replaced_by_other_bytes(serve: Serve, backend: str) -> None:
    """Such as those of a generator that changed meanwhile."""
    tom = await _owner(serve, backend)
    done = await tom.put("beams", described("Magnet"))
    before = (await tom.built(done["id"]))["files"]["nodes"]
    async with tom.gateway.services.database.write(as_system="test") as session:
        key = key_of("SpecVersion", done["id"])
        changed = {"fetched_at": now(), "description": "Another one."}
        await session.execute(sa.update(m.SpecVersion).where(m.SpecVersion.id == key).values(**changed))
    await tom.run("buildPackage", done["id"])
    version = await tom.built(done["id"])
    assert version["job"]["state"] == "FAILED"
    assert "was fetched" in str(version["job"]["error"])
    assert [file["digest"] for file in version["files"]["nodes"]] == [file["digest"] for file in before]


async def test_a_build_whose_worker_is_killed_is_done_again(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend, task_lease=2)
    done = await tom.put("beams", described(*(f"Model{n}" for n in range(9))))
    await until(tom.gateway, tom.bearer, done["job"]["id"], lambda job: job["state"] == "RUNNING")
    for pid in workers(Path(tom.gateway.app.state.runs)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    version = await tom.built(done["id"])
    assert version["job"]["state"] == "COMPLETED", version["job"]
    assert len(version["files"]["nodes"]) == 3


async def test_the_users_of_its_project_fetch_the_packages_of_a_spec(serve: Serve, backend: str) -> None:
    tom = await _owner(serve, backend)
    maria = SpecOwner(tom.gateway, await tom.gateway.log_in("maria"))
    done = await tom.put("beams", described("Magnet"))
    await tom.built(done["id"])
    assert await maria.read(done["id"]) is None
    share = """mutation($id:ID!,$v:Int!,$p:ID!){updateSpec(id:$id,expectedVersion:$v,input:{project:$p}){__typename}}"""
    spec = (await tom.gateway.ask("query($id:ID!){spec(id:$id){version}}", tom.bearer, id=done["spec"]["id"]))["spec"]
    project = tom.gateway.world.id("Project", "shared")
    await tom.gateway.ask(share, tom.bearer, id=done["spec"]["id"], v=spec["version"], p=project)
    shared = await maria.read(done["id"])
    assert len(shared["files"]["nodes"]) == 3
    assert await maria.fetched(shared["files"]["nodes"][0])
    assert shared["job"]["state"] == "COMPLETED"
