"""Ways to be allowed something, each written once: in words, for whom in the access matrix, and as SQL over a row.

Clauses depend on a principal's standing; who it is comes as the parameters `me`, `projects`, `administered`, `sites`
and `administered_sites`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, model_of
from db.keys import among, most_among
from db.types import Key
from resolvers.identity.principal import Kind, Standing

Clause = sa.ColumnElement[bool]

TRUE: Clause = sa.literal_column("true", sa.Boolean())
FALSE: Clause = sa.literal_column("false", sa.Boolean())
"""Literals: SQLAlchemy drops what stands beside its own `false()`, and with it the joins of a statement."""

ROLES = {
    "AN": "anonymous",
    "US": "active, verified user",
    "MG": "user with the platform role MANAGER",
    "OW": "owner, creator, or the row itself",
    "PU": "user of the project",
    "PA": "administrator of the project",
    "SU": "user of the site",
    "SA": "administrator of the site",
    "PT": "participant who signed in",
    "PL": "participant with a static token",
    "DV": "device",
    "SV": "service",
    "WK": "worker",
    "LK": "whoever has a link to a simulation",
    "XA": "superadmin",
}
"""The columns of the access matrix."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to be allowed something about a row: in words, its columns of the matrix, and as SQL over the row."""

    words: str
    roles: tuple[str, ...]
    clause: Callable[[Any, Standing], Clause]


def all_of(*clauses: Clause) -> Clause:
    """Every one holds; the constants fall away."""
    left = [clause for clause in clauses if clause is not TRUE]
    if any(clause is FALSE for clause in left):
        return FALSE
    return sa.and_(*left) if left else TRUE


def any_of(*clauses: Clause) -> Clause:
    """One holds; the constants fall away."""
    left = [clause for clause in clauses if clause is not FALSE]
    if any(clause is TRUE for clause in left):
        return TRUE
    return sa.or_(*left) if left else FALSE


def me(column: Any, standing: Standing, kind: Kind = Kind.USER) -> Clause:
    """The column holds the principal's key, who is of this kind and may act."""
    held = standing.kind is kind and standing.full
    return column == sa.bindparam("me", type_=Key()) if held else FALSE


def among_if(held: bool, column: Any, parameter: str) -> Clause:
    return among(column, parameter) if held else FALSE


def of_kind(*kinds: Kind) -> Callable[[Any, Standing], Clause]:
    return lambda _, standing: TRUE if standing.kind in kinds and standing.full else FALSE


def _some(tables: Any, *clauses: Clause) -> Clause:
    """There is a row of joined tables that meets all clauses. What else they name is of the statements around it,
    however far."""
    found: Any = sa.select(sa.literal_column("1")).select_from(tables).where(*clauses)
    return sa.exists(found.correlate_except(tables))


# Where a row belongs ------------------------------------------------------------------------------------------------

Held = Callable[[Any], Clause]
"""Whether a key is one of some set."""


def _link(model: type[models.Entity], own: str, other: str) -> Callable[[Any, Held], Clause]:
    def through(entity: Any, held: Held) -> Clause:
        link = Alias(model)
        return sa.exists().where(getattr(link, own) == entity.id, held(getattr(link, other)))

    return through


def _column(name: str) -> Callable[[Any, Held], Clause]:
    return lambda entity, held: held(getattr(entity, name))


def _in_project(role: Any, held: Held) -> Clause:
    return held(role.project_id)


def _in_site(role: Any, held: Held) -> Clause:
    """A role in a project makes its holder a user of the project's site."""
    project = Alias(models.Project)
    return sa.or_(held(role.site_id), sa.exists().where(project.id == role.project_id, held(project.site_id)))


def _of_core(role: Any) -> Clause:
    """What the roles of other services mean is theirs to say: here they open nothing, and keep nobody out."""
    clause: Clause = role.service_id == models.CORE
    return clause


def _granted_to_user(place: Callable[[Any, Held], Clause]) -> Callable[[Any, Held], Clause]:
    def through(entity: Any, held: Held) -> Clause:
        member, grant, role = Alias(models.UserGroupMember), Alias(models.RoleGrant), Alias(models.Role)
        by_grant = sa.join(member, grant, grant.user_group_id == member.user_group_id)
        granted = sa.join(by_grant, role, role.id == grant.role_id)
        of_user = (member.user_id == entity.id, grant.deleted_at.is_(None), _of_core(role))
        return _some(granted, *of_user, place(role, held))

    return through


