"""Jobs of the world, worked on by hand: submitted, claimed, reported on; no process is started."""

from typing import Any

import orjson

from jobs.engine import Ending
from resolvers.identity.principal import Kind, Principal, TaskClaim
from resolvers.queue import leases
from tests.support.inputs import FILES
from tests.support.platforms import Platform

SUBMIT = """mutation($i: NewSimulation!) { submitSimulation(input: $i) {
  __typename ... on Simulation { id title job { id key state progress attempt tasks(first: 100) { nodes { ordinal state requested } } } input { inputFiles totalPrimaries } }
  ... on Problem { code message field details } } }"""
JOB = """query($id: ID!) { job(id: $id) { state progress attempt error { code message } warnings endedAt
  tasks(first: 9) { nodes { ordinal state done attempt error { code } } } log(first: 9) { nodes { sequence text task { ordinal } } } } }"""
REPORT = """mutation($d: BigInt, $l: [LineInput!], $e: String, $n: Int) { workerReport(done: $d, lines: $l, error: $e, number: $n) { state } }"""
RESULTS = "mutation($e: JSON!, $d: BigInt) { workerPutResults(estimators: $e, done: $d) { state } }"
CLAIM = """mutation($n: String!) { workerClaim(number: $n) { token program files checksums ordinal attempt requested
  leaseSeconds reportSeconds silenceSeconds } }"""


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
    async with platform.services.database.write(as_system="test") as session:
        task_claims = await leases.claim_waiting(session, number, 30)
    return [Principal(kind=Kind.WORKER, task_claim=task_claim) for task_claim in task_claims]


async def hand(platform: Platform, number: int = 9) -> list[Principal]:
    """Hand waiting tasks over, as to an engine; the principals of workers that have not claimed them yet."""
    async with platform.services.database.write(as_system="test") as session:
        handed = await leases.hand_over(session, None, number, 30)
    task_claims = [
        TaskClaim(one.job_id, ordinal, 0, leases.CLAIM, one.name) for one in handed for ordinal in one.ordinals
    ]
    return [Principal(kind=Kind.WORKER, task_claim=task_claim) for task_claim in task_claims]


async def release(platform: Platform, worker: Principal, runs: int | None = 3, ending: Ending = Ending.LOST) -> None:
    assert worker.task_claim is not None
    async with platform.services.database.write(as_system="test") as session:
        await leases.release_task(
            session, worker.task_claim, "killed", None if runs is None else lambda _: runs, ending=ending
        )


async def job_of(platform: Platform, submitted: Any) -> Any:
    return (await platform.ask(JOB, "tom", id=submitted["job"]["id"]))["job"]


async def values_of(platform: Platform, submitted: Any) -> list[float | None] | None:
    query = "query($id:ID!){simulation(id:$id){estimators(first:1){nodes{fileName metadata pages(first:1){nodes{hasNonFinite valueCount data{values}}}}}}}"
    found = (await platform.ask(query, "tom", id=submitted["id"]))["simulation"]["estimators"]["nodes"]
    if not found:
        return None
    return orjson.loads(orjson.dumps(found[0]["pages"]["nodes"][0]["data"]["values"]))  # type: ignore[no-any-return]
