"""The life of a job, as users command it and workers report on it; no process is started here."""

import asyncio
import hashlib
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from db import models
from db.engine import moment_of
from db.models import TERMINAL, Job, JobState, Simulation, Task
from db.types import later
from gateway.background.housekeeping import sweeps_of
from gateway.protocol.authentication import authenticate
from gateway.settings.retention import RetentionSettings
from jobs.engine import Ending
from jobs.programs.program import Program
from resolvers.failures import WrongState
from resolvers.feed import ENDED
from resolvers.identity.principal import TaskClaim
from resolvers.queue import leases
from resolvers.queue.leases import SCOPES
from resolvers.queue.lifecycle import MOVES, move
from resolvers.queue.ranking import write_places
from resolvers.queue.reports import Report, Reports
from resolvers.retention import tidy
from resolvers.simulations import retention
from resolvers.simulations.simulations import shares
from resolvers.work import worker_api
from resolvers.work.finishing import merge_ready
from tests.support.editor import PROJECT, changed
from tests.support.inputs import FILES
from tests.support.platforms import Platform
from tests.support.work import CLAIM, REPORT, RESULTS, claim, estimators, hand, job_of, release, submit, values_of

# Submitting ---------------------------------------------------------------------------------------------------------


async def test_submitting_makes_simulation_input_job_and_tasks(platform: Platform) -> None:
    submitted = await submit(platform, 3)
    assert submitted["title"] == "beam"
    job = submitted["job"]
    assert (job["state"], job["progress"], job["attempt"]) == ("PENDING", 0.0, 1)
    assert job["key"].endswith("-DIRECT")
    assert [task["requested"] for task in job["tasks"]["nodes"]] == ["34", "33", "33"]
    assert submitted["input"] == {"inputFiles": FILES, "totalPrimaries": "100"}


def test_the_remainder_of_the_primaries_goes_to_the_first_tasks() -> None:
    assert shares(10, 4) == [3, 3, 2, 2]
    assert sum(shares(10_001, 7)) == 10_001


def _without(name: str) -> dict[str, str]:
    return {key: text for key, text in FILES.items() if key != name}


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"inputFiles": _without("geo.dat")}, "input.inputFiles.geo.dat", "geo.dat: file is missing"),
        ({"inputFiles": {**FILES, "mat.dat": "MEDIUM 1\nICRU 13\nEND\n"}}, "input.inputFiles.mat.dat", "mat.dat:2: "),
        ({"inputFiles": {**FILES, "beam.dat": FILES["beam.dat"].replace("NSTAT", "NSTUT")}}, "input.inputFiles.beam.dat", "beam.dat"),
        ({"inputFiles": {**FILES, "../x": "y"}}, "input.inputFiles", "'../x' is not a file name"),
        ({"inputFiles": {"beam.dat": 5}}, "input.inputFiles.beam.dat", "is not text"),
        ({"inputFiles": []}, "input.inputFiles", "An object"),
        ({"inputFiles": {}}, "input.inputFiles", "an object of file name to text"),
        ({"inputFiles": {**FILES, "more.dat": "x" * 1_000_001}}, "input.inputFiles", "at most 1000000"),
        ({"inputFiles": {f"f{n}": "" for n in range(33)}}, "input.inputFiles", "at most 32"),
        ({"tasks": 0}, "input.tasks", "between 1 and 100"),
        ({"tasks": 101}, "input.tasks", "between 1 and 100"),
        ({"simType": "TOPAS"}, "input.simType", "no program for TOPAS"),
        ({"inputType": "EDITOR"}, "input.inputFiles", "comes as inputJson alone"),
        ({"inputJson": {}}, "input.inputJson", "comes as inputFiles alone"),
        ({"inputType": "EDITOR", "inputFiles": None, "inputJson": {"beam": 1}}, "input.inputJson.zoneManager", "zoneManager"),
        ({"simType": "GEANT4", "inputType": "EDITOR", "inputFiles": None, "inputJson": PROJECT}, "input.inputType", "converted for SHIELDHIT and FLUKA; GEANT4 takes files"),
        ({"simType": "TOPAS", "inputType": "EDITOR", "inputFiles": None, "inputJson": PROJECT}, "input.inputType", "converted for SHIELDHIT and FLUKA; TOPAS takes files"),
        ({"simType": "GEANT4"}, "input.simType", "no program for GEANT4"),
        ({"options": {"cores": 2}}, "input.options", "name one"),
        ({"cluster": "bm9uc2Vuc2U="}, "input.cluster", "not an id"),
        ({"title": "x" * 256}, "input.title", "at most 255"),
        ({"project": "bm9uc2Vuc2U="}, "input.project", "not an id"),
    ],
)  # fmt: skip
async def test_a_wrong_submission_is_told_and_writes_nothing(
    platform: Platform, given: dict[str, Any], field: str, says: str
) -> None:
    before = await _rows(platform)
    problem = await submit(platform, **given)
    assert (problem["__typename"], problem["code"], problem["field"]) == ("Problem", "INVALID", field)
    assert says in problem["message"]
    assert await _rows(platform) == before


async def test_a_project_that_one_does_not_see_is_not_found(platform: Platform) -> None:
    before = await _rows(platform)
    problem = await submit(platform, project=platform.world.id("Project", "apart"))
    assert (problem["code"], problem["field"]) == ("NOT_FOUND", "input.project")
    assert await _rows(platform) == before