def _granted(key: str, place: Callable[[Any, Held], Clause]) -> Callable[[Any, Held], Clause]:
    """A group, which the column `key` of the row names, belongs where it has a role."""

    def through(entity: Any, held: Held) -> Clause:
        grant, role = Alias(models.RoleGrant), Alias(models.Role)
        granted = sa.join(grant, role, role.id == grant.role_id)
        of_group = (grant.user_group_id == getattr(entity, key), grant.deleted_at.is_(None), _of_core(role))
        return _some(granted, *of_group, place(role, held))

    return through


def _of_grant(scope: str) -> Callable[[Any, Held], Clause]:
    def through(entity: Any, held: Held) -> Clause:
        role = Alias(models.Role)
        return sa.exists().where(role.id == entity.role_id, held(getattr(role, scope)))

    return through


def _of_member(model: type[models.Entity], key: str) -> Callable[[Any, Held], Clause]:
    """What hangs on a row with a project."""

    def through(entity: Any, held: Held) -> Clause:
        owner: Any = Alias(model)
        return sa.exists().where(owner.id == getattr(entity, key), held(owner.project_id))

    return through


def _of_owners(entity: Any, held: Held) -> Clause:
    """A config or credential belongs where the participant or device that it is of does."""
    participant, device = Alias(models.Participant), Alias(models.ProjectDevice)
    return sa.or_(
        sa.exists().where(participant.id == entity.participant_id, held(participant.project_id)),
        sa.exists().where(device.device_id == entity.device_id, held(device.project_id)),
    )


def _of_owners_site(entity: Any, held: Held) -> Clause:
    participant, project, device = Alias(models.Participant), Alias(models.Project), Alias(models.SiteDevice)
    return sa.or_(
        _some(
            sa.join(participant, project, project.id == participant.project_id),
            participant.id == entity.participant_id,
            held(project.site_id),
        ),
        sa.exists().where(device.device_id == entity.device_id, held(device.site_id)),
    )


PROJECTS: dict[type[models.Entity], Callable[[Any, Held], Clause]] = {
    models.Project: _column("id"),
    models.ParticipantGroup: _column("project_id"),
    models.Participant: _column("project_id"),
    models.Session: _column("project_id"),
    models.Simulation: _column("project_id"),
    models.AuditEvent: _column("project_id"),
    models.Role: _column("project_id"),
    models.NotificationTemplate: _column("project_id"),
    models.ProjectDevice: _column("project_id"),
    models.ProjectService: _column("project_id"),
    models.ParticipantDevice: _of_member(models.Participant, "participant_id"),
    models.Device: _link(models.ProjectDevice, "device_id", "project_id"),
    models.Service: _link(models.ProjectService, "service_id", "project_id"),
    models.User: _granted_to_user(_in_project),
    models.UserGroup: _granted("id", _in_project),
    models.UserGroupMember: _granted("user_group_id", _in_project),
    models.RoleGrant: _of_grant("project_id"),
    models.ServiceConfig: _of_owners,
    models.Credential: _of_owners,
}
"""Per model: whether a row belongs to one of some projects."""


def _of_project(own: str) -> Callable[[Any, Held], Clause]:
    def through(entity: Any, held: Held) -> Clause:
        project = Alias(models.Project)
        return sa.exists().where(project.id == getattr(entity, own), held(project.site_id))

    return through


SITES: dict[type[models.Entity], Callable[[Any, Held], Clause]] = {
    models.Site: _column("id"),
    models.Project: _column("site_id"),
    models.ParticipantGroup: _of_project("project_id"),
    models.Participant: _of_project("project_id"),
    models.Session: _of_project("project_id"),
    models.Simulation: _of_project("project_id"),
    models.AuditEvent: _column("site_id"),
    models.Role: _column("site_id"),
    models.NotificationTemplate: _column("site_id"),
    models.SiteDevice: _column("site_id"),
    models.SiteService: _column("site_id"),
    models.ProjectDevice: _of_project("project_id"),
    models.ProjectService: _of_project("project_id"),
    models.Device: _link(models.SiteDevice, "device_id", "site_id"),
    models.Service: _link(models.SiteService, "service_id", "site_id"),
    models.User: _granted_to_user(_in_site),
    models.UserGroup: _granted("id", _in_site),
    models.UserGroupMember: _granted("user_group_id", _in_site),
    models.RoleGrant: _of_grant("site_id"),
    models.ServiceConfig: _of_owners_site,
    models.Credential: _of_owners_site,
}
"""Per model: whether a row belongs to one of some sites, by itself."""


