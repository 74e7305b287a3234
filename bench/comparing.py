"""Whether the servers give equal answers."""

from collections.abc import Sequence
from typing import Any

import orjson

from bench.load import Connection, post
from bench.operations import Operation
from bench.servers import Headers, Running, Server

COMPARED = 20
"""Requests of an operation whose answers are compared."""
CURSORS = frozenset({"cursor", "endCursor"})


class Unequal(Exception):
    """Two servers answered the same request with different data."""


async def answers(found: Running, headers: Headers, operation: Operation) -> list[Any]:
    """Its answers to an operation, one after the other, in the shape of Torana's."""
    server = found.server
    connection = await Connection.open(found.url)
    try:
        bodies = server.asked(operation).bodies[:COMPARED]
        said = [await connection.ask(post(found.url, body, headers)) for body in bodies]
    finally:
        connection.close()
    return [server.shaped(operation, orjson.loads(body)["data"]) for body in said]


def check_equal(operation: Operation, said: Sequence[tuple[Server, Any]]) -> None:
    """Raises Unequal with the first difference between the first server and another."""
    (first, expected), *others = said
    for server, found in others:
        ignored = CURSORS if server.own_cursors or first.own_cursors else frozenset()
        if (where := difference(expected, found, ignored)) is not None:
            raise Unequal(f"{operation.name}: {first.name} and {server.name} differ at {where}")


def difference(one: Any, other: Any, ignored: frozenset[str] = frozenset(), path: str = "answers") -> str | None:
    """Where two JSON values differ first, and how; fields of the `ignored` names may differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(f"{path}.{key}", value, other[key]) for key, value in one.items() if key not in ignored]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{path}[{n}]", *both) for n, both in enumerate(zip(one, other, strict=True))]
    elif one == other and isinstance(one, bool) is isinstance(other, bool):
        return None
    else:
        return f"{path}: {str(one)[:200]!r} and {str(other)[:200]!r}"
    return next((where for name, a, b in pairs if (where := difference(a, b, ignored, name)) is not None), None)
