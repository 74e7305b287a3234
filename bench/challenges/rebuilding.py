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
from db.engine import Database
from resolvers.challenges.boards import build
from resolvers.context import Services

MARK = SCORES[-1]
"""The score that says which change of all scores it is of."""
_MARKED = {
    "postgresql": f"UPDATE evaluations SET scores = jsonb_set(scores::jsonb, '{{{MARK}}}', to_jsonb(CAST(:mark AS int)))",
    "sqlite": f"UPDATE evaluations SET scores = json_set(scores, '$.{MARK}', :mark)",
}


async def contested(database: Database, reader: UUID, entries: int) -> UUID:
    """The key of a challenge and of its leaderboard, in an empty database."""
    generated = rows.generate(20, reader)
    await data.store(database, generated)
    return await data.contend(database, Contest(generated.users, entries=entries))


async def mark(services: Services, number: int) -> None:
    """Change the scores of everyone."""
    async with services.database.write(as_system="bench") as session:
        await session.execute(sa.text(_MARKED[services.database.dialect]), {"mark": number})


async def built(services: Services, board: UUID) -> float:
    """Build it; returns how many seconds that took, with its commit."""
    began = time.perf_counter()
    async with services.database.write(as_system="bench") as session:
        assert await build(session, board, "bench")
    return time.perf_counter() - began


async def rebuild(server: str, folder: Path, entries: int, rounds: int) -> None:
    keys = f"bench:{secrets.token_urlsafe(48)}"
    for url in (await data.create(server), await data.create_file(folder)):
        reader = await data.reader_of(url)
        async with bare(url, keys, folder) as services:
            board = await contested(services.database, reader, entries)
            taken = []
            for number in range(rounds):
                await mark(services, number)
                taken.append(await built(services, board))
            print(
                f"rebuild on {services.database.dialect}: {entries:,} entries in {statistics.median(taken):.2f} s at "
                f"the median, {max(taken):.2f} s at most of {rounds}",
                flush=True,
            )
