"""The client asks a gateway: data, errors, problems, pages, events."""

import asyncio
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from torana_client import (
    AsyncClient,
    BadRequest,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    LimitExceeded,
    NotFound,
    ToranaError,
    Unauthenticated,
    Unavailable,
)

from resolvers.spelling import global_id
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served
from tests.support.specs import SPEC

ON_SQLITE = True

PUT = """mutation Put($name: String!, $source: SpecSource!, $expected: Int) {
  putSpec(name: $name, source: $source, language: JSON, expectedVersion: $expected) {
    ... on SpecVersion { name modelCount } ... on Problem { code message field details } } }"""
USERS = """query Users($first: Int!, $after: String) {
  users(first: $first, after: $after) { nodes { username } pageInfo { hasNextPage endCursor } } }"""
KEY = """mutation { createApiKey(label: "mine", scopes: [READ, WRITE], replace: true) {
  ... on IssuedCredential { publicKey secret } } }"""
WATCH = "subscription Watch($id: ID!) { jobUpdated(id: $id) { id state } }"
VIEWER = "{ viewer { username } }"


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve) -> Served:
    return await serve_module("sqlite")


async def token_of(gateway: Served, name: str) -> str:
    return (await gateway.log_in(name)).removeprefix("Bearer ")


@pytest.fixture
async def tom(gateway: Served) -> Any:
    async with AsyncClient(gateway.url, token=await token_of(gateway, "tom")) as client:
        yield client


@pytest.fixture
async def root(gateway: Served) -> Any:
    async with AsyncClient(gateway.url, token=await token_of(gateway, "root")) as client:
        yield client


async def test_an_operation_gives_its_data(tom: AsyncClient) -> None:
    assert await tom.execute(VIEWER) == {"viewer": {"username": "tom"}}


async def test_of_several_operations_the_named_one_is_run(tom: AsyncClient) -> None:
    document = "query Mine { viewer { username } } query Other { __typename }"
    assert await tom.execute(document, operation_name="Other") == {"__typename": "Query"}


async def test_a_program_without_asyncio_asks_the_same_way(gateway: Served) -> None:
    token = await token_of(gateway, "root")

    def ask() -> tuple[Any, list[Any]]:
        with Client(f"{gateway.url}/graphql/", token=token) as client:
            return client.execute(VIEWER), list(client.pages(USERS, {"first": 3}, "users"))

    viewer, users = await asyncio.to_thread(ask)
    assert viewer == {"viewer": {"username": "root"}}
    assert {"maria", "tom", "eve"} < {user["username"] for user in users}


async def test_a_pair_of_keys_signs_in(gateway: Served, tom: AsyncClient) -> None:
    made = (await tom.mutate(KEY))["createApiKey"]
    async with AsyncClient(gateway.url, basic=(made["publicKey"], made["secret"])) as client:
        assert await client.execute(VIEWER) == {"viewer": {"username": "tom"}}
    async with AsyncClient(gateway.url, token=made["secret"]) as client:
        assert await client.execute(VIEWER) == {"viewer": {"username": "tom"}}
    async with AsyncClient(gateway.url, basic=(made["publicKey"], "sk_no")) as client:
        with pytest.raises(Unauthenticated):
            await client.execute(VIEWER)


async def test_without_a_token_anybody_asks(gateway: Served) -> None:
    async with AsyncClient(gateway.url) as client:
        assert await client.execute("{ challenges(first: 1) { totalCount } }") == {"challenges": {"totalCount": 1}}


async def test_an_error_of_a_field_has_its_path_and_the_data_beside_it(gateway: Served, tom: AsyncClient) -> None:
    with pytest.raises(Forbidden) as raised:
        await tom.execute("query($id: ID!) { user(id: $id) { id notes } }", {"id": gateway.world.id("User", "tom")})
    error = raised.value
    assert (error.code, error.path, error.again) == ("FORBIDDEN", ["user", "notes"], False)
    assert error.data == {"user": {"id": gateway.world.id("User", "tom"), "notes": None}}
    assert str(error) == f"FORBIDDEN: {error.message}"


async def test_a_wrong_document_and_wrong_variables_are_faults_of_the_program(tom: AsyncClient) -> None:
    for document, code in (
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (USERS, "BAD_USER_INPUT"),
    ):
        with pytest.raises(BadRequest) as raised:
            await tom.execute(document)
        assert raised.value.code == code


async def test_a_bound_is_told_with_its_numbers(tom: AsyncClient) -> None:
    with pytest.raises(LimitExceeded) as raised:
        await tom.execute(USERS, {"first": 101})
    assert raised.value.extensions["allowed"] == 100


async def test_a_problem_is_in_the_data_and_mutate_raises_it(tom: AsyncClient) -> None:
    given = {"name": "-", "source": SPEC}
    assert (await tom.execute(PUT, given))["putSpec"]["code"] == "INVALID"
    with pytest.raises(Invalid) as raised:
        await tom.mutate(PUT, given)
    error = raised.value
    assert (error.code, error.field, error.path, error.again) == ("INVALID", "name", ["putSpec"], False)