async def _rows(platform: Platform) -> list[int]:
    async with platform.services.database.read() as connection:
        tables = (models.Simulation, models.SimulationSetup, Job, Task)
        return [await connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in tables]


async def test_members_of_the_project_read_a_simulation_and_strangers_do_not(platform: Platform) -> None:
    submitted = await submit(platform, project=platform.world.id("Project", "shared"))
    query = "query($id:ID!){simulation(id:$id){title job{state}}}"
    assert (await platform.ask(query, "maria", id=submitted["id"]))["simulation"]["title"] == "beam"
    assert (await platform.ask(query, "eve", id=submitted["id"])) == {"simulation": None}


UPDATE = """mutation($id: ID!, $v: Int!, $i: SimulationChanges!) { updateSimulation(id: $id, expectedVersion: $v, input: $i) {
  __typename ... on Simulation { title version project { name } } ... on Problem { code field } } }"""


async def test_a_simulation_is_renamed_and_moved_by_its_owner_only(platform: Platform) -> None:
    world = platform.world
    id = world.id("Simulation", "simulation")

    async def update(as_: str, **i: Any) -> Any:
        return (await platform.ask(UPDATE, as_, id=id, v=1, i=i))["updateSimulation"]

    assert (await update("eve", title="x"))["code"] == "NOT_FOUND"
    assert (await update("maria", title="x"))["code"] == "FORBIDDEN"
    assert await update("tom", title="new") == {"__typename": "Simulation", "title": "new", "version": 2, "project": {"name": "Protons"}}  # fmt: skip
    assert (await update("tom", project=None))["code"] == "CONFLICT"
    moved = (await platform.ask(UPDATE, "tom", id=id, v=2, i={"project": None}))["updateSimulation"]
    assert (moved["title"], moved["project"]) == ("new", None)


# States -------------------------------------------------------------------------------------------------------------


async def test_a_job_moves_as_the_table_says(platform: Platform) -> None:
    for old, new in itertools.product(JobState, JobState):
        async with platform.services.database.write(as_system="test") as session:
            job = await session.get(Job, platform.world.job)
            assert job is not None
            job.state, job.ended_at = old, None
            await session.flush()
            if new in MOVES[old] or new is old:
                await move(session, job, new)
                assert job.state is new
                assert (job.ended_at is not None) == (new in TERMINAL and new is not old)
            else:
                with pytest.raises(WrongState):
                    await move(session, job, new)
                assert job.state is old


def test_the_table_of_moves_is_that_of_the_specification() -> None:
    s = JobState
    ends = {s.FAILED, s.CANCELED}
    assert {
        s.UNKNOWN: {s.PENDING} | ends,
        s.PENDING: {s.RUNNING} | ends,
        s.RUNNING: {s.MERGING_QUEUED, s.MERGING_RUNNING, s.COMPLETED} | ends,
        s.MERGING_QUEUED: {s.MERGING_RUNNING} | ends,
        s.MERGING_RUNNING: {s.COMPLETED} | ends,
        s.CANCELED: set(),
        s.COMPLETED: set(),
        s.FAILED: set(),
    } == MOVES


async def test_one_active_job_for_each_simulation(platform: Platform) -> None:
    submitted = await submit(platform)
    retry = "mutation($id:ID!){retryJob(id:$id){... on Job{attempt} ... on Problem{code}}}"
    assert (await platform.ask(retry, "tom", id=submitted["job"]["id"]))["retryJob"] == {"code": "STATE"}
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    answers = await asyncio.gather(*(platform.ask(retry, "tom", id=submitted["job"]["id"]) for _ in range(3)))
    assert sorted(str(answer["retryJob"]) for answer in answers) == ["{'attempt': 2}", "{'code': 'STATE'}", "{'code': 'STATE'}"]  # fmt: skip


async def test_a_job_is_cancelled_by_its_owner_or_who_administers_its_project(platform: Platform) -> None:
    submitted = await submit(platform, project=platform.world.id("Project", "shared"))
    cancel = "mutation($id:ID!){cancelJob(id:$id){... on Job{state tasks(first:9){nodes{state}}} ... on Problem{code}}}"
    id = submitted["job"]["id"]
    assert (await platform.ask(cancel, "eve", id=id))["cancelJob"] == {"code": "NOT_FOUND"}
    other = await submit(platform, project=platform.world.id("Project", "shared"))
    assert (await platform.ask(cancel, "maria", id=other["job"]["id"]))["cancelJob"]["state"] == "CANCELED"
    done = (await platform.ask(cancel, "tom", id=id))["cancelJob"]
    assert done == {"state": "CANCELED", "tasks": {"nodes": [{"state": "CANCELED"}] * 2}}
    assert (await platform.ask(cancel, "tom", id=platform.world.id("Job", "job")))["cancelJob"] == {"code": "STATE"}


# Workers ------------------------------------------------------------------------------------------------------------


