"""Jobs of the world, worked on by hand: submitted, claimed, reported on; no process is started."""

from typing import Any

import orjson

from resolvers import claims
from resolvers.principal import Kind, Principal
from tests.conftest import Platform
from tests.inputs import FILES

SUBMIT = """mutation($i: SubmitSimulationInput!) { submitSimulation(input: $i) {
  __typename ... on Simulation { id title job { id key state progress attempt tasks(first: 100) { nodes { ordinal state requested } } } input { files totalPrimaries } }
  ... on Problem { code message field details } } }"""
JOB = """query($id: ID!) { job(id: $id) { state progress attempt error { code message } warnings endedAt
  tasks(first: 9) { nodes { ordinal state done attempt error { code } } } log(first: 9) { nodes { sequence text task { ordinal } } } } }"""
REPORT = (
    """mutation($d: BigInt, $l: [LineInput!], $e: String) { workerReport(done: $d, lines: $l, error: $e) { state } }"""
)
RESULTS = "mutation($e: JSON!) { workerPutResults(estimators: $e) { state } }"


def estimators(value: float | None, *, name: str = "z.bdo", axis: int = 3) -> list[dict[str, Any]]:
    values = [value] * axis
    return [
        {
            "name": "z_", "file_name": name, "metadata": {"number_of_primaries": "1"},
            "pages": [
                {
                    "dimensions": 1, "metadata": {"page_number": "0"},
                    "data": {"name": "DOSE", "unit": "MeV/g", "values": values},
                    "axis_dim1": {"name": "Position (Z)", "unit": "cm", "values": [float(n) for n in range(axis)]},
                }
            ],
        }
    ]  # fmt: skip


async def submit(platform: Platform, tasks: int = 2, as_: str = "tom", **given: Any) -> Any:
    i = {"title": "beam", "simType": "SHIELDHIT", "inputFiles": FILES, "tasks": tasks, **given}
    return (await platform.ask(SUBMIT, as_, i=i))["submitSimulation"]


async def claim(platform: Platform, number: int = 9) -> list[Principal]:
    """Take waiting tasks as the process that runs jobs does; the workers' principals."""
    async with platform.services.database.write() as session:
        claimed = await claims.claim_tasks(session, "test", number, 30)
    return [Principal(kind=Kind.WORKER, errand=task.errand) for task in claimed]


async def release(platform: Platform, worker: Principal, attempts: int = 3) -> None:
    assert worker.errand is not None
    async with platform.services.database.write() as session:
        await claims.release_task(session, worker.errand, "killed", attempts)


async def job_of(platform: Platform, submitted: Any) -> Any:
    return (await platform.ask(JOB, "tom", id=submitted["job"]["id"]))["job"]


async def values_of(platform: Platform, submitted: Any) -> list[float | None] | None:
    query = "query($id:ID!){simulation(id:$id){estimators(first:1){nodes{fileName metadata pages(first:1){nodes{hasNonFinite valueCount data{values}}}}}}}"
    found = (await platform.ask(query, "tom", id=submitted["id"]))["simulation"]["estimators"]["nodes"]
    if not found:
        return None
    return orjson.loads(orjson.dumps(found[0]["pages"]["nodes"][0]["data"]["values"]))  # type: ignore[no-any-return]