async def test_a_problem_has_its_details(tom: AsyncClient) -> None:
    await tom.mutate(PUT, {"name": "details", "source": SPEC, "expected": 0})
    with pytest.raises(Conflict) as raised:
        await tom.mutate(PUT, {"name": "details", "source": SPEC, "expected": 0})
    assert raised.value.extensions.keys() == {"version"}
    assert raised.value.field == "expectedVersion"


async def test_a_problem_that_the_document_does_not_select_is_raised_all_the_same(tom: AsyncClient) -> None:
    document = 'mutation { putSpec(name: "-", source: "", language: JSON) { ... on SpecVersion { id } } }'
    with pytest.raises(ToranaError, match="selects no message"):
        await tom.mutate(document)


async def test_beside_a_problem_stands_what_was_done(tom: AsyncClient) -> None:
    document = """mutation($source: SpecSource!) {
      good: putSpec(name: "beside", source: $source, language: JSON) { ... on SpecVersion { name } ... on Problem { code message } }
      bad: putSpec(name: "-", source: $source, language: JSON) { ... on SpecVersion { name } ... on Problem { code message } } }"""
    with pytest.raises(Invalid) as raised:
        await tom.mutate(document, {"source": SPEC})
    assert raised.value.path == ["bad"]
    assert raised.value.data is not None
    assert raised.value.data["good"] == {"name": "1.0"}


async def test_pages_are_walked_to_the_end(root: AsyncClient) -> None:
    whole = [user["username"] async for user in root.pages(USERS, {"first": 100}, "users")]
    for size in (1, 2, len(whole)):
        assert [user["username"] async for user in root.pages(USERS, {"first": size}, "users")] == whole
    assert len(whole) >= 7


async def test_a_connection_may_stand_below_a_row(gateway: Served, root: AsyncClient) -> None:
    document = """query($id: ID!, $after: String) { site(id: $id) { projects(first: 1, after: $after) {
      nodes { name } pageInfo { hasNextPage endCursor } } } }"""
    site = gateway.world.id("Site", "site")
    found = [node["name"] async for node in root.pages(document, {"id": site}, "site.projects")]
    assert found == ["Protons"]
    with pytest.raises(NotFound, match=r"site\.projects: there is no site"):
        [_ async for _ in root.pages(document, {"id": global_id("Site", uuid4())}, ["site", "projects"])]


async def test_a_walk_needs_a_connection_with_its_page_info(root: AsyncClient) -> None:
    with pytest.raises(ValueError, match="selects no things"):
        [_ async for _ in root.pages(USERS, {"first": 1}, "things")]
    with pytest.raises(ValueError, match="pageInfo"):
        [_ async for _ in root.pages("{ users(first: 1) { nodes { id } } }", path="users")]


async def test_a_subscription_gives_events_until_it_ends(gateway: Served, tom: AsyncClient) -> None:
    job = gateway.world.id("Job", "job")
    assert [event async for event in tom.subscribe(WATCH, {"id": job})] == [
        {"jobUpdated": {"id": job, "state": "COMPLETED"}}
    ]


async def test_a_subscription_may_be_left_early(gateway: Served, tom: AsyncClient) -> None:
    watch = "subscription { entityChanged(types: [SITE]) { id } }"
    async with aclosing(tom.subscribe(watch)) as events:
        assert await anext(events) == {"entityChanged": []}
    assert await tom.execute(VIEWER)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("subscription Wrong { nothing }", BadRequest),
        ('subscription { jobUpdated(id: "Sm9iOng=") { id } }', ToranaError),
    ],
)
async def test_a_subscription_that_is_refused_raises(tom: AsyncClient, document: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await anext(tom.subscribe(document))


async def test_a_subscription_of_a_bad_token_is_refused(gateway: Served) -> None:
    async with AsyncClient(gateway.url, token="sk_no") as client:
        with pytest.raises(Unauthenticated):
            await anext(client.subscribe(WATCH, {"id": gateway.world.id("Job", "job")}))


async def test_a_gateway_that_is_away_is_unavailable() -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", retries=0) as client:
        with pytest.raises(Unavailable) as raised:
            await client.execute(VIEWER)
        assert raised.value.again
        with pytest.raises(Unavailable):
            await anext(client.subscribe(WATCH))


@pytest.mark.parametrize("url", ["", "torana.example", "ftp://torana.example", "http://torana.example:port"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(url)


def test_a_token_that_is_none_is_refused_at_once() -> None:
    for token in (" ", "sk_x\nHost: other", "sk_é"):
        with pytest.raises(ValueError, match="empty, or has"):
            Client("http://torana.example", token=token)
    with pytest.raises(ValueError, match="colon"):
        Client("http://torana.example", basic=("pk:x", "sk_x"))
    with pytest.raises(ValueError, match="not both"):
        Client("http://torana.example", token="sk_x", basic=("pk_x", "sk_x"))