async def test_from_submission_to_results(platform: Platform) -> None:
    submitted = await submit(platform)
    started = await hand(platform)
    assert (await job_of(platform, submitted))["state"] == "PENDING"
    assignments = [(await platform.ask(CLAIM, who, n=f"number-{n}"))["workerClaim"] for n, who in enumerate(started)]
    assert (await job_of(platform, submitted))["state"] == "RUNNING"
    first = assignments[0]
    assert (first["files"], first["ordinal"], first["attempt"], first["requested"]) == (FILES, 1, 1, "50")
    assert Program.read(first["program"]) == platform.services.jobs.programs["SHIELDHIT"]
    assert first["checksums"] == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    one, two = [await authenticate(platform.services, f"Bearer {a['token']}") for a in assignments]
    await platform.ask(REPORT, one, l=[{"number": 1, "text": "begin"}, {"number": 2, "text": "on"}])
    assert (await platform.ask(RESULTS, one, e=estimators(1.0)))["workerPutResults"] == {"state": "RUNNING"}
    assert (await job_of(platform, submitted))["progress"] == 0.5
    assert (await platform.ask(RESULTS, two, e=estimators(3.0)))["workerPutResults"] == {"state": "MERGING_QUEUED"}
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["progress"], job["error"], job["warnings"]) == ("COMPLETED", 1.0, None, [])
    assert [line["text"] for line in job["log"]["nodes"]] == ["begin", "on"]
    assert await values_of(platform, submitted) == [2.0, 2.0, 2.0]
    async with platform.services.database.read() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(models.TaskResult)) == 0


