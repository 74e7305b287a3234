"""What users and services have a part in, as parts of the statements that find a principal: their places, the groups
there, the challenges that they organise, and their teams."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from db.models import (
    ADMIN,
    CORE,
    Challenge,
    MemberState,
    Project,
    ProjectService,
    Role,
    RoleGrant,
    Site,
    SiteService,
    TeamMember,
    UserGroup,
    UserGroupMember,
)
from db.texts import joined, listed
from resolvers.identity.principal import GROUPED


def users(chosen: Any) -> Any:
    """Users by a SELECT of them, with the `places` that they have a role in, after inheritance, and the `groups` with a
    role in one of their sites or in a project of one."""
    who = chosen.cte("who")
    granted = (
        sa.select(Role.site_id, Role.project_id, (Role.name == ADMIN).label("admin"))
        .select_from(who)
        .join(UserGroupMember, UserGroupMember.user_id == who.c.id)
        .join(UserGroup, sa.and_(UserGroup.id == UserGroupMember.user_group_id, UserGroup.deleted_at.is_(None)))
        .join(RoleGrant, sa.and_(RoleGrant.user_group_id == UserGroup.id, RoleGrant.deleted_at.is_(None)))
        .join(Role, sa.and_(Role.id == RoleGrant.role_id, Role.service_id == CORE))
        .cte("granted")
    )
    place: tuple[Any, ...] = (Site.id.label("site_id"), granted.c.admin, Site.two_factor_required)
    live = sa.and_(Site.deleted_at.is_(None), Project.deleted_at.is_(None))
    in_site = (
        sa.select(*place, sa.cast(sa.null(), Project.id.type).label("project_id"))
        .join(granted, granted.c.site_id == Site.id)
        .where(Site.deleted_at.is_(None))
    )
    in_project = (
        sa.select(*place, Project.id.label("project_id"))
        .join(Project, Project.site_id == Site.id)
        .join(granted, granted.c.project_id == Project.id)
        .where(live)
    )
    inherited = (
        sa.select(*place, Project.id.label("project_id"))
        .join(Project, Project.site_id == Site.id)
        .join(granted, sa.and_(granted.c.site_id == Site.id, granted.c.admin))
        .where(live)
    )
    held = sa.union_all(in_site, in_project, inherited).cte("held")
    admin = sa.case((held.c.admin, _ADMIN), else_=_PLAIN)
    required = sa.func.max(sa.case((held.c.two_factor_required, 1), else_=0))
    found = sa.select(_places(admin, held).label("places"), required.label("two_factor_required")).subquery("found")
    groups = _groups(sa.select(held.c.site_id).distinct()).scalar_subquery().label("groups")
    return (
        sa.select(*who.c, *found.c, groups, _organised(who, held), _teams(who)).select_from(who).join(found, sa.true())
    )


def _organised(who: Any, held: Any) -> Any:
    """The challenges that users organise: by a user group of theirs, and those of sites that they administer."""
    mine = (
        sa.select(UserGroup.id)
        .join(UserGroupMember, UserGroupMember.user_group_id == UserGroup.id)
        .join(who, who.c.id == UserGroupMember.user_id)
        .where(UserGroup.deleted_at.is_(None))
    )
    administered = sa.select(held.c.site_id).where(held.c.admin, held.c.project_id.is_(None))
    by_group = sa.select(Challenge.id).where(Challenge.organisers_id.in_(mine))
    by_site = sa.select(Challenge.id).where(Challenge.site_id.in_(administered))
    both = sa.union(by_group, by_site).subquery("organised_there")
    return sa.select(listed(sa.cast(both.c.id, sa.Text()))).scalar_subquery().label("organised")


def _teams(who: Any) -> Any:
    """The teams that users have joined."""
    joined_ = (
        sa.select(TeamMember.team_id)
        .join(who, who.c.id == TeamMember.user_id)
        .where(TeamMember.state == MemberState.JOINED)
        .subquery("joined_there")
    )
    return sa.select(listed(sa.cast(joined_.c.team_id, sa.Text()))).scalar_subquery().label("teams")


def _groups(sites: Any) -> Any:
    """The roles of groups in these sites and in their projects, as `_places`: at most one more than are used."""
    own, inner = aliased(Role), aliased(Role)
    roles = sa.union_all(
        sa.select(own.id, own.site_id, sa.cast(sa.null(), Project.id.type).label("project_id")).where(
            own.site_id.in_(sites), own.service_id == CORE
        ),
        sa.select(inner.id, Project.site_id, Project.id.label("project_id"))
        .join(Project, Project.id == inner.project_id)
        .where(Project.site_id.in_(sites), inner.service_id == CORE),
    ).subquery("roles_there")
    held = (
        sa.select(RoleGrant.user_group_id, roles.c.site_id, roles.c.project_id)
        .join(roles, roles.c.id == RoleGrant.role_id)
        .where(RoleGrant.deleted_at.is_(None), RoleGrant.user_group_id.is_not(None))
        .limit(GROUPED + 1)
        .subquery("granted_there")
    )
    return sa.select(_places(sa.cast(held.c.user_group_id, sa.Text()), held))


_ADMIN, _PLAIN = sa.literal_column("'a'", sa.Text()), sa.literal_column("'u'", sa.Text())


def _places(first: Any, held: Any) -> Any:
    """All places, each after `first`, as one text: rows would take longer to read than to find."""
    project = sa.func.coalesce(sa.cast(held.c.project_id, sa.Text()), sa.literal_column("''"))
    return listed(joined([first, sa.cast(held.c.site_id, sa.Text()), project]))


def services(chosen: Any) -> Any:
    """Services by a SELECT of them, with the `places` that they are linked to."""
    who = chosen.cte("who")
    sites = (
        sa.select(Site.id.label("site_id"), sa.cast(sa.null(), Project.id.type).label("project_id"))
        .join(SiteService, SiteService.site_id == Site.id)
        .join(who, who.c.id == SiteService.service_id)
        .where(Site.deleted_at.is_(None))
    )
    projects = (
        sa.select(Project.site_id, Project.id)
        .join(ProjectService, ProjectService.project_id == Project.id)
        .join(who, who.c.id == ProjectService.service_id)
        .where(Project.deleted_at.is_(None))
    )
    held = sa.union_all(sites, projects).subquery("held")
    found = sa.select(_places(_PLAIN, held).label("places")).subquery("found")
    return sa.select(*who.c, *found.c).select_from(who).join(found, sa.true())