def _within(table: Any, parameter: str, flag: str, *kinds: Kind) -> Callable[[Any, Standing], Clause]:
    def clause(entity: Any, standing: Standing) -> Clause:
        if standing.kind not in kinds or not getattr(standing, flag):
            return FALSE
        kind = most_among if standing.wide else among
        clause: Clause = table[model_of(entity)](entity, lambda key: kind(key, parameter))
        return clause

    return clause


in_projects = _within(PROJECTS, "projects", "in_projects", Kind.USER)
in_administered = _within(PROJECTS, "administered", "administers", Kind.USER)
in_sites = _within(SITES, "sites", "in_sites", Kind.USER)
in_administered_sites = _within(SITES, "administered_sites", "administers_sites", Kind.USER)
in_linked_projects = _within(PROJECTS, "projects", "in_projects", Kind.SERVICE)
in_linked_sites = _within(SITES, "sites", "in_sites", Kind.SERVICE)


# The rules ----------------------------------------------------------------------------------------------------------


def _roles_of(
    holds: Callable[[Any], Clause], *which: Callable[[Any], Clause], by: Any = None, deleted: bool = False
) -> Clause:
    """There is a role that counts among those of a holder: of the core service, in a place that was not deleted, or in
    any. `by` are members of groups that hold it."""
    grant, role = Alias(models.RoleGrant), Alias(models.Role)
    site, project = Alias(models.Site), Alias(models.Project)
    gone = sa.or_(
        sa.exists().where(site.id == role.site_id, site.deleted_at.is_not(None)),
        sa.exists().where(project.id == role.project_id, project.deleted_at.is_not(None)),
    )
    counts = (holds(grant), grant.deleted_at.is_(None), _of_core(role), *(() if deleted else (sa.not_(gone),)))
    granted = sa.join(grant, role, role.id == grant.role_id)
    if by is not None:
        granted = sa.join(by, granted, grant.user_group_id == by.user_group_id)
    return _some(granted, *counts, *(clause(role) for clause in which))


def _outside(standing: Standing) -> Callable[[Any], Clause]:
    """The role is in a place that the principal does not administer."""

    def clause(role: Any) -> Clause:
        held = any_of(
            among_if(standing.administers, role.project_id, "administered"),
            among_if(standing.administers_sites, role.site_id, "administered_sites"),
        )
        return sa.not_(sa.func.coalesce(held, FALSE))

    return clause


def _elsewhere(standing: Standing) -> Callable[[Any], Clause]:
    """The role is in a site, or in a project of a site, that the principal does not administer."""

    def clause(role: Any) -> Clause:
        if not standing.administers_sites:
            return TRUE
        return sa.not_(sa.func.coalesce(_in_site(role, lambda key: among(key, "administered_sites")), FALSE))

    return clause


def _site_of(role: Any) -> Any:
    project = Alias(models.Project)
    within = sa.select(project.site_id).where(project.id == role.project_id).correlate_except(project).scalar_subquery()
    return sa.func.coalesce(role.site_id, within)


def _brings(holds: Callable[[Any], Clause], site: Any, standing: Standing, by: Any = None) -> Clause:
    """A role in the site brings a holder into a further site, who has a role in one that the principal does not
    administer: the administrators of that one would no longer administer the holder."""
    there = _roles_of(holds, lambda role: _site_of(role) == site, by=by)
    return sa.and_(_roles_of(holds, _elsewhere(standing), by=by), sa.not_(there))


