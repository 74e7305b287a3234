"""What does not come back with a project, since others have come to administer it meanwhile."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.locks import groups_held
from db.models import CORE, Project, Role, RoleGrant
from db.written import because
from resolvers.access.rules import RETURNING, SUPERADMIN, TRUE, allowed
from resolvers.context import Context
from resolvers.feed import RIGHTS
from resolvers.writing.audit import record


async def hold_granted(session: AsyncSession, project: UUID) -> None:
    """Hold the groups that have roles in a project, with their members, before the project itself."""
    held = (
        sa.select(RoleGrant.user_group_id)
        .join(Role, Role.id == RoleGrant.role_id)
        .where(Role.project_id == project, Role.service_id == CORE)
        .where(RoleGrant.user_group_id.is_not(None), RoleGrant.deleted_at.is_(None))
    )
    await groups_held(session, [key for key in await session.scalars(held) if key is not None])


async def take_back(session: AsyncSession, ctx: Context, project: Project) -> None:
    """Revoke the roles in a deleted project by which groups or their members would come into a further site against
    those who administer them now."""
    may = allowed((SUPERADMIN, RETURNING), RoleGrant, ctx.principal.standing)
    if may is TRUE:
        return
    roles = sa.select(Role.id).where(Role.project_id == project.id, Role.service_id == CORE)
    held = sa.select(RoleGrant).where(
        RoleGrant.role_id.in_(roles), RoleGrant.user_group_id.is_not(None), RoleGrant.deleted_at.is_(None), sa.not_(may)
    )
    because(session, "roles do not come back over those who administer the group now", RoleGrant)
    moment = await moment_of(session)
    for grant in (await session.scalars(held, dict(ctx.principal.parameters))).all():
        grant.deleted_at = moment
        record(session, ctx, "DELETE", "RoleGrant", grant.id, project_id=project.id, site_id=project.site_id)
    await session.flush()
    changed(session, RIGHTS)