async def test_a_job_of_one_task_is_merged_too(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (only,) = await claim(platform)
    assert (await platform.ask(RESULTS, only, e=estimators(None)))["workerPutResults"] == {"state": "MERGING_RUNNING"}
    await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"
    assert await values_of(platform, submitted) == [None, None, None]


async def test_the_same_results_twice_count_once(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    for _ in range(2):
        await platform.ask(RESULTS, one, e=estimators(1.0))
    await platform.ask(RESULTS, two, e=estimators(3.0))
    await platform.ask(RESULTS, two, e=estimators(9.0))
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [2.0, 2.0, 2.0]


async def test_a_worker_that_lost_its_task_changes_nothing(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (late,) = await claim(platform)
    await release(platform, late)
    (present,) = await claim(platform)
    for operation, given in ((REPORT, {"d": "70"}), (REPORT, {"e": "no"}), (RESULTS, {"e": estimators(9.0)})):
        assert await platform.refused(operation, late, **given) == ["STATE"]
    await platform.ask(RESULTS, present, e=estimators(1.0))
    assert await platform.refused(RESULTS, late, e=estimators(9.0)) == ["STATE"]
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]
    (task,) = (await job_of(platform, submitted))["tasks"]["nodes"]
    assert (task["attempt"], task["done"]) == (2, "100")


async def test_a_late_report_on_a_cancelled_job_is_refused_and_recorded(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    assert await platform.refused(RESULTS, worker, e=estimators(1.0)) == ["STATE"]
    assert (await job_of(platform, submitted))["state"] == "CANCELED"
    events = (await platform.ask("{auditEvents(first:5){nodes{action detail}}}", "root"))["auditEvents"]["nodes"]
    assert {"action": "WORKER_REFUSED", "detail": {"code": "STATE", "ordinal": 1}} in events


async def test_cancelling_keeps_what_was_delivered(platform: Platform) -> None:
    submitted = await submit(platform)
    one, _ = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(5.0))
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert [task["state"] for task in job["tasks"]["nodes"]] == ["COMPLETED", "CANCELED"]
    assert job["state"] == "CANCELED"
    assert await values_of(platform, submitted) == [5.0, 5.0, 5.0]


async def test_a_killed_task_is_run_again_up_to_the_limit(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    for attempt in (1, 2, 3):
        (worker,) = await claim(platform)
        assert worker.task_claim is not None
        assert worker.task_claim.attempt == attempt
        await release(platform, worker)
    assert await claim(platform) == []
    job = await job_of(platform, submitted)
    assert job["state"] == "FAILED"
    assert job["error"] == {"code": "TASK_LOST", "message": "killed; it was lost 3 times"}


async def test_a_program_that_fails_is_not_run_again(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    assert (await platform.ask(REPORT, worker, e="exit status 2"))["workerReport"] == {"state": "FAILED"}
    assert await claim(platform) == []
    assert (await job_of(platform, submitted))["error"] == {"code": "PROGRAM_FAILED", "message": "exit status 2"}


async def test_a_partly_failed_job_has_results_and_a_warning(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(REPORT, one, e="broken")
    await platform.ask(RESULTS, two, e=estimators(4.0))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["warnings"]) == ("COMPLETED", ["task 1 failed: broken"])
    assert await values_of(platform, submitted) == [4.0, 4.0, 4.0]


async def test_a_retry_is_a_new_job_and_keeps_results_until_there_are_new_ones(platform: Platform) -> None:
    submitted = await submit(platform)
    one, _ = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(5.0))
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    await merge_ready(platform.services)
    again = (await platform.ask("mutation($id:ID!){retryJob(id:$id){... on Job{id attempt state tasks(first:9){nodes{requested}}}}}", "tom", id=submitted["job"]["id"]))["retryJob"]  # fmt: skip
    assert (again["attempt"], again["state"]) == (2, "PENDING")
    assert [task["requested"] for task in again["tasks"]["nodes"]] == ["50", "50"]
    assert await values_of(platform, submitted) == [5.0, 5.0, 5.0]
    for worker in await claim(platform):
        await platform.ask(RESULTS, worker, e=estimators(7.0))
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [7.0, 7.0, 7.0]
    current = await platform.ask(
        "query($id:ID!){simulation(id:$id){job{id state} jobs(first:9){totalCount}}}", "tom", id=submitted["id"]
    )
    assert current["simulation"] == {"job": {"id": again["id"], "state": "COMPLETED"}, "jobs": {"totalCount": 2}}


async def test_progress_is_stored_at_most_every_two_seconds(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)

    async def done() -> str:
        return str((await job_of(platform, submitted))["tasks"]["nodes"][0]["done"])

    await platform.ask(REPORT, worker, d="20", n=1)
    assert await done() == "20", "the first is written at once"
    await platform.ask(REPORT, worker, d="30", n=2)
    await platform.ask(REPORT, worker, d="35", n=3)
    assert platform.counted.statements == 0, "answered from memory"
    assert await done() == "20"
    await platform.services.jobs.reports.settled()
    assert await done() == "35", "the last is written when its time has come, at the latest when the gateway stops"
    await platform.ask(REPORT, worker, d="5")
    await platform.services.jobs.reports.settled()
    assert await done() == "35", "late progress does not go back"


async def test_a_report_that_comes_after_a_later_one_changes_nothing(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    for number, done in ((2, "50"), (1, "70"), (2, "60")):
        await platform.ask(REPORT, worker, d=done, n=number)
        await platform.services.jobs.reports.settled()
    assert (await job_of(platform, submitted))["tasks"]["nodes"][0]["done"] == "50"


async def test_reports_of_a_moment_are_written_together(platform: Platform) -> None:
    submitted = await submit(platform, 8)
    workers = await claim(platform)
    put = platform.services.jobs.reports.put
    await asyncio.gather(*(put(worker.task_claim, Report(done=1)) for worker in workers if worker.task_claim))
    query = "query($id:ID!){job(id:$id){progress tasks(first:9){nodes{lastUpdateAt}}}}"
    job = (await platform.ask(query, "tom", id=submitted["job"]["id"]))["job"]
    assert job["progress"] == 0.08
    assert len({task["lastUpdateAt"] for task in job["tasks"]["nodes"]}) == 1


async def test_log_lines_sent_twice_are_stored_once_and_in_order(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(REPORT, one, l=[{"number": n, "text": f"a{n}"} for n in (1, 2)])
    await platform.ask(REPORT, two, l=[{"number": 1, "text": "b1"}])
    await platform.ask(REPORT, one, l=[{"number": n, "text": f"a{n}"} for n in (3, 2, 1)])
    lines = (await job_of(platform, submitted))["log"]["nodes"]
    assert [(line["sequence"], line["text"], line["task"]["ordinal"]) for line in lines] == [(1, "a1", 1), (2, "a2", 1), (3, "b1", 2), (4, "a3", 1)]  # fmt: skip


async def test_a_log_that_is_too_long_says_so_once(platform: Platform) -> None:
    limits = replace(platform.services.limits, log_lines=2)
    reports = Reports(platform.services.database, limits)
    platform.services = replace(platform.services, jobs=replace(platform.services.jobs, reports=reports))
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    for start in (1, 3, 5):
        await platform.ask(REPORT, worker, l=[{"number": start + n, "text": f"x\0{start + n}"} for n in (0, 1)])
    texts = [line["text"] for line in (await job_of(platform, submitted))["log"]["nodes"]]
    assert texts == [
        "x\N{REPLACEMENT CHARACTER}1",
        "x\N{REPLACEMENT CHARACTER}2",
        "the log ends here: 2 lines are kept",
    ]


def _numbered(number: str) -> list[dict[str, Any]]:
    given = estimators(1.0)
    given[0]["pages"][0]["metadata"]["page_number"] = number
    return given


def _called(what: str, text: str) -> list[dict[str, Any]]:
    given = estimators(1.0)
    given[0]["pages"][0]["data"][what] = text
    return given


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("text", "a list of estimators"),
        ([{"name": "z_"}], "file_name"),
        ([{**estimators(1.0)[0], "pages": [{**estimators(1.0)[0]["pages"][0], "dimensions": 2}]}], "dimensions is 2"),
        ([{**estimators(1.0)[0], "pages": [{**estimators(1.0)[0]["pages"][0], "metadata": {}}]}], "page_number"),
        *((_numbered(number), "page_number must be a number") for number in (str(2**31), "9" * 5_000, "٣", "-1")),
        (estimators(1.0, name="x" * 256), "$[0]: file_name has at most 255"),
        (_called("unit", "x" * 65), "data.unit has at most 64"),
        (_called("name", "x" * 256), "data.name has at most 255"),
    ],
)
async def test_wrong_results_are_told_and_leave_the_task_running(platform: Platform, wrong: Any, says: str) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    answer = await platform.answer(RESULTS, worker, e=wrong)
    assert answer.codes == ["INVALID"]
    assert says in answer.body["errors"][0]["message"]
    assert (await job_of(platform, submitted))["tasks"]["nodes"][0]["state"] == "RUNNING"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (estimators(1.0) + estimators(2.0), "$[1]: another estimator has the file_name z.bdo"),
        (
            [{**estimators(1.0)[0], "pages": estimators(1.0)[0]["pages"] * 2}],
            "z.bdo, pages[1]: another page has the page_number 0",
        ),
        (
            [*estimators(1.0), {"name": "broken"}],
            "$[1]: Object missing required field `file_name`",
        ),
    ],
)
async def test_a_wrong_part_of_a_result_takes_nothing_with_it_and_is_named(
    platform: Platform, given: Any, says: str
) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await platform.ask(RESULTS, worker, e=given)
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["warnings"]) == ("COMPLETED", [says])
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("scope", "operation", "given"),
    [("claim", CLAIM, {"n": "12345678"}), ("progress", REPORT, {"d": "1"}), ("log", REPORT, {"l": []}), ("results", RESULTS, {"e": []})],
)  # fmt: skip
async def test_a_workers_token_covers_its_scopes_only(
    platform: Platform, scope: str, operation: str, given: Any
) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    assert worker.task_claim is not None
    narrow = replace(worker, task_claim=replace(worker.task_claim, scopes=SCOPES - {scope}))
    assert await platform.refused(operation, narrow, **given) == ["FORBIDDEN"]