def _keeps_apart(entity: Any, standing: Standing, *, known: bool = False) -> Clause:
    """The grant brings neither its group nor a member of it into a further site against those who administer them;
    `known`: nor a member who has no part in a site of the principal's."""
    role, whom, member = Alias(models.Role), Alias(models.UserGroupMember), Alias(models.UserGroupMember)
    site = sa.select(_site_of(role)).where(role.id == entity.role_id).correlate_except(role).scalar_subquery()

    def of_group(grant: Any) -> Clause:
        return sa.and_(grant.user_group_id == entity.user_group_id, grant.id != entity.id)

    def of_user(grant: Any) -> Clause:
        return sa.and_(member.user_id == whom.user_id, grant.id != entity.id)

    brought = _brings(of_user, site, standing, by=member)
    if known:
        there = _roles_of(of_user, lambda role: _site_of(role) == site, by=member)
        inside = _roles_of(of_user, lambda role: sa.not_(_elsewhere(standing)(role)), by=member, deleted=True)
        brought = sa.or_(brought, sa.not_(sa.or_(there, inside)))
    someone = sa.exists().where(whom.user_group_id == entity.user_group_id, brought)
    return sa.not_(sa.or_(_brings(of_group, site, standing), someone))


def _to_group(entity: Any, key: str) -> Callable[[Any], Clause]:
    """The grants to the group that the column `key` of the row names."""

    def holds(grant: Any) -> Clause:
        clause: Clause = grant.user_group_id == getattr(entity, key)
        return clause

    return holds


def _named(
    model: type[models.Entity], entity: Any, key: str, clause: Callable[[Any, Standing], Clause], standing: Standing
) -> Clause:
    """The row of `model` that the column `key` of the entity names meets a clause."""
    row = Alias(model)
    met = clause(row, standing)
    return FALSE if met is FALSE else sa.exists().where(row.id == getattr(entity, key), met)


def _administers_group(key: str) -> Callable[[Any, Standing], Clause]:
    def clause(entity: Any, standing: Standing) -> Clause:
        within = in_administered_sites(entity, standing)
        if within is FALSE:
            return FALSE
        return sa.and_(within, sa.not_(_roles_of(_to_group(entity, key), _elsewhere(standing))))

    return clause


def _founded(key: str) -> Callable[[Any, Standing], Clause]:
    """The principal, who administers a site, made the group."""

    def made(group: Any, standing: Standing) -> Clause:
        return me(group.creator_id, standing) if standing.administers_sites else FALSE

    return lambda entity, standing: _named(models.UserGroup, entity, key, made, standing)


def _keeps_group(key: str) -> Callable[[Any, Standing], Clause]:
    """The principal, who administers a site, made the group, and it has no role."""

    def clause(entity: Any, standing: Standing) -> Clause:
        founded = _founded(key)(entity, standing)
        if founded is FALSE:
            return FALSE
        return sa.and_(founded, sa.not_(_roles_of(_to_group(entity, key), deleted=True)))

    return clause


def _grants(entity: Any, standing: Standing) -> Clause:
    """Whose role it becomes may be led by others: each place that the grantee has a role in already must be one that
    the principal administers. The first role is given by whoever the grantee belongs to."""
    here = any_of(in_administered(entity, standing), in_administered_sites(entity, standing))
    if here is FALSE:
        return FALSE

    def holds(grant: Any) -> Clause:
        columns = ("user_group_id", "device_id", "participant_group_id")
        return sa.or_(*(getattr(grant, column) == getattr(entity, column) for column in columns))

    def holds_already(grant: Any) -> Clause:
        return sa.and_(holds(grant), grant.id != entity.id)

    founded = _founded("user_group_id")(entity, standing)
    belongs = any_of(
        FALSE if founded is FALSE else sa.and_(founded, sa.not_(_roles_of(holds_already, deleted=True))),
        _administers_placed(entity, standing),
    )
    return sa.and_(
        here,
        sa.not_(_roles_of(holds, _outside(standing))),
        any_of(_roles_of(holds_already), belongs),
        _keeps_apart(entity, standing, known=True),
    )


def _administers_placed(entity: Any, standing: Standing) -> Clause:
    """The grant is to a device or a group of participants, which are in a place whatever roles they have, and the
    principal administers that place."""
    return any_of(
        _named(models.Device, entity, "device_id", _in_no_other_site("id"), standing),
        _named(models.ParticipantGroup, entity, "participant_group_id", in_administered, standing),
    )


def _administers_grantee(entity: Any, standing: Standing) -> Clause:
    own_group = _named(models.UserGroup, entity, "user_group_id", _administers_group("id"), standing)
    return any_of(own_group, _administers_placed(entity, standing))


