"""The rules for administering groups of users, accounts, devices and grants.

An administrator of any of these must administer every site and project that it has a role in. Otherwise one could gain
rights through it that nobody granted.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.keys import among
from resolvers.access.clauses import FALSE, TRUE, Clause, among_if, any_of, me, some
from resolvers.access.places import in_administered, in_administered_sites, in_site, of_core
from resolvers.identity.principal import AccessProfile


def roles_of(
    holds: Callable[[Any], Clause], *which: Callable[[Any], Clause], by: Any = None, deleted: bool = False
) -> Clause:
    """Whether a holder has a role that meets all of `which`: a role of the core service, in a place that was not
    deleted (with `deleted`, in any place). `by` is the membership by which a user holds the roles of groups."""
    grant, role = Alias(models.RoleGrant), Alias(models.Role)
    site, project = Alias(models.Site), Alias(models.Project)
    gone = sa.or_(
        sa.exists().where(site.id == role.site_id, site.deleted_at.is_not(None)),
        sa.exists().where(project.id == role.project_id, project.deleted_at.is_not(None)),
    )
    counts = (holds(grant), grant.deleted_at.is_(None), of_core(role), *(() if deleted else (sa.not_(gone),)))
    granted = sa.join(grant, role, role.id == grant.role_id)
    if by is not None:
        granted = sa.join(by, granted, grant.user_group_id == by.user_group_id)
    return some(granted, *counts, *(clause(role) for clause in which))


def _outside(profile: AccessProfile) -> Callable[[Any], Clause]:
    """The role is in a place that the principal does not administer."""

    def clause(role: Any) -> Clause:
        held = any_of(
            among_if(profile.administers, role.project_id, "administered"),
            among_if(profile.administers_sites, role.site_id, "administered_sites"),
        )
        return sa.not_(sa.func.coalesce(held, FALSE))

    return clause


def _elsewhere(profile: AccessProfile) -> Callable[[Any], Clause]:
    """The role is in a site, or in a project of a site, that the principal does not administer."""

    def clause(role: Any) -> Clause:
        if not profile.administers_sites:
            return TRUE
        return sa.not_(sa.func.coalesce(in_site(role, lambda key: among(key, "administered_sites")), FALSE))

    return clause


def _site_of(role: Any) -> Any:
    project = Alias(models.Project)
    within = sa.select(project.site_id).where(project.id == role.project_id).correlate_except(project).scalar_subquery()
    return sa.func.coalesce(role.site_id, within)


def _brings(holds: Callable[[Any], Clause], site: Any, profile: AccessProfile, by: Any = None) -> Clause:
    """A role in the site would bring a holder into a further site, although the holder has a role in a site that the
    principal does not administer. The administrators of that site would then no longer administer the holder."""
    there = roles_of(holds, lambda role: _site_of(role) == site, by=by)
    return sa.and_(roles_of(holds, _elsewhere(profile), by=by), sa.not_(there))


def keeps_apart(entity: Any, profile: AccessProfile, *, known: bool = False) -> Clause:
    """The grant brings neither its group nor a member into a further site, unless the principal administers all sites
    that they have roles in: otherwise their present administrators would no longer administer them. With `known`, it
    also brings in no member who has no part in a site of the principal's."""
    role, whom, member = Alias(models.Role), Alias(models.UserGroupMember), Alias(models.UserGroupMember)
    site = sa.select(_site_of(role)).where(role.id == entity.role_id).correlate_except(role).scalar_subquery()

    def of_group(grant: Any) -> Clause:
        return sa.and_(grant.user_group_id == entity.user_group_id, grant.id != entity.id)

    def of_user(grant: Any) -> Clause:
        return sa.and_(member.user_id == whom.user_id, grant.id != entity.id)

    brought = _brings(of_user, site, profile, by=member)
    if known:
        there = roles_of(of_user, lambda role: _site_of(role) == site, by=member)
        inside = roles_of(of_user, lambda role: sa.not_(_elsewhere(profile)(role)), by=member, deleted=True)
        brought = sa.or_(brought, sa.not_(sa.or_(there, inside)))
    someone = sa.exists().where(whom.user_group_id == entity.user_group_id, brought)
    return sa.not_(sa.or_(_brings(of_group, site, profile), someone))


def _to_group(entity: Any, key: str) -> Callable[[Any], Clause]:
    """The grants to the group that the column `key` of the row refers to."""

    def holds(grant: Any) -> Clause:
        clause: Clause = grant.user_group_id == getattr(entity, key)
        return clause

    return holds


def _named(
    model: type[models.Entity],
    entity: Any,
    key: str,
    clause: Callable[[Any, AccessProfile], Clause],
    profile: AccessProfile,
) -> Clause:
    """The row of `model` that the column `key` of the entity refers to meets a clause."""
    row = Alias(model)
    met = clause(row, profile)
    return FALSE if met is FALSE else sa.exists().where(row.id == getattr(entity, key), met)


