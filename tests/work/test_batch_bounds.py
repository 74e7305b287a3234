"""What a batch holds to while it goes from row to row: its filter, the rights of who asks, and its time."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from db.models import AuditEvent, Job, JobState, User
from gateway.operations.documents import Envelope
from resolvers.context import Context
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import Session
from resolvers.work import commands
from schema.fields.scalars import key_of
from schema.lists import batches
from tests.support.matrix import mutate
from tests.support.platforms import PATIENCE, Platform, login_session, received
from tests.support.work import job_of, submit
from tests.work.test_batches import CHANGED, JOBS, SIMULATIONS, batch

EVERY_SIMULATION: list[dict[str, Any]] = [
    {},
    {"title": None},
    {"text": ""},
    {"text": "  "},
    {"title": {"contains": ""}},
    {"title": {"startsWith": ""}},
    {"and": []},
    {"and": [{"text": ""}, {}]},
    {"or": [{"title": {"equals": "beam"}}, {"text": ""}]},
    {"not": {"or": []}},
    {"not": {"ids": []}},
    {"not": {"not": {"text": ""}}},
    {"isNull": False},
    {"createdAt": {"isNull": False}},
    {"owner": {"text": ""}},
    {"owner": {"isNull": False}},
    {"project": {"text": ""}},
    {"labels": {"some": {"name": {"contains": ""}}}},
    {"labels": {"isEmpty": None}},
]
SOME_SIMULATIONS: list[dict[str, Any]] = [
    {"text": "be"},
    {"text": "be", "title": {"contains": ""}},
    {"title": {"startsWith": "b"}},
    {"not": {"title": {"equals": "other"}}},
    {"project": {"isNull": True}},
    {"not": {"project": {"isNull": False}}},
    {"labels": {"isEmpty": True}},
    {"jobs": {"isEmpty": False}},
    {"jobs": {"some": {"state": {"in": ["CANCELED"]}}}},
    {"owner": {"username": {"equals": "tom"}}},
]


@pytest.mark.parametrize("filter", EVERY_SIMULATION, ids=str)
async def test_a_filter_that_every_row_meets_is_refused(platform: Platform, filter: Any) -> None:
    kept = await submit(platform)
    await mutate(platform, "tom", "cancelJob", id=kept["job"]["id"])
    told = (await platform.ask(SIMULATIONS, "tom", f=filter))["deleteSimulations"]
    assert told == {"__typename": "Problem", "code": "INVALID", "field": "filter"}
    assert (await job_of(platform, kept))["state"] == "CANCELED"


@pytest.mark.both
@pytest.mark.parametrize("filter", SOME_SIMULATIONS, ids=str)
async def test_a_filter_that_some_rows_meet_names_them(platform: Platform, filter: Any) -> None:
    gone = await submit(platform)
    await mutate(platform, "tom", "cancelJob", id=gone["job"]["id"])
    told = (await platform.ask(SIMULATIONS, "tom", f=filter))["deleteSimulations"]
    assert gone["id"] in [one["id"] for one in told["outcomes"] if one["at"]]


@pytest.mark.parametrize("filter", [{"simulation": {"text": ""}}, {"key": {"startsWith": ""}}], ids=str)
async def test_a_reference_or_a_code_that_every_job_has_is_no_condition(platform: Platform, filter: Any) -> None:
    kept = await submit(platform)
    assert (await batch(platform, "cancelJobs", f=filter))["code"] == "INVALID"
    assert (await job_of(platform, kept))["state"] == "PENDING"


def _after_first(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[Any]]) -> None:
    """Do something after the first job of a batch was cancelled."""
    cancel, done = commands.cancel_job, []

    async def cancelled(ctx: Context, key: UUID, **given: Any) -> UUID:
        found = await cancel(ctx, key, **given)
        if not done:
            done.append(key)
            await do()
        return found

    monkeypatch.setattr(commands, "cancel_job", cancelled)


async def _told(platform: Platform, **given: Any) -> Any:
    """What a batch of tom's tells, whose rights are looked up while it goes on."""
    family = await login_session(platform.services, platform.world.tom)
    look = partial(principal_of, platform.services.database, Session(Kind.USER, platform.world.tom, family, None))
    ctx = Context(platform.services, await look(), {"ip": "127.0.0.1"}, presented=look)
    operation = platform.documents.operation(Envelope(JOBS % ("cancelJobs", CHANGED)))
    answer = received(await platform.execution.run(operation, given, ctx))
    return [one["problem"] and one["problem"]["code"] for one in answer.body["data"]["cancelJobs"]["outcomes"]]


