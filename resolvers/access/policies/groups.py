"""Policies of user groups and their members, and of the roles granted to groups, devices and participant groups."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import CORE, USER, Entity, Project, Role, RoleGrant, Site, User, UserGroup, UserGroupMember
from db.written import because
from resolvers.access.clauses import Clause
from resolvers.access.lifetime import of_live
from resolvers.access.places import in_project, in_site, of_grant, of_group
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.roles import held_beside, only_site, place_by_columns, role_in
from resolvers.access.rules import (
    ENROLLER,
    GRANTED_TO_ME,
    GRANTEE_ADMIN,
    GRANTER,
    GRANTING_SERVICE,
    GROUP_ADMIN,
    GROUP_FOUNDER,
    GROUP_MEMBER,
    GROUP_SERVICE,
    LINKED_SERVICE,
    MEMBERS_ADMIN,
    MEMBERS_FOUNDER,
    OWN_SERVICE,
    PROJECT_ADMIN,
    PROJECT_USER,
    SITE_ADMIN,
    SITE_SERVICE,
    SITE_USER,
    SUPERADMIN,
    allowed,
)  # fmt: skip
from resolvers.failures import Forbidden, Invalid
from resolvers.identity.principal import AccessProfile

_REVOKING: Rules = (PROJECT_ADMIN, SITE_ADMIN, GRANTEE_ADMIN, GRANTING_SERVICE, SUPERADMIN)


async def _site_of_group(session: AsyncSession, group: UserGroup) -> dict[str, UUID | None]:
    return {"site_id": await only_site(session, RoleGrant.user_group_id == group.id)}


async def _site_of_member(session: AsyncSession, member: UserGroupMember) -> dict[str, UUID | None]:
    return {"site_id": await only_site(session, RoleGrant.user_group_id == member.user_group_id)}


async def _place_of_grant(session: AsyncSession, grant: RoleGrant) -> dict[str, UUID | None]:
    return await place_by_columns(session, await session.get_one(Role, grant.role_id))


def _with_its_roles(group: Any, profile: AccessProfile) -> Clause:
    """The principal administers the deleted group, by the roles that were deleted with it."""
    return sa.exists().where(
        RoleGrant.user_group_id == group.id,
        RoleGrant.deleted_at == group.deleted_at,
        allowed(_REVOKING, RoleGrant, profile),
    )


async def _validate_member(change: Change) -> None:
    if not change.going and (await change.session.get_one(User, change.row.user_id)).superadmin:
        raise Invalid("superadmins need no groups, and are put into none")


async def _validate_role(change: Change) -> None:
    if change.row.service_id == CORE:
        raise Forbidden("the gateway's own roles can't be made or changed")


async def _group_of_grant(session: AsyncSession, grant: UUID) -> Mapping[type[Entity], Collection[UUID]]:
    """Lock the group of a grant, so that when the group loses two roles at once, the second transaction sees the
    first."""
    groups = sa.select(RoleGrant.user_group_id).where(RoleGrant.id == grant)
    return {UserGroup: {group for group in await session.scalars(groups) if group is not None}}


async def _then_grant(change: Change) -> None:
    if change.new:
        role = await change.session.get_one(Role, change.row.role_id)
        place = await _place_of_grant(change.session, change.row)
        change.note("GRANT_ROLE", "RoleGrant", change.row.id, role=role.name, **place)
    if change.going:
        await _stay_in_site(change)


async def _stay_in_site(change: Change) -> None:
    """Only administrators of a site may take a group out of it. Otherwise they would lose the group and its members to
    the administrators of what is left. So a group that loses its last role in a site's project gets the site's user
    role."""
    session, grant = change.session, change.row
    if grant.user_group_id is None or change.principal.superadmin:
        return
    role = await session.get_one(Role, grant.role_id)
    if role.service_id != CORE or role.project_id is None:
        return
    project = await session.get_one(Project, role.project_id)
    if change.principal.sites.get(project.site_id):
        return
    if await held_beside(session, grant, project.site_id):
        return
    because(session, "who leaves a project stays in its site", Role, RoleGrant)
    user = await role_in(session, await session.get_one(Site, project.site_id), USER)
    kept = RoleGrant(role_id=user.id, user_group_id=grant.user_group_id)
    session.add(kept)
    await session.flush()
    change.note("GRANT_ROLE", "RoleGrant", kept.id, role=user.name, site_id=project.site_id)


POLICIES = (
    Policy(
        model=UserGroup,
        read=(GROUP_MEMBER, GROUP_FOUNDER, GROUP_SERVICE, PROJECT_USER, SITE_USER, LINKED_SERVICE, SITE_SERVICE),
        project=of_group("id", in_project),
        site=of_group("id", in_site),
        recorded_in=_site_of_group,
        create=(GROUP_ADMIN, GROUP_SERVICE, SUPERADMIN),
        update=(GROUP_ADMIN, GROUP_FOUNDER, GROUP_SERVICE, SUPERADMIN),
        delete=(GROUP_ADMIN, GROUP_FOUNDER, GROUP_SERVICE, SUPERADMIN),
        perhaps=_with_its_roles,
        creator="creator_id",
        stays=(UserGroup.creator_id,),
        rights=(),
    ),
    Policy(
        model=UserGroupMember,
        link_of=UserGroupMember.user_group_id,
        project=of_group("user_group_id", in_project),
        site=of_group("user_group_id", in_site),
        recorded_in=_site_of_member,
        create=(ENROLLER, SUPERADMIN),
        founding=(MEMBERS_ADMIN, SUPERADMIN),
        delete=(MEMBERS_ADMIN, MEMBERS_FOUNDER, SUPERADMIN),
        goes_with=(UserGroupMember.user_id,),
        blocks=(UserGroupMember.user_group_id,),
        counted_as=UserGroupMember.user_id,
        validate=_validate_member,
        rights=(),
    ),
    Policy(
        model=Role,
        read=(PROJECT_USER, SITE_USER, OWN_SERVICE),
        shown=of_live(Role.service, Role.site, Role.project),
        create=(OWN_SERVICE, SUPERADMIN),
        update=(OWN_SERVICE, SUPERADMIN),
        delete=(OWN_SERVICE, SUPERADMIN),
        stays=(Role.service_id, Role.site_id, Role.project_id),
        validate=_validate_role,
        contradiction="a role has a site just where its scope is SITE, and a project just where it is PROJECT",
        rights=("name", "scope", "site_id", "project_id", "service_id"),
    ),
    Policy(
        model=RoleGrant,
        read=(GRANTED_TO_ME, PROJECT_ADMIN, SITE_ADMIN, GRANTEE_ADMIN, GRANTING_SERVICE),
        project=of_grant("project_id"),
        site=of_grant("site_id"),
        recorded_in=_place_of_grant,
        made_in=(Project,),
        create=(GRANTER, GRANTING_SERVICE, SUPERADMIN),
        delete=_REVOKING,
        undelete=(),
        goes_with=(
            RoleGrant.role_id,
            RoleGrant.user_group_id,
            RoleGrant.device_id,
            RoleGrant.participant_group_id,
        ),
        held_with=_group_of_grant,
        then=_then_grant,
        rights=(),
    ),
)
