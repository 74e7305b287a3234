"""A token that is no good, beside what needs one and what needs none; and how an expired one is told apart."""

import json
from datetime import timedelta
from typing import Any

import graphql
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from gateway.protocol.negotiation import EVENTS, GRAPHQL, JSON
from resolvers.identity.principal import Kind
from schema import Schema
from schema.fields.openness import OPEN
from schema.fields.selection import DEFINITION
from tests.support.serving import UNSENT, Serve, Served
from tests.support.world import PASSWORD

ON_SQLITE = True

OPEN_MUTATIONS = {
    "completeTwoFactor": 'completeTwoFactor(ticket:"x",code:"000000"){__typename}',
    "logIn": f'logIn(username:"tom",password:"{PASSWORD}"){{__typename}}',
    "logInParticipant": 'logInParticipant(username:"x",password:"x"){__typename}',
    "refresh": 'refresh(refreshToken:"x"){__typename}',
    "registerDevice": 'registerDevice(registerKey:"x",name:"x",typeKey:"x"){__typename}',
    "requestParticipantPasswordReset": 'requestParticipantPasswordReset(username:"x"){__typename}',
    "requestPasswordReset": 'requestPasswordReset(email:"x@torana.example"){__typename}',
    "resendVerification": 'resendVerification(email:"x@torana.example"){__typename}',
    "resetPassword": 'resetPassword(token:"x",newPassword:"lantern oars 5 copper"){__typename}',
    "signUp": 'signUp(input:{username:"ann",email:"ann@torana.example",password:"lantern oars 5 copper"}){__typename}',
    "verifyEmail": 'verifyEmail(token:"x"){__typename}',
}
"""One of each that needs no principal; most are refused for what they are given, and none for what is beside it."""
LOG_IN = f"""logIn(username:"tom",password:"{PASSWORD}"){{__typename ...on Tokens{{viewer{{username}}}}}}"""
CLOSE = "closeOtherSessions{__typename ...on Problem{code message}}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def gateway(request: pytest.FixtureRequest, serve_module: Serve) -> Served:
    return await serve_module(request.param, **UNSENT, sign_up=True)


def _expired(gateway: Served) -> str:
    here = gateway.world
    token = gateway.services.identity.keys.access_token(Kind.USER, here.tom, here.tom, timedelta(minutes=-1))
    return f"Bearer {token}"


async def _bad(gateway: Served) -> dict[str, str]:
    """Headers that make no principal, by the code that they are told with."""
    return {"UNAUTHENTICATED": "Bearer nonsense", "TOKEN_EXPIRED": _expired(gateway)}


async def _post(gateway: Served, query: str, authorization: str, accept: str = GRAPHQL) -> httpx2.Response:
    headers = {"Authorization": authorization, "Accept": accept}
    return await gateway.client.post("/graphql", json={"query": query}, headers=headers)


def _codes(body: Any) -> list[str]:
    return [error["extensions"]["code"] for error in body["errors"]]


def test_each_field_that_needs_no_principal_is_asked_here(schema: Schema) -> None:
    root = schema.core.mutation_type
    assert root is not None
    found = {name for name, field in root.fields.items() if field.extensions[DEFINITION].metadata.get(OPEN)}
    assert found == set(OPEN_MUTATIONS)


@pytest.mark.parametrize("name", OPEN_MUTATIONS)
async def test_what_needs_no_principal_is_run_beside_a_token_that_is_no_good(gateway: Served, name: str) -> None:
    for header in (await _bad(gateway)).values():
        response = await _post(gateway, f"mutation{{r:{OPEN_MUTATIONS[name]}}}", header)
        assert response.status_code == 200
        assert "errors" not in response.json()
        assert response.json()["data"]["r"]["__typename"]


async def test_a_refresh_is_answered_beside_the_token_that_it_replaces(gateway: Served) -> None:
    pair = "r:logIn(username:$u,password:$p){...on Tokens{refreshToken}}"
    signed = await gateway.ask(f"mutation($u:String!,$p:String!){{{pair}}}", u="tom", p=PASSWORD)
    query = f'mutation{{r:refresh(refreshToken:"{signed["r"]["refreshToken"]}"){{__typename}}}}'
    assert (await _post(gateway, query, _expired(gateway))).json() == {"data": {"r": {"__typename": "Tokens"}}}


