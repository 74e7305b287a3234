"""A large leaderboard, built again and again after all scores changed."""

import secrets
import statistics
import time
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from bench import data, rows
from bench.boards import SCORES, Contest
from bench.jobs.gateway import bare
from db import models
from db.engine import Database
from resolvers.access.policies.leaderboards import CHANGED
from resolvers.challenges.boards import build
from resolvers.context import Services

MARK = SCORES[-1]
"""The score that says which change of all scores it is of."""
_MARKED = {
    "postgresql": f"jsonb_set(scores::jsonb, '{{{MARK}}}', to_jsonb(CAST(:mark AS int)))",
    "sqlite": f"json_set(scores, '$.{MARK}', :mark)",
}


async def contested(database: Database, reader: UUID, entries: int) -> UUID:
    """The key of a challenge and of its leaderboard, in an empty database."""
    generated = rows.generate(20, reader)
    await data.store(database, generated)
    return await data.contend(database, Contest(generated.users, entries=entries))


async def mark(services: Services, number: int, *, owners: bool = True) -> None:
    """Change the scores of everyone; unless `owners`, what submitters are shown of them stays as it was."""
    new = _MARKED[services.database.dialect]
    seen = f", owner_scores = {new}" if owners else ""
    async with services.database.write(as_system="bench") as session:
        await session.execute(sa.text(f"UPDATE evaluations SET scores = {new}{seen}"), {"mark": number})


async def built(services: Services, board: UUID, reason: str = "a submission was evaluated") -> float:
    """Build it as that was asked; returns how many seconds that took, with its commit."""
    async with services.database.write(as_system="bench") as session:
        session.add(models.LeaderboardRequest(leaderboard_id=board, reason=reason))
    began = time.perf_counter()
    async with services.database.write(as_system="bench") as session:
        assert await build(session, board)
    return time.perf_counter() - began


async def rebuild(server: str, folder: Path, entries: int, rounds: int) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    for url in (await data.create(server), await data.create_file(folder)):
        reader = await data.reader_of(url)
        async with bare(url, keys, folder) as services:
            board = await contested(services.database, reader, entries)
            for owners, reason in ((True, "a submission was evaluated"), (False, CHANGED)):
                taken = []
                for number in range(rounds):
                    await mark(services, number, owners=owners)
                    taken.append(await built(services, board, reason))
                print(
                    f"rebuild on {services.database.dialect}, {reason}: {entries:,} entries in "
                    f"{statistics.median(taken):.2f} s at the median, {max(taken):.2f} s at most of {rounds}",
                    flush=True,
                )
