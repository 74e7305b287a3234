"""Who may see which rows, and who may write them: the access matrix, as data. Each way to be allowed stands in `rules`.

Whatever selects a model adds `visible(...)`, so that no path to a row goes around it. Which fields of a row are
guarded stands where the fields are declared; their rules become SQL beside the field, so that a value that may not be
seen never leaves the database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, model_of
from resolvers.access.rules import (
    ACCOUNT_ADMIN,
    ACTOR,
    ANY_USER,
    CLUSTER_USER,
    CONCERNED,
    CREATOR,
    DEVICE_ADMIN,
    DEVICE_LINKER,
    DEVICE_OF_PARTICIPANT,
    DEVICE_SELF,
    ENROLLER,
    EVERYONE,
    FALSE,
    GRANTED_TO_ME,
    GRANTEE_ADMIN,
    GRANTER,
    GRANTING_SERVICE,
    GROUP_ADMIN,
    GROUP_FOUNDER,
    GROUP_MEMBER,
    HOME,
    INVITED,
    INVITED_PARTICIPANT,
    JOB_ADMIN,
    LINKED_SERVICE,
    LOG_ADMIN,
    MANAGER,
    MEMBERS_ADMIN,
    MEMBERS_FOUNDER,
    ORGANISED,
    OWN_DEVICE,
    OWN_PARTICIPANT,
    OWN_SERVICE,
    OWNER,
    OWNER_OF_JOB,
    OWNER_OF_SIMULATION,
    OWNER_OF_TASK,
    PARTICIPANT_NAMED,
    PARTICIPANT_OF_DEVICE,
    PARTICIPANT_SELF,
    PROJECT_ADMIN,
    PROJECT_USER,
    SELF,
    SERVICE_SELF,
    SERVING,
    SIMULATION_LINK,
    SITE_ADMIN,
    SITE_SERVICE,
    SITE_USER,
    SUPERADMIN,
    TRUE,
    USER_ADMIN,
    Clause,
    Rule,
    all_of,
    allowed,
    words,
)
from resolvers.identity.principal import Kind, Standing

Rules = tuple[Rule, ...]

# Rows ---------------------------------------------------------------------------------------------------------------

ROWS: Mapping[type[models.Entity], Rules] = {
    models.User: (ANY_USER, SELF, LINKED_SERVICE),
    models.Credential: (OWNER, OWN_PARTICIPANT, OWN_DEVICE, OWN_SERVICE, PROJECT_ADMIN, SITE_ADMIN),
    models.Preference: (OWNER,),
    models.AuditEvent: (ACTOR, CONCERNED, PROJECT_ADMIN, SITE_ADMIN),
    models.Notification: (OWNER,),
    models.NotificationTemplate: (PROJECT_ADMIN, SITE_ADMIN),
    models.UserGroup: (GROUP_MEMBER, GROUP_FOUNDER, PROJECT_USER, SITE_USER, LINKED_SERVICE, SITE_SERVICE),
    models.Role: (PROJECT_USER, SITE_USER, OWN_SERVICE),
    models.RoleGrant: (GRANTED_TO_ME, PROJECT_ADMIN, SITE_ADMIN, GRANTEE_ADMIN, GRANTING_SERVICE),
    models.Site: (SITE_USER, SITE_SERVICE),
    models.Project: (PROJECT_USER, SITE_USER, HOME, SERVING),
    models.ParticipantGroup: (PROJECT_USER, LINKED_SERVICE),
    models.Participant: (PROJECT_USER, PARTICIPANT_NAMED, PARTICIPANT_OF_DEVICE, LINKED_SERVICE),
    models.DeviceType: (ORGANISED,),
    models.DeviceSubtype: (ORGANISED,),
    models.Device: (PROJECT_USER, SITE_USER, DEVICE_OF_PARTICIPANT, DEVICE_SELF, LINKED_SERVICE),
    models.Service: (PROJECT_USER, SITE_USER, SERVICE_SELF),
    models.ServiceConfig: (OWNER, PROJECT_ADMIN, SITE_ADMIN, OWN_SERVICE),
    models.SessionType: (ORGANISED,),
    models.Session: (CREATOR, PROJECT_USER, INVITED, INVITED_PARTICIPANT, LINKED_SERVICE),
    models.Challenge: (EVERYONE,),
    models.Leaderboard: (EVERYONE,),
    models.LeaderboardEntry: (EVERYONE,),
    models.Spec: (OWNER,),
    models.Simulation: (OWNER, PROJECT_USER, SIMULATION_LINK),
    models.Cluster: (CLUSTER_USER,),
}
"""Per model: who sees a row. Superadmins see every row of each."""

THROUGH: Mapping[type[models.Entity], Any] = {
    models.SessionEvent: models.SessionEvent.session,
    models.SessionMember: models.SessionMember.session,
    models.SpecVersion: models.SpecVersion.spec,
    models.SimulationInput: models.SimulationInput.simulation,
    models.SimulationLink: models.SimulationLink.simulation,
    models.Estimator: models.Estimator.simulation,
    models.Page: models.Page.estimator,
    models.Job: models.Job.simulation,
    models.Task: models.Task.job,
    models.LogEntry: models.LogEntry.job,
}
"""Per model: the parent whose readers see its rows."""


def _of_live(*relationships: Any) -> Callable[[Any], Clause]:
    """Rows that can't be deleted by themselves are gone with what they belong to."""

    def clause(entity: Any) -> Clause:
        gone = []
        for relationship in relationships:
            ((local, _),) = relationship.property.local_remote_pairs
            place = Alias(relationship.property.mapper.class_)
            gone.append(sa.exists().where(place.id == getattr(entity, local.key), place.deleted_at.is_not(None)))
        return sa.not_(sa.or_(*gone))

    return clause


