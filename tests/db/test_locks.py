"""Transactions lock rows in one order, so that no two wait for each other: `db.locks.ORDER`."""

import asyncio
import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.locks import ORDER
from db.models import Base
from resolvers.access.roles import role_in
from resolvers.mail.job_mails import tell_owners
from resolvers.queue import leases
from resolvers.spelling import global_id
from tests.support.matrix import mutate
from tests.support.platforms import Platform, platform_on
from tests.support.recording import out_of_order
from tests.support.work import REPORT, RESULTS, claim, estimators, hand, release, submit

CANCEL = "mutation($id: ID!) { x: cancelJob(id: $id) { __typename ... on Problem { code } } }"
RETRY = "mutation($id: ID!) { x: retryJob(id: $id) { __typename ... on Job { id } ... on Problem { code } } }"
DELETE_JOB = "mutation($id: ID!) { x: deleteJob(id: $id) { __typename ... on Problem { code } } }"
DELETE = "mutation($id: ID!) { x: delete%s(id: $id) { __typename ... on Problem { code } } }"
MOVE = """mutation($id: ID!, $v: Int!, $i: ParticipantChanges!) {
  x: updateParticipant(id: $id, expectedVersion: $v, input: $i) { __typename ... on Problem { code } } }"""


def test_every_table_has_a_place_in_the_order() -> None:
    placed = {model.__tablename__ for model in ORDER}
    there = {one.class_.__tablename__ for one in Base.registry.mappers if one.class_.__module__.startswith("db.models")}
    assert there == placed


async def test_the_life_of_a_job_locks_in_order(platform: Platform) -> None:
    with out_of_order(platform.services.database) as found:
        first, second = await submit(platform, 2), await submit(platform, 1)
        workers = await claim(platform)
        await platform.ask(REPORT, workers[0], d=1, l=[{"number": 1, "text": "x"}], n=1)
        await release(platform, workers[1])
        await hand(platform)
        await platform.ask(RESULTS, workers[0], e=estimators(1.0))
        async with platform.services.database.write(as_system="a test") as session:
            await leases.release_lapsed(session, None)
        for one in (first, second):
            await platform.ask(CANCEL, "tom", id=one["job"]["id"])
            await platform.ask(RETRY, "tom", id=one["job"]["id"])
            await platform.ask(DELETE_JOB, "tom", id=one["job"]["id"])
            await platform.ask(DELETE % "Simulation", "tom", id=one["id"])
    assert found == []


async def test_the_labels_the_end_and_the_return_of_a_simulation_lock_in_order(platform: Platform) -> None:
    label = "mutation($id:ID!,$l:[String!]){updateSimulation(id:$id,expectedVersion:1,input:{labels:$l}){__typename}}"
    with out_of_order(platform.services.database) as found:
        await platform.ask("mutation{updateProfile(expectedVersion:1,input:{notifiedOfJobs:true}){__typename}}", "tom")
        one = await submit(platform, 2, labels=["b", "a"])
        await platform.ask(label, "tom", id=one["id"], l=["c"])
        await platform.ask("mutation($j:[ID!]){cancelJobs(jobs:$j){__typename}}", "root", j=[one["job"]["id"]])
        assert await tell_owners(platform.services.database, 0.0, "https://torana.example") == 1
        await platform.ask("mutation($s:[ID!]){deleteSimulations(simulations:$s){__typename}}", "tom", s=[one["id"]])
        await platform.ask("mutation($id:ID!){restoreSimulation(id:$id){__typename}}", "tom", id=one["id"])
    assert found == []


async def test_changes_of_who_has_what_role_lock_in_order(platform: Platform) -> None:
    world = platform.world
    async with platform.services.database.write(as_system="a test") as session:
        project = m.Project(site_id=world.site, name="Neutrons")
        session.add(project)
        await session.flush()
        role = global_id("Role", (await role_in(session, project, m.USER)).id)
    group, silo = global_id("UserGroup", world.here.members), world.id("User", "silo")
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("addToGroup", {"id": group, "users": [silo]}),
        ("grantRole", {"role": role, "grantee": group}),
        ("deleteProject", {"id": global_id("Project", project.id)}),
        ("restoreProject", {"id": global_id("Project", project.id)}),
        ("removeFromGroup", {"id": group, "users": [silo]}),
    )
    with out_of_order(platform.services.database) as found:
        for name, given in calls:
            done, errors = await mutate(platform, await platform.principal("sita"), name, **given)
            assert not errors
            assert done["__typename"] != "Problem", (name, done)
        last = {"id": global_id("RoleGrant", world.here.grant)}
        done, _ = await mutate(platform, await platform.principal("maria"), "revokeRole", **last)
        assert done["__typename"] == "Deleted"
    assert found == []


