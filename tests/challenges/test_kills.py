"""What dies during evaluations and while leaderboards are built: workers, gateways, and disks that are full."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import sqlalchemy as sa

from db import models as m
from db.outages import Unavailable
from resolvers.challenges.boards import build_wanted
from tests.support.contests import (
    Contest,
    claimed,
    completed,
    contest,
    done,
    ended,
    entries,
    key_of,
    passed,
    read,
    scored,
    sent,
    submitted,
)
from tests.support.databases import Prepared
from tests.support.leftovers import killed, marked, nothing_left, present
from tests.support.platforms import Platform
from tests.support.serving import Serve, Served
from tests.support.work import RESULTS
from tests.work.test_running import Process

ON_SQLITE = True

SLOW = """import json, signal, sys, time
submission, reference, output = sys.argv[-3:]
text = open(f"{submission}/predictions.csv").read()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("begins with", text, flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end and signal.SIGUSR1 not in signal.sigpending():
    time.sleep(0.02)
json.dump({"accuracy": float(text)}, open(f"{output}/scores.json", "w"))
open(f"{output}/copy.txt", "w").write(text)
print("ends with", text, flush=True)
"""
TASKS = "query($i:ID!){submission(id:$i){evaluations(first:9){nodes{number error{code} job{tasks(first:9){nodes{attempt state}}}}}}}"
DONE = """query($i:ID!){submission(id:$i){files(first:9){nodes{id name size digest}} evaluations(first:9){nodes{scores job{
  log(first:99){nodes{text}}}}}}}"""


async def slow(gateway: Served, as_: str, seconds: float) -> tuple[Contest, str]:
    """A contest whose evaluator takes so long, or until SIGUSR1, and the mark in the command line of that."""
    mark = f"mark-{uuid4()}"
    evaluator = {"arguments": [mark, str(seconds)], "scoresSchema": {"type": "object"}}
    return await contest(gateway, as_, evaluator=evaluator, files={"score.py": SLOW}), mark


async def attempts(gateway: Served, as_: str, submission: Any) -> list[int]:
    found = (await gateway.ask(TASKS, as_, i=submission["id"]))["submission"]["evaluations"]["nodes"]
    return [task["attempt"] for one in found for task in one["job"]["tasks"]["nodes"]]


@pytest.mark.slow
async def test_an_evaluation_whose_worker_is_killed_is_done_again_within_the_lease(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1, task_attempts=2, task_lease=5)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    of, mark = await slow(gateway, root, 4)
    submission = await sent(gateway, tom, of, b"0.5")
    await killed(mark)
    async with asyncio.timeout(5):
        while await attempts(gateway, tom, submission) != [2]:
            await asyncio.sleep(0.02)
    found = await ended(gateway, tom, submission)
    assert (found["status"], found["evaluation"]) == ("COMPLETED", {"number": 1, "scores": {"accuracy": 0.5}})
    assert await attempts(gateway, tom, submission) == [2]
    await nothing_left(mark, gateway.app.state.runs)


@pytest.mark.slow
async def test_an_evaluation_whose_worker_is_killed_twice_fails_and_is_not_charged(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1, task_attempts=2, task_lease=5)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    of, mark = await slow(gateway, root, 600)
    submission = await sent(gateway, tom, of, b"0.5")
    await killed(mark)
    async with asyncio.timeout(20):
        while await attempts(gateway, tom, submission) != [2]:
            await asyncio.sleep(0.02)
    await killed(mark)
    found = await ended(gateway, tom, submission)
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("FAILED", "TASK_LOST", False)
    assert "it was lost 2 times" in found["reason"]["message"]
    assert [step["status"] for step in found["history"]][-2:] == ["EVALUATING", "FAILED"]
    await nothing_left(mark, gateway.app.state.runs)


@pytest.mark.slow
async def test_cancelling_a_submission_ends_its_processes(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=1)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    of, mark = await slow(gateway, root, 600)
    submission = await sent(gateway, tom, of, b"0.5")
    await present(mark)
    found = await done(gateway, tom, "cancelSubmission", id=submission["id"])
    assert (found["status"], found["charged"]) == ("CANCELED", True)
    await nothing_left(mark, gateway.app.state.runs)


@pytest.mark.slow
async def test_evaluations_at_once_do_not_mix(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=2)
    root, *people = [await gateway.log_in(name) for name in ("root", "tom", "maria")]
    of, mark = await slow(gateway, root, 100)
    sent_ = [(as_, await sent(gateway, as_, of, f"0.{n}{k}".encode()), f"0.{n}{k}")
             for n in range(1, 4) for k, as_ in enumerate(people, 1)]  # fmt: skip
    told: set[int] = set()
    for _ in range(3):
        for pid in await two_under_way(mark, told):
            os.kill(pid, signal.SIGUSR1)
            told.add(pid)
    for as_, submission, text in sent_:
        await ended(gateway, as_, submission)
        found = (await gateway.ask(DONE, as_, i=submission["id"]))["submission"]
        (evaluation,) = found["evaluations"]["nodes"]
        assert evaluation["scores"] == {"accuracy": float(text)}
        lines = [line["text"] for line in evaluation["job"]["log"]["nodes"]]
        assert [line for line in lines if " with " in line] == [f"begins with {text}", f"ends with {text}"]
        digests = {file["name"]: file["digest"] for file in found["files"]["nodes"]}
        assert digests["copy.txt"] == digests["predictions.csv"]
    await nothing_left(mark, gateway.app.state.runs)


async def two_under_way(mark: str, told: set[int]) -> list[int]:
    """The pids of two programs with the mark that await SIGUSR1, as soon as there are two at once that were not told."""
    async with asyncio.timeout(100):
        while len(found := [pid for pid in marked(mark) if pid not in told and _awaits(pid, signal.SIGUSR1)]) < 2:
            await asyncio.sleep(0.02)
    return found


def _awaits(pid: int, number: signal.Signals) -> bool:
    try:
        status = Path("/proc", str(pid), "status").read_text()
    except OSError:
        return False
    (blocked,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk")]
    return bool(blocked >> (number - 1) & 1)


# Leaderboards -------------------------------------------------------------------------------------------------------

SHOWN = """SELECT e.position, e.author_label, b.number FROM leaderboards l JOIN leaderboard_builds b ON b.id = l.build_id
  JOIN leaderboard_entries e ON e.build_id = b.id WHERE l.id = $1 ORDER BY e.position"""
BLOCKED = """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
  AND query LIKE 'INSERT INTO leaderboard_entries%'"""


@pytest.fixture
async def process(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Process]:
    url, _ = await prepared.copy("postgresql")
    made = Process(url, tmp_path, TORANA_TASK_SLOTS="0")
    await made.start()
    yield made
    if made._process is not None and made._process.returncode is None:
        await made.signal(signal.SIGKILL)


@pytest.mark.slow
async def test_a_gateway_killed_while_it_builds_leaves_the_old_board_whole_and_the_next_builds_it(
    process: Process,
) -> None:
    root = await process.log_in("root")  # type: ignore[arg-type]
    columns = [{"key": "accuracy", "path": "accuracy", "direction": "DESC"}]
    made = await done(process, root, "createChallenge", input={"label": "killed", "startDate": "2026-01-01"})
    given = {"challenge": made["id"], "label": "killed", "columns": columns, "rankBy": "accuracy"}
    board = (await done(process, root, "createLeaderboard", input=given))["id"]
    connection = await asyncpg.connect(process.url)
    key = key_of(board)

    async def put(name: str, accuracy: float) -> None:
        entry = {"leaderboard": board, "key": name, "authorLabel": name, "data": {"accuracy": accuracy}}
        await done(process, root, "createExternalEntry", input=entry)

    async def shows(names: list[str]) -> list[Any]:
        async with asyncio.timeout(30):
            while True:
                rows = list(await connection.fetch(SHOWN, key))
                if [row[:2] for row in rows] == list(enumerate(names, 1)):
                    return rows
                await asyncio.sleep(0.05)

    for n in range(5):
        await put(f"e{n}", n / 10)
    old = ["e4", "e3", "e2", "e1", "e0"]
    before = await shows(old)
    holding = await asyncpg.connect(process.url)
    lock = holding.transaction()
    await lock.start()
    await holding.execute("LOCK TABLE leaderboard_entries IN SHARE MODE")  # reading goes on, writing waits
    await put("best", 1.0)
    async with asyncio.timeout(30):
        while not await connection.fetch(BLOCKED):
            await asyncio.sleep(0.02)
    await process.signal(signal.SIGKILL)
    await lock.rollback()
    async with asyncio.timeout(30):
        while await connection.fetch("SELECT 1 FROM pg_stat_activity WHERE application_name = 'torana' "
                                     "AND datname = current_database()"):  # fmt: skip
            await asyncio.sleep(0.02)
    assert await connection.fetch(SHOWN, key) == before
    assert await connection.fetchval("SELECT count(*) FROM leaderboard_requests WHERE leaderboard_id = $1", key) == 1
    left = "SELECT count(*) FROM leaderboard_builds WHERE leaderboard_id = $1 AND number > $2"
    assert await connection.fetchval(left, key, before[0][2]) == 0, "nothing half done is there"
    await process.start()
    await shows(["best", *old])
    assert await connection.fetchval("SELECT count(*) FROM leaderboard_requests WHERE leaderboard_id = $1", key) == 0
    await holding.close()
    await connection.close()


# A full disk --------------------------------------------------------------------------------------------------------


async def pages(platform: Platform, more: int | None) -> None:
    """Let the database grow by so many pages, or by any number."""
    async with platform.services.database.read() as connection:
        size = (await connection.execute(sa.text("PRAGMA page_count"))).scalar_one()
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.text(f"PRAGMA max_page_count={2**30 if more is None else size + more}"))


async def test_scores_that_did_not_fit_on_the_disk_are_delivered_again_and_stored_once(platform: Platform) -> None:
    of = await contest(platform)
    submission = await submitted(platform, "tom", of)
    ((worker, _),) = await claimed(platform)
    scores = {"accuracy": 0.5, "words": ["x" * 4_000 for _ in range(100)]}
    await pages(platform, 5)
    assert await platform.refused(RESULTS, worker, e=scores) == ["UNAVAILABLE"]
    await passed(platform)
    found = await read(platform, "tom", submission)
    assert (found["status"], found["hasScores"]) == ("EVALUATING", False)
    await pages(platform, None)
    await scored(platform, worker, scores)
    await passed(platform)
    assert (await read(platform, "tom", submission))["evaluation"] == {"number": 1, "scores": scores}
    assert [entry["rank"] for entry in await entries(platform, "eve", of)] == [1]


async def test_a_board_that_did_not_fit_on_the_disk_stays_as_it_was_and_is_built_later(platform: Platform) -> None:
    of = await contest(platform, board={"columns": [], "rankBy": None, "ties": []})
    await completed(platform, "tom", of, {"accuracy": 0.5, "words": "x" * 100})
    await passed(platform)
    before = await entries(platform, "eve", of)
    await completed(platform, "maria", of, {"accuracy": 0.6, "words": ["x" * 4_000 for _ in range(100)]})
    await pages(platform, 5)
    with pytest.raises((Unavailable, sa.exc.OperationalError)):
        await build_wanted(platform.services)
    assert await entries(platform, "eve", of) == before
    ((asked,),) = await platform.services.database.rows(sa.select(sa.func.count()).select_from(m.LeaderboardRequest))
    assert asked >= 1
    await pages(platform, None)
    await build_wanted(platform.services)
    assert [entry["authorLabel"] for entry in await entries(platform, "eve", of)] == ["tom", "maria"]