SHOWN: Mapping[type[models.Entity], Callable[[Any], Clause]] = {
    models.Credential: lambda entity: sa.or_(
        entity.kind == models.CredentialKind.API_KEY, entity.kind == models.CredentialKind.STATIC_TOKEN
    ),
    models.Role: _of_live(models.Role.service, models.Role.site, models.Role.project),
    models.NotificationTemplate: _of_live(models.NotificationTemplate.site, models.NotificationTemplate.project),
}
"""Per model of which some rows are for nobody's eyes: those that are not."""

NARROWED: Mapping[type[models.Entity], Rules] = {
    models.LogEntry: (OWNER_OF_TASK, LOG_ADMIN),
    models.SimulationLink: (OWNER_OF_SIMULATION,),
}
"""Per model: who of its parent's readers sees its rows, where that is not all of them."""

THERE: Mapping[type[models.Entity], Rules] = {
    models.User: (SELF, PROJECT_USER, SITE_USER, LINKED_SERVICE, SUPERADMIN),
    models.Participant: (PROJECT_USER, PARTICIPANT_SELF, LINKED_SERVICE, SUPERADMIN),
    models.Device: (PROJECT_USER, SITE_USER, DEVICE_SELF, LINKED_SERVICE, SUPERADMIN),
}
"""Per model of those who can be there: who is told whether they are."""

INPUT: Rules = (OWNER_OF_SIMULATION, SUPERADMIN)
"""Who reads what a simulation was given, of those who see the simulation."""


ENTAILED = {
    models.Participant.project,
    models.Participant.group,
    models.ParticipantGroup.project,
    models.Project.site,
}
"""Relationships whose target a user sees whenever the row that leads to it is seen, by the rules above."""


def reading(model: type[models.Entity]) -> Rules:
    """Who sees rows of `model`, beside superadmins."""
    if model in NARROWED:
        return NARROWED[model]
    if (through := THROUGH.get(model)) is not None:
        return reading(through.property.mapper.class_)
    return ROWS[model]


def readers(model: type[models.Entity]) -> str:
    """Who sees rows of `model`, in words."""
    return words(reading(model))