def _enrols(entity: Any, standing: Standing) -> Clause:
    """Who puts somebody into a group may do with the account what that group allows: so it is for users who have a
    part in a site of theirs already, by another group. Into a further site they are brought by who administers every
    site that they are in."""
    administers = any_of(
        _administers_group("user_group_id")(entity, standing), _keeps_group("user_group_id")(entity, standing)
    )
    if administers is FALSE:
        return FALSE
    other = Alias(models.UserGroupMember)
    known = in_administered_sites(other, standing)
    grant, role, member = Alias(models.RoleGrant), Alias(models.Role), Alias(models.UserGroupMember)

    def holds(_: Any) -> Clause:
        return sa.and_(member.user_id == entity.user_id, member.id != entity.id)

    brought = _some(
        sa.join(grant, role, role.id == grant.role_id),
        grant.user_group_id == entity.user_group_id,
        grant.deleted_at.is_(None),
        _of_core(role),
        _brings(holds, _site_of(role), standing, by=member),
    )
    return sa.and_(
        administers,
        sa.exists().where(other.user_id == entity.user_id, other.id != entity.id, known),
        sa.not_(brought),
    )


def _in_no_other_site(key: str) -> Callable[[Any, Standing], Clause]:
    """The device is in no site that the principal does not administer."""

    def clause(entity: Any, standing: Standing) -> Clause:
        within = in_administered_sites(entity, standing)
        if within is FALSE:
            return FALSE
        link = Alias(models.SiteDevice)
        elsewhere = sa.not_(among(link.site_id, "administered_sites"))
        return sa.and_(within, sa.not_(sa.exists().where(link.device_id == getattr(entity, key), elsewhere)))

    return clause


def _administers_account(entity: Any, standing: Standing) -> Clause:
    """Who may take over an account must be able to do all that it can do."""
    within = _administers_user(entity, standing)
    if within is FALSE:
        return FALSE

    member = Alias(models.UserGroupMember)

    def holds(_: Any) -> Clause:
        clause: Clause = member.user_id == entity.id
        return clause

    elsewhere = _roles_of(holds, _elsewhere(standing), by=member)
    return sa.and_(within, entity.platform_role != models.PlatformRole.MANAGER, sa.not_(elsewhere))


def _administers_user(entity: Any, standing: Standing) -> Clause:
    within = in_administered_sites(entity, standing)
    return FALSE if within is FALSE else sa.and_(within, sa.not_(entity.superadmin))


EVERYONE = Rule("everyone", tuple(ROLES), lambda _, __: TRUE)
SUPERADMIN = Rule("superadmins", ("XA",), lambda _, standing: TRUE if standing.superadmin else FALSE)
ANY_USER = Rule("any signed-in user", ("US", "MG", "OW", "PU", "PA", "SU", "SA"), of_kind(Kind.USER))
MANAGER = Rule("managers of the platform", ("MG",), lambda _, standing: TRUE if standing.manager else FALSE)

PROJECT_USER = Rule("users of the project", ("PU", "PA"), in_projects)
PROJECT_ADMIN = Rule("administrators of the project", ("PA",), in_administered)
SITE_USER = Rule("users of the site", ("SU", "SA"), in_sites)
SITE_ADMIN = Rule("administrators of the site", ("SA",), in_administered_sites)
LINKED_SERVICE = Rule("services linked to the project", ("SV",), in_linked_projects)
SITE_SERVICE = Rule("services linked to the site", ("SV",), in_linked_sites)
ORGANISED = Rule(
    "whoever has a part in a site",
    ("PU", "PA", "SU", "SA"),
    lambda _, standing: TRUE if standing.kind is Kind.USER and standing.in_sites else FALSE,
)
GROUP_ADMIN = Rule("administrators of every site that the group has a role in", ("SA",), _administers_group("id"))
MEMBERS_ADMIN = Rule(
    "administrators of every site that the group has a role in", ("SA",), _administers_group("user_group_id")
)
ENROLLER = Rule(
    "administrators of every site that the group has a role in, for users who have a part in one of theirs, and none "
    "elsewhere if the group is of a further site",
    ("SA",),
    _enrols,
)
GRANTER = Rule(
    "administrators of the role's place and of every place that the grantee has a role in (a group's first role: its "
    "creator, a device's: administrators of every site that it is in, a participant group's: administrators of its "
    "project)",
    ("PA", "SA"),
    _grants,
)
GRANTEE_ADMIN = Rule("administrators of the grantee", ("PA", "SA"), _administers_grantee)
RETURNING = Rule("administrators of every site that the grantee is in", ("SA",), _keeps_apart)
GROUP_FOUNDER = Rule("the creator of a group without roles, who administers a site", ("SA",), _keeps_group("id"))
MEMBERS_FOUNDER = Rule(
    "the creator of a group without roles, who administers a site", ("SA",), _keeps_group("user_group_id")
)
DEVICE_ADMIN = Rule("administrators of every site that the device is in", ("SA",), _in_no_other_site("id"))
DEVICE_LINKER = Rule("administrators of every site that the device is in", ("SA",), _in_no_other_site("device_id"))
ACCOUNT_ADMIN = Rule(
    "administrators of every site that the user has a role in, unless the user is a superadmin or a manager",
    ("SA",),
    _administers_account,
)
USER_ADMIN = Rule("administrators of a site of the user, who is no superadmin", ("SA",), _administers_user)
SERVICE = Rule("services", ("SV",), of_kind(Kind.SERVICE))