@pytest.mark.both
async def test_a_row_that_no_longer_meets_the_filter_is_left_as_it_is(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await submit(platform), await submit(platform)

    async def run() -> None:
        async with platform.services.database.write(as_system="test") as session:
            job = await session.get_one(Job, key_of("Job", first["job"]["id"]))
            job.state = JobState.RUNNING

    _after_first(monkeypatch, run)
    told = await batch(platform, "cancelJobs", f={"state": {"in": ["PENDING"]}})
    assert [one["id"] for one in told["outcomes"]] == [second["job"]["id"], first["job"]["id"]]
    assert told["outcomes"][1]["problem"] == {
        "code": "CONFLICT",
        "message": "this Job changed meanwhile, and no longer meets the filter",
        "field": "filter",
    }
    assert (await job_of(platform, first))["state"] == "RUNNING"


async def test_a_batch_ends_when_its_principal_is_deactivated(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [await submit(platform), await submit(platform), await submit(platform)]

    async def deactivate() -> None:
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(sa.update(User).where(User.id == platform.world.tom).values(active=False))

    _after_first(monkeypatch, deactivate)
    assert await _told(platform, j=[one["job"]["id"] for one in jobs]) == [None, "UNAUTHENTICATED", "UNAUTHENTICATED"]


async def test_a_batch_ends_when_the_gateway_is_locked(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [await submit(platform), await submit(platform)]
    _after_first(monkeypatch, partial(mutate, platform, "root", "setReadOnly", readOnly=True))
    assert await _told(platform, j=[one["job"]["id"] for one in jobs]) == [None, "LOCKED"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for more than one row."""
    monkeypatch.setattr(batches, "_half", lambda until: 0.0)


@pytest.mark.usefixtures("hurried")
async def test_ids_that_there_was_no_time_for_are_told(platform: Platform) -> None:
    first, second = await submit(platform), await submit(platform)
    told = await batch(platform, "cancelJobs", j=[first["job"]["id"], second["job"]["id"]])
    assert (told["done"], told["refused"]) == (1, 1)
    assert told["outcomes"][1]["problem"]["code"] == "TIMEOUT"
    assert (await job_of(platform, second))["state"] == "PENDING"


@pytest.mark.usefixtures("hurried")
async def test_a_batch_by_filter_goes_on_where_its_time_ended(platform: Platform) -> None:
    first, second = await submit(platform), await submit(platform)
    filter = {"state": {"in": ["PENDING"]}}
    told = await batch(platform, "cancelJobs", f=filter)
    assert [one["id"] for one in told["outcomes"]] == [second["job"]["id"]]
    told = await batch(platform, "cancelJobs", f=filter, a=told["endCursor"])
    assert ([one["id"] for one in told["outcomes"]], told["endCursor"]) == ([first["job"]["id"]], None)


async def test_half_of_the_time_of_an_operation_is_for_its_batch(platform: Platform) -> None:
    ctx = Context(platform.services, await platform.principal("tom"))
    operation = platform.documents.operation(Envelope("mutation{cancelJobs(jobs:[]){__typename}}"))
    await platform.execution.run(operation, {}, ctx)
    assert ctx.until is not None
    half = batches._half(ctx.until)
    assert half is not None
    assert ctx.until - PATIENCE / 2 - 1 < half < ctx.until - PATIENCE / 2 + 1


async def test_a_job_that_was_cancelled_is_not_cancelled_again(platform: Platform) -> None:
    job = (await submit(platform))["job"]["id"]
    assert (await batch(platform, "cancelJobs", j=[job]))["done"] == 1
    told = await batch(platform, "cancelJobs", j=[job])
    assert (told["done"], told["outcomes"][0]["problem"]["code"]) == (0, "STATE")
    assert (await mutate(platform, "tom", "cancelJob", id=job))[0]["id"] == job
    told_of = sa.select(sa.func.count()).where(AuditEvent.action == "CANCEL_JOB")
    assert (await platform.services.database.rows(told_of))[0][0] == 1
