"""Grant roles, and link rows: members to groups, devices and services to places."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.locks import groups_held, place_of
from db.models import Entity
from resolvers.access.policy import policy_of
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, check_limit
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import conclude, note_link
from resolvers.writing.rows import locked, require, seen, stored, target

GRANTEES: Mapping[str, str] = {
    "UserGroup": "user_group_id",
    "Device": "device_id",
    "ParticipantGroup": "participant_group_id",
}
MOST = 1_000
"""The most ids in one call."""


class LinkKind(Enum):
    USER_GROUP_USERS = "USER_GROUP_USERS"
    DEVICE_SITES = "DEVICE_SITES"
    DEVICE_PROJECTS = "DEVICE_PROJECTS"
    DEVICE_PARTICIPANTS = "DEVICE_PARTICIPANTS"
    SERVICE_SITES = "SERVICE_SITES"
    SERVICE_PROJECTS = "SERVICE_PROJECTS"
    CLUSTER_USER_GROUPS = "CLUSTER_USER_GROUPS"
    SESSION_TYPE_SITES = "SESSION_TYPE_SITES"
    SESSION_TYPE_PROJECTS = "SESSION_TYPE_PROJECTS"
    SESSION_TYPE_SERVICES = "SESSION_TYPE_SERVICES"


@dataclass(frozen=True, slots=True)
class _Between:
    """The table of a link and its two columns: the owner's and the other row's."""

    model: type[Entity]
    own: str
    other: str


def _between(model: type[Entity]) -> _Between:
    """A link by its policy, which says whose it is."""
    own = policy_of(model).link_of.key
    (other,) = (column.key for column in model.__table__.columns if column.foreign_keys and column.key != own)
    return _Between(model, own, other)


LINKS: Mapping[LinkKind, _Between] = {
    LinkKind.USER_GROUP_USERS: _between(models.UserGroupMember),
    LinkKind.DEVICE_SITES: _between(models.SiteDevice),
    LinkKind.DEVICE_PROJECTS: _between(models.ProjectDevice),
    LinkKind.DEVICE_PARTICIPANTS: _between(models.ParticipantDevice),
    LinkKind.SERVICE_SITES: _between(models.SiteService),
    LinkKind.SERVICE_PROJECTS: _between(models.ProjectService),
    LinkKind.CLUSTER_USER_GROUPS: _between(models.ClusterUserGroup),
    LinkKind.SESSION_TYPE_SITES: _between(models.SessionTypeSite),
    LinkKind.SESSION_TYPE_PROJECTS: _between(models.SessionTypeProject),
    LinkKind.SESSION_TYPE_SERVICES: _between(models.SessionTypeService),
}

ParseId = Callable[[str, str], tuple[str, UUID]]


async def grant(ctx: Context, role: UUID, kind: str, grantee: UUID) -> UUID:
    """Grant a role to a group of users, a device or a group of participants; returns the grant's key. The grantee and
    its members are locked before their roles are read, so that of two first grants the second sees the first."""
    column = GRANTEES.get(kind)
    if column is None:
        raise Invalid(f"a role is granted to a {', a '.join(GRANTEES)}, not to a {kind}", field="grantee")
    values = {"role_id": role, column: grantee}
    async with writing(ctx, "GRANT", models.RoleGrant) as session:
        model = target(models.RoleGrant, column)
        if model is models.UserGroup:
            await seen(session, ctx, model, grantee, field="grantee")
            await groups_held(session, [grantee])
        await locked(session, ctx, model, grantee, field="grantee")
        await locked(session, ctx, models.Role, role, field="role")
        held = sa.select(models.RoleGrant).where(
            *(getattr(models.RoleGrant, name) == key for name, key in values.items()),
            models.RoleGrant.deleted_at.is_(None),
        )
        row = (await session.scalars(held)).one_or_none()
        if row is not None:  # it stays, for who might take it back
            await require(session, ctx, row, policy_of(models.RoleGrant).delete, "grant")
            return row.id
        row = models.RoleGrant(**values)
        session.add(row)
        await stored(session, models.RoleGrant)
        await require(session, ctx, row, policy_of(models.RoleGrant).create, "grant")
        await conclude(session, ctx, row, values, new=True)
        return row.id


async def set_links(
    ctx: Context, kind: LinkKind, owner: str, ids: Sequence[str], parse: ParseId, *, remove: bool = True
) -> tuple[int, int]:
    """Link an owner with these rows, and remove its links to all others that the principal sees; returns how many were
    added and removed."""
    between = LINKS[kind]
    async with writing(ctx, "LINK", between.model) as session:
        fields = ("id", "ids") if remove else ("id", "users")
        key, wanted = await _parsed(session, ctx, between, owner, ids, parse, fields)
        present = await _present(session, ctx, between, key)
        new = [other for other in dict.fromkeys(wanted) if other not in present]
        gone = [link for other, link in present.items() if other not in wanted] if remove else []
        for other in new:
            link = between.model(**{between.own: key, between.other: other})
            session.add(link)
            await stored(session, between.model)
            await require(session, ctx, link, policy_of(between.model).create, "make")
            await conclude(session, ctx, link, {}, new=True)
            await note_link(session, ctx, link)
        for link in gone:
            await _undo(session, ctx, between, link)
        return len(new), len(gone)


async def unlink(ctx: Context, kind: LinkKind, owner: str, ids: Sequence[str], parse: ParseId) -> int:
    """Remove the links of an owner to these rows; returns how many."""
    between = LINKS[kind]
    async with writing(ctx, "UNLINK", between.model) as session:
        key, wanted = await _parsed(session, ctx, between, owner, ids, parse, ("id", "users"))
        gone = [link for other, link in (await _present(session, ctx, between, key)).items() if other in wanted]
        for link in gone:
            await _undo(session, ctx, between, link)
        return len(gone)


async def _undo(session: AsyncSession, ctx: Context, between: _Between, link: Any) -> None:
    await require(session, ctx, link, policy_of(between.model).delete, "undo")
    await conclude(session, ctx, link, None)
    await note_link(session, ctx, link, "UNLINK")
    await session.delete(link)
    await session.flush()


async def _parsed(
    session: AsyncSession,
    ctx: Context,
    between: _Between,
    owner: str,
    ids: Sequence[str],
    parse: ParseId,
    fields: tuple[str, str],
) -> tuple[UUID, list[UUID]]:
    """The keys of the owner and of the other rows, each visible and locked; `fields` are their names in the client's
    input."""
    check_limit(f"at most {MOST} ids", len(ids), MOST, limit=fields[1], field=fields[1])
    found: list[UUID] = []
    rows: dict[tuple[tuple[int, str], UUID], tuple[Any, str]] = {}
    for column, field, given in (
        (between.own, fields[0], owner),
        *((between.other, f"{fields[1]}.{n}", one) for n, one in enumerate(ids)),
    ):
        model = target(between.model, column)
        typename, key = parse(given, field)
        if typename != model.__name__:
            raise Invalid(f"this is the id of a {typename}, not of a {model.__name__}", field=field)
        if not found:  # whose links they are is told first
            await seen(session, ctx, model, key, field=field)
        rows.setdefault((place_of(model), key), (model, field))
        found.append(key)
    for (_, key), (model, field) in sorted(rows.items(), key=lambda one: one[0]):
        await locked(session, ctx, model, key, field=field)
    return found[0], found[1:]


async def _present(session: AsyncSession, ctx: Context, between: _Between, key: UUID) -> dict[UUID, Any]:
    """The links of an owner to rows that the principal sees, by the other row's key."""
    link, other = between.model, target(between.model, between.other)
    held = (
        sa.select(link)
        .join(other, other.id == getattr(link, between.other))
        .where(getattr(link, between.own) == key, visible(other, ctx.principal.profile))
    )
    rows = (await session.scalars(held, dict(ctx.principal.parameters))).all()
    return {getattr(row, between.other): row for row in rows}
