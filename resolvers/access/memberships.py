"""Take people out of teams."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import MemberState, Submission, Team, TeamMember
from db.written import because
from resolvers.feed import principal_topic


async def put_out(session: AsyncSession, challenge: UUID, user: UUID) -> None:
    """Take somebody who no longer takes part in a challenge out of the team, and invitations away. The teams are locked
    first, in the order of their keys; then it is looked who is in them."""
    theirs = (TeamMember.challenge_id == challenge, TeamMember.user_id == user)
    of_them = sa.select(Team).where(Team.id.in_(sa.select(TeamMember.team_id).where(*theirs))).order_by(Team.id)
    teams = {team.id: team for team in await session.scalars(of_them.with_for_update())}
    members = sa.select(TeamMember).where(*theirs).order_by(TeamMember.id).with_for_update()
    for member in (await session.scalars(members.execution_options(populate_existing=True))).all():
        if member.team_id in teams:
            await part(session, teams[member.team_id], member)


async def part(session: AsyncSession, team: Team, member: TeamMember) -> None:
    """Take a member out of a team that is locked. The next who joined is captain then; a team without people and
    submissions goes."""
    because(session, "people leave a team", TeamMember, Team)
    await session.delete(member)
    await session.flush()
    changed(session, principal_topic(member.user_id))
    if team.captain_id == member.user_id:
        wanted = sa.select(TeamMember.user_id).where(
            TeamMember.team_id == team.id, TeamMember.state == MemberState.JOINED
        )
        team.captain_id = await session.scalar(wanted.order_by(TeamMember.updated_at, TeamMember.id).limit(1))
        await session.flush()
        held = sa.select(Submission.id).where(Submission.team_id == team.id).limit(1)
        if team.captain_id is None and await session.scalar(held) is None:
            await session.delete(team)
