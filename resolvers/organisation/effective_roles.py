"""The effective roles, after inheritance: of a user or a group, or in a site or a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.aliases import Alias
from db.models import (
    ADMIN,
    CORE,
    USER,
    Participant,
    Project,
    Role,
    RoleGrant,
    Service,
    Site,
    UserGroup,
    UserGroupMember,
)
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid

OWN = "torana"
"""The key of the gateway's own service."""
MOST = 1_000
"""The most roles in one answer."""


@dataclass(frozen=True, slots=True)
class Held:
    """A role in a site or a project, of a group, or of who was asked for; `inherited` when it is granted in the site of
    the project, or in a project of the site. `service_key` is that of the service whose role it is."""

    role: str
    inherited: bool
    user_group_id: UUID | None
    site_id: UUID | None
    project_id: UUID | None
    service_key: str


_GRANTED = ("Device", "Participant", "ParticipantGroup")


async def _granted(ctx: Context, kind: str, key: UUID) -> Sequence[Held]:
    """The roles of any service that were granted to a device, or to a participant's group."""
    grant, role, service = Alias(RoleGrant), Alias(Role), Alias(Service)
    wanted = sa.bindparam("key", type_=Role.id.type)
    whose = grant.device_id == wanted if kind == "Device" else grant.participant_group_id == wanted
    if kind == "Participant":
        mine = Alias(Participant)
        group = sa.select(mine.group_id).where(mine.id == wanted, visible(mine, ctx.principal.profile))
        whose = grant.participant_group_id == group.scalar_subquery()
    found = (
        sa.select(role.name, role.site_id, role.project_id, service.key.label("service"))
        .select_from(grant)
        .join(role, role.id == grant.role_id)
        .join(service, service.id == role.service_id)
        .where(whose, grant.deleted_at.is_(None), visible(grant, ctx.principal.profile))
        .order_by(role.id)
        .limit(MOST)
    )
    rows = await ctx.database.rows(found, {**ctx.principal.parameters, "key": key})
    return [Held(row.name, False, None, row.site_id, row.project_id, row.service) for row in rows]


async def access_for(ctx: Context, kind: str, key: UUID) -> Sequence[Held]:
    """The effective roles of a User or a UserGroup, or in a Site or a Project: the higher one where there are
    several."""
    if kind in _GRANTED:
        return await _granted(ctx, kind, key)
    grant, group, role = Alias(RoleGrant), Alias(UserGroup), Alias(Role)
    given = (
        sa.select(grant.user_group_id, role.site_id, role.project_id, role.name)
        .select_from(grant)
        .join(role, role.id == grant.role_id)
        .join(group, group.id == grant.user_group_id)
        .where(role.service_id == CORE, group.deleted_at.is_(None), visible(grant, ctx.principal.profile))
    )
    wanted = sa.bindparam("key", type_=Role.id.type)
    if kind == "User":
        given = given.where(
            sa.exists().where(UserGroupMember.user_group_id == group.id, UserGroupMember.user_id == wanted)
        )
    elif kind == "UserGroup":
        given = given.where(group.id == wanted)
    elif kind not in ("Site", "Project"):
        raise Invalid(
            "access is told for a User, a UserGroup, a Site, a Project, a Device, a Participant or a ParticipantGroup",
            field="id",
        )
    rights = given.cte("rights")
    site, project = Alias(Site), Alias(Project)
    live = (site.deleted_at.is_(None), project.deleted_at.is_(None))
    none = sa.cast(sa.null(), Role.id.type)
    group_id, name = rights.c.user_group_id, rights.c.name

    def told(project_id: Any, role: Any, inherited: Any) -> Any:
        columns = (site.id.label("site_id"), project_id.label("project_id"), role.label("name"))
        return sa.select(group_id, *columns, inherited.label("inherited")).select_from(rights)

    in_site, administers = rights.c.site_id == site.id, sa.and_(rights.c.site_id == site.id, name == ADMIN)
    of_site, in_project = project.site_id == site.id, rights.c.project_id == project.id
    parts = (
        told(none, name, sa.false()).join(site, in_site).where(live[0]),
        told(none, sa.literal(USER), sa.true()).join(project, in_project).join(site, of_site).where(*live),
        told(project.id, name, sa.false()).join(project, in_project).join(site, of_site).where(*live),
        told(project.id, name, sa.true()).join(site, administers).join(project, of_site).where(*live),
    )
    held = sa.union_all(*parts).subquery("held")
    found = sa.select(held)
    if kind == "Site":
        found = found.where(held.c.site_id == wanted, held.c.project_id.is_(None))
    elif kind == "Project":
        found = found.where(held.c.project_id == wanted)
    rows = await ctx.database.rows(
        found.order_by(held.c.site_id, held.c.project_id, held.c.user_group_id).limit(4 * MOST),
        {**ctx.principal.parameters, "key": key},
    )
    best: dict[tuple[UUID | None, UUID | None, UUID | None], Held] = {}
    for row in rows:
        place = (None if kind == "User" else row.user_group_id, row.site_id, row.project_id)
        one = Held(row.name, bool(row.inherited), row.user_group_id, row.site_id, row.project_id, OWN)
        if place not in best or (_rank(one) < _rank(best[place])):
            best[place] = one
    return list(best.values())[:MOST]


def _rank(held: Held) -> tuple[bool, bool]:
    """The order of roles: the higher one first, then those granted in the place itself."""
    return (held.role != ADMIN, held.inherited)