async def test_a_workers_token_is_for_its_task_only(platform: Platform) -> None:
    submitted = await submit(platform)
    (one,) = await claim(platform, 1)
    assert one.task_claim is not None
    other = replace(one, task_claim=replace(one.task_claim, ordinal=2))
    assert await platform.refused(RESULTS, other, e=estimators(1.0)) == ["STATE"]
    absent = replace(one, task_claim=TaskClaim(UUID(int=0), 1, 1, SCOPES))
    assert await platform.refused(RESULTS, absent, e=estimators(1.0)) == ["NOT_FOUND"]
    assert [t["state"] for t in (await job_of(platform, submitted))["tasks"]["nodes"]] == ["RUNNING", "PENDING"]


@pytest.mark.parametrize("who", [None, "tom", "root"])
async def test_only_workers_report(platform: Platform, who: str | None) -> None:
    code = "UNAUTHENTICATED" if who is None else "FORBIDDEN"
    assert await platform.refused(RESULTS, who, e=[]) == [code]
    assert await platform.refused(CLAIM, who, n="12345678") == [code]


async def test_a_worker_is_no_user(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    data = await platform.ask("{viewer{id} simulations(first:1){totalCount} users(first:1){totalCount}}", worker)
    assert data == {"viewer": None, "simulations": {"totalCount": 0}, "users": {"totalCount": 0}}


async def test_tasks_are_claimed_once_and_oldest_job_first(platform: Platform) -> None:
    first, second = await submit(platform, 4), await submit(platform, 4)
    claimed = await asyncio.gather(*(claim(platform, 2) for _ in range(5)))
    task_claims = [worker.task_claim for taken in claimed for worker in taken]
    assert len(task_claims) == len(set(task_claims)) == 8
    ids = {submitted["job"]["key"] for submitted in (first, second)}
    assert {str(task_claim.job_id) in key for task_claim in task_claims if task_claim for key in ids} == {True, False}


async def test_what_no_lease_holds_is_found(platform: Platform) -> None:
    await submit(platform)
    one, _ = await claim(platform)
    assert one.task_claim is not None
    async with platform.services.database.write(as_system="test") as session:
        assert await leases.lapsed_claims(session) == []
        await session.execute(sa.update(Task).where(Task.ordinal == 1).values(lease_until=Task.created_at))
        assert await leases.lapsed_claims(session) == [one.task_claim]


async def test_members_of_the_project_learn_that_a_job_failed_and_its_owner_why(platform: Platform) -> None:
    submitted = await submit(platform, 1, project=platform.world.id("Project", "shared"))
    (worker,) = await claim(platform)
    await platform.ask(REPORT, worker, e="the input names a secret")
    query = "query($i:ID!){job(id:$i){error{code message} tasks(first:1){nodes{error{code message}}}}}"
    for who, message in (("tom", "the input names a secret"), ("root", "the input names a secret"), ("maria", None)):
        job = (await platform.ask(query, who, i=submitted["job"]["id"]))["job"]
        assert job["error"] == {"code": "PROGRAM_FAILED", "message": message}
        assert job["tasks"]["nodes"][0]["error"] == job["error"]


async def test_a_log_is_for_the_owner_and_administrators_of_the_project(platform: Platform) -> None:
    submitted = await submit(platform, 1, as_="maria", project=platform.world.id("Project", "shared"))
    (worker,) = await claim(platform)
    await platform.ask(REPORT, worker, l=[{"number": 1, "text": "said"}])
    query = "query($i:ID!){job(id:$i){state log(first:9){totalCount nodes{text}}}}"
    for who, lines in (("maria", 1), ("root", 1), ("tom", 0)):
        job = (await platform.ask(query, who, i=submitted["job"]["id"]))["job"]
        assert (job["state"], job["log"]["totalCount"], len(job["log"]["nodes"])) == ("RUNNING", lines, lines)
    other = await submit(platform, 1, project=platform.world.id("Project", "shared"))
    (worker,) = await claim(platform)
    await platform.ask(REPORT, worker, l=[{"number": 1, "text": "said"}])
    administrator = (await platform.ask(query, "maria", i=other["job"]["id"]))["job"]
    assert administrator["log"]["totalCount"] == 1


# Lists, totals, deletion ----------------------------------------------------------------------------------------------


async def test_jobs_are_found_by_what_people_know_of_them(platform: Platform) -> None:
    submitted = [await submit(platform, 1, title=title) for title in ("Alpha", "beta")]
    first, second = [one["job"] for one in submitted]
    query = "query($f:JobFilter){jobs(first:20,filter:$f){nodes{key}}}"

    async def found(**given: Any) -> set[str]:
        return {job["key"] for job in (await platform.ask(query, "tom", f=given))["jobs"]["nodes"]}

    both = {first["key"], second["key"]}
    assert await found(text="ALPH") == {first["key"]}
    assert await found(text=second["key"][:30]) == {second["key"]}
    assert await found(platform={"in": ["IN_PROCESS"]}, state={"in": ["PENDING"]}) == both
    assert await found(platform={"in": ["SLURM", "CELERY"]}) == set()
    assert await found(simulation={"simType": {"in": ["SHIELDHIT"]}}, state={"in": ["PENDING"]}) == both
    assert await found(simulation={"simType": {"in": ["TOPAS"]}}) == set()
    at = (await platform.ask("query($id:ID!){job(id:$id){submittedAt}}", "tom", id=second["id"]))["job"]["submittedAt"]
    assert second["key"] in await found(submittedAt={"from": at})
    assert first["key"] in await found(submittedAt={"to": at})
    assert second["key"] not in await found(submittedAt={"to": at})


async def test_totals_count_what_one_sees(platform: Platform) -> None:
    query = "query($f:JobFilter){jobs(first:0,filter:$f){groups(by:STATE){key{state} count}}}"

    async def totals(who: str, **given: Any) -> dict[str, int]:
        groups = (await platform.ask(query, who, f=given or None))["jobs"]["groups"]
        return {one["key"]["state"]: one["count"] for one in groups}

    before = await totals("tom")
    await submit(platform, 1, title="counted")
    await platform.ask(query, "tom")
    assert platform.counted.statements == 1
    assert (await totals("tom"))["PENDING"] == before.get("PENDING", 0) + 1
    assert (await totals("tom", text="counted"))["PENDING"] == 1
    assert sum((await totals("eve", text="counted")).values()) == 0


DELETE = "mutation($id:ID!){done:%s(id:$id){__typename ...on Problem{code message}}}"


async def test_what_has_ended_is_deleted_by_its_owner(platform: Platform) -> None:
    submitted = await submit(platform, 1, project=platform.world.id("Project", "shared"))
    job, simulation = submitted["job"]["id"], submitted["id"]
    for field, id in (("deleteJob", job), ("deleteSimulation", simulation)):
        assert (await platform.ask(DELETE % field, "tom", id=id))["done"]["code"] == "STATE"
        assert (await platform.ask(DELETE % field, "maria", id=id))["done"]["code"] == "FORBIDDEN"
        assert (await platform.ask(DELETE % field, "eve", id=id))["done"]["code"] == "NOT_FOUND"
    (worker,) = await claim(platform)
    await platform.ask(RESULTS, worker, e=estimators(1.0))
    await merge_ready(platform.services)
    stale = "mutation($id:ID!){done:%s(id:$id,expectedVersion:0){...on Problem{code field}}}"
    for field, id in (("deleteJob", job), ("deleteSimulation", simulation)):
        refused = (await platform.ask(stale % field, "tom", id=id))["done"]
        assert refused == {"code": "CONFLICT", "field": "expectedVersion"}
    assert (await platform.ask(DELETE % "deleteJob", "tom", id=job))["done"]["__typename"] == "Deleted"
    assert await platform.ask("query($id:ID!){job(id:$id){id}}", "tom", id=job) == {"job": None}
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]
    assert (await platform.ask(DELETE % "deleteSimulation", "tom", id=simulation))["done"]["__typename"] == "Deleted"
    assert await platform.ask("query($id:ID!){simulation(id:$id){id}}", "tom", id=simulation) == {"simulation": None}


