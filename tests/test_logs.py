"""What is written to the log, and what never is."""

import json
import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import structlog

from gateway.serving import set_up_logs
from tests.conftest import Platform

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
    told: list[str] = []
    monkeypatch.setattr(
        "gateway.errors.log.error", lambda *_, exc_info, **__: told.append(str(exc_info)), raising=False
    )
    monkeypatch.setattr("resolvers.statements.first", lambda *_: sa.text("SELECT :label FROM nowhere"))
    await reading.answer('{challenge(label:"hunter2-secret"){id}}')
    assert len(told) == 1
    assert "nowhere" in told[0]
    assert "hunter2-secret" not in told[0]