_OF_PLACES = (PROJECT_USER, PROJECT_ADMIN, SITE_USER, SITE_ADMIN, LINKED_SERVICE, SITE_SERVICE, SUPERADMIN)
PLACED: Mapping[Rule, Rule] = {**{rule: rule for rule in _OF_PLACES}, GRANTER: PROJECT_ADMIN}
"""What is asked of a site or a project in place of a rule about what is made in it."""


def itself(kind: Kind, words: str, roles: tuple[str, ...], *, full: bool = True) -> Rule:
    """The row is the principal."""

    def clause(entity: Any, standing: Standing) -> Clause:
        held = standing.kind is kind and (standing.full or not full)
        return entity.id == sa.bindparam("me", type_=Key()) if held else FALSE

    return Rule(words, roles, clause)


SELF = itself(Kind.USER, "the user", ("OW",), full=False)
PARTICIPANT_SELF = itself(Kind.PARTICIPANT, "the participant", ("PT",))
PARTICIPANT_NAMED = itself(Kind.PARTICIPANT, "the participant, also with a static token", ("PT", "PL"), full=False)
DEVICE_SELF = itself(Kind.DEVICE, "the device", ("DV",))
SERVICE_SELF = itself(Kind.SERVICE, "the service", ("SV",))


def owner(words: str = "the owner", column: str = "user_id", kind: Kind = Kind.USER, roles: Any = ("OW",)) -> Rule:
    """A column of the row holds the principal's key."""
    return Rule(words, roles, lambda entity, standing: me(getattr(entity, column), standing, kind))


OWNER = owner()
CREATOR = owner("the creator", "creator_id")
ACTOR = owner("who did it", "actor_id")
CONCERNED = owner("the user whom it is about", "entity_id")
OWNER_OF_JOB = owner("the owner", "owner_user_id")


def _linked(model: type[models.Entity], own: str, other: str, kind: Kind) -> Callable[[Any, Standing], Clause]:
    """The principal is at the other end of a link."""

    def clause(entity: Any, standing: Standing) -> Clause:
        link = Alias(model)
        mine = me(getattr(link, other), standing, kind)
        return FALSE if mine is FALSE else sa.exists().where(getattr(link, own) == entity.id, mine)

    return clause


def _home(entity: Any, standing: Standing) -> Clause:
    participant = Alias(models.Participant)
    mine = me(participant.id, standing, Kind.PARTICIPANT)
    return FALSE if mine is FALSE else sa.exists().where(participant.project_id == entity.id, mine)


def _invited(column: str, kind: Kind) -> Callable[[Any, Standing], Clause]:
    def clause(entity: Any, standing: Standing) -> Clause:
        member = Alias(models.SessionMember)
        mine = me(getattr(member, column), standing, kind)
        if mine is FALSE:
            return FALSE
        return sa.exists().where(member.session_id == entity.id, member.deleted_at.is_(None), mine)

    return clause


def _of_my_group(entity: Any, standing: Standing) -> Clause:
    member = Alias(models.UserGroupMember)
    mine = me(member.user_id, standing)
    return FALSE if mine is FALSE else sa.exists().where(member.user_group_id == entity.user_group_id, mine)


def _role_of_service(entity: Any, standing: Standing) -> Clause:
    role = Alias(models.Role)
    mine = me(role.service_id, standing, Kind.SERVICE)
    return FALSE if mine is FALSE else sa.exists().where(role.id == entity.role_id, mine)


