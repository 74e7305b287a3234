"""What must hold of rows beyond their columns: a group of another project, a config against its schema.

A check gets the row as it is now, and what it had before: what was given for a new one, None for one that is to go.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from re import fullmatch
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.engine import changed, row_topic
from db.locks import in_order
from db.models import Entity, PlatformRole
from db.written import because
from resolvers.access.roles import held_beside, role_in
from resolvers.context import Context
from resolvers.failures import Dependency, Forbidden, Invalid, WrongState
from resolvers.feed import RIGHTS
from resolvers.identity import session_store
from resolvers.identity.principal import Kind
from resolvers.mail import templates
from resolvers.writing import json_schemas
from resolvers.writing.audit import record

Before = Mapping[str, Any] | None
Check = Callable[[AsyncSession, Context, Any, Before], Awaitable[None]]


_LINKS = (m.CredentialKind.EMAIL_VERIFY, m.CredentialKind.PASSWORD_RESET, m.CredentialKind.EMAIL_CODE)
"""What was sent to an address."""


async def _user(session: AsyncSession, ctx: Context, user: m.User, before: Before) -> None:
    if user.id == ctx.principal.id and (before is None or before.keys() & {"active", "superadmin", "platform_role"}):
        raise Forbidden("nobody may delete, disable or promote themself")
    if before is None:
        return
    if not fullmatch(r"[a-z0-9._-]{2,150}", user.username) and "username" in before:
        raise Invalid("a username has 2 to 150 letters, digits, dots, underscores or hyphens", field="input.username")
    if before.get("email", user.email) != user.email and "email_verified" not in before:
        user.email_verified = False
        because(session, "links to an address end with it", m.Credential)
        links = sa.delete(m.Credential).where(m.Credential.user_id == user.id, m.Credential.kind.in_(_LINKS))
        await in_order(session, links)
    if before.get("active") and not user.active:
        await session_store.end(session, Kind.USER, user.id)
    if ctx.principal.superadmin:
        return
    if "platform_role" in before and PlatformRole.MANAGER in (before["platform_role"], user.platform_role):
        raise Forbidden("only superadmins make managers, or change them")
    if user.superadmin:
        raise Forbidden("only superadmins may change a superadmin")


async def _project(session: AsyncSession, ctx: Context, project: m.Project, before: Before) -> None:
    """Work that ends ends for its participants, too. The roles of groups in a deleted project count no more, so that
    others come to administer the groups and their members: that is not for a service to bring about."""
    if before is None and ctx.principal.kind is Kind.SERVICE:
        granted = (
            sa.select(sa.func.count(m.RoleGrant.user_group_id.distinct()))
            .join(m.Role, m.Role.id == m.RoleGrant.role_id)
            .where(m.Role.project_id == project.id, m.Role.service_id == m.CORE, m.RoleGrant.deleted_at.is_(None))
        )
        if number := await session.scalar(granted):
            raise Dependency(
                f"{number} groups have a role in the project; its administrators must take it from them first",
                blockedBy=[{"type": "UserGroup", "count": number}],
            )
    if before is None or project.enabled or not before.get("enabled", False):
        return
    because(session, "participants end with the work of their project", m.Participant, m.ParticipantDevice)
    participants = sa.select(m.Participant.id).where(m.Participant.project_id == project.id)
    disabled = sa.update(m.Participant).where(m.Participant.id.in_(participants), m.Participant.deleted_at.is_(None))
    unlinked = sa.delete(m.ParticipantDevice).where(m.ParticipantDevice.participant_id.in_(participants))
    for statement in (disabled.values(enabled=False, version=m.Participant.version + 1), unlinked):
        await in_order(session, statement)
    changed(session, RIGHTS, row_topic(m.Participant, "*"))


async def _participant_group(session: AsyncSession, ctx: Context, group: m.ParticipantGroup, before: Before) -> None:
    """Its participants move with it."""
    if before is None or before.get("project_id", group.project_id) == group.project_id:
        return
    await _goes_on(session, group.project_id, "it takes no participants")
    because(session, "participants move with their group", m.Participant)
    within = m.Participant.group_id == group.id
    changes = {"project_id": group.project_id, "version": m.Participant.version + 1}
    await in_order(session, sa.update(m.Participant).where(within).values(changes))
    changed(session, row_topic(m.Participant, "*"))
    await _leave_devices(session, within, group.project_id)


async def _goes_on(session: AsyncSession, project: UUID, otherwise: str) -> None:
    if not (await session.get_one(m.Project, project)).enabled:
        raise WrongState(f"work in this project has ended: {otherwise}", field="input.project")


async def _leave_devices(session: AsyncSession, which: Any, project: UUID) -> None:
    """Participants who moved into a project keep those of their devices that it has."""
    because(session, "devices that a project lacks are left behind", m.ParticipantDevice)
    moved = sa.select(m.Participant.id).where(which)
    there = sa.select(m.ProjectDevice.device_id).where(m.ProjectDevice.project_id == project)
    left = sa.delete(m.ParticipantDevice).where(
        m.ParticipantDevice.participant_id.in_(moved), m.ParticipantDevice.device_id.not_in(there)
    )
    await in_order(session, left)


async def _participant(session: AsyncSession, ctx: Context, participant: m.Participant, before: Before) -> None:
    if before is None:
        return
    await _goes_on(session, participant.project_id, "no participant of it is made or changed")
    if participant.group_id is not None:
        group = await session.get_one(m.ParticipantGroup, participant.group_id)
        if group.project_id != participant.project_id:
            raise Invalid("the group is of another project", field="input.group")
    if before.get("project_id", participant.project_id) != participant.project_id:
        await _leave_devices(session, m.Participant.id == participant.id, participant.project_id)
    if any(before.get(name) and not getattr(participant, name) for name in ("enabled", "login_enabled")):
        await session_store.end(session, Kind.PARTICIPANT, participant.id)


async def _device(session: AsyncSession, ctx: Context, device: m.Device, before: Before) -> None:
    if before is not None and device.subtype_id is not None:
        subtype = await session.get_one(m.DeviceSubtype, device.subtype_id)
        if subtype.type_id != device.type_id:
            raise Invalid("the subtype is of another type", field="input.subtype")


async def _service(session: AsyncSession, ctx: Context, service: m.Service, before: Before) -> None:
    if service.system:
        raise Forbidden("services of the system can't be changed")
    if not 1 <= service.port <= 65535:
        raise Invalid("a port is 1 to 65535", field="input.port")
    if (wrong := json_schemas.wrong(service.config_schema)) is not None:
        raise Invalid(wrong, field="input.configSchema")


async def _service_config(session: AsyncSession, ctx: Context, config: m.ServiceConfig, before: Before) -> None:
    if before is None:
        return
    service = await session.get_one(m.Service, config.service_id)
    if not service.editable_config:
        raise WrongState("this service can't be configured", field="input.service")
    try:
        against = json_schemas.against(service.config_schema, config.config)
    except ValueError:
        raise WrongState(
            "the service's schema can't be followed; a superadmin must mend it", field="input.service"
        ) from None
    if against is not None:
        path, why = against
        raise Invalid(f"the config is against the service's schema: {why}", field=".".join(["input.config", *path]))


async def _role(session: AsyncSession, ctx: Context, role: m.Role, before: Before) -> None:
    if role.service_id == m.CORE:
        raise Forbidden("the gateway's own roles can't be made or changed")


async def _grant(session: AsyncSession, ctx: Context, grant: m.RoleGrant, before: Before) -> None:
    """Out of a site a group is taken by those alone who administer the site: they would no longer administer the group
    and its members, and others all that is left."""
    if before is not None or grant.user_group_id is None or ctx.principal.superadmin:
        return
    role = await session.get_one(m.Role, grant.role_id)
    if role.service_id != m.CORE or role.project_id is None:
        return
    project = await session.get_one(m.Project, role.project_id)
    if ctx.principal.sites.get(project.site_id):
        return
    if await held_beside(session, grant, project.site_id):
        return
    because(session, "who leaves a project stays in its site", m.Role, m.RoleGrant)
    user = await role_in(session, await session.get_one(m.Site, project.site_id), m.USER)
    kept = m.RoleGrant(role_id=user.id, user_group_id=grant.user_group_id)
    session.add(kept)
    await session.flush()
    record(session, ctx, "GRANT_ROLE", "RoleGrant", kept.id, role=user.name, site_id=project.site_id)


async def _member(session: AsyncSession, ctx: Context, member: m.UserGroupMember, before: Before) -> None:
    if before is not None and (await session.get_one(m.User, member.user_id)).superadmin:
        raise Invalid("superadmins need no groups, and are put into none")


async def _project_device(session: AsyncSession, ctx: Context, link: m.ProjectDevice, before: Before) -> None:
    site = sa.select(m.Project.site_id).where(m.Project.id == link.project_id).scalar_subquery()
    held = sa.select(m.SiteDevice.id).where(m.SiteDevice.device_id == link.device_id, m.SiteDevice.site_id == site)
    if before is not None and await session.scalar(held) is None:
        raise Invalid("the device is not in the project's site; link it there first", field="ids")
    if before is None:
        participants = sa.select(m.Participant.id).where(m.Participant.project_id == link.project_id)
        holding = sa.select(sa.func.count()).where(
            m.ParticipantDevice.device_id == link.device_id, m.ParticipantDevice.participant_id.in_(participants)
        )
        if number := await session.scalar(holding):
            raise Dependency(
                f"{number} participants of the project have the device; take it from them first",
                blockedBy=[{"type": "Participant", "count": number}],
            )


async def _participant_device(session: AsyncSession, ctx: Context, link: m.ParticipantDevice, before: Before) -> None:
    project = sa.select(m.Participant.project_id).where(m.Participant.id == link.participant_id).scalar_subquery()
    held = sa.select(m.ProjectDevice.id).where(
        m.ProjectDevice.device_id == link.device_id, m.ProjectDevice.project_id == project
    )
    if before is not None and await session.scalar(held) is None:
        raise Invalid("the device is not in the participant's project; link it there first", field="ids")


async def _site_device(session: AsyncSession, ctx: Context, link: m.SiteDevice, before: Before) -> None:
    """Without the site, the device leaves its projects."""
    if before is None:
        because(session, "without its site a device leaves its projects", m.ProjectDevice, m.ParticipantDevice)
        projects = sa.select(m.Project.id).where(m.Project.site_id == link.site_id)
        participants = sa.select(m.Participant.id).where(m.Participant.project_id.in_(projects))
        held = (
            sa.delete(m.ProjectDevice).where(
                m.ProjectDevice.device_id == link.device_id, m.ProjectDevice.project_id.in_(projects)
            ),
            sa.delete(m.ParticipantDevice).where(
                m.ParticipantDevice.device_id == link.device_id, m.ParticipantDevice.participant_id.in_(participants)
            ),
        )
        for statement in held:
            await in_order(session, statement)


async def _project_service(session: AsyncSession, ctx: Context, link: m.ProjectService, before: Before) -> None:
    site = sa.select(m.Project.site_id).where(m.Project.id == link.project_id).scalar_subquery()
    held = sa.select(m.SiteService.id).where(m.SiteService.service_id == link.service_id, m.SiteService.site_id == site)
    if before is not None and await session.scalar(held) is None:
        raise Invalid("the service is not in the project's site; link it there first", field="ids")


async def _site_service(session: AsyncSession, ctx: Context, link: m.SiteService, before: Before) -> None:
    if before is None:
        because(session, "without its site a service leaves its projects", m.ProjectService)
        projects = sa.select(m.Project.id).where(m.Project.site_id == link.site_id)
        gone = sa.delete(m.ProjectService).where(
            m.ProjectService.service_id == link.service_id, m.ProjectService.project_id.in_(projects)
        )
        await in_order(session, gone)


async def _session(session: AsyncSession, ctx: Context, held: m.Session, before: Before) -> None:
    if before is None and held.status is m.SessionStatus.IN_PROGRESS:
        raise WrongState("a session under way can't be deleted; end it first", field="id")


CONTRADICTIONS: Mapping[type[Entity], str] = {
    m.Role: "a role has a site just where its scope is SITE, and a project just where it is PROJECT",
    m.ServiceConfig: "a configuration is for exactly one of a user, a participant and a device",
    m.Cluster: "maxTasks is at least 1, or null for no bound",
}
"""Per model: what the database refuses, in words."""


async def _template(session: AsyncSession, ctx: Context, template: m.NotificationTemplate, before: Before) -> None:
    if before is None:
        return
    if template.site_id is not None and template.project_id is not None:
        raise Invalid("a template holds in a site or in a project, not in both", field="input.project")
    if (template.site_id or template.project_id) is not None and template.key in templates.SECURITY:
        raise Invalid(
            f"{template.key} is about the security of an account: its words are the same everywhere, and superadmins "
            "write them",
            field="input.key",
        )
    await asyncio.to_thread(templates.check, template.subject, template.text, template.html)


CHECKS: Mapping[type[Entity], Check] = {
    m.User: _user,
    m.Project: _project,
    m.ParticipantGroup: _participant_group,
    m.Participant: _participant,
    m.Device: _device,
    m.Service: _service,
    m.ServiceConfig: _service_config,
    m.Role: _role,
    m.RoleGrant: _grant,
    m.UserGroupMember: _member,
    m.SiteDevice: _site_device,
    m.ProjectDevice: _project_device,
    m.ParticipantDevice: _participant_device,
    m.SiteService: _site_service,
    m.ProjectService: _project_service,
    m.Session: _session,
    m.NotificationTemplate: _template,
}
