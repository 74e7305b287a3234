"""Watching submissions and leaderboards."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from db import models
from resolvers.live import challenge_streams
from schema.fields.fields import Info
from schema.fields.scalars import key_of
from schema.fields.selection import select
from schema.types.challenges.leaderboards import Leaderboard
from schema.types.challenges.submissions import Submission


@strawberry.type
class ChallengeStreamsSubscription:
    @strawberry.subscription(
        description="A leaderboard: first as it is, then after each build. Each time all of it is of one build."
    )
    async def leaderboard_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The leaderboard.")]
    ) -> AsyncGenerator[Leaderboard, None]:
        key = key_of("Leaderboard", id)
        changed = challenge_streams.leaderboard(info.context, key, select(info, models.Leaderboard))
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(description="A submission: first as it is, then after each change of its status.")
    async def submission_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The submission.")]
    ) -> AsyncGenerator[Submission, None]:
        key = key_of("Submission", id)
        changed = challenge_streams.submission(info.context, key, select(info, models.Submission))
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row
