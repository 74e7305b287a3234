"""The place of a row: the project and the site that it belongs to.

A row with `project_id` or `site_id` belongs to that project or site. For other models the policy names one of the
functions of this module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, model_of
from db.keys import among, most_among
from resolvers.access.clauses import FALSE, Clause, some
from resolvers.identity.principal import AccessProfile, Kind, groups_of

OneOf = Callable[[Any], Clause]
"""A test of a key: the clause that it is one of a set."""


@dataclass(frozen=True, slots=True)
class Some:
    """One of the places in a parameter."""

    parameter: str

    def __call__(self, key: Any) -> Clause:
        return among(key, self.parameter)


class Most(Some):
    """The same, for places that have most of the rows."""

    def __call__(self, key: Any) -> Clause:
        return most_among(key, self.parameter)


Belongs = Callable[[Any, OneOf], Clause]
"""Whether a row belongs to one of some places. The second argument tests the key of a place."""


def by_link(model: type[models.Entity], own: str, other: str) -> Belongs:
    def through(entity: Any, held: OneOf) -> Clause:
        link = Alias(model)
        links = sa.select(getattr(link, own)).where(getattr(link, own) == entity.id, held(getattr(link, other)))
        if isinstance(held, Most):
            links = links.offset(sa.literal_column("0"))  # else PostgreSQL reads all links first
        return links.exists()

    return through


def by_column(name: str) -> Belongs:
    return lambda entity, held: held(getattr(entity, name))


def in_project(role: Any, held: OneOf) -> Clause:
    return held(role.project_id)


def in_site(role: Any, held: OneOf) -> Clause:
    """The role is in the site, or in a project of it: a role in a project makes its holder a user of the project's
    site."""
    project = Alias(models.Project)
    return sa.or_(held(role.site_id), sa.exists().where(project.id == role.project_id, held(project.site_id)))


def of_core(role: Any) -> Clause:
    """The role is of the core service. Roles of other services mean what those services say: here they grant and refuse
    nothing."""
    clause: Clause = role.service_id == models.CORE
    return clause


@dataclass(frozen=True)
class ByGroups:
    """A group belongs to each place in which it has a role, a user to those of the groups that they are a member of.

    `key` is the column with the group; None for a user. `place` says where a role is.
    """

    place: Belongs
    key: str | None = None

    def __call__(self, entity: Any, held: OneOf) -> Clause:
        grant, role = Alias(models.RoleGrant), Alias(models.Role)
        granted, clauses = sa.join(grant, role, role.id == grant.role_id), [grant.deleted_at.is_(None), of_core(role)]
        if self.key is None:
            member = Alias(models.UserGroupMember)
            granted = sa.join(member, granted, grant.user_group_id == member.user_group_id)
            clauses.insert(0, member.user_id == entity.id)
        else:
            clauses.insert(0, grant.user_group_id == getattr(entity, self.key))
        return some(granted, *clauses, self.place(role, held))

    def known(self, entity: Any, parameter: str) -> Clause:
        """The same, where the groups are known that have a role in the places of `parameter`."""
        groups = groups_of(parameter)
        if self.key is not None:
            return among(getattr(entity, self.key), groups)
        member = Alias(models.UserGroupMember)
        return sa.exists().where(member.user_id == entity.id, most_among(member.user_group_id, groups))


def of_user(place: Belongs) -> ByGroups:
    return ByGroups(place)


def of_group(key: str, place: Belongs) -> ByGroups:
    """The group that the column `key` of the row refers to belongs to each place in which it has a role."""
    return ByGroups(place, key)


def of_grant(scope: str) -> Belongs:
    def through(entity: Any, held: OneOf) -> Clause:
        role = Alias(models.Role)
        return sa.exists().where(role.id == entity.role_id, held(getattr(role, scope)))

    return through


def by_parent(model: type[models.Entity], key: str) -> Belongs:
    """A row belongs to the project of the row of `model` that its column `key` refers to."""

    def through(entity: Any, held: OneOf) -> Clause:
        owner: Any = Alias(model)
        return sa.exists().where(owner.id == getattr(entity, key), held(owner.project_id))

    return through


def of_owners(entity: Any, held: OneOf) -> Clause:
    """A configuration or credential belongs to the projects of its participant or device."""
    participant, device = Alias(models.Participant), Alias(models.ProjectDevice)
    return sa.or_(
        sa.exists().where(participant.id == entity.participant_id, held(participant.project_id)),
        sa.exists().where(device.device_id == entity.device_id, held(device.project_id)),
    )


def of_owners_site(entity: Any, held: OneOf) -> Clause:
    participant, project, device = Alias(models.Participant), Alias(models.Project), Alias(models.SiteDevice)
    return sa.or_(
        some(
            sa.join(participant, project, project.id == participant.project_id),
            participant.id == entity.participant_id,
            held(project.site_id),
        ),
        sa.exists().where(device.device_id == entity.device_id, held(device.site_id)),
    )


def _by_project(entity: Any, held: OneOf) -> Clause:
    """A row belongs to the site of its project."""
    project = Alias(models.Project)
    return sa.exists().where(project.id == entity.project_id, held(project.site_id))


_DECLARED: dict[type[models.Entity], tuple[Belongs | None, Belongs | None]] = {}
"""The models whose policies say so: to which projects, and to which sites, their rows belong."""


def declare(model: type[models.Entity], project: Belongs | None, site: Belongs | None) -> None:
    _DECLARED[model] = project, site
    project_of.cache_clear()
    site_of.cache_clear()


@cache
def project_of(model: type[models.Entity]) -> Belongs | None:
    """Whether a row belongs to one of some projects: as the policy says, or else by its `project_id`."""
    declared, _ = _DECLARED.get(model, (None, None))
    return declared or (by_column("project_id") if hasattr(model, "project_id") else None)


@cache
def site_of(model: type[models.Entity]) -> Belongs | None:
    """Whether a row itself belongs to one of some sites: as the policy says, or else by its `site_id`, or by the site
    of its project."""
    _, declared = _DECLARED.get(model, (None, None))
    if declared is not None:
        return declared
    if hasattr(model, "site_id"):
        return by_column("site_id")
    return _by_project if hasattr(model, "project_id") else None


@cache
def site_says_all(model: type[models.Entity]) -> bool:
    """Whether every row that belongs to a project belongs to the project's site as well. Then a user of the project,
    who is always a user of its site, need not be looked for."""
    project, site = project_of(model), site_of(model)
    if isinstance(project, ByGroups) and isinstance(site, ByGroups):
        return project.place is in_project and site.place is in_site
    return site is _by_project or model is models.Project


def _within(
    place: Callable[[type[models.Entity]], Belongs | None], parameter: str, flag: str, kind: Kind
) -> Callable[[Any, AccessProfile], Clause]:
    def clause(entity: Any, profile: AccessProfile) -> Clause:
        if profile.kind is not kind or not getattr(profile, flag):
            return FALSE
        belongs = place(model_of(entity))
        assert belongs is not None, f"a {model_of(entity).__name__} belongs to no such place"
        if profile.settled and isinstance(belongs, ByGroups):
            return belongs.known(entity, parameter)
        return belongs(entity, (Most if profile.wide else Some)(parameter))

    return clause


in_projects = _within(project_of, "projects", "in_projects", Kind.USER)
in_administered = _within(project_of, "administered", "administers", Kind.USER)
in_sites = _within(site_of, "sites", "in_sites", Kind.USER)
in_administered_sites = _within(site_of, "administered_sites", "administers_sites", Kind.USER)
in_linked_projects = _within(project_of, "projects", "in_projects", Kind.SERVICE)
in_linked_sites = _within(site_of, "sites", "in_sites", Kind.SERVICE)
