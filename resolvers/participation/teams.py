"""Teams: make one, invite people, join and leave. What a team submitted stays the team's, whoever leaves."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import Challenge, MemberState, Team, TeamMember, User
from db.types import uuid7
from db.written import because
from resolvers.access.memberships import part
from resolvers.access.policy import policy_of
from resolvers.challenges.names import one_line
from resolvers.challenges.submissions import expect_registered
from resolvers.context import Context
from resolvers.failures import Forbidden, LimitExceeded, NotFound, WrongState
from resolvers.feed import principal_topic
from resolvers.writing.audit import record
from resolvers.writing.constraints import unlike
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, seen, signed_in

INVITED = 200
"""The most people that wait for an answer of theirs, of one team."""


async def create(ctx: Context, challenge_id: UUID, name: str) -> UUID:
    """Make a team in a challenge, and be its captain."""
    user = signed_in(ctx)
    async with writing(ctx, "CREATE", Team) as session:
        challenge = await seen(session, ctx, Challenge, challenge_id, field="challenge")
        name = one_line(name, 100, "the name of a team", "name")
        if challenge.team_size == 1:
            raise WrongState("this challenge has no teams")
        await expect_registered(session, ctx, challenge, user, "challenge")
        await _expect_none(session, challenge.id, user)
        team = Team(id=uuid7(), challenge_id=challenge.id, name=name, captain_id=user)
        session.add(team)
        with unlike(Team, {"name"}, ""):
            await session.flush()
        because(session, "who makes a team is in it", TeamMember)
        session.add(_member(team, user, MemberState.JOINED))
        await session.flush()
        changed(session, principal_topic(user))
        await require(session, ctx, team, policy_of(Team).create, "make")
        record(session, ctx, "CREATE", "Team", team.id, challenge=challenge.label)
        return team.id


def _member(team: Team, user: UUID, state: MemberState) -> TeamMember:
    return TeamMember(id=uuid7(), team_id=team.id, challenge_id=team.challenge_id, user_id=user, state=state)


async def _expect_none(session: AsyncSession, challenge: UUID, user: UUID) -> None:
    joined = sa.select(TeamMember.id).where(
        TeamMember.challenge_id == challenge, TeamMember.user_id == user, TeamMember.state == MemberState.JOINED
    )
    if await session.scalar(joined) is not None:
        raise WrongState("you are in a team of this challenge already; leave it first", state="IN_A_TEAM")


async def invite(ctx: Context, key: UUID, users: list[UUID]) -> UUID:
    """Invite people into a team: by its captain."""
    user = signed_in(ctx)
    async with writing(ctx, "UPDATE", Team, key) as session:
        team = await locked(session, ctx, Team, key)
        if team.captain_id != user:
            raise Forbidden("only the captain of the team invites")
        because(session, "the captain of a team invites into it", TeamMember)
        present = set(await session.scalars(sa.select(TeamMember.user_id).where(TeamMember.team_id == key)))
        for n, one in enumerate(dict.fromkeys(users)):
            await seen(session, ctx, User, one, field=f"users.{n}")
            if one not in present:
                session.add(_member(team, one, MemberState.INVITED))
        await session.flush()
        count = sa.select(sa.func.count()).select_from(TeamMember).where(TeamMember.team_id == key)
        if (number := await session.scalar(count) or 0) > INVITED:
            told = f"a team has at most {INVITED} people in it and invited"
            raise LimitExceeded(told, field="users", limit="team", allowed=INVITED, value=number)
        record(session, ctx, "INVITE", "Team", key, users=len(users))
    return key


async def join(ctx: Context, key: UUID) -> UUID:
    """Join a team that one is invited into. LIMIT_EXCEEDED for a team that is full."""
    user = signed_in(ctx)
    async with writing(ctx, "UPDATE", Team, key) as session:
        team = await locked(session, ctx, Team, key)
        member = await _own(session, key, user)
        if member.state is MemberState.JOINED:
            raise WrongState("you are in this team", state=member.state.name)
        await _expect_none(session, team.challenge_id, user)
        challenge = await session.get_one(Challenge, team.challenge_id)
        await expect_registered(session, ctx, challenge, user, "id")
        size = challenge.team_size
        joined = sa.select(sa.func.count()).select_from(TeamMember)
        joined = joined.where(TeamMember.team_id == key, TeamMember.state == MemberState.JOINED)
        if (number := await session.scalar(joined) or 0) >= size:
            told = f"the team is full: it has {number} of {size} people"
            raise LimitExceeded(told, field="id", limit="team", allowed=size, value=number + 1)
        because(session, "who is invited into a team joins it", TeamMember)
        member.state = MemberState.JOINED
        with unlike(TeamMember):
            await session.flush()
        changed(session, principal_topic(user))
        record(session, ctx, "JOIN", "Team", key)
    return key


async def leave(ctx: Context, key: UUID, other: UUID | None = None) -> datetime:
    """Leave a team, or refuse its invitation; its captain also removes others."""
    user = signed_in(ctx)
    async with writing(ctx, "UPDATE", Team, key) as session:
        team = await locked(session, ctx, Team, key)
        if other not in (None, user) and team.captain_id != user:
            raise Forbidden("only the captain of the team removes others")
        await part(session, team, await _own(session, key, other or user))
        record(session, ctx, "LEAVE", "Team", key)
        return await moment_of(session)


async def _own(session: AsyncSession, team: UUID, user: UUID) -> TeamMember:
    wanted = sa.select(TeamMember).where(TeamMember.team_id == team, TeamMember.user_id == user).with_for_update()
    member = (await session.scalars(wanted)).one_or_none()
    if member is None:
        raise NotFound("not in this team, and not invited", field="user")
    return member
