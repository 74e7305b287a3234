"""Simulations shared by a link: made and deleted by their owner, and what whoever has it may do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import connect

from db import models
from db.engine import changed
from db.models import JobState
from db.types import instant_text, later
from resolvers.failures import Unauthenticated
from resolvers.feed import job_topic, principal_topic
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import Kind, Principal
from resolvers.identity.tokens import Secret, digest_of
from resolvers.simulations import share_links
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.serving import Serve, Served

CREATE = """mutation($s:ID!,$l:String!,$e:DateTime){made:createSimulationLink(simulation:$s,label:$l,expiresAt:$e){
  ...on IssuedSimulationLink{secret link{id label expiresAt lastUsedAt owner{username} simulation{title}}}
  ...on Problem{code message field}}}"""
DELETE = "mutation($id:ID!){done:deleteSimulationLink(id:$id){__typename ...on Problem{code}}}"
LINKS = "query($s:ID!){simulation(id:$s){links(first:10){totalCount nodes{id label}}}}"


async def _made(platform: Platform, as_: str = "tom", *, label: str = "", expires: timedelta | None = None) -> Any:
    until = None if expires is None else instant_text(datetime.now(UTC) + expires)
    simulation = platform.world.id("Simulation", "simulation")
    return (await platform.ask(CREATE, as_, s=simulation, l=label, e=until))["made"]


async def _holder(platform: Platform, secret: str) -> Principal:
    return await principal_of(platform.services.database, Secret(Kind.LINK, digest_of(secret)))


# Making and deleting --------------------------------------------------------------------------------------------------


async def test_the_owner_makes_a_link_for_a_week(platform: Platform) -> None:
    made = await _made(platform, label=" for the referee ")
    assert made["secret"].startswith("sl_")
    assert made["link"]["label"] == "for the referee"
    assert made["link"]["owner"] == {"username": "tom"}
    left = datetime.fromisoformat(made["link"]["expiresAt"]) - datetime.now(UTC)
    assert abs(left - timedelta(days=7)) < timedelta(minutes=1)
    assert (await _holder(platform, made["secret"])).kind is Kind.LINK


async def test_a_secret_is_kept_as_its_digest_and_told_once(platform: Platform) -> None:
    made = await _made(platform)
    (row,) = await platform.services.database.rows(sa.select(*models.SimulationLink.__table__.c))
    assert row.secret_hash == digest_of(made["secret"])
    assert made["secret"] not in map(str, row)
    events = await platform.services.database.rows(
        sa.select(models.AuditEvent.action, models.AuditEvent.detail).where(
            models.AuditEvent.entity_type == "SimulationLink"
        )
    )
    assert [event.action for event in events] == ["CREATE"]
    assert made["secret"] not in orjson.dumps(events[0].detail).decode()


@pytest.mark.parametrize("days", [-1, 91])
async def test_a_link_ends_within_ninety_days(platform: Platform, days: int) -> None:
    made = await _made(platform, expires=timedelta(days=days))
    assert made["code"] == "INVALID"
    assert made["field"] == "expiresAt"
    assert "90 days" in made["message"]


async def test_so_many_links_hold_at_once(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_links, "MOST", 2)
    assert [(await _made(platform)).get("code") for _ in range(3)] == [None, None, "LIMIT_EXCEEDED"]


async def test_who_sees_a_simulation_does_not_share_it(platform: Platform) -> None:
    assert (await _made(platform, "maria"))["code"] == "FORBIDDEN"
    assert (await _made(platform, "eve"))["code"] == "NOT_FOUND"
    assert "secret" in await _made(platform, "root")


async def test_links_are_listed_for_the_owner(platform: Platform) -> None:
    for label in ("a", "b"):
        await _made(platform, label=label)
    simulation = platform.world.id("Simulation", "simulation")
    for who, labels in (("tom", ["b", "a"]), ("root", ["b", "a"]), ("maria", [])):
        found = (await platform.ask(LINKS, who, s=simulation))["simulation"]["links"]
        assert [node["label"] for node in found["nodes"]] == labels
        assert found["totalCount"] == len(labels)


async def test_what_a_link_is_used_for_is_noted(serve: Serve, backend: str) -> None:
    gateway = await serve(backend)
    secret = await _share(gateway)
    await gateway.ask("{signedIn{kind}}", f"Bearer {secret}")
    await gateway.services.identity.uses.settled()
    (row,) = await gateway.services.database.rows(sa.select(models.SimulationLink.last_used_at))
    assert row.last_used_at is not None


# What it shows --------------------------------------------------------------------------------------------------------

SHOWN = """query($id:ID!){signedIn{kind duties scopes}
  simulation(id:$id){title project{id} session{id} owner{id} links(first:9){nodes{id}} input{totalPrimaries}
    estimators(first:9){nodes{name pages(first:9,filter:{number:{ranges:"0-1"}}){nodes{number data{values}}}}}
    job{state tasks(first:9){nodes{ordinal state}} log(first:9){nodes{text}} error{code message}}}}"""


async def test_a_link_shows_its_simulation_and_what_is_below(platform: Platform) -> None:
    holder = await _holder(platform, (await _made(platform))["secret"])
    found = await platform.ask(SHOWN, holder, id=platform.world.id("Simulation", "simulation"))
    shown = found["simulation"]
    assert found["signedIn"] == {"kind": "LINK", "duties": [], "scopes": None}
    assert shown["title"] == "shared by tom"
    assert [shown[name] for name in ("project", "session", "owner")] == [None] * 3
    assert shown["links"] == {"nodes": []}
    assert shown["input"] == {"totalPrimaries": "100"}
    (estimator,) = shown["estimators"]["nodes"]
    assert [page["data"]["values"] for page in estimator["pages"]["nodes"]] == [[1.0, None, 3.0]] * 2
    assert [task["ordinal"] for task in shown["job"]["tasks"]["nodes"]] == [1, 2]
    assert shown["job"]["log"] == {"nodes": []}


async def test_a_link_shows_nothing_else(platform: Platform) -> None:
    holder = await _holder(platform, (await _made(platform))["secret"])
    lists = (
        "simulations",
        "jobs",
        "users",
        "projects",
        "sites",
        "sessions",
        "specs",
        "devices",
        "userGroups",
        "clusters",
    )
    query = "".join(f"{name}(first:9){{totalCount}}" for name in lists)
    counts = {name: found["totalCount"] for name, found in (await platform.ask(f"{{{query}}}", holder)).items()}
    assert counts == dict.fromkeys(lists, 0) | {"simulations": 1, "jobs": 1}
    private = platform.world.id("Simulation", "private")
    assert await platform.ask("query($id:ID!){simulation(id:$id){id}}", holder, id=private) == {"simulation": None}
    simulation = platform.world.id("Simulation", "simulation")
    files = "query($id:ID!){simulation(id:$id){input{inputFiles inputJson}}}"
    answer = await platform.answer(files, holder, id=simulation)
    assert answer.body["data"]["simulation"]["input"] == {"inputFiles": None, "inputJson": None}
    assert answer.codes == ["FORBIDDEN"]


async def test_a_link_changes_nothing(platform: Platform) -> None:
    holder = await _holder(platform, (await _made(platform))["secret"])
    simulation = platform.world.id("Simulation", "simulation")
    for name, given in (
        ("updateSimulation", {"id": simulation, "expectedVersion": 1, "input": {"title": "x"}}),
        ("createSimulationLink", {"simulation": simulation}),
        ("logIn", {"username": "tom", "password": "x"}),
    ):
        done, errors = await mutate(platform, holder, name, **given)
        codes = [done.get("code"), *(error["extensions"]["code"] for error in errors)]
        assert [code for code in codes if code] == ["UNAUTHENTICATED"], name


# When it ends ---------------------------------------------------------------------------------------------------------


async def test_a_link_that_was_deleted_opens_nothing(platform: Platform) -> None:
    made = await _made(platform)
    holder = await _holder(platform, made["secret"])
    assert (await platform.ask(DELETE, "maria", id=made["link"]["id"]))["done"]["code"] == "NOT_FOUND"
    assert (await platform.ask(DELETE, "tom", id=made["link"]["id"]))["done"] == {"__typename": "Deleted"}
    simulation = platform.world.id("Simulation", "simulation")
    query = "query($id:ID!){simulation(id:$id){id}}"
    assert await platform.ask(query, holder, id=simulation) == {"simulation": None}, "known from before"
    with pytest.raises(Unauthenticated):
        await _holder(platform, made["secret"])


@pytest.mark.parametrize("what", ["expired", "simulation deleted", "owner deleted", "owner inactive"])
async def test_a_link_holds_no_longer_than_what_it_stands_on(platform: Platform, what: str) -> None:
    made = await _made(platform)
    m = models
    change: Any = {
        "expired": sa.update(m.SimulationLink).values(expires_at=later(-1)),
        "simulation deleted": sa.update(m.Simulation).values(deleted_at=later(0)),
        "owner deleted": sa.update(m.User).where(m.User.username == "tom").values(deleted_at=later(0)),
        "owner inactive": sa.update(m.User).where(m.User.username == "tom").values(active=False),
    }[what]
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(change.execution_options(synchronize_session=False))
    with pytest.raises(Unauthenticated):
        await _holder(platform, made["secret"])


async def test_a_known_link_is_forgotten_with_what_it_stands_on(platform: Platform) -> None:
    """Also by a process that had kept who it is of."""
    principals, world = platform.services.identity.principals, platform.world
    for key in (world.simulation, world.tom):
        said = Secret(Kind.LINK, digest_of((await _made(platform))["secret"]))
        known = await principals.of(said)
        assert await principals.of(said) is known
        async with platform.services.database.write(as_system="test") as session:
            changed(session, principal_topic(key))
        assert await principals.of(said) is not known


# Over HTTP and sockets ------------------------------------------------------------------------------------------------


async def _share(gateway: Served) -> str:
    tom = await gateway.log_in("tom")
    simulation = gateway.world.id("Simulation", "simulation")
    made = (await gateway.ask(CREATE, tom, s=simulation, l="", e=None))["made"]
    secret: str = made["secret"]
    return secret


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    served: Served = await serve(backend)
    return served


async def _running(gateway: Served) -> str:
    """The job of the shared simulation, under way again."""
    async with gateway.services.database.write(as_system="test") as session:
        job = await session.get_one(models.Job, gateway.world.job)
        job.state, job.progress = JobState.RUNNING, 0.1
    return gateway.world.id("Job", "job")


async def _progress(gateway: Served, progress: float) -> None:
    async with gateway.services.database.write(as_system="test") as session:
        job = await session.get_one(models.Job, gateway.world.job)
        job.progress = progress
        changed(session, job_topic(job.id))


async def test_a_socket_follows_the_job_and_closes_when_the_link_goes(gateway: Served) -> None:
    secret, job = await _share(gateway), await _running(gateway)
    address = gateway.url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(
            orjson.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {secret}"}}).decode()
        )
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": "subscription($id:ID!){jobUpdated(id:$id){progress}}", "variables": {"id": job}}
        await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
        for progress in (0.1, 0.6):
            message = orjson.loads(await socket.recv())
            assert message["payload"]["data"] == {"jobUpdated": {"progress": progress}}, message
            await _progress(gateway, 0.6)
        await _delete_all(gateway)
        async with asyncio.timeout(5):
            await socket.wait_closed()
        assert socket.close_code in (4403, 4401)


async def test_a_stream_ends_when_the_link_goes(gateway: Served) -> None:
    secret, job = await _share(gateway), await _running(gateway)
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
    body = {"query": "subscription($id:ID!){jobUpdated(id:$id){progress}}", "variables": {"id": job}}
    events = []
    async with asyncio.timeout(30), gateway.client.stream("POST", "/graphql", json=body, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                events.append(orjson.loads(line[6:]))
                if len(events) == 1:
                    await _delete_all(gateway)
    assert events[0]["data"] == {"jobUpdated": {"progress": 0.1}}
    assert events[1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def _delete_all(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    simulation = gateway.world.id("Simulation", "simulation")
    found = await gateway.ask(LINKS, tom, s=simulation)
    for node in found["simulation"]["links"]["nodes"]:
        assert (await gateway.ask(DELETE, tom, id=node["id"]))["done"] == {"__typename": "Deleted"}


async def test_over_http_a_link_is_refused_once_it_is_gone(gateway: Served) -> None:
    secret = await _share(gateway)
    query = {"query": "{simulations(first:9){nodes{title}}}"}
    headers = {"Authorization": f"Bearer {secret}"}
    answer = await gateway.client.post("/graphql", json=query, headers=headers)
    assert answer.json()["data"]["simulations"]["nodes"] == [{"title": "shared by tom"}]
    await _delete_all(gateway)
    answer = await gateway.client.post("/graphql", json=query, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_who_has_a_link_opens_the_files_in_a_browser_while_it_holds(gateway: Served) -> None:
    secret = await _share(gateway)
    query = "mutation($s:ID!,$w:DownloadKind!){d:createDownload(simulation:$s,kind:$w){...on Download{url} ...on Problem{code}}}"
    simulation = gateway.world.id("Simulation", "simulation")
    urls = {}
    for what in ("RESULTS", "LOG"):
        made = await gateway.ask(query, f"Bearer {secret}", s=simulation, w=what)
        urls[what] = made["d"]["url"].partition("//")[2].partition("/")[2]
    answer = await gateway.client.get(f"/{urls['RESULTS']}")
    assert (answer.status_code, [one["name"] for one in answer.json()["estimators"]]) == (200, ["e0_"])
    assert (await gateway.client.get(f"/{urls['LOG']}")).status_code == 404, "the log is not shared"
    other = gateway.world.id("Simulation", "private")
    assert (await gateway.ask(query, f"Bearer {secret}", s=other, w="RESULTS"))["d"] == {"code": "NOT_FOUND"}
    await _delete_all(gateway)
    assert (await gateway.client.get(f"/{urls['RESULTS']}")).status_code == 401


async def test_a_link_is_no_password_of_a_key(gateway: Served) -> None:
    secret = await _share(gateway)
    answer = await gateway.client.post("/graphql", json={"query": "{signedIn{kind}}"}, auth=("pk_x", secret))
    assert answer.status_code == 401
