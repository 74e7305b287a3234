"""GraphQL over WebSocket: graphql-transport-ws, kept to by us and broken by others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from db import models
from db.address import of_driver
from db.engine import changed
from db.types import uuid7
from gateway.operations import fanout
from gateway.operations.responses import Answer
from gateway.protocol import authentication, websocket
from resolvers.access.roles import enrol
from resolvers.feed import RIGHTS, principal_topic
from resolvers.queue import leases
from resolvers.spelling import global_id
from schema.fields.scalars import parse_id
from tests.support.inputs import FILES
from tests.support.serving import Serve, Served
from tests.support.world import PASSWORD

WATCH = "subscription($i: ID!) { jobUpdated(id: $i) { state } }"


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve) -> Served:
    return await serve_module("sqlite", allowed_origins="https://spa.example")


@asynccontextmanager
async def _open(gateway: Served, init: Any = None, **options: Any) -> AsyncIterator[ClientConnection]:
    url = gateway.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"], **options) as socket:  # type: ignore[list-item]
        if init is not None:
            await _say(socket, type="connection_init", payload=init)
            assert await _hear(socket) == {"type": "connection_ack"}
        yield socket


async def _say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def _hear(socket: ClientConnection) -> Any:
    async with asyncio.timeout(30):
        return json.loads(await socket.recv())


async def _closed(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            async with asyncio.timeout(30):
                await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_subscription_is_sent_and_completes(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    async with _open(gateway, {"Authorization": tom}) as socket:
        await _say(
            socket,
            id="1",
            type="subscribe",
            payload={"query": WATCH, "variables": {"i": gateway.world.id("Job", "job")}},
        )
        assert await _hear(socket) == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"jobUpdated": {"state": "COMPLETED"}}},
        }
        assert await _hear(socket) == {"id": "1", "type": "complete"}


async def test_queries_and_mutations_are_answered_too(gateway: Served) -> None:
    async with _open(gateway, {}) as socket:
        await _say(socket, id="q", type="subscribe", payload={"query": "{viewer{id}}"})
        assert (await _hear(socket))["payload"] == {"data": {"viewer": None}}
        assert await _hear(socket) == {"id": "q", "type": "complete"}


async def test_four_answers_of_a_socket_are_made_and_sent_at_once(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, send = websocket.run_logged, websocket._Socket._next
    ran: list[int] = []
    full, gate = asyncio.Event(), asyncio.Event()

    async def running(*given: Any) -> Answer:
        ran.append(1)
        if len(ran) >= websocket.ANSWERS:
            full.set()
        return await run(*given)

    async def sending(self: Any, number: str, answer: Answer) -> None:
        if number.startswith("query"):
            await gate.wait()
        await send(self, number, answer)

    monkeypatch.setattr(websocket, "run_logged", running)
    monkeypatch.setattr(websocket._Socket, "_next", sending)
    tom = await gateway.log_in("tom")
    query = "{viewer{username}}"
    await gateway.ask(query)  # the document is known then
    watch = {"query": WATCH, "variables": {"i": gateway.world.id("Job", "job")}}
    async with _open(gateway, {"Authorization": tom}) as socket:
        for n in range(10):
            await _say(socket, id=f"query {n}", type="subscribe", payload={"query": query})
        await full.wait()
        await _say(socket, id="watch", type="subscribe", payload=watch)
        assert [(await _hear(socket))["type"] for _ in range(2)] == ["next", "complete"]
        assert len(ran) == websocket.ANSWERS
        gate.set()
        heard = [await _hear(socket) for _ in range(20)]
    assert {one["id"] for one in heard if one["type"] == "next"} == {f"query {n}" for n in range(10)}


async def test_what_cannot_be_run_is_an_error_of_that_operation_alone(gateway: Served) -> None:
    async with _open(gateway, {}) as socket:
        for query, code in (("{", "GRAPHQL_PARSE_FAILED"), ("{unknown}", "GRAPHQL_VALIDATION_FAILED")):
            await _say(socket, id="1", type="subscribe", payload={"query": query})
            answer = await _hear(socket)
            assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", code)
        await _say(
            socket,
            id="2",
            type="subscribe",
            payload={"query": WATCH, "variables": {"i": gateway.world.id("Job", "job")}},
        )
        answer = await _hear(socket)
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
        await _say(socket, type="ping")
        assert await _hear(socket) == {"type": "pong"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("[]", 4400),
        ("1", 4400),
        ("not JSON", 4400),
        ("[" * 5_000, 4400),
        (b"\xff", 4400),
        ({"type": "unknown"}, 4400),
        ({}, 4400),
        ({"type": "connection_init"}, 4429),
        ({"type": "subscribe", "id": [1], "payload": {"query": "{__typename}"}}, 4400),
        ({"type": "subscribe", "id": "1", "payload": []}, 4400),
        ({"type": "subscribe", "id": "1", "payload": {"query": 5}}, 4400),
        ({"type": "subscribe", "id": "1"}, 4400),
    ],
)
async def test_a_broken_message_closes_the_socket_with_a_code(gateway: Served, message: Any, code: int) -> None:
    async with _open(gateway, {}) as socket:
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        assert (await _closed(socket))[0] == code


@pytest.mark.parametrize("payload", [[], "x", {"authorization": 5}])
async def test_a_broken_init_closes_the_socket(gateway: Served, payload: Any) -> None:
    async with _open(gateway) as socket:
        await _say(socket, type="connection_init", payload=payload)
        assert (await _closed(socket))[0] == 4400


async def test_subscribing_before_init_is_unauthorized(gateway: Served) -> None:
    async with _open(gateway) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": "{__typename}"})
        assert await _closed(socket) == (4401, "Unauthorized")


async def test_a_socket_that_says_nothing_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_WAIT", 0.05)
    async with _open(gateway) as socket:
        assert (await _closed(socket))[0] == 4408


async def test_the_same_id_twice_is_refused(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    job = await _pending(gateway, tom)
    async with _open(gateway, {"authorization": tom}) as socket:
        for _ in range(2):
            await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"i": job}})
        assert (await _closed(socket))[0] == 4409


async def test_completing_ends_the_subscription(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    job = await _pending(gateway, tom)
    async with _open(gateway, {"authorization": tom}) as socket:
        before = gateway.services.feed.subscribers
        await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"i": job}})
        assert (await _hear(socket))["payload"]["data"] == {"jobUpdated": {"state": "PENDING"}}
        assert gateway.services.feed.subscribers == before + 1, "the job"
        await _say(socket, id="1", type="complete")
        await _say(socket, type="ping")
        assert await _hear(socket) == {"type": "pong"}
        while gateway.services.feed.subscribers > before:
            await asyncio.sleep(0)


async def test_a_socket_ends_when_its_token_does(serve: Serve) -> None:
    gateway = await serve(access_minutes=1.5 / 60)
    tom = await gateway.log_in("tom")
    async with _open(gateway, {"authorization": tom}) as socket:
        assert await _closed(socket) == (4403, "TOKEN_EXPIRED: the token has expired; go on with a fresh one")


ENDS = {
    "log-out": ("tom's", "logOut{__typename}"),
    "another password": (
        "tom", f'changePassword(oldPassword:"{PASSWORD}",newPassword:"lantern oars 5 copper"){{__typename}}'
    ),
    "a password by an administrator": ("root", 'setPassword(id:$u,newPassword:"lantern oars 5 copper"){__typename}'),
    "closed login sessions": ("root", "closeSessions(user:$u){__typename}"),
    "deactivation": ("root", "updateUser(id:$u,expectedVersion:$v,input:{active:false}){__typename}"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("why", ENDS)
async def test_a_socket_ends_within_five_seconds_of(serve: Serve, why: str) -> None:
    gateway = await serve()
    who, mutation = ENDS[why]
    first = await gateway.log_in("tom")
    acting = first if who == "tom's" else await gateway.log_in(who)
    user = gateway.world.id("User", "tom")
    version = (await gateway.ask("query($u:ID!){node(id:$u){version}}", first, u=user))["node"]["version"]
    given = {"u": user, "v": version}
    given = {name: value for name, value in given.items() if f"${name}" in mutation}
    declared = ",".join({"u": "$u:ID!", "v": "$v:Int!"}[name] for name in given)
    async with _open(gateway, {"authorization": first}) as socket:
        await gateway.ask(f"mutation{f'({declared})' if declared else ''}{{done:{mutation}}}", acting, **given)
        async with asyncio.timeout(5):
            code, reason = await _closed(socket)
    assert (code, reason) == (4403, "UNAUTHENTICATED: the login session has ended; sign in again")


async def test_pages_of_other_sites_open_no_socket(gateway: Served) -> None:
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with _open(gateway, additional_headers={"Origin": origin}):
                pass
        assert refused.value.response.status_code == 403
    for origin in ("https://spa.example", gateway.url):
        async with _open(gateway, {}, additional_headers={"Origin": origin}):
            pass


async def test_another_protocol_is_refused(gateway: Served) -> None:
    url = gateway.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=["graphql-ws"]) as socket:  # type: ignore[list-item]
        assert (await _closed(socket))[0] == 4406


async def test_a_gateway_that_stops_says_so_to_its_sockets_and_streams(serve: Serve) -> None:
    gateway = await serve()
    tom = await gateway.log_in("tom")
    job = await _pending(gateway, tom)
    body = {"query": WATCH, "variables": {"i": job}}
    async with _open(gateway, {"authorization": tom}) as socket:
        await _say(socket, id="1", type="subscribe", payload=body)
        await _hear(socket)
        headers = {"Accept": "text/event-stream", "Authorization": tom}
        async with gateway.client.stream("POST", "/graphql", json=body, headers=headers) as stream:
            chunks = stream.aiter_text()
            text = ""
            while "PENDING" not in text:
                text += await anext(chunks)
            stopping = asyncio.create_task(gateway.stop())
            assert (await _closed(socket))[0] == 1012
            text += "".join([chunk async for chunk in chunks])
            assert text.endswith("event: complete\ndata: \n\n")
        await stopping


async def _pending(gateway: Served, authorization: str) -> str:
    """The id of a job that waits, since this gateway runs none."""
    query = "mutation($i:NewSimulation!){submitSimulation(input:$i){... on Simulation{job{id}}}}"
    data = await gateway.ask(query, authorization, i={"simType": "SHIELDHIT", "inputFiles": FILES})
    return str(data["submitSimulation"]["job"]["id"])


async def test_a_stream_of_events_ends_when_its_session_does(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    body = {"query": WATCH, "variables": {"i": await _pending(gateway, tom)}}
    headers = {"Accept": "text/event-stream", "Authorization": tom}
    async with asyncio.timeout(20), gateway.client.stream("POST", "/graphql", json=body, headers=headers) as stream:
        chunks = stream.aiter_text()
        text = ""
        while "PENDING" not in text:
            text += await anext(chunks)
        await gateway.ask("mutation{logOut{__typename}}", tom)
        text += "".join([chunk async for chunk in chunks])
    assert '"UNAUTHENTICATED"' in text
    assert text.endswith("event: complete\ndata: \n\n")


async def test_who_leaves_a_project_stops_seeing_its_jobs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "RECHECK", 0.05)
    gateway = await serve()
    maria, tom = await gateway.log_in("maria"), await gateway.log_in("tom")
    query = "mutation($i:NewSimulation!){submitSimulation(input:$i){... on Simulation{job{id}}}}"
    given = {"simType": "SHIELDHIT", "inputFiles": FILES, "project": gateway.world.id("Project", "shared")}
    job = (await gateway.ask(query, maria, i=given))["submitSimulation"]["job"]["id"]
    async with _open(gateway, {"authorization": tom}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"i": job}})
        assert (await _hear(socket))["payload"]["data"] == {"jobUpdated": {"state": "PENDING"}}
        async with gateway.services.database.write(as_system="test") as session:
            await session.execute(
                sa.delete(models.UserGroupMember).where(models.UserGroupMember.user_id == gateway.world.tom)
            )
            changed(session, principal_topic(gateway.world.tom))
        await _say(socket, id="2", type="subscribe", payload={"query": "{viewer{groups(first:1){totalCount}}}"})
        while (heard := await _hear(socket)).get("payload", {}).get("data", {}).get("viewer", {}) != {
            "groups": {"totalCount": 0}
        }:
            if heard["type"] == "complete":
                await _say(socket, id="2", type="subscribe", payload={"query": "{viewer{groups(first:1){totalCount}}}"})
        await gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", maria, i=job)
        while (heard := await _hear(socket))["id"] != "1":
            pass
        assert (heard["type"], heard["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")


async def test_who_leaves_a_group_is_told_which_places_went_from_sight(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "RECHECK", 0.05)
    gateway = await serve()
    project = gateway.world.id("Project", "shared")
    query = "subscription{entityChanged(types:[PROJECT]){id node{id}}}"
    async with _open(gateway, {"authorization": await gateway.log_in("tom")}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": query})
        assert (await _hear(socket))["payload"]["data"] == {"entityChanged": []}
        async with gateway.services.database.write(as_system="test") as session:
            await session.execute(
                sa.delete(models.UserGroupMember).where(models.UserGroupMember.user_id == gateway.world.tom)
            )
            changed(session, principal_topic(gateway.world.tom))
        told = (await _hear(socket))["payload"]["data"]["entityChanged"]
        assert {"id": project, "node": None} in told
        assert all(one["node"] is None for one in told)


async def test_a_change_in_one_process_reaches_the_watchers_of_another(serve: Serve) -> None:
    """Two gateways on one PostgreSQL database."""
    one = await serve("postgresql")
    two = await serve(database=one.services.database.url.render_as_string(hide_password=False))
    tom = await one.log_in("tom")
    job = await _pending(one, tom)
    async with _open(two, {"authorization": tom}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"i": job}})
        assert (await _hear(socket))["payload"]["data"] == {"jobUpdated": {"state": "PENDING"}}
        await one.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", tom, i=job)
        assert (await _hear(socket))["payload"]["data"] == {"jobUpdated": {"state": "CANCELED"}}


async def test_a_broken_listening_connection_is_opened_again_and_nothing_is_missed(serve: Serve) -> None:
    gateway = await serve("postgresql")
    tom = await gateway.log_in("tom")
    job = await _pending(gateway, tom)
    other = await asyncpg.connect(of_driver(gateway.services.database.url))
    async with _open(gateway, {"authorization": tom}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"i": job}})
        await _hear(socket)
        await other.execute("UPDATE jobs SET state = 'CANCELED', version = version + 1 WHERE state = 'PENDING'")
        listening = "query ILIKE 'LISTEN%' AND datname = current_database()"
        assert await other.fetch(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listening}")
        assert (await _hear(socket))["payload"]["data"] == {"jobUpdated": {"state": "CANCELED"}}
    await other.close()


# Many who ask the same ------------------------------------------------------------------------------------------------


async def _submitted(gateway: Served, authorization: str) -> str:
    query = "mutation($i:NewSimulation!){submitSimulation(input:$i){...on Simulation{job{id}}}}"
    answer = await gateway.ask(query, authorization, i={"simType": "SHIELDHIT", "inputFiles": FILES})
    return str(answer["submitSimulation"]["job"]["id"])


async def test_who_asks_the_same_is_answered_from_one_run(gateway: Served) -> None:
    tom, root = await gateway.log_in("tom"), await gateway.log_in("root")
    job = await _submitted(gateway, tom)
    payload = {"query": WATCH, "variables": {"i": job}}
    async with (
        _open(gateway, {"Authorization": tom}) as one,
        _open(gateway, {"Authorization": tom}) as two,
        _open(gateway, {"Authorization": root}) as other,
    ):
        sockets_ = (one, two, other)
        before = len(gateway.services.feed.following(f"job:{parse_id(job)[1]}"))
        for number, socket in enumerate(sockets_):
            await _say(socket, id=str(number), type="subscribe", payload=payload)
            assert (await _hear(socket))["payload"] == {"data": {"jobUpdated": {"state": "PENDING"}}}
        assert len(gateway.services.feed.following(f"job:{parse_id(job)[1]}")) == before + 2
        await _say(one, id="0", type="complete")
        await gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", tom, i=job)
        for number, socket in enumerate(sockets_[1:], 1):
            assert await _hear(socket) == {
                "id": str(number),
                "type": "next",
                "payload": {"data": {"jobUpdated": {"state": "CANCELED"}}},
            }
            assert await _hear(socket) == {"id": str(number), "type": "complete"}
    async with asyncio.timeout(5):
        while gateway.services.feed.following(f"job:{parse_id(job)[1]}"):
            await asyncio.sleep(0)


async def test_a_newcomer_is_first_sent_what_is_now(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    job = await _submitted(gateway, tom)
    payload = {"query": WATCH, "variables": {"i": job}}
    async with _open(gateway, {"Authorization": tom}) as one, _open(gateway, {"Authorization": tom}) as late:
        await _say(one, id="1", type="subscribe", payload=payload)
        await _hear(one)
        async with gateway.services.database.write(as_system="test") as session:
            (task_claim,) = [
                e for e in await leases.claim_waiting(session, 9, 30) if str(e.job_id) == str(parse_id(job)[1])
            ]
        assert (await _hear(one))["payload"]["data"]["jobUpdated"] == {"state": "RUNNING"}
        await _say(late, id="1", type="subscribe", payload=payload)
        assert (await _hear(late))["payload"]["data"]["jobUpdated"] == {"state": "RUNNING"}
        await gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", tom, i=job)
        assert task_claim.attempt == 1


async def test_who_loses_the_right_is_sent_nothing_more_though_others_are(gateway: Served) -> None:
    """Maria sees Tom's job as a member of its project; taken out of it, her subscription ends, and his goes on."""
    tom, maria = await gateway.log_in("tom"), await gateway.log_in("maria")
    query = "mutation($i:NewSimulation!){submitSimulation(input:$i){...on Simulation{id version job{id}}}}"
    given = {"simType": "SHIELDHIT", "inputFiles": FILES, "project": gateway.world.id("Project", "shared")}
    simulation = (await gateway.ask(query, tom, i=given))["submitSimulation"]
    payload = {"query": WATCH, "variables": {"i": simulation["job"]["id"]}}
    async with _open(gateway, {"Authorization": tom}) as his, _open(gateway, {"Authorization": maria}) as hers:
        for socket in (his, hers):
            await _say(socket, id="1", type="subscribe", payload=payload)
            await _hear(socket)
        move = "mutation($i:ID!,$v:Int!){updateSimulation(id:$i,expectedVersion:$v,input:{project:null}){__typename}}"
        await gateway.ask(move, tom, i=simulation["id"], v=simulation["version"])
        answer = await _hear(hers)
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
        await gateway.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", tom, i=simulation["job"]["id"])
        while (state := (await _hear(his))["payload"]["data"]["jobUpdated"]["state"]) == "PENDING":
            pass
        assert state == "CANCELED"


