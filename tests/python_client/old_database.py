"""OpenAlchemy's package database, as an oracle; and calls by chance for both."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.oracles.environments import python_of

REPLAY = Path(__file__).parents[1] / "oracles" / "package_database" / "replay.py"
NEEDS = ["pynamodb>=4.3,<5", "packaging>=20.8,<21", "moto>=5.2,<6"]
PACKAGE = ["open-alchemy.package-database==4.0.1"]

SUBS = ("user-1", "user-2", "User/3 #")
NAMES = ("foo", "Foo", "Foo_Bar", "foo.bar", "foo--bar", "foobar")
VERSIONS = ("1.0", "1.1", "2.0rc1")
IDS = ("default", "Default", "other", "a key")


class Call(NamedTuple):
    function: str
    given: dict[str, Any]
    at: int = 0


class Old(NamedTuple):
    """What the old database has: the arguments of its functions, and the answers to calls."""

    arguments: dict[str, list[str]]
    answers: list[Any]


def replayed(calls: list[Call]) -> Old:
    """What the old database gave or raised for these calls, on tables without rows. Skips where it can't be had."""
    python = python_of("package_database", NEEDS, PACKAGE)
    lines = "".join(json.dumps(call._asdict()) + "\n" for call in calls)
    done = subprocess.run([python, str(REPLAY)], input=lines, capture_output=True, text=True, check=True)
    arguments, *answers = map(json.loads, done.stdout.splitlines())
    return Old(arguments, answers)


def by_chance(seed: int, number: int, keys: list[str]) -> Iterator[Call]:
    """So many calls, other ones and of other users for each seed. `keys` are the public keys so far: who runs the calls adds to them."""
    chance = Random(seed)
    functions = (
        *["create_update_spec"] * 5, *["create_update_credentials"] * 3, *["list_spec_versions", "list_specs"] * 2,
        *["get_spec", "get_latest_spec_version", "count_customer_models", "list_credentials", "get_credentials"],
        *["get_user", "delete_spec", "delete_credentials"],
    )  # fmt: skip
    rare = ("delete_all_specs", "delete_all_credentials", "delete_all")
    for at in range(1, number + 1):
        function = chance.choice(rare if chance.random() < 0.03 else functions)
        given: dict[str, Any] = {"sub": f"{chance.choice(SUBS)} {seed}"}
        if function == "get_user":
            given = {"public_key": chance.choice(["pk_none", *keys])}
        elif function in ("get_credentials", "delete_credentials", "create_update_credentials"):
            given["id_"] = chance.choice(IDS)
        elif "spec" in function and not function.endswith("specs"):
            given["name"] = chance.choice(NAMES)
        if function == "create_update_spec":
            given |= {"version": chance.choice(VERSIONS), "model_count": chance.randint(1, 5)}
            given |= {"title": chance.choice(["", "Beams", "Träger"])} if chance.random() < 0.5 else {}
            given |= {"description": chance.choice(["", "What a beam line has."])} if chance.random() < 0.5 else {}
        yield Call(function, given, at)
