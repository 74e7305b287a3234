"""Entries of leaderboards, in a build of theirs."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import uuid7


def entry(build: UUID, board: UUID, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an entry that everyone sees whole."""
    data, author = given.get("data", {}), given.get("author_label")
    return {"id": uuid7(), "leaderboard_id": board, "build_id": build, "rank": given["position"], "data": data, "owner_data": data,
            "organiser_data": data, "organiser_label": author, **given}  # fmt: skip


async def build_of(session: AsyncSession, board: UUID, entries: Iterable[Mapping[str, Any]]) -> UUID:
    """The present build of a leaderboard, with these entries."""
    rows = list(entries)
    build = m.LeaderboardBuild(id=uuid7(), leaderboard_id=board, number=1, entry_count=len(rows))
    session.add(build)
    await session.flush()
    session.add_all(m.LeaderboardEntry(**entry(build.id, board, row)) for row in rows)
    (await session.get_one(m.Leaderboard, board)).build_id = build.id
    await session.flush()
    return build.id
