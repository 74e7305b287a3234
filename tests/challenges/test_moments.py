"""What a leaderboard shows from a moment on: scores that were kept back, the names of authors, other people's entries."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from tests.support.contests import COLUMNS, completed, contest, entries, key_of, passed, set_row
from tests.support.platforms import Platform

ON_SQLITE = True
KEPT = [*COLUMNS, {"key": "kept", "path": "kept", "audience": "ORGANISERS"}]
SCORES = {"accuracy": 0.5, "cost": {"seconds": 1}, "kept": 7}


async def _next(platform: Platform, board: str) -> Any:
    """When the leaderboard is built by the clock, and whether it waits for that."""
    wanted = sa.select(m.Leaderboard.due_at, m.Leaderboard.build_id).where(m.Leaderboard.id == key_of(board))
    (row,) = await platform.services.database.rows(wanted)
    return row


@pytest.mark.both
@pytest.mark.parametrize(
    ("moment", "field", "before", "after"),
    [("reveal_at", "data", None, 7), ("anonymity_ends_at", "authorLabel", "anonymous", "tom")],
)
async def test_a_leaderboard_is_built_when_a_moment_comes(
    platform: Platform, moment: str, field: str, before: Any, after: Any
) -> None:
    name = {"reveal_at": "revealAt", "anonymity_ends_at": "anonymityEndsAt"}[moment]
    at = "2100-01-01T00:00:00Z"
    of = await contest(platform, evaluator={"scoresSchema": {"type": "object"}}, board={"columns": KEPT, name: at})
    await completed(platform, "tom", of, SCORES)
    await passed(platform)

    async def told() -> Any:
        (entry,) = await entries(platform, "eve", of)
        return entry["data"].get("kept") if field == "data" else entry[field]

    assert await told() == before
    first = await _next(platform, of.board)
    assert first.due_at.year == 2100
    await set_row(platform, m.Leaderboard, of.board, due_at=later(-1), **{moment: later(-1)})
    await passed(platform)
    assert await told() == after
    second = await _next(platform, of.board)
    assert (second.due_at, second.build_id == first.build_id) == (None, False)
    await passed(platform)
    assert (await _next(platform, of.board)).build_id == second.build_id, "it is built once"


@pytest.mark.both
async def test_an_embargo_ends_at_its_moment_and_not_when_the_leaderboard_is_built_next(platform: Platform) -> None:
    ends = "2100-01-01T00:00:00Z"
    of = await contest(platform, evaluator={"scoresSchema": {"type": "object"}}, board={"embargoEndsAt": ends})
    await completed(platform, "tom", of, SCORES)
    await passed(platform)
    assert await entries(platform, "eve", of) == []
    assert len(await entries(platform, "tom", of)) == 1
    await set_row(platform, m.Leaderboard, of.board, embargo_ends_at=later(-1))
    assert len(await entries(platform, "eve", of)) == 1
