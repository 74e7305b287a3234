"""Tell people what happens in challenges by the templates of mails and chats. Whoever opted out gets none."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import (
    Challenge,
    Channel,
    Leaderboard,
    Notification,
    Submission,
    Team,
    User,
    UserGroupMember,
)
from resolvers.access.rules import SUPERADMIN
from resolvers.context import Context
from resolvers.failures import WrongState
from resolvers.mail.outbox import post, post_chat
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require

ORGANISERS = 50
"""The most organisers of a challenge who are told of a submission."""
BATCH = 500
QUIET = timedelta(minutes=10)
"""A chat hears at most once within this time that a leaderboard has changed."""


async def of_submission(session: AsyncSession, submission: Submission) -> None:
    """Tell the organisers, and the chat, of a submission that was accepted."""
    challenge = await session.get_one(Challenge, submission.challenge_id)
    author = sa.func.coalesce(Submission.author_label, Team.name, User.username)
    named = sa.select(author).select_from(Submission).join(User, User.id == Submission.user_id)
    named = named.outerjoin(Team, Team.id == Submission.team_id).where(Submission.id == submission.id)
    told: dict[str, Any] = {"challenge_name": challenge.label, "pipeline_name": submission.public_id}
    who = str(await session.scalar(named))
    for user in await _organisers(session, challenge):
        await post(session, "new_submission", user, **{**told, "username": who})
    await post_chat(session, "new_submission", username=who, **told)


async def _organisers(session: AsyncSession, challenge: Challenge) -> list[User]:
    if challenge.organisers_id is None:
        return []
    wanted = sa.select(User).join(UserGroupMember, UserGroupMember.user_id == User.id)
    live = (User.active, User.deleted_at.is_(None), UserGroupMember.user_group_id == challenge.organisers_id)
    return list(await session.scalars(wanted.where(*live).order_by(User.id).limit(ORGANISERS)))


async def of_build(session: AsyncSession, board: Leaderboard) -> None:
    """Tell the chat that a leaderboard which everyone sees has changed; not again within some minutes."""
    moment = await moment_of(session)
    challenge = await session.get_one(Challenge, board.challenge_id)
    kept_back = board.embargo_ends_at is not None and board.embargo_ends_at > moment
    if board.hidden or board.archived or kept_back or not challenge.published:
        return
    lately = sa.select(Notification.id).where(
        Notification.channel == Channel.CHAT,
        Notification.template_key == "leaderboard_update",
        Notification.created_at > moment - QUIET,
        Notification.text.contains(challenge.label, autoescape=True),
    )
    if await session.scalar(lately.limit(1)) is None:
        await post_chat(session, "leaderboard_update", challenge_name=challenge.label, url=challenge.url)


async def announce(ctx: Context, key: UUID) -> int:
    """Mail all users who did not opt out that a challenge is open; returns how many mails were posted."""
    async with writing(ctx, "ANNOUNCE", Challenge, key) as session:
        challenge = await locked(session, ctx, Challenge, key)
        await require(session, ctx, challenge, (SUPERADMIN,), "announce")
        if not challenge.published or not challenge.active:
            raise WrongState("only a challenge that is published and active is announced")
        given: dict[str, Any] = {"challenge_name": challenge.label, "url": challenge.url}
        record(session, ctx, "ANNOUNCE", "Challenge", key)
    posted, after = 0, None
    while True:
        async with ctx.database.write(as_system="users are told of a new challenge") as session:
            wanted = sa.select(User).where(User.active, User.notified, User.email_verified, User.deleted_at.is_(None))
            wanted = wanted if after is None else wanted.where(User.id > after)
            users = (await session.scalars(wanted.order_by(User.id).limit(BATCH))).all()
            for user in users:
                await post(session, "new_challenge", user, **given)
        posted += len(users)
        if len(users) < BATCH:
            return posted
        after = users[-1].id
