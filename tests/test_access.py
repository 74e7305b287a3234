"""Who sees what: a hidden row is reached by no path, a guarded field by nobody whom no rule allows."""

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from graphql import get_named_type

from db import models
from db.models import Base
from resolvers.loading import Loaders
from resolvers.selection import Selection
from schema import build
from schema.checks import declared_fields
from schema.fields import Column, Related
from schema.lists import Connected
from schema.scalars import global_id
from schema.selecting import DEFINITION
from tests.conftest import Platform

CORE = build().core
NODES = sorted(
    kind.name for kind in CORE.type_map.values() if "Node" in {i.name for i in getattr(kind, "interfaces", ())}
)


def _model(typename: str) -> Any:
    kind = CORE.get_type(typename)
    assert kind is not None
    return kind.extensions[DEFINITION].origin.model


async def _hidden(platform: Platform) -> dict[str, set[UUID]]:
    """What tom may not see, by type: told from how the world was made, not by the rules that are tried."""
    m, world = models, platform.world
    private = sa.select(m.Job.id).where(m.Job.simulation_id == world.private)
    estimators = sa.select(m.Estimator.id).where(m.Estimator.simulation_id == world.private)
    specs = sa.select(m.Spec.id).where(m.Spec.user_id == world.root)
    wanted = {
        "Site": sa.select(m.Site.id).where(m.Site.name == "Island"),
        "Project": sa.select(m.Project.id).where(m.Project.id == world.apart),
        "Membership": sa.select(m.Membership.id).where(m.Membership.project_id == world.apart),
        "Session": sa.select(m.Session.id).where(m.Session.project_id == world.apart),
        "SessionEvent": sa.select(m.SessionEvent.id).where(m.SessionEvent.session_id == world.sessions[1]),
        "Simulation": sa.select(m.Simulation.id).where(m.Simulation.id == world.private),
        "SimulationInput": sa.select(m.SimulationInput.id).where(m.SimulationInput.simulation_id == world.private),
        "Job": private,
        "Task": sa.select(m.Task.id).where(m.Task.job_id.in_(private)),
        "LogEntry": sa.select(m.LogEntry.id).where(m.LogEntry.job_id.in_(private)),
        "Estimator": estimators,
        "Page": sa.select(m.Page.id).where(m.Page.estimator_id.in_(estimators)),
        "Spec": specs,
        "SpecVersion": sa.select(m.SpecVersion.id).where(m.SpecVersion.spec_id.in_(specs)),
        "AuditEvent": sa.select(m.AuditEvent.id).where(m.AuditEvent.actor_id == world.root),
    }
    async with platform.services.database.read() as connection:
        found = {name: set((await connection.execute(query)).scalars()) for name, query in wanted.items()}
    assert all(found.values())
    return found


async def _all(platform: Platform, typename: str) -> list[UUID]:
    async with platform.services.database.read() as connection:
        return list((await connection.execute(sa.select(_model(typename).id))).scalars())


PUBLIC = {"User", "SessionType", "Challenge", "Leaderboard", "LeaderboardEntry"}


async def test_the_world_hides_rows_of_every_type_that_can_be_hidden(reading: Platform) -> None:
    assert set(await _hidden(reading)) | PUBLIC == set(NODES)


@pytest.mark.parametrize("typename", sorted(set(NODES) - PUBLIC))
async def test_a_hidden_row_is_no_node(reading: Platform, typename: str) -> None:
    hidden = (await _hidden(reading))[typename]
    for key in hidden:
        id = global_id(typename, key)
        data = await reading.ask(
            "query($id:ID!,$ids:[ID!]!){node(id:$id){id} nodes(ids:$ids){id}}", "tom", id=id, ids=[id]
        )
        assert data == {"node": None, "nodes": [None]}
        assert (await reading.ask("query($id:ID!){node(id:$id){__typename id}}", "root", id=id))["node"] == {"__typename": typename, "id": id}  # fmt: skip


def _paths() -> Iterator[tuple[str, str, str]]:
    for parent, name, field, declared in declared_fields(CORE):
        if isinstance(declared, Connected | Related):
            kind: Any = get_named_type(field.type)
            yield (
                parent.name,
                name,
                get_named_type(kind.fields["nodes"].type).name if isinstance(declared, Connected) else kind.name,
            )


