"""What the client sends again, and what it does not. Gateways stand in that answer as they are told."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from torana_client import AsyncClient, Client, RateLimited, Timeout, ToranaError, Unavailable, Unconfirmed, errors

QUERY, MUTATION = "{ viewer { id } }", "mutation { logOut { __typename ... on Problem { code message details } } }"
DONE = {"data": {"logOut": {"__typename": "Done"}}}
AWAY = {"errors": [{"message": "away", "extensions": {"code": "UNAVAILABLE", "retryAfterSeconds": 2}}]}
GRAPHQL = {"content-type": "application/graphql-response+json"}


def said(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.Response(status, content=content, headers={**GRAPHQL, **headers})


def problem(code: str, **details: Any) -> dict[str, Any]:
    return {"__typename": "Problem", "code": code, "message": "no", "details": details}


class Told:
    """A gateway that gives these answers one after the other. `pauses` are those of the client between them."""

    def __init__(self, *answers: httpx2.Response | type[httpx2.RequestError]) -> None:
        self._answers = iter(answers)
        self.asked: list[Any] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(json.loads(request.content))
        answer = next(self._answers)
        if isinstance(answer, type):
            raise answer("no", request=request)
        return answer

    def client(self, retries: int = 3) -> Client:
        made = Client("http://torana.example", transport=httpx2.MockTransport(self), retries=retries)
        made._sleep = self.pauses.append
        return made


def asked(told: Told, document: str = QUERY, retries: int = 3) -> Any:
    client = told.client(retries)
    return client.mutate(document) if "mutation" in document else client.execute(document)


PASSING = [
    (said(AWAY, 503), 2.0),
    (said({"errors": [{"message": "late", "extensions": {"code": "TIMEOUT"}}]}, 503), 0.25),
    (said({"data": None, **AWAY}), 2.0),
    (said({"errors": [{"message": "slow", "extensions": {"code": "RATE_LIMITED", "retryAfterSeconds": 9}}]}, 429), 9.0),
    (httpx2.ConnectError, 0.25),
    (httpx2.ConnectTimeout, 0.25),
]
"""What may be sent again, whatever it is, and the least pause."""
LOST = [
    httpx2.ReadError,
    httpx2.ReadTimeout,
    httpx2.RemoteProtocolError,
    said(b"<html>", 502),
    said(b"", 504),
]
"""After which nobody knows whether a mutation ran."""


@pytest.mark.parametrize("document", [QUERY, MUTATION])
@pytest.mark.parametrize(("answer", "pause"), PASSING)
def test_what_passes_is_sent_again_after_the_pause_that_the_gateway_names(
    answer: Any, pause: float, document: str
) -> None:
    told = Told(answer, said(DONE))
    assert asked(told, document) == DONE["data"]
    assert told.asked[0] == told.asked[1] == {"query": document}
    assert [pause <= one <= 1.25 * pause for one in told.pauses] == [True]


@pytest.mark.parametrize("answer", LOST)
def test_a_query_without_an_answer_is_sent_again(answer: Any) -> None:
    assert asked(Told(answer, answer, said(DONE))) == DONE["data"]


@pytest.mark.parametrize("answer", LOST)
def test_a_mutation_that_may_have_run_is_not_sent_twice(answer: Any) -> None:
    told = Told(answer)
    with pytest.raises(Unconfirmed) as raised:
        asked(told, MUTATION)
    assert raised.value.extensions == {"committed": None}
    assert not raised.value.again
    assert len(told.asked) == 1


def test_a_mutation_is_sent_again_after_a_problem_that_passes() -> None:
    told = Told(said({"data": {"logOut": problem("UNAVAILABLE", retryAfterSeconds=3)}}), said(DONE))
    assert asked(told, MUTATION) == DONE["data"]
    assert told.pauses[0] >= 3


def test_a_mutation_of_which_one_part_is_done_is_not_sent_again() -> None:
    told = Told(said({"data": {"one": {"__typename": "Done"}, "other": problem("UNAVAILABLE")}}))
    with pytest.raises(Unavailable) as raised:
        asked(told, MUTATION)
    assert not raised.value.again
    assert raised.value.path == ["other"]


def test_a_part_of_an_answer_that_failed_is_not_asked_for_again() -> None:
    late = {"message": "late", "path": ["a"], "extensions": {"code": "TIMEOUT"}}
    with pytest.raises(Timeout) as raised:
        asked(Told(said({"data": {"a": None, "b": 1}, "errors": [late]})))
    assert raised.value.data == {"a": None, "b": 1}


@pytest.mark.parametrize("code", sorted(set(errors.CLASSES) - errors.AGAIN))
def test_what_does_not_pass_is_not_sent_again(code: str) -> None:
    told = Told(said({"errors": [{"message": "no", "extensions": {"code": code}}, *AWAY["errors"]]}))
    with pytest.raises(errors.CLASSES[code]) as raised:
        asked(told)
    assert (raised.value.code, raised.value.again) == (code, False)
    told = Told(said({"data": {"logOut": problem(code)}}))
    with pytest.raises(errors.CLASSES[code]):
        asked(told, MUTATION)


def test_it_ends_after_the_last_retry_with_what_the_gateway_said() -> None:
    told = Told(*[said(AWAY, 503)] * 3)
    with pytest.raises(Unavailable, match="away") as raised:
        asked(told, retries=2)
    assert raised.value.retry_after == 2
    assert len(told.asked) == 3
    assert asked(Told(said(DONE)), retries=0) == DONE["data"]


def test_pauses_grow() -> None:
    told = Told(*[httpx2.ConnectError] * 8)
    with pytest.raises(Unavailable):
        asked(told, retries=7)
    assert [one >= least for one, least in zip(told.pauses, (0.25, 0.5, 1, 2, 4, 8, 8), strict=True)] == [True] * 7
    assert max(told.pauses) <= 10


def test_a_long_pause_is_left_to_who_asks() -> None:
    slow = {"errors": [{"message": "slow", "extensions": {"code": "RATE_LIMITED", "retryAfterSeconds": 600}}]}
    with pytest.raises(RateLimited) as raised:
        asked(Told(said(slow, 429)))
    assert raised.value.retry_after == 600


def test_a_server_before_the_gateway_says_how_long_to_wait() -> None:
    told = Told(said(b"slow down", 429, **{"retry-after": "5"}), said(DONE))
    assert asked(told, MUTATION) == DONE["data"]
    assert told.pauses[0] >= 5


@pytest.mark.parametrize(
    "answer", [said(b"<html>", 404), said(b"", 301), said([1]), said({"data": None}), said({"a": 1})]
)
def test_a_server_that_is_no_gateway_is_told(answer: httpx2.Response) -> None:
    with pytest.raises(ToranaError, match="gateway") as raised:
        asked(Told(answer))
    assert not raised.value.again


async def test_the_client_of_asyncio_tries_again_by_the_same_rules() -> None:
    told = Told(httpx2.ConnectError, said(AWAY, 503), said(DONE))
    client = AsyncClient("http://torana.example", transport=httpx2.MockTransport(told))

    async def pause(seconds: float) -> None:
        told.pauses.append(seconds)

    client._sleep = pause
    assert await client.mutate(MUTATION) == DONE["data"]
    assert len(told.pauses) == 2
    told = Told(httpx2.ReadError)
    async with AsyncClient("http://torana.example", transport=httpx2.MockTransport(told)) as client:
        with pytest.raises(Unconfirmed):
            await client.mutate(MUTATION)


async def test_a_stream_that_breaks_off_is_unavailable() -> None:
    events = said(
        b":\n\nevent: next\ndata: " + json.dumps(DONE).encode() + b"\n\n", **{"content-type": "text/event-stream"}
    )
    async with AsyncClient("http://torana.example", transport=httpx2.MockTransport(Told(events))) as client:
        stream = client.subscribe("subscription { x }")
        assert await anext(stream) == DONE["data"]
        with pytest.raises(Unavailable, match="broke off"):
            await anext(stream)


def test_each_code_of_the_gateway_has_its_class() -> None:
    text = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
    table = dict(re.findall(r"^\| ([A-Z_]+) \| \d+ \| (.*?) \|", text, re.MULTILINE))
    assert table.keys() == errors.CLASSES.keys()
    assert {code for code, again in table.items() if again == "yes"} == errors.AGAIN


def test_a_code_that_is_not_known_yet_is_an_error_all_the_same() -> None:
    with pytest.raises(ToranaError) as raised:
        asked(Told(said({"errors": [{"message": "no", "extensions": {"code": "NEW", "more": 1}}]})))
    assert (type(raised.value), raised.value.code, raised.value.extensions) == (ToranaError, "NEW", {"more": 1})


def test_what_json_does_not_have_is_refused_before_it_is_sent() -> None:
    told = Told()
    with pytest.raises(ValueError, match="JSON"):
        told.client().execute(QUERY, {"n": float("nan")})
    assert told.asked == []
