"""The table of codes of docs/clients.md, held to what is answered, and to what tries again by itself."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gateway as package
from db.outages import Contended, Unconfirmed
from gateway.operations import errors
from gateway.operations.errors import AGAIN, STATUS
from gateway.protocol.negotiation import GRAPHQL, JSON
from jobs.worker.gateway import PASSING
from resolvers import failures
from resolvers.accounts import sessions
from resolvers.failures import Code, Conflict, Failure
from resolvers.writing.once import done_once
from tests.support.explorer import FOLDER
from tests.support.serving import Serve, Served
from tests.support.world import PASSWORD

ON_SQLITE = True

PROTOCOL = (
    errors.PARSE_FAILED, errors.VALIDATION_FAILED, errors.OPERATION_UNKNOWN, errors.BAD_VARIABLES, errors.BAD_REQUEST,
    errors.INTERNAL, errors.PERSISTED_QUERY_NOT_FOUND, errors.DOCUMENT_NOT_TRUSTED,
)  # fmt: skip
"""Codes of what is no failure of a resolver."""


class Row(NamedTuple):
    status: int
    again: str
    details: frozenset[str]


def _table() -> dict[str, Row]:
    text = (Path(package.__file__).parents[1] / "docs" / "clients.md").read_text()
    found = re.findall(r"^\| ([A-Z_]+) \| (\d+) \| (.*?) \| (.*?) ?\| .* \|$", text, re.MULTILINE)
    assert len({code for code, *_ in found}) == len(found)
    return {
        code: Row(int(status), again, frozenset(re.findall(r"`(\w+)`", details)))
        for code, status, again, details in found
    }


TABLE = _table()


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve) -> Served:
    return await serve_module("sqlite", body_timeout=0.3)


async def _post(gateway: Served, query: Any, accept: str = GRAPHQL, **headers: str) -> Any:
    content = query if isinstance(query, bytes) else json.dumps({"query": query})
    sent = {"Accept": accept, "Content-Type": JSON, **headers}
    return await gateway.client.post("/graphql", content=content, headers=sent)


def test_the_table_has_each_code_with_the_status_that_is_answered() -> None:
    assert set(TABLE) == {code.name for code in Code} | set(PROTOCOL)
    assert {code: row.status for code, row in TABLE.items()} == {code: STATUS.get(code, 200) for code in TABLE}


def test_what_tries_again_by_itself_does_so_for_what_the_table_says() -> None:
    again = {code for code, row in TABLE.items() if row.again == "yes"}
    assert again == PASSING == {code.name for code in AGAIN}
    listed = re.search(r"AGAIN = new Set\((\[.*?\])\)", (FOLDER / "src" / "refusal.js").read_text())
    assert listed is not None
    assert again == set(json.loads(listed[1].replace("'", '"')))


def _failures() -> dict[str, Failure]:
    """One of each code, with the details that it has."""
    given: dict[str, dict[str, Any]] = {
        "INVALID": {"field": "input.x"},
        "CONFLICT": {"version": 2},
        "DEPENDENCY": {"blockedBy": {"Session": 1}},
        "QUOTA": {"limit": 5, "used": 4, "requested": 2, "resetsAt": None},
        "RATE_LIMITED": {"retryAfterSeconds": 7},
        "LIMIT_EXCEEDED": {"limit": "cost", "allowed": 1, "value": 2},
        "UNCONFIRMED": {"committed": True},
        "CLIENT_TOO_OLD": {"oldest": "1.4"},
    }
    kinds = [kind for kind in vars(failures).values() if isinstance(kind, type) and issubclass(kind, Failure)]
    return {kind.code.name: kind("no", **given.get(kind.code.name, {})) for kind in kinds if hasattr(kind, "code")}


@pytest.mark.parametrize("code", [code.name for code in Code])
async def test_an_answer_of_one_error_has_its_status_and_its_details(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    failure = _failures()[code]

    async def fails(_: Any) -> None:
        raise failure

    monkeypatch.setattr(sessions, "mine", fails)
    response = await _post(gateway, "{loginSessions(first:1){nodes{id}}}")
    [error] = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (TABLE[code].status, code)
    assert set(error["extensions"]) - {"code"} == TABLE[code].details
    assert ("retry-after" in response.headers) == ("retryAfterSeconds" in TABLE[code].details)
    assert (await _post(gateway, "{loginSessions(first:1){nodes{id}}}", JSON)).status_code == 200, (
        "of what was run, for older clients"
    )
    beside = await _post(gateway, '{loginSessions(first:1){nodes{id}} node(id:"x"){id} __typename}')
    assert beside.status_code == response.status_code, "a list is never null: nothing is beside it"
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"{", "BAD_REQUEST"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{x}", "GRAPHQL_VALIDATION_FAILED"),
        ("query A{__typename} query B{__typename}", "OPERATION_RESOLUTION_FAILURE"),
        ("query($x:Int!){users(first:$x){totalCount}}", "BAD_USER_INPUT"),
        ("{users(first:1000){totalCount}}", "LIMIT_EXCEEDED"),
    ],
)
async def test_what_is_refused_before_it_is_run_has_its_status(gateway: Served, query: Any, code: str) -> None:
    response = await _post(gateway, query)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (TABLE[code].status, code)


async def test_a_fault_without_data_is_500_for_those_who_read_the_status(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(sessions, "mine", broken)
    response = await _post(gateway, "{loginSessions(first:1){nodes{id}}}")
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert set(response.json()["errors"][0]["extensions"]) - {"code"} == TABLE["INTERNAL_SERVER_ERROR"].details


async def test_a_problem_is_data(gateway: Served) -> None:
    query = f'mutation{{logIn(username:"tom",password:"{PASSWORD}x"){{...on Problem{{code}}}}}}'
    response = await _post(gateway, query)
    assert response.status_code == 200
    assert response.json() == {"data": {"logIn": {"code": "UNAUTHENTICATED"}}}


HIDDEN = """{users(first:9){nodes{email m:email notes online groups(first:1){nodes{id}}} edges{node{twoFactor}}}
  viewer{notes} jobs(first:9){nodes{owner{profile}}}}"""


@pytest.mark.parametrize("who", ["tom", "maria"])
async def test_forbidden_names_the_field_in_one_way_however_it_is_read(
    gateway: Served, serve_module: Serve, who: str
) -> None:
    rendering, by_rows = gateway, await serve_module("sqlite", rendering=False)
    told = []
    for query in (HIDDEN.replace("online ", ""), HIDDEN):
        for served in (rendering, by_rows):
            bearer = await served.log_in(who)
            found = (await _post(served, query, Authorization=bearer)).json()["errors"]
            told.append(sorted(found, key=lambda error: json.dumps(error["path"])))
    assert told[0] == told[1]
    assert told[2] == told[3]
    fields = {"email": "email", "m": "email", "notes": "notes", "online": "online", "twoFactor": "twoFactor",
              "profile": "profile"}  # fmt: skip
    for error in told[2]:
        assert error["extensions"] == {"code": "FORBIDDEN"}
        assert error["message"].startswith(f"`User.{fields[error['path'][-1]]}` is readable by ")
        assert error["locations"]
    assert {error["path"][-1] for error in told[2]} >= {"email", "m", "notes", "online", "twoFactor"}


@pytest.mark.parametrize(
    "raised", [Contended("deadlock"), Unconfirmed("cut")], ids=lambda raised: type(raised).__name__
)
async def test_workers_are_told_to_send_again_what_may_be_sent_twice(raised: Exception) -> None:
    async def fails() -> None:
        raise raised

    with pytest.raises(Failure) as found:
        await done_once(fails, "workerReport", shown=True, repeatable=True)
    assert (found.value.code, found.value.details) == (Code.UNAVAILABLE, {"retryAfterSeconds": 2})
    with pytest.raises((Conflict, Unconfirmed)):
        await done_once(fails, "createSite", shown=True, repeatable=False)