@pytest.mark.parametrize(("parent", "field", "target"), list(_paths()))
async def test_no_list_or_relation_leads_to_a_hidden_row(
    reading: Platform, parent: str, field: str, target: str
) -> None:
    hidden = (await _hidden(reading)).get(target, set())
    kind: Any = CORE.get_type(parent)
    connected = isinstance(kind.fields[field].extensions[DEFINITION], Connected)
    selected = f"{field}(first:100){{totalCount nodes{{id}} edges{{node{{id}}}}}}" if connected else f"{field}{{id}}"
    if parent == "Query":
        found = [(await reading.ask(f"{{{selected}}}", "tom"))[field]]
    else:
        ids = [global_id(parent, key) for key in await _all(reading, parent)]
        query = f"query($ids:[ID!]!){{nodes(ids:$ids){{... on {parent}{{{selected}}}}}}}"
        found = [row[field] for row in (await reading.ask(query, "tom", ids=ids))["nodes"] if row]
        assert found
    for page in found:
        rows = page["nodes"] if connected else [page]
        seen = {UUID(base64.b64decode(row["id"]).decode().partition(":")[2]) for row in rows if row}
        assert not seen & hidden
        if connected:
            assert page["totalCount"] == len(page["nodes"]) == len(page["edges"])


@pytest.mark.parametrize(
    "query", [n for p, n, _, d in declared_fields(CORE) if p.name == "Query" and isinstance(d, Connected)]
)
async def test_anonymous_sees_challenges_and_nothing_else(reading: Platform, query: str) -> None:
    count = (await reading.ask(f"{{{query}(first:9){{totalCount}}}}"))[query]["totalCount"]
    assert (count > 0) == (query in ("challenges", "leaderboards"))


