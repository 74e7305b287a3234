"""Build a leaderboard at once, for an organiser who asks."""

from uuid import UUID

from db.models import Leaderboard
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges import boards
from resolvers.context import Context
from resolvers.failures import Away
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import require, seen


async def rebuild(ctx: Context, key: UUID) -> UUID:
    async with writing(ctx, "REBUILD", Leaderboard, key) as session:
        board = await seen(session, ctx, Leaderboard, key)
        await require(session, ctx, board, (ORGANISER, SUPERADMIN), "build")
        if not await boards.build(session, key, "an organiser asked for it"):
            raise Away("it is being built at this moment; try again", field="id")
        record(session, ctx, "REBUILD", "Leaderboard", key)
    return key