def _linked_simulation(entity: Any, standing: Standing) -> Clause:
    """The link is looked up once, not per row: a list of all simulations is found by its key."""
    link = Alias(models.SimulationLink)
    mine = me(link.id, standing, Kind.LINK)
    return FALSE if mine is FALSE else entity.id == sa.select(link.simulation_id).where(mine).scalar_subquery()


def _for_my_group(entity: Any, standing: Standing) -> Clause:
    """Groups that were deleted still bound whom it is for: nothing opens to all because a group went."""
    link, member = Alias(models.ClusterUserGroup), Alias(models.UserGroupMember)
    mine = me(member.user_id, standing)
    if mine is FALSE:
        return FALSE
    bound = sa.exists().where(link.cluster_id == entity.id)
    of_mine = sa.join(link, member, member.user_group_id == link.user_group_id)
    return sa.or_(sa.not_(bound), _some(of_mine, link.cluster_id == entity.id, mine))


GROUP_MEMBER = Rule("its members", ("OW",), _linked(models.UserGroupMember, "user_group_id", "user_id", Kind.USER))
GRANTED_TO_ME = Rule("who has the role by it", ("OW",), _of_my_group)
GRANTING_SERVICE = Rule("the service whose role it is", ("SV",), _role_of_service)
DEVICE_OF_PARTICIPANT = Rule(
    "the device's participants",
    ("PT",),
    _linked(models.ParticipantDevice, "device_id", "participant_id", Kind.PARTICIPANT),
)
PARTICIPANT_OF_DEVICE = Rule(
    "the participant's devices", ("DV",), _linked(models.ParticipantDevice, "participant_id", "device_id", Kind.DEVICE)
)
SERVING = Rule(
    "services linked to it", ("SV",), _linked(models.ProjectService, "project_id", "service_id", Kind.SERVICE)
)
HOME = Rule("its participants", ("PT",), _home)
INVITED = Rule("invited users", ("OW",), _invited("user_id", Kind.USER))
INVITED_PARTICIPANT = Rule("participants in it", ("PT",), _invited("participant_id", Kind.PARTICIPANT))
OWN_PARTICIPANT = owner("the participant", "participant_id", Kind.PARTICIPANT, ("PT",))
OWN_DEVICE = owner("the device", "device_id", Kind.DEVICE, ("DV",))
OWN_SERVICE = owner("the service", "service_id", Kind.SERVICE, ("SV",))


def _of_task(entity: Any, standing: Standing) -> Clause:
    job = Alias(models.Job)
    return sa.exists().where(job.id == entity.job_id, me(job.owner_user_id, standing))


def _of_simulation(entity: Any, standing: Standing) -> Clause:
    simulation = Alias(models.Simulation)
    return sa.exists().where(simulation.id == entity.simulation_id, me(simulation.user_id, standing))


def _administered_log(entity: Any, standing: Standing) -> Clause:
    if not standing.administers:
        return FALSE
    job = Alias(models.Job)
    return sa.exists().where(job.id == entity.job_id, _administered_job(job, standing))


def _administered_job(entity: Any, standing: Standing) -> Clause:
    if not standing.administers:
        return FALSE
    simulation = Alias(models.Simulation)
    administered = among(simulation.project_id, "administered")
    return sa.exists().where(simulation.id == entity.simulation_id, administered)


SIMULATION_LINK = Rule("whoever has a link to the simulation", ("LK",), _linked_simulation)
CLUSTER_USER = Rule("any signed-in user, or where groups are named their members", ANY_USER.roles, _for_my_group)
OWNER_OF_TASK = Rule("the owner of the job", ("OW",), _of_task)
OWNER_OF_SIMULATION = Rule("the owner of the simulation", ("OW",), _of_simulation)
JOB_ADMIN = Rule("administrators of its project", ("PA",), _administered_job)
LOG_ADMIN = Rule("administrators of its project", ("PA",), _administered_log)


def allowed(rules: Sequence[Rule], entity: Any, standing: Standing) -> Clause:
    """Whether one of the rules holds for a principal of this standing; TRUE or FALSE where the row does not matter."""
    return any_of(*(rule.clause(entity, standing) for rule in rules))


def words(rules: Sequence[Rule]) -> str:
    return ", ".join(rule.words for rule in rules)