def administers_group(key: str) -> Callable[[Any, AccessProfile], Clause]:
    def clause(entity: Any, profile: AccessProfile) -> Clause:
        within = in_administered_sites(entity, profile)
        if within is FALSE:
            return FALSE
        return sa.and_(within, sa.not_(roles_of(_to_group(entity, key), _elsewhere(profile))))

    return clause


def _founded(key: str) -> Callable[[Any, AccessProfile], Clause]:
    """The principal, who administers a site, made the group."""

    def made(group: Any, profile: AccessProfile) -> Clause:
        return me(group.creator_id, profile) if profile.administers_sites else FALSE

    return lambda entity, profile: _named(models.UserGroup, entity, key, made, profile)


def keeps_group(key: str) -> Callable[[Any, AccessProfile], Clause]:
    """The principal, who administers a site, made the group, and it has no role."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        founded = _founded(key)(entity, profile)
        if founded is FALSE:
            return FALSE
        return sa.and_(founded, sa.not_(roles_of(_to_group(entity, key), deleted=True)))

    return clause


def grants(entity: Any, profile: AccessProfile) -> Clause:
    """The principal administers each place in which the grantee already has a role, because those who administer it
    there answer for it. A first role is granted by those whom the grantee belongs to."""
    here = any_of(in_administered(entity, profile), in_administered_sites(entity, profile))
    if here is FALSE:
        return FALSE

    def holds(grant: Any) -> Clause:
        columns = ("user_group_id", "device_id", "participant_group_id")
        return sa.or_(*(getattr(grant, column) == getattr(entity, column) for column in columns))

    def holds_already(grant: Any) -> Clause:
        return sa.and_(holds(grant), grant.id != entity.id)

    founded = _founded("user_group_id")(entity, profile)
    belongs = any_of(
        FALSE if founded is FALSE else sa.and_(founded, sa.not_(roles_of(holds_already, deleted=True))),
        _administers_placed(entity, profile),
    )
    return sa.and_(
        here,
        sa.not_(roles_of(holds, _outside(profile))),
        any_of(roles_of(holds_already), belongs),
        keeps_apart(entity, profile, known=True),
    )


def _administers_placed(entity: Any, profile: AccessProfile) -> Clause:
    """The grantee is a device or a participant group in a place that the principal administers. These belong to a place
    whatever roles they have."""
    return any_of(
        _named(models.Device, entity, "device_id", in_no_other_site("id"), profile),
        _named(models.ParticipantGroup, entity, "participant_group_id", in_administered, profile),
    )


def administers_grantee(entity: Any, profile: AccessProfile) -> Clause:
    own_group = _named(models.UserGroup, entity, "user_group_id", administers_group("id"), profile)
    return any_of(own_group, _administers_placed(entity, profile))


def enrols(entity: Any, profile: AccessProfile) -> Clause:
    """The principal may put the user into the group. A member's account falls under the group's administrators, so the
    user must already have a part, by another group, in a site that the principal administers. Only a principal who
    administers every site of the user may bring the user into a further site."""
    administers = any_of(
        administers_group("user_group_id")(entity, profile), keeps_group("user_group_id")(entity, profile)
    )
    if administers is FALSE:
        return FALSE
    other = Alias(models.UserGroupMember)
    known = in_administered_sites(other, profile)
    grant, role, member = Alias(models.RoleGrant), Alias(models.Role), Alias(models.UserGroupMember)

    def holds(_: Any) -> Clause:
        return sa.and_(member.user_id == entity.user_id, member.id != entity.id)

    brought = some(
        sa.join(grant, role, role.id == grant.role_id),
        grant.user_group_id == entity.user_group_id,
        grant.deleted_at.is_(None),
        of_core(role),
        _brings(holds, _site_of(role), profile, by=member),
    )
    return sa.and_(
        administers,
        sa.exists().where(other.user_id == entity.user_id, other.id != entity.id, known),
        sa.not_(brought),
    )


def in_no_other_site(
    key: str, link_model: Any = models.SiteDevice, own: str = "device_id"
) -> Callable[[Any, AccessProfile], Clause]:
    """The device, or what else `link_model` puts into sites, is in no site that the principal does not administer."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        within = in_administered_sites(entity, profile)
        if within is FALSE:
            return FALSE
        link = Alias(link_model)
        elsewhere = sa.not_(among(link.site_id, "administered_sites"))
        return sa.and_(within, sa.not_(sa.exists().where(getattr(link, own) == getattr(entity, key), elsewhere)))

    return clause


def administers_account(entity: Any, profile: AccessProfile) -> Clause:
    """The principal may take over the account: they administer everything that the account can do."""
    within = administers_user(entity, profile)
    if within is FALSE:
        return FALSE

    member = Alias(models.UserGroupMember)

    def holds(_: Any) -> Clause:
        clause: Clause = member.user_id == entity.id
        return clause

    elsewhere = roles_of(holds, _elsewhere(profile), by=member)
    return sa.and_(within, entity.platform_role != models.PlatformRole.MANAGER, sa.not_(elsewhere))


def administers_user(entity: Any, profile: AccessProfile) -> Clause:
    within = in_administered_sites(entity, profile)
    return FALSE if within is FALSE else sa.and_(within, sa.not_(entity.superadmin))