async def test_old_simulations_are_deleted_and_deleted_ones_removed(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    kept = await submit(platform, 1)
    kept_for_ever = sweeps_of(RetentionSettings(simulation_days=0.0, deleted_days=1.0), platform.services.files.storage)
    gone = await tidy(platform.services.database, kept_for_ever)
    assert (gone.get("finished simulations"), gone["simulations"]) == (None, 0)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Simulation).values(created_at=later(-90_000)))
        await session.execute(sa.update(Job).where(Job.ended_at.is_not(None)).values(ended_at=later(-90_000)))
    gone = await tidy(
        platform.services.database,
        sweeps_of(RetentionSettings(simulation_days=1.0, deleted_days=1.0), platform.services.files.storage),
    )
    assert gone["finished simulations"] >= 1
    query = "query($id:ID!){simulation(id:$id){id}}"
    assert await platform.ask(query, "tom", id=submitted["id"]) == {"simulation": None}
    assert (await platform.ask(query, "tom", id=kept["id"]))["simulation"] is not None
    gone = await tidy(platform.services.database, [retention.finished(1.0), retention.deleted(-1.0)])
    assert gone["simulations"] >= 1


# Claims and parts -----------------------------------------------------------------------------------------------------


async def test_of_two_workers_with_the_same_token_one_has_the_task(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (started,) = await hand(platform)
    first = (await platform.ask(CLAIM, started, n="worker-one"))["workerClaim"]
    assert (await platform.ask(CLAIM, started, n="worker-one"))["workerClaim"]["attempt"] == first["attempt"] == 1
    answer = await platform.answer(CLAIM, started, n="worker-two")
    assert answer.codes == ["STATE"]
    assert "another worker has the task" in answer.body["errors"][0]["message"]
    await _expire_leases(platform)
    second = (await platform.ask(CLAIM, started, n="worker-two"))["workerClaim"]
    assert second["attempt"] == 2
    late, present = [await authenticate(platform.services, f"Bearer {one['token']}") for one in (first, second)]
    assert await platform.refused(RESULTS, late, e=estimators(9.0)) == ["STATE"]
    await platform.ask(RESULTS, present, e=estimators(1.0))
    assert await platform.refused(CLAIM, started, n="worker-one") == ["STATE"]
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]


