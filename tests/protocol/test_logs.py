"""What is written to the log, and what never is."""

import hashlib
import json
import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import structlog
import structlog.testing

from gateway.protocol.server import set_up_logs
from tests.support.platforms import Platform
from tests.support.serving import Serve

SECRET = "-".join(("hunter2", "secret"))


@pytest.fixture
def logs(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[pytest.CaptureFixture[str]]:
    configured, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield capsys
    structlog.configure(**configured)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_fault_is_logged_without_the_values_at_hand(logs: pytest.CaptureFixture[str], form: str) -> None:
    set_up_logs(form)

    def sign_in(password: str) -> None:
        raise RuntimeError("broken")

    try:
        sign_in(SECRET)
    except RuntimeError as error:
        structlog.get_logger("torana").error("internal_error", exc_info=error)
    said = logs.readouterr().err
    assert "broken" in said
    assert SECRET not in said
    if form == "json":
        assert json.loads(said)["event"] == "internal_error"


async def test_a_failed_statement_is_told_without_its_values(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "faulty", True)
    told: list[str] = []
    monkeypatch.setattr(
        "gateway.operations.errors.log.error", lambda *_, exc_info, **__: told.append(str(exc_info)), raising=False
    )
    monkeypatch.setattr("resolvers.reading.statements.first", lambda *_: sa.text("SELECT :where_label FROM nowhere"))
    monkeypatch.setattr("resolvers.reading.rendering.root", lambda *_: sa.text("SELECT :where_label_0 FROM nowhere"))
    for rendering in (True, False):
        monkeypatch.setattr(reading.execution, "renders", rendering)
        await reading.answer('{challenge(label:"hunter2-secret"){id}}')
        assert len(told) == 1
        assert "nowhere" in told[0]
        assert "hunter2-secret" not in told.pop()


async def test_an_operation_is_one_line_without_its_variables(serve: Serve) -> None:
    gateway = await serve()
    tom = await gateway.log_in("tom")
    with structlog.testing.capture_logs() as lines:
        query = "query Find($l:String!,$i:ID!){challenge(label:$l){id} node(id:$i){id}}"
        body = {"query": query, "variables": {"l": SECRET, "i": SECRET}}
        await gateway.client.post("/graphql", json=body, headers={"Authorization": tom})
    (line,) = [line for line in lines if line["event"] == "operation"]
    assert (line["name"], line["kind"], line["errors"]) == ("Find", "query", ["INVALID"])
    assert line["principal"] == f"user:{gateway.world.tom}"
    assert line["statements"] >= 1
    assert line["ms"] > 0
    assert line["document"] == hashlib.sha256(query.encode()).hexdigest()[:16]
    assert SECRET not in str(lines)


async def test_what_is_refused_is_one_line_too(serve: Serve) -> None:
    gateway = await serve()
    with structlog.testing.capture_logs() as lines:
        await gateway.client.post("/graphql", json={"query": "{unknown}"})
    assert [(line["event"], line["errors"]) for line in lines] == [("refused", ["GRAPHQL_VALIDATION_FAILED"])]
