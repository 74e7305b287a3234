"""The statements that find a principal: one for each kind of principal and of credential."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from db.models import (
    ADMIN,
    CORE,
    Challenge,
    Credential,
    CredentialKind,
    Device,
    MemberState,
    Participant,
    PlatformRole,
    Project,
    ProjectService,
    Role,
    RoleGrant,
    Service,
    Simulation,
    SimulationLink,
    Site,
    SiteService,
    TeamMember,
    User,
    UserGroup,
    UserGroupMember,
)
from db.texts import joined, listed
from db.types import now
from resolvers.identity.credentials import LIVE
from resolvers.identity.principal import GROUPED, Kind
from resolvers.identity.providers import External
from resolvers.identity.tokens import Fetch, Secret, Session

Presented = Session | Secret | External | Fetch

_CREDENTIAL: tuple[Any, ...] = (
    Credential.id.label("credential"),
    Credential.scopes,
    Credential.expires_at,
    Credential.public_key,
)
_PRESENTED: Mapping[type, Any] = {
    Session: sa.and_(
        Credential.kind == CredentialKind.LOGIN_SESSION,
        Credential.family == sa.bindparam("family", type_=User.id.type),
        LIVE,
    ),
    Secret: sa.and_(
        Credential.kind.in_((CredentialKind.API_KEY, CredentialKind.STATIC_TOKEN, CredentialKind.CHALLENGE_WORKER)),
        Credential.secret_hash == sa.bindparam("digest"),
        LIVE,
    ),
}


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


USER: Any = sa.select(
    User.id,
    User.auth_provider,
    User.email,
    User.email_verified,
    User.superadmin,
    User.platform_role,
    User.two_factor,
    User.force_password_change,
).where(User.active, User.deleted_at.is_(None))


def _owned(columns: Any, owner: Any, presented: type) -> Any:
    """A SELECT of `columns` for the owner of the presented credential."""
    return columns.add_columns(*_CREDENTIAL).join(Credential, owner).where(_PRESENTED[presented])


_PARTICIPANT: Any = (
    sa.select(Participant.id)
    .join(Project, Project.id == Participant.project_id)
    .where(Participant.enabled, Participant.deleted_at.is_(None), Project.enabled, Project.deleted_at.is_(None))
)
_DEVICE: Any = sa.select(Device.id).where(Device.enabled, Device.deleted_at.is_(None))
_CHALLENGE: Any = sa.select(Challenge.id)
_SERVICE: Any = sa.select(Service.id, Service.acts_for).where(Service.enabled, Service.deleted_at.is_(None))


def _services(chosen: Any) -> Any:
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


_LINK: Any = (
    sa.select(
        SimulationLink.id,
        SimulationLink.id.label("credential"),
        sa.null().label("scopes"),
        SimulationLink.expires_at,
        sa.null().label("public_key"),
        SimulationLink.simulation_id,
        SimulationLink.user_id,
    )
    .join(Simulation, Simulation.id == SimulationLink.simulation_id)
    .join(User, User.id == SimulationLink.user_id)
    .where(
        SimulationLink.expires_at > now(),
        Simulation.deleted_at.is_(None),
        User.active,
        User.deleted_at.is_(None),
    )
)
_MADE_BY: Any = Credential.made_by_id.label("made_by")
_MAKER_ACTS: Any = sa.or_(
    Credential.made_by_id.is_(None),
    sa.exists().where(
        Service.id == Credential.made_by_id,
        Service.enabled,
        Service.deleted_at.is_(None),
        Service.acts_for == User.auth_provider,
        sa.not_(User.superadmin),
        User.platform_role != PlatformRole.MANAGER,
    ),
)
"""A service that made a key or token still acts for its user: else it would have what it may not make."""
_SPEC_TOKEN: Any = (
    sa.select(Credential.id, *_CREDENTIAL, Credential.user_id, _MADE_BY)
    .join(User, User.id == Credential.user_id)
    .where(
        Credential.kind == CredentialKind.SPEC_TOKEN,
        Credential.secret_hash == sa.bindparam("digest"),
        LIVE,
        _MAKER_ACTS,
        User.active,
        User.deleted_at.is_(None),
    )
)
_OWNER: Any = sa.bindparam("owner", type_=User.id.type)
_MADE_WITH: Any = sa.bindparam("credential", type_=User.id.type)
"""The credential that a ticket was made with; null for an external identity."""

STATEMENTS: Mapping[tuple[Kind, type], Any] = {
    (Kind.USER, Session): users(_owned(USER, Credential.user_id == User.id, Session)),
    (Kind.USER, Secret): users(
        _owned(USER.add_columns(_MADE_BY), Credential.user_id == User.id, Secret).where(_MAKER_ACTS)
    ),
    (Kind.USER, External): users(
        USER.where(
            User.auth_provider == sa.bindparam("provider", type_=User.auth_provider.type),
            User.external_subject == sa.bindparam("subject"),
        )
    ),
    (Kind.PARTICIPANT, Session): _owned(
        _PARTICIPANT.where(Participant.login_enabled), Credential.participant_id == Participant.id, Session
    ),
    (Kind.PARTICIPANT, Secret): _owned(
        _PARTICIPANT.where(Participant.token_enabled), Credential.participant_id == Participant.id, Secret
    ),
    (Kind.DEVICE, Secret): _owned(_DEVICE, Credential.device_id == Device.id, Secret),
    (Kind.SERVICE, Secret): _services(_owned(_SERVICE, Credential.service_id == Service.id, Secret)),
    (Kind.CHALLENGE_WORKER, Secret): _owned(_CHALLENGE, Credential.challenge_id == Challenge.id, Secret),
    (Kind.SPEC_TOKEN, Secret): _SPEC_TOKEN,
    (Kind.LINK, Secret): _LINK.where(SimulationLink.secret_hash == sa.bindparam("digest")),
    (Kind.LINK, Fetch): _LINK.where(SimulationLink.id == _OWNER),
    (Kind.CHALLENGE_WORKER, Fetch): _CHALLENGE.where(Challenge.id == _OWNER),
    (Kind.USER, Fetch): users(
        USER.where(
            User.id == _OWNER,
            sa.or_(
                _MADE_WITH.is_(None),
                sa.exists().where(
                    sa.or_(Credential.id == _MADE_WITH, Credential.family == _MADE_WITH),
                    Credential.user_id == User.id,
                    LIVE,
                ),
            ),
        )
    ),
}
"""For each kind of principal and of credential: one statement that reads all there is to know."""