def visible(entity: Any, standing: Standing, *, via: Any = None) -> Clause:
    """The rows of `entity` (a model or an alias of one) that a principal of this standing may see.

    `via` is the relationship by which they are reached, if any: children of a parent that was read as visible need
    not ask for the parent again.
    """
    model = model_of(entity)
    live = entity.deleted_at.is_(None) if issubclass(model, models.Erasable) else TRUE
    if (shown := SHOWN.get(model)) is not None:
        live = all_of(live, shown(entity))
    if via in ENTAILED and standing.kind is Kind.USER:
        return live
    if model in NARROWED and not standing.superadmin:
        live = all_of(live, allowed(NARROWED[model], entity, standing))
    if (through := THROUGH.get(model)) is not None:
        if via is not None and via.property in through.property._reverse_property:
            return live
        if standing.superadmin and not _erasable_above(model):
            return live
        parent = Alias(through.property.mapper.class_)
        (local, remote) = through.property.local_remote_pairs[0]
        held = sa.exists().where(getattr(parent, remote.key) == getattr(entity, local.key), visible(parent, standing))
        return all_of(live, held)
    return live if standing.superadmin else all_of(live, allowed(ROWS[model], entity, standing))


@cache
def sees_part(model: type[models.Entity], standing: Standing) -> bool:
    """Whether a principal of this standing may see some rows of `model` and is taken to see few: what it reads of all
    must not grow with the rows of others."""
    if standing.superadmin or standing.wide:
        return False
    owner = model
    while (through := THROUGH.get(owner)) is not None:
        owner = through.property.mapper.class_
    seen = allowed(ROWS[owner], Alias(owner), standing)
    return seen is not TRUE and seen is not FALSE


@cache
def _erasable_above(model: type[models.Entity]) -> bool:
    """Whether a row of `model` disappears when something above it is deleted."""
    while (through := THROUGH.get(model)) is not None:
        model = through.property.mapper.class_
        if issubclass(model, models.Erasable):
            return True
    return False


# Writes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Writes:
    """Who may create, update, delete and restore rows of a model. Superadmins may, where it says so.

    A rule is asked of the row as it is; for a new or changed row also as it will be. `fields` names columns that others
    may change than those of `update`, and `given` those that not all who may create may give (none said: the same).
    `leaving` names those whose value only others may take away: who is asked of the row as it is.
    """

    create: Rules
    update: Rules
    delete: Rules
    fields: Mapping[str, Rules] = field(default_factory=dict)
    undelete: Rules | None = None
    given: Mapping[str, Rules] | None = None
    founding: Rules | None = None
    leaving: Mapping[str, Rules] = field(default_factory=dict)

    def changing(self, name: str) -> Rules:
        """Who may change a column to what it may be."""
        return self.fields.get(name, self.update)

    @property
    def giving(self) -> Mapping[str, Rules]:
        return self.fields if self.given is None else self.given

    @property
    def restore(self) -> Rules:
        """Who may delete a row may bring it back, where nothing else is said."""
        return self.delete if self.undelete is None else self.undelete


ACCOUNT: Rules = (ACCOUNT_ADMIN, SUPERADMIN)
"""Of a user: who may do what lets one in."""
_RANK: Mapping[str, Rules] = {"platform_role": (MANAGER, SUPERADMIN), "superadmin": (SUPERADMIN,)}
_ONLY_SUPERADMIN = Writes(create=(SUPERADMIN,), update=(SUPERADMIN,), delete=(SUPERADMIN,))
_PARTICIPANT_ACCOUNT: Rules = (PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)
_MOVED: Mapping[str, Rules] = {"project_id": (PROJECT_ADMIN, SUPERADMIN)}
"""From one project to another: the administrators of the one lose what those of the other get."""
DEVICE_ACCOUNT: Rules = (DEVICE_ADMIN, SUPERADMIN)
"""Of a device: who may do what lets one in. By its token one reads the participants of every site that it is in."""
_DEVICE_CARE: Rules = (SITE_ADMIN, PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)


def _links(*rules: Rule, making: Rules | None = None) -> Writes:
    """`making`: who makes one with a row that is there already, when not all of those may."""
    return Writes(create=making or rules, update=(), delete=rules, founding=rules)


