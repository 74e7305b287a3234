"""The one queue of all kinds of jobs: whose turn it is, how many run at once, and the places that are told."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from db.models import Job, Task
from resolvers.queue import leases
from resolvers.queue.ranking import Out, Turns, Waiting, order, write_places
from tests.support.platforms import Platform
from tests.support.recording import recorded
from tests.support.work import claim, submit
from tests.work.test_archives import CREATE

TOM, MARIA, EVE = uuid4(), uuid4(), uuid4()


def job(owner: UUID, tasks: int = 1, *, priority: int = 0, project: UUID | None = None) -> Waiting:
    return Waiting(uuid4(), owner, owner, project, priority, tasks, idle=True, position=None)


def turns_of(jobs: list[Waiting], out: Out | None = None, turns: Turns | None = None) -> list[int]:
    """The order, by the numbers of the jobs."""
    numbers = {one.key: n for n, one in enumerate(jobs)}
    return [numbers[one.key] for one in order(jobs, out or Out(), turns or Turns())]


def test_users_take_turns_however_many_tasks_each_has() -> None:
    assert turns_of([job(TOM, 4), job(MARIA, 2), job(EVE)]) == [0, 1, 2, 0, 1, 0, 0]


def test_jobs_of_one_user_take_turns() -> None:
    assert turns_of([job(TOM, 3), job(TOM, 2), job(MARIA)]) == [0, 2, 1, 0, 1, 0]


def test_whoever_has_fewer_tasks_under_way_is_first() -> None:
    jobs = [job(TOM, 2), job(MARIA, 2)]
    out = Out()
    out.add(TOM, TOM, None, jobs[0].key, 2)
    assert turns_of(jobs, out) == [1, 1, 0, 0]


def test_of_several_with_as_many_whoever_was_served_longest_ago_is_first() -> None:
    """With one slot nobody has a task under way when it is free."""
    jobs = [job(TOM, 9), job(MARIA, 3), job(EVE, 3)]
    out = Out(served={TOM: datetime(2026, 1, 2, tzinfo=UTC), MARIA: datetime(2026, 1, 1, tzinfo=UTC)})
    assert turns_of(jobs, out)[:3] == [2, 1, 0]


async def test_with_one_slot_users_take_turns(platform: Platform) -> None:
    for who, tasks in (("tom", 4), ("maria", 2), ("root", 2)):
        await submit(platform, tasks, as_=who, title=who)
    served = []
    for _ in range(8):
        ((title, _),) = (await _handed(platform, 1)).items()
        served.append(title)
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(
                sa.update(Task).where(Task.holder.is_not(None)).values(state="COMPLETED", holder=None)
            )
    assert served == ["tom", "maria", "root", "tom", "maria", "root", "tom", "tom"]


def test_a_higher_priority_goes_first_and_another_attempt_last() -> None:
    assert turns_of([job(TOM, 2), job(MARIA, priority=-1), job(EVE, 2, priority=5)]) == [2, 2, 0, 0, 1]


def test_one_user_has_so_many_tasks_at_once() -> None:
    assert turns_of([job(TOM, 5), job(MARIA, 1)], turns=Turns(user=2)) == [0, 1, 0]


def test_one_project_has_so_many_tasks_at_once_and_keeps_nobody_from_others() -> None:
    crowded = uuid4()
    jobs = [job(TOM, 3, project=crowded), job(TOM, 2), job(MARIA, 2, project=crowded)]
    assert Counter(turns_of(jobs, turns=Turns(project=2))) == {0: 1, 1: 2, 2: 1}


async def _handed(platform: Platform, number: int, turns: Turns | None = None) -> dict[str, list[int]]:
    """What is handed over, by the title of the job."""
    async with platform.services.database.write(as_system="test") as session:
        handed = await leases.hand_over(session, None, number, 30, turns or Turns())
    rows = await platform.services.database.rows(sa.select(Job.id, Job.title))
    titles = {row.id: row.title for row in rows}
    return {titles[one.job_id]: list(one.ordinals) for one in handed}


async def test_tasks_of_all_kinds_are_handed_over_in_turns(platform: Platform) -> None:
    await submit(platform, 5, title="many")
    await submit(platform, 1, as_="maria", title="one")
    await platform.ask(CREATE, "maria", s=platform.world.id("Simulation", "simulation"))
    assert await _handed(platform, 3) == {"many": [1, 2], "one": [1]}
    assert await _handed(platform, 3) == {"many": [3, 4], "shared by tom": [1]}
    assert await _handed(platform, 3) == {"many": [5]}
    assert await _handed(platform, 3) == {}


async def test_bounds_hold_over_several_passes(platform: Platform) -> None:
    await submit(platform, 5, title="many")
    turns = Turns(user=2)
    assert await _handed(platform, 9, turns) == {"many": [1, 2]}
    assert await _handed(platform, 9, turns) == {}
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Task).where(Task.ordinal == 1).values(state="COMPLETED", holder=None))
    assert await _handed(platform, 9, turns) == {"many": [3]}


async def _places(platform: Platform) -> dict[str, int | None]:
    async with platform.services.database.write(as_system="test") as session:
        await write_places(session, None)
    rows = await platform.services.database.rows(sa.select(Job.title, Job.queue_position).where(Job.state == "PENDING"))
    return {row.title: row.queue_position for row in rows}


async def test_places_are_those_of_the_turns_and_go_when_a_job_is_handed_over(platform: Platform) -> None:
    for who, title in (("tom", "a"), ("tom", "b"), ("maria", "c")):
        await submit(platform, 2, as_=who, title=title)
    assert await _places(platform) == {"a": 1, "c": 2, "b": 3}
    assert await _handed(platform, 1) == {"a": [1]}
    assert await _places(platform) == {"a": 3, "c": 1, "b": 2}, "one task of it still waits"
    assert await _handed(platform, 9) == {"c": [1, 2], "b": [1, 2], "a": [2]}
    assert await _places(platform) == {"a": None, "b": None, "c": None}


async def test_reading_places_computes_nothing(platform: Platform) -> None:
    await submit(platform, 2, title="a")
    await platform.ask("{jobs(first:9){nodes{queuePosition}}}", "tom")
    assert platform.counted.statements == 1
    assert not any("tasks" in statement for statement in platform.counted.texts)


PRIORITY = "mutation($id:ID!,$p:Int!){setJobPriority(id:$id,priority:$p){__typename ...on Job{priority} ...on Problem{code field}}}"


async def test_an_administrator_lets_a_job_go_first(platform: Platform) -> None:
    await submit(platform, 1, title="a")
    late = await submit(platform, 1, title="b")
    set_ = await platform.ask(PRIORITY, "root", id=late["job"]["id"], p=5)
    assert set_["setJobPriority"] == {"__typename": "Job", "priority": 5}
    assert await _places(platform) == {"b": 1, "a": 2}
    for who, priority, code in (("tom", 1, "FORBIDDEN"), ("root", 11, "INVALID"), ("eve", 1, "NOT_FOUND")):
        refused = (await platform.ask(PRIORITY, who, id=late["job"]["id"], p=priority))["setJobPriority"]
        assert refused["code"] == code
    await platform.ask("mutation($id:ID!){cancelJob(id:$id){__typename}}", "tom", id=late["job"]["id"])
    assert (await platform.ask(PRIORITY, "root", id=late["job"]["id"], p=1))["setJobPriority"]["code"] == "STATE"


async def test_ranking_takes_the_same_statements_for_one_job_and_for_many(platform: Platform) -> None:
    counts = []
    for _ in range(2):
        with recorded() as counted:
            await _places(platform)
        counts.append(counted.statements)
        for _ in range(9):
            await submit(platform, 1)
    assert counts[0] <= counts[1] + 3
    with recorded() as counted:
        await _places(platform)
    assert counted.statements <= max(counts) + 3


async def test_the_history_of_a_job_is_by_the_clock_of_the_database(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    await claim(platform)
    query = "query($i:ID!){job(id:$i){key submittedAt history}}"
    job = (await platform.ask(query, "tom", i=submitted["job"]["id"]))["job"]
    moments = [step["at"] for step in job["history"]]
    assert moments == sorted(moments)
    assert moments[0] == job["submittedAt"], "which the database tells"
    assert job["key"].startswith(moments[0][:10].replace("-", ""))