async def _expire_leases(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Task).values(lease_until=later(-1)))


async def test_a_batch_that_nobody_claims_is_handed_over_again_ever_later(platform: Platform) -> None:
    await submit(platform, 1)
    waits = []
    for _ in range(3):
        assert len(await hand(platform)) == 1
        assert await hand(platform) == []
        async with platform.services.database.write(as_system="test") as session:
            task = (await session.scalars(sa.select(Task).where(Task.holder.is_not(None)))).one()
            waits.append(round((task.lease_until - await moment_of(session)).total_seconds()))
        await _expire_leases(platform)
        async with platform.services.database.write(as_system="test") as session:
            await leases.release_lapsed(session, None)
    assert waits == [30, 60, 120]


async def test_after_the_end_of_a_batch_its_cluster_has_a_while_to_say_how(platform: Platform) -> None:
    submitted = await submit(platform, 3)
    first, second, _ = await hand(platform)
    await platform.ask(CLAIM, first, n="worker-one")
    task = (await platform.ask(CLAIM, second, n="worker-two"))["workerClaim"]
    await platform.ask(RESULTS, await authenticate(platform.services, f"Bearer {task['token']}"), e=estimators(1.0))
    assert first.task_claim is not None
    collector = replace(first, task_claim=replace(first.task_claim, ordinal=0, scopes=leases.COLLECT))
    collect = 'mutation{workerCollect(reason:"the nodes went away"){state}}'
    assert await platform.refused(collect, first) == ["FORBIDDEN"]
    with platform.services.feed.subscription(ENDED) as changes:
        assert await platform.ask(collect, collector) == {"workerCollect": {"state": "RUNNING"}}
        assert await changes.next() == {ENDED}
    async with platform.services.database.write(as_system="test") as session:
        moment = await moment_of(session)
        left = await session.scalars(sa.select(Task).where(Task.state != JobState.COMPLETED, Task.holder.is_not(None)))
        assert all(task.lease_until <= moment + timedelta(seconds=worker_api.VERDICT) for task in left)
    tasks = (await job_of(platform, submitted))["tasks"]["nodes"]
    assert [task["state"] for task in tasks] == ["RUNNING", "COMPLETED", "PENDING"]


@pytest.mark.parametrize(
    ("endings", "state", "code"),
    [
        ((Ending.FAILED, Ending.FAILED), "FAILED", "CLUSTER_ENDED"),
        ((Ending.CANCELED, Ending.CANCELED), "CANCELED", "CLUSTER_ENDED"),
        ((Ending.CANCELED, Ending.FAILED), "FAILED", "CLUSTER_ENDED"),
        ((Ending.CANCELED, None), "COMPLETED", None),
        ((Ending.LOST, None), "RUNNING", None),
    ],
)
async def test_what_a_cluster_ended_is_not_run_again(
    platform: Platform, endings: tuple[Ending | None, ...], state: str, code: str | None
) -> None:
    submitted = await submit(platform, 2)
    for worker, ending in zip(await claim(platform), endings, strict=True):
        if ending is None:
            await platform.ask(RESULTS, worker, e=estimators(1.0))
            continue
        assert worker.task_claim is not None
        async with platform.services.database.write(as_system="test") as session:
            await leases.release_task(session, worker.task_claim, "Slurm ended it: it did", lambda _: 3, ending=ending)
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert (job["state"], job["error"] and job["error"]["code"]) == (state, code)
    if state == "COMPLETED":
        assert job["warnings"] == ["task 1 was cancelled: Slurm ended it: it did"]


