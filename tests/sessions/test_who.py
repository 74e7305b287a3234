"""Participants and devices make sessions of their own, and reach no others; who is needed is not deleted."""

import asyncio
from typing import Any

import pytest

from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import make, run, soon

OWN = "{sessions(first:50){nodes{id name}}}"


async def allow(platform: Platform, allowed: bool) -> None:
    project = platform.world.here.id("Project", "project")
    version = (await platform.ask("query($i:ID!){project(id:$i){version}}", "root", i=project))["project"]["version"]
    done, _ = await mutate(
        platform, "maria", "updateProject", id=project, expectedVersion=version, input={"participantSessions": allowed}
    )
    assert done["__typename"] == "Project"


async def test_a_static_token_makes_sessions_where_the_project_allows_it(platform: Platform) -> None:
    kind = (await platform.ask("{sessionTypes(first:1){nodes{id}}}", "root"))["sessionTypes"]["nodes"][0]["id"]
    refused = await make(platform, "limited", type=kind)
    assert refused["code"] == "NOT_FOUND"
    assert (await platform.ask(OWN, "limited"))["sessions"]["nodes"] == []
    await allow(platform, True)
    mine = await make(platform, "limited", type=kind, name="mine", status="IN_PROGRESS", startsAt=soon(minutes=-1))
    assert mine["status"] == "IN_PROGRESS"
    seen = {node["name"] for node in (await platform.ask(OWN, "limited"))["sessions"]["nodes"]}
    assert seen == {"mine", "session 0"}  # its own, and the one that it is in
    assert (await run(platform, "limited", "stopSession", id=mine["id"]))["status"] == "COMPLETED"
    other = await make(platform, "tom", name="of tom")
    assert (await run(platform, "limited", "startSession", id=other["id"]))["code"] == "NOT_FOUND"
    file, _ = await mutate(
        platform, "limited", "createUpload",
        input={"purpose": "SESSION_ASSET", "name": "diary.txt", "size": "5", "target": mine["id"]},
    )  # fmt: skip
    assert file["__typename"] == "UploadBegun"
    await allow(platform, False)
    assert (await platform.ask(OWN, "limited"))["sessions"]["nodes"] == []
    assert (await run(platform, "limited", "startSession", id=mine["id"]))["code"] == "NOT_FOUND"


@pytest.mark.parametrize("who", ["device", "participant", "service"])
async def test_who_made_a_session_keeps_it(platform: Platform, who: str) -> None:
    mine = await make(platform, who, name="mine", status="IN_PROGRESS", startsAt=soon(minutes=-1))
    query = "query($i:ID!){session(id:$i){creator{id}creatorParticipant{id}creatorDevice{id}creatorService{id}}}"
    found = (await platform.ask(query, "root", i=mine["id"]))["session"]
    kind = who.title()
    assert found.pop(f"creator{kind}") == {"id": platform.world.here.id(kind, who)}
    assert set(found.values()) == {None}
    renamed = await run(
        platform, who, "updateSession", id=mine["id"], expectedVersion=mine["version"], input={"name": "x"}
    )
    assert renamed["id"] == mine["id"]
    assert (await run(platform, who, "stopSession", id=mine["id"]))["status"] == "COMPLETED"
    if who != "service":
        refused = await run(
            platform,
            who,
            "updateSession",
            id=mine["id"],
            expectedVersion=renamed["version"] + 1,
            input={"comments": "x"},
        )
        assert refused["code"] == "FORBIDDEN"
    if who != "service":
        gone, _ = await mutate(
            platform, "sita", f"delete{kind}", "...on Problem{details}", id=platform.world.here.id(kind, who)
        )
        assert gone["code"] == "DEPENDENCY"
        assert "Session" in {one["type"] for one in gone["details"]["blockedBy"]}


async def test_of_two_who_start_a_session_at_once_one_does(platform: Platform) -> None:
    planned = await make(platform, "tom", users=[platform.world.id("User", "silo")])
    both = await asyncio.gather(*(run(platform, who, "startSession", id=planned["id"]) for who in ("tom", "maria")))
    assert sorted(answer.get("code", "") for answer in both) == ["", "STATE"]
    answers: list[Any] = await asyncio.gather(
        run(platform, "silo", "replyInvite", id=planned["id"], reply="ACCEPT"),
        run(platform, "tom", "stopSession", id=planned["id"]),
        run(platform, "maria", "inviteToSession", id=planned["id"], users=[platform.world.id("User", "maria")]),
    )
    assert all(answer.get("code") in (None, "STATE", "CONFLICT") for answer in answers)
    query = "query($u:ID!){user(id:$u){presence}}"
    for name in ("silo", "maria", "tom"):
        found = (await platform.ask(query, "root", u=platform.world.id("User", name)))["user"]
        assert found["presence"] == "OFFLINE"
