"""The access rules. Each is written once: in words, with its columns of the access matrix, and as SQL over a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, model_of
from db.keys import among
from db.types import Key
from resolvers.access.administration import (
    administers_account,
    administers_grantee,
    administers_group,
    administers_user,
    enrols,
    grants,
    in_no_other_site,
    keeps_apart,
    keeps_group,
)
from resolvers.access.clauses import FALSE, TRUE, Clause, any_of, me, of_kind, some
from resolvers.access.matrix_roles import ROLES
from resolvers.access.places import (
    in_administered,
    in_administered_sites,
    in_linked_projects,
    in_linked_sites,
    in_projects,
    in_sites,
    site_says_all,
)
from resolvers.identity.principal import AccessProfile, Kind


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to be allowed something about a row: in words, its columns of the matrix, and as SQL over the row."""

    words: str
    roles: tuple[str, ...]
    clause: Callable[[Any, AccessProfile], Clause]


EVERYONE = Rule("everyone", tuple(ROLES), lambda _, __: TRUE)
SUPERADMIN = Rule("superadmins", ("XA",), lambda _, profile: TRUE if profile.superadmin else FALSE)
ANY_USER = Rule("any signed-in user", ("US", "MG", "OW", "PU", "PA", "SU", "SA", "OG"), of_kind(Kind.USER))
MANAGER = Rule("managers of the platform", ("MG",), lambda _, profile: TRUE if profile.manager else FALSE)

PROJECT_USER = Rule("users of the project", ("PU", "PA"), in_projects)
PROJECT_ADMIN = Rule("administrators of the project", ("PA",), in_administered)
SITE_USER = Rule("users of the site", ("SU", "SA"), in_sites)
SITE_ADMIN = Rule("administrators of the site", ("SA",), in_administered_sites)
LINKED_SERVICE = Rule("services linked to the project", ("SV",), in_linked_projects)
SITE_SERVICE = Rule("services linked to the site", ("SV",), in_linked_sites)
ORGANISED = Rule(
    "whoever has a part in a site",
    ("PU", "PA", "SU", "SA"),
    lambda _, profile: TRUE if profile.kind is Kind.USER and profile.in_sites else FALSE,
)
GROUP_ADMIN = Rule("administrators of every site that the group has a role in", ("SA",), administers_group("id"))
MEMBERS_ADMIN = Rule(
    "administrators of every site that the group has a role in", ("SA",), administers_group("user_group_id")
)
ENROLLER = Rule(
    "administrators of every site that the group has a role in, for users who have a part in one of theirs, and none "
    "elsewhere if the group is of a further site",
    ("SA",),
    enrols,
)
GRANTER = Rule(
    "administrators of the role's place and of every place that the grantee has a role in (a group's first role: its "
    "creator, a device's: administrators of every site that it is in, a participant group's: administrators of its "
    "project)",
    ("PA", "SA"),
    grants,
)
GRANTEE_ADMIN = Rule("administrators of the grantee", ("PA", "SA"), administers_grantee)
RETURNING = Rule("administrators of every site that the grantee is in", ("SA",), keeps_apart)
GROUP_FOUNDER = Rule("the creator of a group without roles, who administers a site", ("SA",), keeps_group("id"))
MEMBERS_FOUNDER = Rule(
    "the creator of a group without roles, who administers a site", ("SA",), keeps_group("user_group_id")
)
DEVICE_ADMIN = Rule("administrators of every site that the device is in", ("SA",), in_no_other_site("id"))
DEVICE_LINKER = Rule("administrators of every site that the device is in", ("SA",), in_no_other_site("device_id"))
ACCOUNT_ADMIN = Rule(
    "administrators of every site that the user has a role in, unless the user is a superadmin or a manager",
    ("SA",),
    administers_account,
)
USER_ADMIN = Rule("administrators of a site of the user, who is no superadmin", ("SA",), administers_user)
SERVICE = Rule("services", ("SV",), of_kind(Kind.SERVICE))


_OF_PLACES = (PROJECT_USER, PROJECT_ADMIN, SITE_USER, SITE_ADMIN, LINKED_SERVICE, SITE_SERVICE, SUPERADMIN)
PLACED: Mapping[Rule, Rule] = {**{rule: rule for rule in _OF_PLACES}, GRANTER: PROJECT_ADMIN}
"""The rule that is asked of a site or project, in place of a rule about rows that are created in it."""