async def test_a_worker_that_was_heard_of_after_all_keeps_its_task(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    await _expire_leases(platform)
    async with platform.services.database.write(as_system="test") as session:
        (lost,) = await leases.lapsed_claims(session)
    await platform.ask(REPORT, worker, l=[{"number": 1, "text": "here"}])
    async with platform.services.database.write(as_system="test") as session:
        await leases.release_task(session, lost, "silent", lambda _: 3, lapsed=True)
    await platform.ask(RESULTS, worker, e=estimators(1.0))


async def test_the_estimate_of_a_job_is_that_of_what_runs(platform: Platform) -> None:
    submitted = await submit(platform, 2)
    one, two = await claim(platform)
    report = "mutation($s:Int,$d:BigInt,$e:String){workerReport(estimatedSeconds:$s,done:$d,error:$e){state}}"
    query = "query($i:ID!){job(id:$i){estimatedSeconds}}"
    await platform.ask(report, one, s=99_999, d="1")
    await platform.ask(report, two, s=5, d="1")
    await platform.ask(report, one, e="it broke")
    await platform.services.jobs.reports.settled()
    await platform.ask(report, two, s=4, d="2", e=None)
    await platform.services.jobs.reports.settled()
    assert (await platform.ask(query, "tom", i=submitted["job"]["id"]))["job"] == {"estimatedSeconds": 4}


async def test_a_job_is_deleted_once_what_it_delivered_is_put_away(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await platform.ask(RESULTS, worker, e=estimators(1.0), d="10")
    id = submitted["job"]["id"]
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=id)
    assert (await platform.ask(DELETE % "deleteJob", "tom", id=id))["done"]["code"] == "STATE"
    await merge_ready(platform.services)
    assert (await platform.ask(DELETE % "deleteJob", "tom", id=id))["done"]["code"] == "STATE", (
        "a worker may run it yet"
    )
    await _expire_leases(platform)
    assert (await platform.ask(DELETE % "deleteJob", "tom", id=id))["done"]["__typename"] == "Deleted"
    assert await values_of(platform, submitted) == [1.0, 1.0, 1.0]


async def test_parts_are_merged_while_the_job_runs_and_kept_when_it_is_cancelled(platform: Platform) -> None:
    submitted = await submit(platform)
    one, two = await claim(platform)
    await platform.ask(RESULTS, one, e=estimators(1.0), d="10")
    await platform.ask(RESULTS, two, e=estimators(4.0), d="20")
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [3.0, 3.0, 3.0]
    assert (await job_of(platform, submitted))["state"] == "RUNNING"
    await platform.ask(RESULTS, one, e=estimators(9.0), d="5")
    await platform.ask(RESULTS, one, e=estimators(7.0))
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted["job"]["id"])
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [(7.0 * 50 + 4.0 * 20) / 70] * 3


async def test_results_keep_their_ids_while_they_come_in(platform: Platform) -> None:
    query = "query($i:ID!){simulation(id:$i){estimators(first:9){nodes{id name pages(first:9){nodes{id number data{values}}}}}}}"
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    seen = []
    for given, done in (
        (estimators(1.0) + estimators(1.0, name="a.bdo"), "10"),
        (estimators(2.0) + estimators(1.0, name="b.bdo"), None),
    ):
        await platform.ask(RESULTS, worker, e=given, d=done)
        await merge_ready(platform.services)
        found = await platform.answer(query, "tom", i=submitted["id"])
        seen.append({n["id"]: n for n in found.body["data"]["simulation"]["estimators"]["nodes"]})
    (kept,) = seen[0].keys() & seen[1].keys()
    before, after = (one[kept]["pages"]["nodes"][0] for one in seen)
    assert before["id"] == after["id"]
    assert (before["data"]["values"], after["data"]["values"]) == ([1.0] * 3, [2.0] * 3)
    assert len(seen[1]) == 2


async def test_a_part_of_a_run_that_was_lost_does_not_count(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (lost,) = await claim(platform)
    await platform.ask(RESULTS, lost, e=estimators(100.0), d="60")
    await release(platform, lost)
    (worker,) = await claim(platform)
    await platform.ask(RESULTS, worker, e=estimators(2.0))
    await merge_ready(platform.services)
    assert await values_of(platform, submitted) == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("done", ["0", "101", "-1"])
async def test_a_part_is_of_some_of_the_primaries(platform: Platform, done: str) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    assert await platform.refused(RESULTS, worker, e=estimators(1.0), d=done) == ["INVALID"]


async def test_an_editors_project_runs_as_the_files_made_of_it(platform: Platform) -> None:
    submitted = await submit(platform, 2, inputType="EDITOR", inputFiles=None, inputJson=PROJECT)
    assert submitted["__typename"] == "Simulation", submitted
    query = "query($id:ID!){simulation(id:$id){inputType input{inputFiles inputJson totalPrimaries}}}"
    found = (await platform.ask(query, "tom", id=submitted["id"]))["simulation"]
    assert found["inputType"] == "EDITOR"
    assert found["input"]["inputJson"] == PROJECT
    assert set(found["input"]["inputFiles"]) >= {"beam.dat", "mat.dat", "geo.dat", "detect.dat"}
    assert (await platform.ask(query, "root", id=submitted["id"]))["simulation"]["input"]["inputJson"] == PROJECT


async def test_an_editors_project_is_told_where_the_program_can_not_follow(platform: Platform) -> None:
    project = changed({"beam.particle": {"id": 24}}, PROJECT)
    problem = await submit(platform, 2, inputType="EDITOR", inputFiles=None, inputJson=project)
    assert (problem["code"], problem["field"]) == ("INVALID", "input.inputJson.beam.particle.id")
    assert problem["message"] == "beam.particle.id: JPART0: particle '24'; allowed is 2 (protons)"


async def test_a_waiting_job_knows_its_place_in_the_queue(platform: Platform) -> None:
    submitted = [await submit(platform, 1) for _ in range(3)]
    query = "query($id:ID!){job(id:$id){queuePosition}}"

    async def places() -> list[int | None]:
        return [(await platform.ask(query, "tom", id=one["job"]["id"]))["job"]["queuePosition"] for one in submitted]

    assert await places() == [None, None, None], "the dispatcher has not looked yet"
    await _rank(platform)
    first, second, third = await places()
    assert (second, third) == (first + 1, first + 2)
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=submitted[1]["job"]["id"])
    await _rank(platform)
    assert await places() == [first, None, second]


async def _rank(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await write_places(session, None)
