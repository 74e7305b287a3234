"""Policies of services that work beside the gateway, their configurations, and their links to sites and projects."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.locks import in_order
from db.models import (
    AuthProvider,
    File,
    Project,
    ProjectService,
    Service,
    ServiceConfig,
    Session,
    SessionType,
    SessionTypeProject,
    SessionTypeSite,
    SiteService,
)  # fmt: skip
from db.written import because
from resolvers.access import json_schemas
from resolvers.access.places import by_link, of_owners, of_owners_site
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.rules import (
    OWN_SERVICE,
    OWNER,
    PROJECT_ADMIN,
    PROJECT_USER,
    SERVICE_SELF,
    SITE_ADMIN,
    SITE_USER,
    SUPERADMIN,
)  # fmt: skip
from resolvers.failures import Dependency, Forbidden, Invalid, WrongState

_INSIDE: Rules = (SITE_ADMIN, SERVICE_SELF, SUPERADMIN)
_CONFIGURING: Rules = (OWNER, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN)


async def _validate(change: Change) -> None:
    service = change.row
    if service.system:
        raise Forbidden("services of the system can't be changed")
    if not 1 <= service.port <= 65535:
        raise Invalid("a port is 1 to 65535", field="input.port")
    if (wrong := json_schemas.wrong(service.config_schema)) is not None:
        raise Invalid(wrong, field="input.configSchema")
    if service.acts_for is AuthProvider.LOCAL:
        raise Invalid("a service acts for users of an external provider, not of the gateway", field="input.actsFor")


async def _validate_config(change: Change) -> None:
    config = change.row
    if change.going:
        return
    service = await change.session.get_one(Service, config.service_id)
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


async def _expect_unused(session: AsyncSession, service: UUID, projects: Any) -> None:
    """DEPENDENCY while projects have sessions that the service runs, or assets that it made."""
    own = sa.select(SessionType.id).where(SessionType.service_id == service)
    held = {
        "Session": sa.select(sa.func.count())
        .select_from(Session)
        .where(Session.type_id.in_(own), Session.project_id.in_(projects), Session.deleted_at.is_(None)),
        "File": sa.select(sa.func.count())
        .select_from(File)
        .where(
            File.service_id == service,
            File.session_id.is_not(None),
            File.project_id.in_(projects),
            File.deleted_at.is_(None),
        ),
    }
    found = {name: number for name, count in held.items() if (number := await session.scalar(count))}
    if found:
        listed = ", ".join(f"{number} {name}" for name, number in found.items())
        raise Dependency(
            f"the service is still in use there: {listed}; delete those first",
            blockedBy=[{"type": name, "count": number} for name, number in found.items()],
        )


async def _leave_types(session: AsyncSession, service: UUID, projects: Any) -> None:
    """Without a service, projects have no sessions of the types that it runs."""
    because(session, "without their service types leave a project", SessionTypeProject)
    own = sa.select(SessionType.id).where(SessionType.service_id == service)
    gone = sa.delete(SessionTypeProject).where(
        SessionTypeProject.session_type_id.in_(own), SessionTypeProject.project_id.in_(projects)
    )
    if await in_order(session, gone):
        changed(session, row_topic(SessionType, "*"))


async def _validate_in_site(change: Change) -> None:
    if change.going:
        link = change.row
        projects = sa.select(Project.id).where(Project.site_id == link.site_id)
        await _expect_unused(change.session, link.service_id, projects)


async def _leave_site(change: Change) -> None:
    """A service that leaves a site leaves the projects of that site, and so do the types of sessions that it runs."""
    if not change.going:
        return
    session, link = change.session, change.row
    because(session, "without its site a service leaves its projects", ProjectService, SessionTypeSite)
    projects = sa.select(Project.id).where(Project.site_id == link.site_id)
    gone = sa.delete(ProjectService).where(
        ProjectService.service_id == link.service_id, ProjectService.project_id.in_(projects)
    )
    if await in_order(session, gone):
        changed(session, row_topic(Project, "*"))
    await _leave_types(session, link.service_id, projects)
    own = sa.select(SessionType.id).where(SessionType.service_id == link.service_id)
    left = sa.delete(SessionTypeSite).where(
        SessionTypeSite.session_type_id.in_(own), SessionTypeSite.site_id == link.site_id
    )
    if await in_order(session, left):
        changed(session, row_topic(SessionType, "*"))


async def _leave_project(change: Change) -> None:
    if change.going:
        await _leave_types(change.session, change.row.service_id, [change.row.project_id])


async def _validate_in_project(change: Change) -> None:
    link = change.row
    if change.going:
        await _expect_unused(change.session, link.service_id, [link.project_id])
        return
    site = sa.select(Project.site_id).where(Project.id == link.project_id).scalar_subquery()
    held = sa.select(SiteService.id).where(SiteService.service_id == link.service_id, SiteService.site_id == site)
    if await change.session.scalar(held) is None:
        raise Invalid("the service is not in the project's site; link it there first", field="ids")


POLICIES = (
    Policy(
        model=Service,
        read=(PROJECT_USER, SITE_USER, SERVICE_SELF),
        fields={
            **dict.fromkeys(("hostname", "port", "endpoint", "endpoint_user"), _INSIDE),
            **dict.fromkeys(("endpoint_participant", "endpoint_device"), _INSIDE),
            "config_schema": (PROJECT_USER, SITE_USER, SERVICE_SELF, SUPERADMIN),
            "acts_for": (SITE_ADMIN, SERVICE_SELF, SUPERADMIN),
        },
        project=by_link(ProjectService, "service_id", "project_id"),
        site=by_link(SiteService, "service_id", "site_id"),
        create=(SUPERADMIN,),
        update=(SUPERADMIN,),
        delete=(SUPERADMIN,),
        validate=_validate,
        principal=True,
        switch="enabled",
        tokens=(SUPERADMIN,),
    ),
    Policy(
        model=ServiceConfig,
        read=(OWNER, PROJECT_ADMIN, SITE_ADMIN, OWN_SERVICE),
        project=of_owners,
        site=of_owners_site,
        create=_CONFIGURING,
        update=_CONFIGURING,
        delete=_CONFIGURING,
        goes_with=(
            ServiceConfig.service_id,
            ServiceConfig.user_id,
            ServiceConfig.participant_id,
            ServiceConfig.device_id,
        ),
        validate=_validate_config,
        contradiction="a configuration is for exactly one of a user, a participant and a device",
    ),
    Policy(
        model=SiteService,
        link_of=SiteService.service_id,
        create=(SUPERADMIN,),
        delete=(SUPERADMIN,),
        goes_with=(SiteService.site_id,),
        stays=(SiteService.service_id,),
        validate=_validate_in_site,
        then=_leave_site,
        rights=(),
    ),
    Policy(
        model=ProjectService,
        link_of=ProjectService.service_id,
        create=(SITE_ADMIN, SUPERADMIN),
        delete=(SITE_ADMIN, SUPERADMIN),
        goes_with=(ProjectService.project_id,),
        stays=(ProjectService.service_id,),
        validate=_validate_in_project,
        then=_leave_project,
        rights=(),
    ),
)
