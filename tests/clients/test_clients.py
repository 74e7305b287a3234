"""The gateway as the clients of web applications meet it."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients import run_client
from tests.support.serving import Serve, Served

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

VIEWER = "query Viewer{viewer{username}}"
JOB = "query ReadJob($id:ID!){node(id:$id){id ...on Job{state}}}"
WARNINGS = "query Warnings{jobs(first:1){nodes{id warnings}}}"
LOG_OUT = "mutation LogOut{logOut{__typename}}"
WATCH = "subscription WatchJob($id:ID!){jobUpdated(id:$id){id state}}"
WRONG = "query Wrong{nothing}"


@dataclass
class Clients:
    """A gateway, and any of the clients on it."""

    gateway: Served

    @property
    def job(self) -> str:
        """A job of tom's that has ended, so that watching it gives one event."""
        return self.gateway.world.id("Job", "job")

    @property
    def ended(self) -> dict[str, Any]:
        """What is to be seen of it."""
        return {"id": self.job, "state": "COMPLETED"}

    async def run(
        self, client: str, query: str, *, as_: str = "tom", authorization: str | None = None, **given: Any
    ) -> Any:
        """What `client` gives for an operation, sent in the name of a person or with another Authorization."""
        authorization = authorization or await self.gateway.log_in(as_)
        url = f"{self.gateway.url}/graphql"
        return await run_client(client, url=url, authorization=authorization, query=query, **given)


@pytest.fixture
async def clients(serve: Serve) -> Clients:
    return Clients(await serve("sqlite"))


def codes(errors: list[Any]) -> list[str]:
    return [error["extensions"]["code"] for error in errors]


async def test_urql_queries_though_it_accepts_event_streams_too(clients: Clients) -> None:
    told = await clients.run("urql", VIEWER, kind="query")
    assert told["results"] == [{"data": {"viewer": {"username": "tom"}}}]
    assert "application/graphql-response+json" in told["accept"]
    assert "text/event-stream" in told["accept"]


async def test_urql_mutates(clients: Clients) -> None:
    told = await clients.run("urql", LOG_OUT, kind="mutation")
    assert told["results"] == [{"data": {"logOut": {"__typename": "LoggedOut"}}}]


async def test_urql_subscribes_by_server_sent_events(clients: Clients) -> None:
    told = await clients.run("urql", WATCH, kind="subscription", variables={"id": clients.job})
    event = {"data": {"jobUpdated": clients.ended}}
    assert told["results"] == [event, event]  # urql itself repeats the last one, to say that no more will follow
    assert "text/event-stream" in told["accept"]


async def test_urql_shows_the_codes_of_errors(clients: Clients) -> None:
    [result] = (await clients.run("urql", WRONG, kind="query"))["results"]
    assert codes(result["errors"]) == ["GRAPHQL_VALIDATION_FAILED"]
    assert "failure" not in result


async def test_apollo_queries(clients: Clients) -> None:
    told = await clients.run("apollo", JOB, variables={"id": clients.job})
    assert told == {"data": {"node": {"__typename": "Job", **clients.ended}}}


@pytest.mark.parametrize(
    ("query", "given", "code"),
    [
        (WRONG, {}, "GRAPHQL_VALIDATION_FAILED"),
        (JOB, {"variables": {}}, "BAD_USER_INPUT"),
        (VIEWER, {"authorization": "Bearer nonsense"}, "UNAUTHENTICATED"),
        ("query TooMany{jobs(first:1000){totalCount}}", {}, "LIMIT_EXCEEDED"),
    ],
    ids=["document", "variables", "token", "limit"],
)
async def test_apollo_shows_the_code_of_what_is_refused(
    clients: Clients, query: str, given: dict[str, Any], code: str
) -> None:
    told = await clients.run("apollo", query, **given)
    assert told["error"]["name"] == "CombinedGraphQLErrors"
    assert codes(told["error"]["errors"]) == [code]
    assert "data" not in told


async def test_apollo_shows_data_beside_the_error_of_a_field(clients: Clients) -> None:
    told = await clients.run("apollo", WARNINGS, as_="maria")
    assert codes(told["error"]["errors"]) == ["FORBIDDEN"]
    [job] = told["data"]["jobs"]["nodes"]
    assert job == {"__typename": "Job", "id": clients.job, "warnings": None}


async def test_graphql_ws_subscribes_to_a_job_until_it_has_ended(clients: Clients) -> None:
    told = await clients.run("ws", WATCH, variables={"id": clients.job})
    assert told == {"completed": True, "results": [{"data": {"jobUpdated": clients.ended}}]}


async def test_graphql_ws_queries(clients: Clients) -> None:
    told = await clients.run("ws", VIEWER)
    assert told == {"completed": True, "results": [{"data": {"viewer": {"username": "tom"}}}]}


async def test_graphql_ws_is_told_of_a_wrong_token(clients: Clients) -> None:
    told = await clients.run("ws", VIEWER, authorization="Bearer nonsense")
    assert (told["results"], codes(told["errors"])) == ([], ["UNAUTHENTICATED"])


async def test_graphql_ws_gets_the_error_of_what_may_not_be_watched(clients: Clients) -> None:
    told = await clients.run("ws", WATCH, as_="eve", variables={"id": clients.job})
    assert (told["results"], codes(told["errors"])) == ([], ["NOT_FOUND"])


async def test_graphql_sse_subscribes_to_a_job_until_it_has_ended(clients: Clients) -> None:
    told = await clients.run("sse", WATCH, variables={"id": clients.job})
    assert told == {"completed": True, "results": [{"data": {"jobUpdated": clients.ended}}]}


async def test_graphql_sse_queries(clients: Clients) -> None:
    told = await clients.run("sse", VIEWER)
    assert told == {"completed": True, "results": [{"data": {"viewer": {"username": "tom"}}}]}


async def test_graphql_sse_gets_the_error_of_what_may_not_be_watched(clients: Clients) -> None:
    told = await clients.run("sse", WATCH, as_="eve", variables={"id": clients.job})
    [refusal] = told["results"]
    assert codes(refusal["errors"]) == ["NOT_FOUND"]