async def test_a_newcomer_is_sent_what_is_there_and_not_what_others_were_sent(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    job = await _submitted(gateway, tom)
    payload = {"query": "subscription($i:ID!){jobUpdated(id:$i){title}}", "variables": {"i": job}}
    async with _open(gateway, {"Authorization": tom}) as one, _open(gateway, {"Authorization": tom}) as late:
        await _say(one, id="1", type="subscribe", payload=payload)
        assert (await _hear(one))["payload"]["data"]["jobUpdated"] == {"title": ""}
        async with gateway.services.database.write(as_system="test") as session:  # nobody hears of it
            renamed = sa.update(models.Job).where(models.Job.id == parse_id(job)[1])
            await session.execute(renamed.values(title="new"))
        await _say(late, id="1", type="subscribe", payload=payload)
        assert (await _hear(late))["payload"]["data"]["jobUpdated"] == {"title": "new"}


@pytest.mark.parametrize("variables", [{}, {"i": None}, {"i": 2**70}, {"i": "nonsense"}])
async def test_what_is_refused_of_a_shared_subscription_is_told(gateway: Served, variables: Any) -> None:
    tom = await gateway.log_in("tom")
    async with _open(gateway, {"Authorization": tom}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": variables})
        answer = await _hear(socket)
        assert answer["type"] == "error"
        assert answer["payload"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "INVALID")


async def test_changed_jobs_are_read_once_for_all_who_ask_the_same(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    async with _open(gateway, {"Authorization": tom}) as one, _open(gateway, {"Authorization": tom}) as two:
        for socket in (one, two):
            await _say(socket, id="1", type="subscribe", payload={"query": "subscription{jobsChanged{id state}}"})
        async with asyncio.timeout(5):
            while not gateway.services.feed.following("job:*"):
                await asyncio.sleep(0)
        await _say(two, type="ping")
        assert await _hear(two) == {"type": "pong"}
        assert len(gateway.services.feed.following("job:*")) == 1
        job = await _submitted(gateway, tom)
        for socket in (one, two):
            assert (await _hear(socket))["payload"]["data"]["jobsChanged"] == {"id": job, "state": "PENDING"}


async def test_a_log_is_followed_by_many_from_its_first_line_each(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    job = await _submitted(gateway, tom)
    key = parse_id(job)[1]

    async def write(*texts: str) -> None:
        async with gateway.services.database.write(as_system="test") as session:
            held = await session.get_one(models.Job, key)
            for text in texts:
                held.log_length += 1
                session.add(models.LogEntry(job_id=key, sequence=held.log_length, line=held.log_length, text=text))
            changed(session, f"log:{key}")

    async def lines(socket: ClientConnection, number: int) -> list[str]:
        return [(await _hear(socket))["payload"]["data"]["jobLog"]["text"] for _ in range(number)]

    payload = {"query": "subscription($i:ID!){jobLog(id:$i){text}}", "variables": {"i": job}}
    await write("a", "b")
    async with _open(gateway, {"Authorization": tom}) as one, _open(gateway, {"Authorization": tom}) as late:
        await _say(one, id="1", type="subscribe", payload=payload)
        assert await lines(one, 2) == ["a", "b"]
        await write("c")
        assert await lines(one, 1) == ["c"]
        await _say(late, id="1", type="subscribe", payload=payload)
        assert await lines(late, 3) == ["a", "b", "c"]
        assert len(gateway.services.feed.following(f"log:{key}")) == 1
        await write("d", "e")
        assert await lines(one, 2) == await lines(late, 2) == ["d", "e"]


async def test_who_falls_far_behind_is_told_and_ended() -> None:
    listener = fanout._Listener()
    for number in range(fanout.BACKLOG + 5):
        listener.put(Answer(200, {"data": number}))
    answer = await listener.next()
    assert answer is not None
    assert answer.body["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert await listener.next() is None


async def test_a_group_that_gets_or_loses_a_role_in_a_place_is_told_to_those_who_see_it_there(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "RECHECK", 0.05)
    gateway = await serve()
    group, grant = uuid7(), uuid7()
    query = "subscription{entityChanged(types:[USER_GROUP]){id node{... on UserGroup{name}}}}"
    role = sa.select(models.Role.id).where(
        models.Role.project_id == gateway.world.shared, models.Role.service_id == models.CORE
    )
    database = gateway.services.database
    async with database.write(as_system="test") as session:
        session.add(models.UserGroup(id=group, name="crew"))
    async with _open(gateway, {"authorization": await gateway.log_in("maria")}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": query})
        assert (await _hear(socket))["payload"]["data"] == {"entityChanged": []}
        async with database.write(as_system="test") as session:
            (key, *_) = (await session.scalars(role)).all()
            session.add(models.RoleGrant(id=grant, role_id=key, user_group_id=group))
            changed(session, RIGHTS)
        told = {"id": global_id("UserGroup", group)}
        assert told | {"node": {"name": "crew"}} in (await _hear(socket))["payload"]["data"]["entityChanged"]
        async with database.write(as_system="test") as session:
            await session.execute(sa.delete(models.RoleGrant).where(models.RoleGrant.id == grant))
            changed(session, RIGHTS)
        assert told | {"node": None} in (await _hear(socket))["payload"]["data"]["entityChanged"]


TWICE = """mutation($g:ID!,$u:[ID!]!,$s:ID!){a:removeFromGroup(id:$g,users:$u){...on Linked{removed} ...on Problem{code}}
    b:createProject(input:{name:"z",site:$s}){__typename ...on Project{site{id}} ...on Problem{code}}}"""


@pytest.mark.parametrize("way", ["http", "socket"])
async def test_rights_that_end_within_a_mutation_are_gone_for_what_follows(serve: Serve, way: str) -> None:
    gateway = await serve()
    world = gateway.world
    async with gateway.services.database.write(as_system="test") as session:
        group = await enrol(session, await session.get_one(models.Site, world.site), world.tom, admin=True)
        changed(session, RIGHTS)
    tom = await gateway.log_in("tom")
    given = {"g": global_id("UserGroup", group.id), "u": [global_id("User", world.tom)], "s": world.id("Site", "site")}
    if way == "http":
        data = await gateway.ask(TWICE, tom, **given)
    else:
        async with _open(gateway, {"authorization": tom}) as socket:
            await _say(socket, id="1", type="subscribe", payload={"query": TWICE, "variables": given})
            data = (await _hear(socket))["payload"]["data"]
    assert data["a"] == {"removed": 1}
    assert data["b"]["__typename"] == "Problem", data
    assert data["b"]["code"] in ("FORBIDDEN", "NOT_FOUND")