@pytest.mark.slow
async def test_600_writes_over_shared_rows_from_two_gateways_lose_and_double_nothing(
    platform: Platform, schema: Any, tmp_path: Any
) -> None:
    """Each is done or refused for a reason of its own; afterwards the rows fit together."""
    if platform.services.database.dialect == "sqlite":  # which is for one gateway
        pytest.skip("one gateway")
    database, world = platform.services.database, platform.world
    async with platform_on(
        platform.settings.storage.url, world, schema, tmp_path / "other", platform.execution._bounds
    ) as b:
        ways = itertools.cycle((platform, b))
        jobs = [await submit(platform, 3) for _ in range(6)]
        async with database.write(as_system="a test") as session:
            project = await session.get_one(m.Project, world.here.project)
            groups = [m.ParticipantGroup(name=f"g{n}", project_id=project.id) for n in range(4)]
            session.add_all(groups)
            await session.flush()
            people = [m.Participant(name=f"p{n}", project_id=project.id, group_id=groups[n % 4].id) for n in range(24)]
            session.add_all(people)
        work: list[Any] = []
        for n in range(600):
            way, job = next(ways), jobs[n % 6]
            person, group = people[n % 24], groups[(n // 3) % 4]
            moved = {"group": global_id("ParticipantGroup", group.id)}
            work.append(
                (
                    lambda w=way, j=job: w.answer(CANCEL, "tom", id=j["job"]["id"]),
                    lambda w=way, j=job: w.answer(RETRY, "tom", id=j["job"]["id"]),
                    lambda w=way, p=person, i=moved: w.answer(
                        MOVE, "root", id=global_id("Participant", p.id), v=1, i=i
                    ),
                    lambda w=way, p=person: w.answer(DELETE % "Participant", "root", id=global_id("Participant", p.id)),
                    lambda w=way, g=group: w.answer(
                        DELETE % "ParticipantGroup", "root", id=global_id("ParticipantGroup", g.id)
                    ),
                    lambda w=way, j=job: w.answer(DELETE % "Simulation", "tom", id=j["id"]),
                )[n % 6 if n % 100 > 4 else n % 3]
            )
        at_once = asyncio.Semaphore(40)

        async def one(make: Any) -> Any:
            async with at_once:
                return await make()

        answers = await asyncio.gather(*map(one, work))
    codes = {answer.body["data"]["x"].get("code") for answer in answers if answer.body.get("data")}
    assert not [answer.codes for answer in answers if answer.codes]
    assert codes <= {None, "STATE", "NOT_FOUND", "CONFLICT", "DEPENDENCY"}
    # At most one job of a simulation is under way, and none of one that is deleted; no live participant in a deleted group.
    under_way = m.Job.state.not_in(m.TERMINAL)
    many = sa.select(m.Job.simulation_id).where(under_way).group_by(m.Job.simulation_id).having(sa.func.count() > 1)
    orphaned = sa.select(m.Job.id).join(m.Simulation).where(under_way, m.Simulation.deleted_at.is_not(None))
    left = (
        sa.select(m.Participant.id)
        .join(m.ParticipantGroup, m.ParticipantGroup.id == m.Participant.group_id)
        .where(m.Participant.deleted_at.is_(None), m.ParticipantGroup.deleted_at.is_not(None))
    )
    twice = sa.select(m.Job.simulation_id).group_by(m.Job.simulation_id, m.Job.attempt).having(sa.func.count() > 1)
    tasks = sa.select(m.Task.id).join(m.Job).where(m.Job.state == m.JobState.CANCELED, m.Task.state.not_in(m.TERMINAL))
    for wrong in (many, orphaned, left, twice, tasks):
        assert list(await database.rows(wrong)) == [], str(wrong)