@pytest.mark.parametrize("media", [GRAPHQL, JSON])
@pytest.mark.parametrize(
    "query",
    ["{__typename}", "{viewer{username}}", "{signInOptions{signUp} viewer{username}}", f"mutation{{{CLOSE}}}",
     "{__schema{queryType{name}}}"],
)  # fmt: skip
async def test_reads_and_writes_tell_in_one_way_what_is_wrong_with_a_token(
    gateway: Served, query: str, media: str
) -> None:
    for code, header in (await _bad(gateway)).items():
        response = await _post(gateway, query, header, media)
        assert (response.status_code, _codes(response.json())) == (401, [code])
        assert "data" not in response.json()
        assert ("expired" in response.headers["www-authenticate"]) == (code == "TOKEN_EXPIRED")


async def test_the_ways_to_sign_in_are_told_beside_a_token_that_is_no_good(gateway: Served) -> None:
    for header in (await _bad(gateway)).values():
        told = (await _post(gateway, "{signInOptions{signUp providers{name}}}", header)).json()
        assert told == {"data": {"signInOptions": {"signUp": True, "providers": []}}}


async def test_of_several_fields_those_that_need_a_principal_tell_what_is_wrong(gateway: Served) -> None:
    for code, header in (await _bad(gateway)).items():
        verify, refresh = OPEN_MUTATIONS["verifyEmail"], OPEN_MUTATIONS["refresh"]
        query = f"mutation{{...F a:{CLOSE} {verify} b:{CLOSE}}} fragment F on Mutation{{x:{refresh}}}"
        data = (await _post(gateway, query, header)).json()["data"]
        assert data["x"] == data["verifyEmail"] == {"__typename": "Problem"}
        assert data["a"]["code"] == data["b"]["code"] == code
        assert data["a"]["message"] == data["b"]["message"] != "sign in first"


async def test_who_signs_in_goes_on_in_the_same_document_as_that_one(gateway: Served) -> None:
    for code, header in (await _bad(gateway)).items():
        data = (await _post(gateway, f"mutation{{a:{CLOSE} {LOG_IN} b:{CLOSE}}}", header)).json()["data"]
        assert data["a"]["code"] == code
        assert data["logIn"]["viewer"] == {"username": "tom"}
        assert data["b"] == {"__typename": "SessionsClosed"}


async def test_the_limits_of_an_address_count_beside_a_token_that_is_no_good(serve: Serve) -> None:
    gateway = await serve()
    said = []
    for _ in range(6):
        answer = await _post(
            gateway, 'mutation{r:logIn(username:"tom",password:"x"){...on Problem{code}}}', "Bearer nonsense"
        )
        said.append(answer.json()["data"]["r"]["code"])
    assert said == ["UNAUTHENTICATED"] * 5 + ["RATE_LIMITED"]


async def test_events_tell_it_the_same_way(gateway: Served) -> None:
    assert '"__typename":"Tokens"' in (await _post(gateway, f"mutation{{{LOG_IN}}}", "Bearer x", EVENTS)).text
    refused = await _post(gateway, "subscription{jobsChanged{id}}", _expired(gateway), EVENTS)
    assert (refused.status_code, _codes(refused.json())) == (401, ["TOKEN_EXPIRED"])


# Sockets --------------------------------------------------------------------------------------------------------------


async def _say(socket: ClientConnection, query: str) -> Any:
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
    answer = json.loads(await socket.recv())
    if answer["type"] == "next":
        assert json.loads(await socket.recv())["type"] == "complete"
    return answer


async def test_a_socket_with_a_token_that_is_no_good_runs_what_needs_none(gateway: Served) -> None:
    address = gateway.url.replace("http", "ws") + "/graphql"
    for code, header in (await _bad(gateway)).items():
        async with connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": header}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            for refused in ("{viewer{username}}", "subscription{jobsChanged{id}}", f"mutation{{{CLOSE}}}"):
                answer = await _say(socket, refused)
                assert (answer["type"], [e["extensions"]["code"] for e in answer["payload"]]) == ("error", [code])
            data = (await _say(socket, f"mutation{{{CLOSE} {LOG_IN}}}"))["payload"]["data"]
            assert data["closeOtherSessions"]["code"] == code
            assert data["logIn"]["__typename"] == "Tokens"
            assert (await _say(socket, "{viewer{username}}"))["type"] == "error", "the socket is nobody's still"


def test_no_query_but_what_one_needs_before_signing_in_is_open(schema: Schema) -> None:
    root = schema.core.query_type
    assert isinstance(root, graphql.GraphQLObjectType)
    found = {name for name, field in root.fields.items() if field.extensions[DEFINITION].metadata.get(OPEN)}
    assert found == {"signInOptions", "clientVersions"}
