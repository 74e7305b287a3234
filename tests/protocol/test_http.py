"""GraphQL over HTTP, as clients and as attackers send it."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.prepared import Prepared
from gateway.protocol.negotiation import EVENTS, GRAPHQL, JSON, accepted, choose
from resolvers.identity.principal import TaskClaim
from resolvers.queue.leases import SCOPES
from tests.support.serving import Serve, Served

NEW = {"Accept": GRAPHQL}
OLD = {"Accept": JSON}


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve) -> Served:
    return await serve_module("sqlite", body_limit=20_000, allowed_origins="https://spa.example", explorer=False)


async def _post(gateway: Served, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return await gateway.client.post("/graphql", content=content, headers={"Content-Type": JSON, **NEW, **headers})


def _code(response: httpx2.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (GRAPHQL, GRAPHQL),
        (JSON, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.1, {JSON}", JSON),
        (f"{GRAPHQL}, application/graphql+json, {JSON}, {EVENTS}, multipart/mixed", GRAPHQL),
        (f"{EVENTS};q=0, {JSON}", JSON),
        (f"{EVENTS}", EVENTS),
    ],
)
async def test_the_answer_has_the_type_that_is_wanted_most(gateway: Served, accept: str, answered: str) -> None:
    response = await _post(gateway, {"query": "{__typename}"}, Accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == answered


async def test_an_unacceptable_type_is_told(gateway: Served) -> None:
    response = await _post(gateway, {"query": "{__typename}"}, Accept="text/plain, image/*")
    assert (response.status_code, _code(response)) == (406, "BAD_REQUEST")


def test_weights_decide_before_order() -> None:
    assert choose(accepted("a/b;q=0.2, c/d;q=0.8"), ("a/b", "c/d")) == "c/d"
    assert choose(accepted("a/b;q=0"), ("a/b",)) is None
    assert choose(accepted("a/b;q=x"), ("a/b",)) is None
    assert choose(accepted("*/*;q=0.1, a/b;q=0"), ("a/b", "c/d")) == "c/d"
    assert choose(accepted(None), (GRAPHQL, JSON)) == JSON


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "BAD_REQUEST"),
        (b"", 400, "BAD_REQUEST"),
        (b"1", 400, "BAD_REQUEST"),
        (b"null", 400, "BAD_REQUEST"),
        (b"[1]", 400, "BAD_REQUEST"),
        (b'[{"query":"{__typename}"}]', 400, "BAD_REQUEST"),
        (b"\xff\xfe", 400, "BAD_REQUEST"),
        (b"[" * 9_000, 400, "BAD_REQUEST"),
        (b'{"query":' + b"[" * 9_000, 400, "BAD_REQUEST"),
        ({}, 400, "BAD_REQUEST"),
        ({"query": 5}, 400, "BAD_REQUEST"),
        ({"query": None}, 400, "BAD_REQUEST"),
        ({"query": "{__typename}", "variables": [1]}, 400, "BAD_REQUEST"),
        ({"query": "{__typename}", "operationName": {}}, 400, "BAD_REQUEST"),
        ({"query": "{__typename}", "extensions": 1}, 400, "BAD_REQUEST"),
        ({"query": "{"}, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ }"}, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{unknown}"}, 422, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{viewer}"}, 422, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A{__typename} query B{__typename}"}, 422, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A{__typename}", "operationName": "B"}, 422, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query($i:ID!){node(id:$i){id}}"}, 422, "BAD_USER_INPUT"),
        ({"query": "query($i:ID!){node(id:$i){id}}", "variables": {"i": {}}}, 422, "BAD_USER_INPUT"),
        ({"query": "query($n:Int){challenges(first:$n){nodes{id}}}", "variables": {"n": 2**40}}, 422, "BAD_USER_INPUT"),
    ],
)
async def test_what_is_no_operation_is_told_and_has_no_data(gateway: Served, body: Any, status: int, code: str) -> None:
    response = await _post(gateway, body)
    assert (response.status_code, _code(response)) == (status, code)
    assert "data" not in response.json()
    assert "Traceback" not in response.text
    assert "/" not in response.json()["errors"][0]["message"].replace("application/json", "")


async def test_older_clients_get_200_for_errors_of_the_operation(gateway: Served) -> None:
    response = await _post(gateway, {"query": "{unknown}"}, **OLD)
    assert (response.status_code, response.json()["data"]) == (200, None)


async def test_errors_of_fields_come_with_the_rest_of_the_data(gateway: Served) -> None:
    response = await _post(gateway, {"query": '{a:node(id:"x"){id} challenges(first:1){nodes{label}}}'})
    assert response.status_code == 200
    body = response.json()
    assert body["errors"][0]["path"] == ["a"]
    assert body["data"] == {"a": None, "challenges": {"nodes": [{"label": "units-2026"}]}}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/json; charset=latin-1"])  # fmt: skip
async def test_only_json_is_taken(gateway: Served, content_type: str) -> None:
    response = await _post(gateway, {"query": "{__typename}"}, **{"Content-Type": content_type})
    assert (response.status_code, _code(response)) == (415, "BAD_REQUEST")


async def test_a_body_over_the_limit_is_refused(gateway: Served) -> None:
    response = await _post(gateway, {"query": "{__typename}" + " " * 20_000})
    assert (response.status_code, _code(response)) == (413, "BAD_REQUEST")


async def test_workers_may_deliver_more_than_others_send(gateway: Served) -> None:
    token = gateway.services.identity.keys.worker_token(
        TaskClaim(gateway.world.job, 1, 9, SCOPES), timedelta(minutes=1)
    )
    body = {"query": "mutation($e:JSON!){workerPutResults(estimators:$e){state}}", "variables": {"e": [["x" * 30_000]]}}
    response = await _post(gateway, body, Authorization=f"Bearer {token}")
    # It holds no task, which is asked before the results are read.
    assert (response.status_code, _code(response)) == (200, "STATE")


async def test_get_is_for_queries_only(gateway: Served) -> None:
    query = {"query": "query($l:String!){challenge(label:$l){label}}", "variables": '{"l":"units-2026"}'}
    response = await gateway.client.get("/graphql", params=query, headers=NEW)
    assert response.json() == {"data": {"challenge": {"label": "units-2026"}}}
    for operation in ("mutation{logOut{__typename}}", 'subscription{jobUpdated(id:"x"){id}}'):
        response = await gateway.client.get("/graphql", params={"query": operation}, headers=NEW)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await gateway.client.get("/graphql", params={"query": "{__typename}", "variables": "{"}, headers=NEW)
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(gateway: Served, method: str) -> None:
    response = await gateway.client.request(method, "/graphql", headers=NEW)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_get_of_another_sites_page_needs_a_header_that_a_form_cannot_send(gateway: Served) -> None:
    headers = {"Accept": "*/*", "Sec-Fetch-Site": "cross-site"}
    response = await gateway.client.get("/graphql", params={"query": "{__typename}"}, headers=headers)
    assert response.status_code == 403
    headers["GraphQL-Require-Preflight"] = "1"
    response = await gateway.client.get("/graphql", params={"query": "{__typename}"}, headers=headers)
    assert response.status_code == 200


async def test_only_listed_origins_are_allowed(gateway: Served) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,authorization"}
    allowed = await gateway.client.options("/graphql", headers={"Origin": "https://spa.example", **ask})
    assert allowed.headers["access-control-allow-origin"] == "https://spa.example"
    refused = await gateway.client.options("/graphql", headers={"Origin": "https://evil.example", **ask})
    assert "access-control-allow-origin" not in refused.headers
    answered = await _post(gateway, {"query": "{__typename}"}, Origin="https://evil.example")
    assert "access-control-allow-origin" not in answered.headers


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic dG9tOng=", "Bearer", "x"])
async def test_a_bad_credential_is_401_and_nothing_is_run(gateway: Served, header: str) -> None:
    for media in (NEW, OLD):
        response = await _post(gateway, {"query": "{__typename}"}, Authorization=header, **media)
        assert (response.status_code, _code(response)) == (401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"
        assert "data" not in response.json()


async def test_every_answer_has_an_id_and_is_not_stored(gateway: Served) -> None:
    first, second = [await _post(gateway, {"query": "{__typename}"}) for _ in range(2)]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["cache-control"] == "no-store"


async def test_no_suggestion_tells_of_the_schema(gateway: Served) -> None:
    for query in ("{viewr{id}}", "{challenges(frst:1){nodes{id}}}", "{challenges(first:1,orderBy:{field:NEWST}){nodes{id}}}",
                  "{...on Chalenge{id}}", "query($f:ChallengeFiltr){challenges(first:1,filter:$f){nodes{id}}}",
                  "{challenges(first:1,filter:{actve:{equals:true}}){nodes{id}}}"):  # fmt: skip
        response = await _post(gateway, {"query": query})
        assert response.status_code == 422
        assert "Did you mean" not in response.text


async def test_a_fault_of_ours_is_masked_and_logged(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("postgresql://user:secret@host/db")

    monkeypatch.setattr("db.engine.Database.fetch", broken)
    monkeypatch.setattr("db.engine.Database.rows", broken)
    response = await _post(gateway, {"query": "{challenges(first:1){nodes{label}}}"})
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error["extensions"]["errorId"]) == 32
    assert "secret" not in response.text


async def test_health_and_readiness(
    gateway: Served, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (await gateway.client.get("/healthz")).json() == {"status": "ok"}
    assert (await gateway.client.get("/readyz")).json() == {"status": "ready"}
    empty = await serve_module(database=f"sqlite:///{tmp_path_factory.mktemp('empty') / 'torana.db'}")
    assert (await empty.client.get("/healthz")).status_code == 200
    assert (await empty.client.get("/readyz")).status_code == 503


async def test_a_page_that_is_not_wanted_is_not_served(gateway: Served) -> None:
    response = await gateway.client.get("/graphql", headers={"Accept": "text/html"})
    assert response.status_code == 406


async def test_another_host_is_refused_where_hosts_are_named(serve_module: Serve) -> None:
    gateway = await serve_module(allowed_hosts="127.0.0.1")
    assert (await gateway.client.get("/healthz")).status_code == 200
    assert (await gateway.client.get("/healthz", headers={"Host": "evil.example"})).status_code == 400


async def test_a_subscription_comes_as_events(gateway: Served) -> None:
    tom = await gateway.log_in("tom")
    body = {
        "query": "subscription($i:ID!){jobUpdated(id:$i){state}}",
        "variables": {"i": gateway.world.id("Job", "job")},
    }
    response = await _post(gateway, body, Accept=EVENTS, Authorization=tom)
    assert response.headers["content-type"].startswith(EVENTS)
    events = [event for event in response.text.split("\n\n") if event and event != ":"]
    assert events == ['event: next\ndata: {"data":{"jobUpdated":{"state":"COMPLETED"}}}', "event: complete\ndata: "]
    refused = await _post(gateway, body, Authorization=tom)
    assert (refused.status_code, _code(refused)) == (406, "BAD_REQUEST")
    hidden = await _post(gateway, body, Accept=EVENTS)
    assert '"NOT_FOUND"' in hidden.text
    assert hidden.text.endswith("event: complete\ndata: \n\n")


async def test_a_slow_operation_is_stopped_and_gives_its_connection_back(serve_module: Serve) -> None:
    """A read that counts for longer than allowed, on both databases."""
    for backend, endless in (
        ("sqlite", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"),
        ("postgresql", "SELECT pg_sleep(60)"),
    ):
        gateway = await serve_module(backend, operation_timeout=1.0, database_readers=1)
        await _slow(gateway, endless)
        async with asyncio.timeout(5):  # housekeeping may have it first
            while gateway.services.database._readers._places.locked():
                await asyncio.sleep(0.01)
        assert (await gateway.ask("{challenges(first:1){totalCount}}"))["challenges"] == {"totalCount": 1}


async def _slow(gateway: Served, endless: str) -> None:
    fetch = Database.fetch

    async def slow(self: Database, *_: Any) -> Any:
        return await fetch(self, Prepared(sa.text(endless), self._prepared.dialect), {})  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "fetch", slow)
        response = await _post(gateway, {"query": "{challenges(first:1){totalCount}}"})
    assert _code(response) == "TIMEOUT"