def itself(kind: Kind, words: str, roles: tuple[str, ...], *, full: bool = True) -> Rule:
    """The row is the principal."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        held = profile.kind is kind and (profile.full or not full)
        return entity.id == sa.bindparam("me", type_=Key()) if held else FALSE

    return Rule(words, roles, clause)


SELF = itself(Kind.USER, "the user", ("OW",), full=False)
PARTICIPANT_SELF = itself(Kind.PARTICIPANT, "the participant", ("PT",))
PARTICIPANT_NAMED = itself(Kind.PARTICIPANT, "the participant, also with a static token", ("PT", "PL"), full=False)
DEVICE_SELF = itself(Kind.DEVICE, "the device", ("DV",))
SERVICE_SELF = itself(Kind.SERVICE, "the service", ("SV",))


def owner(words: str = "the owner", column: str = "user_id", kind: Kind = Kind.USER, roles: Any = ("OW",)) -> Rule:
    """A column of the row holds the principal's key."""
    return Rule(words, roles, lambda entity, profile: me(getattr(entity, column), profile, kind))


OWNER = owner()
CREATOR = owner("the creator", "creator_id")
ACTOR = owner("who did it", "actor_id")
CONCERNED = owner("the user whom it is about", "entity_id")
OWNING_USER = owner("the owner", "owner_user_id")


