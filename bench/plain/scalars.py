"""Scalars, and global ids."""

import base64
from datetime import datetime
from typing import Any, NewType
from uuid import UUID

import strawberry

BigInt = NewType("BigInt", int)


def instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


SCALARS: dict[object, Any] = {
    BigInt: strawberry.scalar(name="BigInt", serialize=str, parse_value=int),
    datetime: strawberry.scalar(name="DateTime", serialize=instant, parse_value=datetime.fromisoformat),
}


def global_id(typename: str, key: UUID) -> strawberry.ID:
    return strawberry.ID(base64.b64encode(f"{typename}:{key}".encode()).decode())


def parse_id(text: str, typename: str) -> UUID | None:
    """The key, if the id is one of a `typename`."""
    found, _, key = base64.b64decode(text).decode().partition(":")
    return UUID(key) if found == typename else None