async def test_a_superadmin_sees_every_live_row(reading: Platform) -> None:
    for typename in NODES:
        ids = [global_id(typename, key) for key in await _all(reading, typename)]
        nodes = (await reading.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", "root", ids=ids))["nodes"]
        assert [node["id"] for node in nodes] == ids


async def test_what_is_deleted_is_gone_with_what_hangs_on_it(platform: Platform) -> None:
    world = platform.world
    ids = [global_id("Session", world.sessions[0])]
    async with platform.services.database.write() as session:
        event = await session.scalar(
            sa.select(models.SessionEvent.id).where(models.SessionEvent.session_id == world.sessions[0])
        )
        assert event is not None
        ids.append(global_id("SessionEvent", event))
        await session.execute(sa.update(models.Session).values(deleted_at=models.Session.created_at))
        await session.execute(sa.update(models.Simulation).values(deleted_at=models.Simulation.created_at))
    ids += [
        world.id(t, n) for t, n in (("Simulation", "simulation"), ("Job", "job"), ("Task", "task"), ("Page", "page"))
    ]
    for who in ("tom", "root"):
        assert (await platform.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", who, ids=ids))["nodes"] == [None] * len(
            ids
        )


async def test_a_deleted_project_gives_its_members_nothing(platform: Platform) -> None:
    async with platform.services.database.write() as session:
        await session.execute(sa.update(models.Project).values(deleted_at=models.Project.created_at))
    assert await platform.ask("{projects(first:9){totalCount} sessions(first:9){totalCount}}", "tom") == {
        "projects": {"totalCount": 0},
        "sessions": {"totalCount": 0},
    }


# Fields -------------------------------------------------------------------------------------------------------------

GUARDED = [
    (kind.name, name, declared)
    for kind, name, _, declared in declared_fields(CORE)
    if isinstance(declared, Column) and declared.needs
]

EVERYONE = ("root", "maria", "tom", "eve")
MAY = {
    # of tom, by the table of field rules: himself; maria administers his project; eve shares none
    **dict.fromkeys(
        ["User.username", "User.firstName", "User.lastName", "User.affiliation", "User.lastOnlineAt"],
        ("root", "maria", "tom"),
    ),
    **dict.fromkeys(["User.email", "User.profile"], ("root", "maria", "tom")),
    **dict.fromkeys(
        [
            "User.authProvider", "User.emailVerified", "User.active", "User.superadmin", "User.platformRole",
            "User.twoFactor", "User.forcePasswordChange",
        ],
        ("root", "tom"),
    ),
    "User.notes": ("root",),
    "Session.comments": ("root", "maria", "tom"),
    "Session.parameters": ("root", "maria", "tom"),
    "SessionType.online": ("root", "maria", "tom"),
    "SessionType.config": ("root", "maria", "tom"),
    "Challenge.autoEval": ("root",),
    "Leaderboard.sortingKey": ("root",),
    "Leaderboard.externalEntries": ("root",),
    "SimulationInput.files": ("root", "tom"),
    "Job.warnings": ("root", "tom"),
    "AuditEvent.client": ("root", "tom"),
}  # fmt: skip


def test_every_guarded_field_is_in_the_table() -> None:
    assert {f"{kind}.{name}" for kind, name, _ in GUARDED} == set(MAY)


@pytest.mark.parametrize(("typename", "field"), [(kind, name) for kind, name, _ in GUARDED])
async def test_a_guarded_field_is_read_by_whom_the_table_allows(reading: Platform, typename: str, field: str) -> None:
    world = reading.world
    async with reading.services.database.read() as connection:
        audit = (
            (await connection.execute(sa.select(models.AuditEvent.id).where(models.AuditEvent.actor_id == world.tom)))
            .scalars()
            .first()
        )
        kind = (await connection.execute(sa.select(models.SessionType.id))).scalars().first()
        given = (
            (
                await connection.execute(
                    sa.select(models.SimulationInput.id).where(models.SimulationInput.simulation_id == world.simulation)
                )
            )
            .scalars()
            .first()
        )
    key = {
        "User": world.tom, "Session": world.sessions[0], "SessionType": kind, "Challenge": world.challenge,
        "Leaderboard": world.leaderboard, "SimulationInput": given, "Job": world.job, "AuditEvent": audit,
    }[typename]  # fmt: skip
    assert key is not None
    query = f"query($id:ID!){{node(id:$id){{... on {typename}{{id value: {field}}}}}}}"
    for who in EVERYONE:
        answer = await reading.answer(query, who, id=global_id(typename, key))
        row = answer.body["data"]["node"]
        if who in MAY[f"{typename}.{field}"]:
            assert "errors" not in answer.body, (who, answer.body)
        elif row is not None:
            assert row["value"] is None
            assert row["id"], "its siblings stay"
            (error,) = answer.body["errors"]
            assert error["path"] == ["node", "value"]
            assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_value_that_may_not_be_seen_never_leaves_the_database(reading: Platform) -> None:
    email = next(declared for kind, name, declared in GUARDED if (kind, name) == ("User", "email"))
    selection = Selection(models.User, ("email",), (("email", email.needs),))
    for who, seen in (("tom", True), ("maria", True), ("eve", False)):
        loaders = Loaders(reading.services.database, await reading.principal(who), lambda _: None)
        row = await loaders.one(selection, reading.world.tom)
        assert row is not None
        assert (row.may_email, row.email) == ((True, "tom@torana.example") if seen else (False, None))


async def test_guards_cost_no_statement(reading: Platform) -> None:
    await reading.answer("{users(first:9){nodes{username email notes active}}}", "tom")
    assert reading.counted.statements == 1


def test_no_filter_asks_about_a_guarded_column() -> None:
    guarded = {(CORE.get_type(kind).extensions[DEFINITION].origin.model, d.key) for kind, _, d in GUARDED}  # type: ignore[union-attr]
    for kind in CORE.type_map.values():
        if kind.name.endswith("Filter"):
            for condition in kind.extensions[DEFINITION].fields:
                assert (condition.compares.class_, condition.compares.key) not in guarded


def test_every_table_that_has_no_type_is_known_to_be_internal() -> None:
    shown = {_model(name).__tablename__ for name in NODES}
    assert set(Base.metadata.tables) - shown == {"credentials", "attempts", "task_results"}