WRITES: Mapping[type[models.Entity], Writes] = {
    models.User: Writes(
        create=(MANAGER, SITE_ADMIN, SUPERADMIN),
        update=(USER_ADMIN, SUPERADMIN),
        delete=(SUPERADMIN,),
        fields={**_RANK, **dict.fromkeys(("email", "email_verified", "active", "force_password_change"), ACCOUNT)},
        given=_RANK,
    ),
    models.ServerSetting: _ONLY_SUPERADMIN,
    models.Preference: Writes(create=(OWNER,), update=(OWNER,), delete=(OWNER,)),
    models.NotificationTemplate: Writes(*((PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN),) * 3),
    models.UserGroup: Writes(
        create=(GROUP_ADMIN, SUPERADMIN),
        update=(GROUP_ADMIN, GROUP_FOUNDER, SUPERADMIN),
        delete=(GROUP_ADMIN, GROUP_FOUNDER, SUPERADMIN),
    ),
    models.UserGroupMember: Writes(
        create=(ENROLLER, SUPERADMIN),
        update=(),
        delete=(MEMBERS_ADMIN, MEMBERS_FOUNDER, SUPERADMIN),
        founding=(MEMBERS_ADMIN, SUPERADMIN),
    ),
    models.Role: Writes(*((OWN_SERVICE, SUPERADMIN),) * 3),
    models.RoleGrant: Writes(
        create=(GRANTER, GRANTING_SERVICE, SUPERADMIN),
        update=(),
        delete=(PROJECT_ADMIN, SITE_ADMIN, GRANTEE_ADMIN, GRANTING_SERVICE, SUPERADMIN),
    ),
    models.Site: Writes(create=(SUPERADMIN,), update=(SITE_ADMIN, SUPERADMIN), delete=(SUPERADMIN,)),
    models.Project: Writes(
        create=(SITE_ADMIN, SITE_SERVICE, SUPERADMIN),
        update=(PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN),
        delete=(SITE_ADMIN, LINKED_SERVICE, SUPERADMIN),
        undelete=(SITE_ADMIN, SUPERADMIN),
    ),
    models.ParticipantGroup: Writes(*((PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN),) * 3, leaving=_MOVED),
    models.Participant: Writes(
        create=(PROJECT_USER, LINKED_SERVICE, SUPERADMIN),
        update=(PROJECT_USER, LINKED_SERVICE, SUPERADMIN),
        delete=(PROJECT_ADMIN, SUPERADMIN),
        fields=dict.fromkeys(("username", "email", "login_enabled", "token_enabled"), _PARTICIPANT_ACCOUNT),
        leaving=_MOVED,
    ),
    models.DeviceType: _ONLY_SUPERADMIN,
    models.DeviceSubtype: _ONLY_SUPERADMIN,
    models.Device: Writes(
        create=(SITE_ADMIN, SUPERADMIN),
        update=(SITE_ADMIN, SUPERADMIN),
        delete=(DEVICE_ADMIN, SUPERADMIN),
        undelete=(SUPERADMIN,),
        fields={
            "enabled": DEVICE_ACCOUNT,
            "config": (DEVICE_SELF, *_DEVICE_CARE),
            "notes": _DEVICE_CARE,
            "status": (DEVICE_SELF,),
        },
    ),
    models.Service: _ONLY_SUPERADMIN,
    models.ServiceConfig: Writes(*((OWNER, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN),) * 3),
    models.SiteDevice: _links(SITE_ADMIN, SUPERADMIN, making=(DEVICE_LINKER, SUPERADMIN)),
    models.ProjectDevice: _links(SITE_ADMIN, SUPERADMIN),
    models.ParticipantDevice: _links(PROJECT_ADMIN, SUPERADMIN),
    models.SiteService: _links(SUPERADMIN),
    models.ProjectService: _links(SITE_ADMIN, SUPERADMIN),
    models.Cluster: Writes(create=(), update=(SUPERADMIN,), delete=()),
    models.ClusterUserGroup: _links(SUPERADMIN),
    models.SimulationLink: _links(OWNER_OF_SIMULATION, SUPERADMIN),
    models.Session: Writes(create=(), update=(), delete=(PROJECT_ADMIN, SUPERADMIN), undelete=(SUPERADMIN,)),
    models.Simulation: Writes(create=(ANY_USER,), update=(OWNER, SUPERADMIN), delete=(OWNER, SUPERADMIN)),
    models.Job: Writes(create=(), update=(), delete=(OWNER_OF_JOB, SUPERADMIN)),
}
"""Per model that is written: who may."""

CANCEL: Rules = (OWNER_OF_JOB, JOB_ADMIN, SUPERADMIN)
"""Of a job: who may end it before it has ended."""
RETRY: Rules = (OWNER_OF_JOB, SUPERADMIN)
