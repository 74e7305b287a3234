"""The built-in roles of sites and projects, and the user groups that hold them."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import ADMIN, CORE, USER, Project, Role, RoleGrant, RoleScope, Site, UserGroup, UserGroupMember
from resolvers.feed import RIGHTS


async def role_in(session: AsyncSession, place: Site | Project, name: str) -> Role:
    """The core service's role of this name in a site or project; created if it is missing."""
    key = Role.site_id if isinstance(place, Site) else Role.project_id
    wanted = sa.select(Role).where(Role.service_id == CORE, key == place.id, Role.name == name)
    if (role := (await session.scalars(wanted)).one_or_none()) is None:
        scope = RoleScope.SITE if isinstance(place, Site) else RoleScope.PROJECT
        role = Role(service_id=CORE, scope=scope, name=name)
        setattr(role, key.key, place.id)
        session.add(role)
        await session.flush()
    return role


async def found(session: AsyncSession, place: Site | Project) -> None:
    """Give a new site or project its roles."""
    for name in (ADMIN, USER):
        await role_in(session, place, name)


async def enrol(session: AsyncSession, place: Site | Project, *users: UUID, admin: bool = False) -> UserGroup:
    """Add users to the group that holds a role in a site or project. The group is named after both."""
    role = await role_in(session, place, ADMIN if admin else USER)
    name = f"{place.name} ({role.name})"
    held = (
        sa.select(UserGroup)
        .join(RoleGrant, RoleGrant.user_group_id == UserGroup.id)
        .where(RoleGrant.role_id == role.id, UserGroup.name == name)
        .where(RoleGrant.deleted_at.is_(None), UserGroup.deleted_at.is_(None))
        .limit(1)
    )
    if (group := (await session.scalars(held)).first()) is None:
        group = UserGroup(name=name)
        session.add(group)
        await session.flush()
        session.add(RoleGrant(role_id=role.id, user_group_id=group.id))
    present = sa.select(UserGroupMember.user_id).where(UserGroupMember.user_group_id == group.id)
    already = set(await session.scalars(present))
    session.add_all(UserGroupMember(user_group_id=group.id, user_id=user) for user in users if user not in already)
    await session.flush()
    changed(session, RIGHTS)
    return group


async def held_beside(session: AsyncSession, grant: RoleGrant, site: UUID) -> bool:
    """Whether the group of a grant has another role in a site: in the site itself or in a live project of it."""
    live = sa.select(Project.id).where(Project.site_id == site, Project.deleted_at.is_(None))
    held = (
        sa.select(RoleGrant.id)
        .join(Role, Role.id == RoleGrant.role_id)
        .where(RoleGrant.user_group_id == grant.user_group_id, RoleGrant.id != grant.id)
        .where(RoleGrant.deleted_at.is_(None), Role.service_id == CORE)
        .where(sa.or_(Role.site_id == site, Role.project_id.in_(live)))
        .limit(1)
    )
    return await session.scalar(held) is not None


async def only_site(session: AsyncSession, which: Any) -> UUID | None:
    """The one site in which the groups have roles, in the site itself or in its projects; None when there are none or
    several."""
    held = (
        sa.select(sa.func.coalesce(Role.site_id, Project.site_id))
        .select_from(RoleGrant)
        .join(Role, Role.id == RoleGrant.role_id)
        .outerjoin(Project, Project.id == Role.project_id)
        .outerjoin(UserGroupMember, UserGroupMember.user_group_id == RoleGrant.user_group_id)
        .where(which, RoleGrant.deleted_at.is_(None), Role.service_id == CORE)
        .distinct()
        .limit(3)
    )
    sites = {site for site in await session.scalars(held) if site is not None}
    return sites.pop() if len(sites) == 1 else None


async def place_by_columns(session: AsyncSession, row: Any) -> dict[str, UUID | None]:
    """The project and the site that a row names, or the site of its project; None for what it has none of."""
    project, site = getattr(row, "project_id", None), getattr(row, "site_id", None)
    if project is not None and site is None:
        site = await session.scalar(sa.select(Project.site_id).where(Project.id == project))
    return {"project_id": project, "site_id": site}