def _linked(model: type[models.Entity], own: str, other: str, kind: Kind) -> Callable[[Any, AccessProfile], Clause]:
    """The principal is at the other end of a link."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        link = Alias(model)
        mine = me(getattr(link, other), profile, kind)
        return FALSE if mine is FALSE else sa.exists().where(getattr(link, own) == entity.id, mine)

    return clause


def _home(entity: Any, profile: AccessProfile) -> Clause:
    participant = Alias(models.Participant)
    mine = me(participant.id, profile, Kind.PARTICIPANT)
    return FALSE if mine is FALSE else sa.exists().where(participant.project_id == entity.id, mine)


def _home_by_token(entity: Any, profile: AccessProfile) -> Clause:
    if profile.kind is not Kind.PARTICIPANT or profile.full:
        return FALSE
    participant = Alias(models.Participant)
    mine = participant.id == sa.bindparam("me", type_=Key())
    return sa.and_(entity.participant_sessions, sa.exists().where(mine, participant.project_id == entity.id))


def _of_my_group(entity: Any, profile: AccessProfile) -> Clause:
    member = Alias(models.UserGroupMember)
    mine = me(member.user_id, profile)
    return FALSE if mine is FALSE else sa.exists().where(member.user_group_id == entity.user_group_id, mine)


def _role_of_service(entity: Any, profile: AccessProfile) -> Clause:
    role = Alias(models.Role)
    mine = me(role.service_id, profile, Kind.SERVICE)
    return FALSE if mine is FALSE else sa.exists().where(role.id == entity.role_id, mine)


def _only_mine(entity: Any, profile: AccessProfile) -> Clause:
    """The group holds roles of the service, and no others."""
    if profile.kind is not Kind.SERVICE:
        return FALSE
    grant, role, me_ = Alias(models.RoleGrant), Alias(models.Role), sa.bindparam("me", type_=Key())
    held = (grant.user_group_id == entity.id, grant.deleted_at.is_(None))
    granted = sa.join(grant, role, role.id == grant.role_id)
    return sa.and_(some(granted, *held, role.service_id == me_), sa.not_(some(granted, *held, role.service_id != me_)))


def _linked_simulation(entity: Any, profile: AccessProfile) -> Clause:
    """The simulation of the link. It is looked up once, not per row: a list of all simulations finds it by its key."""
    return _shared(entity.id, profile)


def _job_of_link(entity: Any, profile: AccessProfile) -> Clause:
    return _shared(entity.simulation_id, profile)


def _shared(simulation: Any, profile: AccessProfile) -> Clause:
    link = Alias(models.SimulationLink)
    mine = me(link.id, profile, Kind.LINK)
    return FALSE if mine is FALSE else simulation == sa.select(link.simulation_id).where(mine).scalar_subquery()


def _for_my_group(entity: Any, profile: AccessProfile) -> Clause:
    """The cluster is for every user, or for a group of the principal. Deleted groups still count: a cluster does not
    open to all because its group was deleted."""
    link, member = Alias(models.ClusterUserGroup), Alias(models.UserGroupMember)
    mine = me(member.user_id, profile)
    if mine is FALSE:
        return FALSE
    bound = sa.exists().where(link.cluster_id == entity.id)
    of_mine = sa.join(link, member, member.user_group_id == link.user_group_id)
    return sa.or_(sa.not_(bound), some(of_mine, link.cluster_id == entity.id, mine))


GROUP_MEMBER = Rule("its members", ("OW",), _linked(models.UserGroupMember, "user_group_id", "user_id", Kind.USER))
GRANTED_TO_ME = Rule("who has the role by it", ("OW",), _of_my_group)
GRANTING_SERVICE = Rule("the service whose role it is", ("SV",), _role_of_service)
GROUP_SERVICE = Rule("the service, where it holds only roles of its own", ("SV",), _only_mine)
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
HOME_TOKEN = Rule("its participants with a static token, where it lets them make sessions", ("PL",), _home_by_token)
PROJECT_DEVICE = Rule("its devices", ("DV",), _linked(models.ProjectDevice, "project_id", "device_id", Kind.DEVICE))
OWN_PARTICIPANT = owner("the participant", "participant_id", Kind.PARTICIPANT, ("PT",))
OWN_DEVICE = owner("the device", "device_id", Kind.DEVICE, ("DV",))
OWN_SERVICE = owner("the service", "service_id", Kind.SERVICE, ("SV",))


def _of_task(entity: Any, profile: AccessProfile) -> Clause:
    job = Alias(models.Job)
    return sa.exists().where(job.id == entity.job_id, me(job.owner_user_id, profile))


def _of_simulation(entity: Any, profile: AccessProfile) -> Clause:
    simulation = Alias(models.Simulation)
    return sa.exists().where(simulation.id == entity.simulation_id, me(simulation.user_id, profile))


def _administered_log(entity: Any, profile: AccessProfile) -> Clause:
    if not profile.administers:
        return FALSE
    job = Alias(models.Job)
    return sa.exists().where(job.id == entity.job_id, among(job.project_id, "administered"))


def _of_readable_simulation(entity: Any, profile: AccessProfile) -> Clause:
    simulation = Alias(models.Simulation)
    reads = any_of(*(rule.clause(simulation, profile) for rule in (OWNER, SIMULATION_LINK)))
    found = sa.exists().where(simulation.id == entity.simulation_id, simulation.deleted_at.is_(None), reads)
    return FALSE if reads is FALSE else found


def _published(entity: Any, _: AccessProfile) -> Clause:
    return sa.and_(entity.purpose == models.FilePurpose.PUBLIC, entity.state == models.FileState.READY)


SIMULATION_LINK = Rule("whoever has a link to the simulation", ("LK",), _linked_simulation)
CLUSTER_USER = Rule("any signed-in user, or where groups are named their members", ANY_USER.roles, _for_my_group)
OWNER_OF_TASK = Rule("the owner of the job", ("OW",), _of_task)
OWNER_OF_SIMULATION = Rule("the owner of the simulation", ("OW",), _of_simulation)
LINKED_JOB = Rule("whoever has a link to the simulation", ("LK",), _job_of_link)
SIMULATION_READER = Rule("whoever reads its simulation", ("OW", "LK"), _of_readable_simulation)
PUBLISHED = Rule("everyone, where it is public", tuple(ROLES), _published)
LOG_ADMIN = Rule("administrators of its project", ("PA",), _administered_log)


def needed(rules: Sequence[Rule], model: type[models.Entity], profile: AccessProfile) -> Sequence[Rule]:
    """The rules without those that another one covers."""
    if profile.settled and SITE_USER in rules and site_says_all(model):
        return [rule for rule in rules if rule is not PROJECT_USER]
    return rules


def alternatives(rules: Sequence[Rule], entity: Any, profile: AccessProfile) -> Sequence[Clause]:
    """The clauses of the rules that may hold for a principal of this profile."""
    clauses = (rule.clause(entity, profile) for rule in needed(rules, model_of(entity), profile))
    return [clause for clause in clauses if clause is not FALSE]


def allowed(rules: Sequence[Rule], entity: Any, profile: AccessProfile) -> Clause:
    """Whether one of the rules holds for a principal of this profile; TRUE or FALSE when the row does not matter."""
    return any_of(*alternatives(rules, entity, profile))


def words(rules: Sequence[Rule]) -> str:
    return ", ".join(rule.words for rule in rules)


def unreadable(typename: str, field: str, rules: Sequence[Rule]) -> str:
    """The message for a principal who may not read a field, in the names of the schema."""
    return f"`{typename}.{field}` is readable by {words(rules)}"
