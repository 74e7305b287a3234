"""Files that the program of a simulation wrote: kept with it, for whoever sees it, until they expire."""

import struct
from typing import Any

import pytest

from tests.support.databases import BACKENDS
from tests.support.programs import INPUTS, stand_in
from tests.support.serving import Serve, Served
from tests.work.test_running import SUBMIT, ended, until

OUTPUTS = """query($i: ID!) { job(id: $i) { state warnings error { message } simulation { id estimators(first: 9) { nodes { name } }
  outputs(first: 50) { nodes { id name purpose state size expiresAt downloadUrl task { ordinal } } } } } }"""


async def run(serve: Serve, backend: str, **given: Any) -> tuple[Served, str, Any]:
    program = stand_in("fluka")
    described = {"name": program.name, "like": "fluka", "command": list(program.command)}
    gateway: Served = await serve(backend, task_slots=2, programs=[described], **given)
    tom = await gateway.log_in("tom")
    simulation = {"simType": program.name, "inputFiles": INPUTS[program.name], "tasks": 2}
    submitted = (await gateway.ask(SUBMIT, tom, i=simulation))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    return gateway, tom, (await gateway.ask(OUTPUTS, tom, i=submitted["job"]["id"]))["job"]


@pytest.mark.slow
@pytest.mark.parametrize("kept_in", BACKENDS)
async def test_the_files_that_a_program_wrote_are_kept_with_its_simulation(serve: Serve, kept_in: str) -> None:
    gateway, tom, job = await run(serve, kept_in)
    assert (job["state"], job["warnings"]) == ("COMPLETED", [])
    files = sorted(job["simulation"]["outputs"]["nodes"], key=lambda file: str(file["name"]))
    assert [(file["name"], file["purpose"], file["state"]) for file in files] == [
        (name, "OUTPUT", "READY") for name in ("water001_fort.21",) * 2 + ("water001_fort.22",) * 2
    ]
    assert sorted(file["task"]["ordinal"] for file in files) == [1, 1, 2, 2]
    assert all(file["expiresAt"] for file in files)
    path = "/" + files[0]["downloadUrl"].split("://")[1].partition("/")[2]
    content = (await gateway.client.get(path)).content
    assert len(content) == int(files[0]["size"])
    (first,) = struct.unpack_from("=i", content)
    assert struct.unpack_from("=i", content, 4 + first) == (first,), "records between two counts of their bytes"

    link = "mutation($s:ID!){made:createSimulationLink(simulation:$s){... on IssuedSimulationLink{secret}}}"
    secret = (await gateway.ask(link, tom, s=job["simulation"]["id"]))["made"]["secret"]
    shown = "query($i:ID!){simulation(id:$i){outputs(first:1){nodes{name downloadUrl}}}}"
    (file,) = (await gateway.ask(shown, f"Bearer {secret}", i=job["simulation"]["id"]))["simulation"]["outputs"][
        "nodes"
    ]
    path = "/" + file["downloadUrl"].split("://")[1].partition("/")[2]
    assert (await gateway.client.get(path)).status_code == 200

    delete = "mutation($i:ID!){deleteFile(id:$i){... on Deleted{id} ... on Problem{code}}}"
    assert (await gateway.ask(delete, tom, i=files[0]["id"]))["deleteFile"] == {"id": files[0]["id"]}


@pytest.mark.slow
async def test_files_that_do_not_fit_a_quota_are_named_and_the_results_are_stored(serve: Serve) -> None:
    _, _, job = await run(serve, "sqlite", user_bytes=200)
    assert job["state"] == "COMPLETED"
    assert {one["name"] for one in job["simulation"]["estimators"]["nodes"]} == {"fort.21", "fort.22"}
    kept = len(job["simulation"]["outputs"]["nodes"])
    told = [text for text in job["warnings"] if "is not kept" in text]
    assert kept < 4
    assert told
