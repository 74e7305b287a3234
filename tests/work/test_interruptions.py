"""Runs of tasks that end without a result: what a task did counts against it, what happened to its host does not."""

import signal

import pytest
import sqlalchemy as sa
import structlog

from db.models import Task
from jobs.engine import Ending
from resolvers.identity.principal import Principal
from tests.support.platforms import Platform
from tests.support.work import claim, hand, job_of, release, submit
from tests.work.test_running import LONG, Process, files, gone, process, program
from tests.work.test_running import submit as submit_to

__all__ = ["process"]

LOST = """mutation($w: String) { workerReport(lost: $w, lines: []) { state } }"""
TASK = "query($i: ID!) { job(id: $i) { state error { code } tasks(first: 1) { nodes { state attempt } } } }"


async def counts(platform: Platform, worker: Principal) -> tuple[int, int]:
    """The losses and the interruptions of the worker's task."""
    assert worker.task_claim is not None
    wanted = sa.select(Task.losses, Task.interruptions).where(Task.job_id == worker.task_claim.job_id)
    ((losses, interruptions),) = await platform.services.database.rows(wanted)
    return losses, interruptions


async def test_a_run_that_ended_with_its_host_is_no_loss_of_its_task(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    for _ in range(4):
        (worker,) = await claim(platform)
        await release(platform, worker, 10, Ending.INTERRUPTED)
    assert await counts(platform, worker) == (0, 4)
    assert (await job_of(platform, submitted))["tasks"]["nodes"][0]["state"] == "PENDING"


async def test_a_task_whose_host_ends_again_and_again_fails_in_the_end(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    for _ in range(3):
        (worker,) = await claim(platform)
        await release(platform, worker, 3, Ending.INTERRUPTED)
    job = await job_of(platform, submitted)
    assert job["error"] == {"code": "TASK_LOST", "message": "killed; it was interrupted 3 times"}


async def test_a_program_that_was_ended_counts_though_nobody_saw_the_end_of_its_worker(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    for _ in range(3):
        (worker,) = await claim(platform)
        await platform.ask(LOST, worker, w="the program was ended by signal 9")
        await release(platform, worker, 3, Ending.INTERRUPTED)
    assert await counts(platform, worker) == (3, 0)
    job = await job_of(platform, submitted)
    message = "the program was ended by signal 9; it was lost 3 times"
    assert job["error"] == {"code": "TASK_LOST", "message": message}


async def test_a_run_that_was_lost_is_a_warning_in_the_log_of_the_gateway(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    with structlog.testing.capture_logs() as lines:
        await release(platform, worker, 3, Ending.LOST)
    (line,) = [one for one in lines if one["event"] == "jobs.lost"]
    assert (line["log_level"], line["task"], line["attempt"], line["why"]) == ("warning", 1, 1, "killed")


async def test_a_task_that_was_only_handed_over_lost_no_run(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await hand(platform)
    await release(platform, worker, None)
    assert await counts(platform, worker) == (0, 0)


@pytest.mark.slow
async def test_three_deaths_of_the_gateway_do_not_fail_a_sound_job(process: Process) -> None:
    tom = await process.log_in("tom")  # type: ignore[arg-type]
    job = (await submit_to(process, tom, files(LONG)))["job"]["id"]
    for _ in range(3):
        await program(process.folder)
        await process.signal(signal.SIGKILL)
        await gone(process.folder)
        await process.start()
    await program(process.folder)
    told = (await process.ask(TASK, tom, i=job))["job"]  # type: ignore[arg-type]
    assert (told["state"], told["error"]) == ("RUNNING", None)
    assert told["tasks"]["nodes"] == [{"state": "RUNNING", "attempt": 4}]
