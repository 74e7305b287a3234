"""The facade of OpenAlchemy's package database answers as the package itself, but for what it says that it does not."""

import asyncio
import inspect
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from torana_client.package_database import Database
from torana_client.package_database.exceptions import BaseError
from torana_client.package_database.types import CredentialsAuthInfo, NewCredentials, TProvider

from tests.python_client.callers import Callers, callers
from tests.python_client.old_database import Call, Old, by_chance, replayed
from tests.support.serving import Serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
"""A virtual environment is made."""


@pytest.fixture(scope="module")
async def asking(serve_module: Serve) -> Callers:
    return await callers(await serve_module("sqlite", spec_models=0))


def outcome(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"gave": function(**given)}
    except BaseError as error:
        return {"raised": type(error).__name__}


def as_today(call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of the old database as the facade is to give it: the documented differences."""
    gave = answer.get("gave")
    if call.function == "list_spec_versions" and gave:
        last = {info["version"]: info for info in gave}  # a version that was put again is listed once
        gave = [{**info, "name": gave[-1]["name"]} for info in gave if last[info["version"]] is info]
    if call.function == "get_user" and gave:
        gave = {"sub": gave["sub"]}
    if "credentials" in call.function and gave:
        gave = [{**info, "salt": None} for info in gave] if isinstance(gave, list) else {**gave, "salt": None}
    return {**answer, "gave": timeless(gave)} if "gave" in answer else answer


def timeless(gave: Any) -> Any:
    """Infos without the moment, and without salts."""
    if isinstance(gave, list):
        return [timeless(one) for one in gave]
    return {k: v for k, v in gave.items() if k not in ("updated_at", "salt")} if isinstance(gave, dict) else gave


def run(database: Database, seed: int, number: int) -> tuple[list[Call], list[dict[str, Any]]]:
    """Calls by chance of the facade, as the old database is to be called, and what the facade answered."""
    keys: list[str] = []
    calls, answers = [], []
    for call in by_chance(seed, number, keys):
        began = int(time.time())
        answer = outcome(getattr(database, call.function), call.given)
        gave = answer.get("gave")
        if isinstance(gave, NewCredentials):
            assert gave.id == call.given["id_"]
            keys.append(gave.public_key)
            call = call._replace(given={**call.given, "public_key": gave.public_key, "secret_key_hash": "hash", "salt": "salt"})  # fmt: skip
            answer = {"gave": None}
        elif isinstance(gave, CredentialsAuthInfo):
            answer = {"gave": asdict(gave)}
        elif isinstance(gave, dict) and "updated_at" in gave:
            assert 0 < gave["updated_at"] <= began + 2
        calls.append(call)
        answers.append({**answer, "gave": timeless(answer["gave"])} if "gave" in answer else answer)
    return calls, answers


CALLERS: tuple[tuple[str, TProvider], ...] = (("superadmin", "KEYCLOAK"), ("service", "COGNITO"))


async def test_calls_by_chance_are_answered_as_by_the_old_database(asking: Callers) -> None:
    databases = [asking.database(who, provider) for who, provider in CALLERS]
    running = (asyncio.to_thread(run, database, seed, 80) for seed, database in enumerate(databases))
    sequences = await asyncio.gather(*running)
    calls = [call for calls, _ in sequences for call in calls]
    answers = [answer for _, answers in sequences for answer in answers]
    before = await asyncio.to_thread(replayed, calls)
    assert {call.function for call in calls} == before.arguments.keys()
    for number, (call, answer, old) in enumerate(zip(calls, answers, before.answers, strict=True)):
        assert answer == as_today(call, old), f"{number}: {call}"
    for database in databases:
        database.close()


def put(version: str, at: int) -> Call:
    return Call("create_update_spec", {"name": "beams", "version": version, "model_count": 1}, at)


DIFFERENT = {
    "versions of one second are all kept": ([put("1.0", 1), put("1.1", 1)], ["1.1"], ["1.0", "1.1"]),
    "a version that is put again is listed once": (
        [put("1.0", 1), put("1.1", 2), put("1.0", 3)],
        ["1.0", "1.1", "1.0"],
        ["1.1", "1.0"],
    ),
    "versions that are equal are one": ([put("1.4", 1), put("1.4.0", 2)], ["1.4", "1.4.0"], ["1.4.0"]),
    "a version is in its normal form": ([put("1.0.0-RC.1", 1)], ["1.0.0-RC.1"], ["1.0.0rc1"]),
}
"""Calls, and the versions that the old database lists then, and those that the facade lists."""


@pytest.fixture(scope="module")
def old() -> Old:
    calls = []
    for sub, (puts, _, _) in DIFFERENT.items():
        for call in (*puts, Call("list_spec_versions", {"name": "beams"}, 9)):
            calls.append(call._replace(given={"sub": sub, **call.given}))
    return replayed(calls)


async def test_what_is_different_is_so(asking: Callers, old: Old) -> None:
    listed = iter([answer["gave"] for answer in old.answers if answer["gave"] is not None])
    with asking.database() as database:
        for sub, (puts, before, today) in DIFFERENT.items():
            for call in puts:
                await asyncio.to_thread(partial(database.create_update_spec, sub=sub, **call.given))
            found = await asyncio.to_thread(partial(database.list_spec_versions, sub=sub, name="beams"))
            assert [info["version"] for info in next(listed)] == before, sub
            assert [info["version"] for info in found] == today, sub


def test_all_functions_are_there_with_their_arguments(old: Old) -> None:
    assert len(old.arguments) == 15
    for name, given in old.arguments.items():
        ours = list(inspect.signature(getattr(Database, name)).parameters)
        assert ours[1 : 1 + len(given)] == given, name
