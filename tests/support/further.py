"""Entities that come besides the product's own, as `tests/toy` brings one: what the tests must know to try each as they
try all others."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Ref:
    """The id of the row of a kind, here or there."""

    kind: str


@dataclass(frozen=True, slots=True)
class Name:
    """A text that no other row has."""

    pattern: str = "{}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Keys of what a row may be put beside."""

    project: UUID
    participant: UUID
    device: UUID


Make = Callable[[AsyncSession, Spot, str], Awaitable[UUID]]
"""Puts a row of a name beside others, with all that its guarded fields may hold, and links; its key."""


@dataclass(frozen=True, slots=True)
class Further:
    """A line of the matrix, with what is given when a row is made or changed."""

    letters: str
    fields: dict[str, str]
    writers: dict[str, str]
    open: str
    new: dict[str, Any]
    changes: dict[str, Any]
    make: Make


FURTHER: dict[str, Further] = {}
"""By the name of the type."""


async def furnish_further(session: AsyncSession, spot: Spot, name: str) -> dict[str, UUID]:
    """A row of each further entity, by the name of its type."""
    return {kind: await one.make(session, spot, name) for kind, one in FURTHER.items()}
