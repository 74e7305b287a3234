"""Calls OpenAlchemy's package database, on a DynamoDB of moto's: reads a call a line, and writes what it gave or raised.

A call is `{"function": ..., "given": {...}, "at": ...}`; `at` is what the clock shows. The first line that is written has
the arguments of each function.
"""

import base64
import dataclasses
import inspect
import json
import os
import sys
from typing import Any

os.environ |= {
    "STAGE": "PROD",
    "AWS_ACCESS_KEY_ID": "-",
    "AWS_SECRET_ACCESS_KEY": "-",
    "AWS_DEFAULT_REGION": "us-east-1",
}

from moto import mock_aws  # type: ignore[import-not-found]
from open_alchemy import package_database  # type: ignore[import-not-found]
from open_alchemy.package_database import models  # type: ignore[import-not-found]

BYTES = ("salt", "secret_key_hash")


class Clock:
    now = 0.0

    def time(self) -> float:
        return self.now


def told(value: Any) -> Any:
    """A result as JSON: bytes as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


with mock_aws():
    clock = models.time = Clock()
    for model in (models.Spec, models.Credentials):
        model.create_table(read_capacity_units=1, write_capacity_units=1, wait=True)
    database = package_database.get()
    functions = inspect.getmembers(package_database.types.TDatabase, callable)
    arguments = {name: list(inspect.signature(one).parameters) for name, one in functions if not name.startswith("_")}
    sys.stdout.write(json.dumps(arguments) + "\n")
    for line in sys.stdin:
        call = json.loads(line)
        clock.now = call["at"]
        given = {name: value.encode() if name in BYTES else value for name, value in call["given"].items()}
        try:
            answer = {"gave": getattr(database, call["function"])(**given)}
        except Exception as error:
            answer = {"raised": type(error).__name__}
        sys.stdout.write(json.dumps(answer, default=told) + "\n")
