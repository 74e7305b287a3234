"""Policies of types of sessions, of sessions, their members and their events."""

import re

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.locks import in_order
from db.models import (
    Participant,
    Project,
    ProjectService,
    Service,
    Session,
    SessionCategory,
    SessionEvent,
    SessionMember,
    SessionStatus,
    SessionType,
    SessionTypeProject,
    SessionTypeService,
    SessionTypeSite,
    SiteService,
)  # fmt: skip
from db.written import because
from resolvers.access import json_schemas
from resolvers.access.places import by_column, by_link
from resolvers.access.policy import Change, Policy, Rules, policy_of
from resolvers.access.rules import (
    CREATOR,
    PROJECT_ADMIN,
    PROJECT_USER,
    SITE_ADMIN,
    SITE_USER,
    SUPERADMIN,
    allowed,
)  # fmt: skip
from resolvers.access.session_rules import (
    APART,
    EVENT_KEEPER,
    EVENT_REMOVER,
    INVITED,
    INVITED_DEVICE,
    INVITED_PARTICIPANT,
    KEEPERS,
    MADE_BY_DEVICE,
    MADE_BY_PARTICIPANT,
    MADE_BY_SERVICE,
    MAKERS,
    REPORTER,
    RUNNER_IN_PROJECT,
    RUNNER_IN_SITE,
    RUNNER_OF_LINK,
    SESSION_SERVICE,
    TYPE_ADMIN,
    TYPE_DEVICE,
    TYPE_LINKER,
    TYPE_PARTICIPANT,
    TYPE_RUNNER,
    TYPE_SERVICE,
    in_sites_of_type,
)  # fmt: skip
from resolvers.failures import Dependency, Forbidden, Invalid, WrongState
from resolvers.feed import events_topic

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_SETTINGS: Rules = (PROJECT_USER, SITE_USER, TYPE_SERVICE, SUPERADMIN)
_RUNNING: Rules = (TYPE_ADMIN, TYPE_RUNNER, SUPERADMIN)


async def _validate_type(change: Change) -> None:
    kind = change.row
    if change.going:
        return
    if not _COLOR.fullmatch(kind.color):
        raise Invalid("a colour is # and six hexadecimal digits, such as #2f7ed8", field="input.color")
    if kind.service_id is None:
        if kind.category is SessionCategory.SERVICE:
            raise Invalid("sessions of category SERVICE are run by a service: name it", field="input.service")
        return
    service = await change.session.get_one(Service, kind.service_id)
    sites = sa.select(SessionTypeSite.site_id).where(SessionTypeSite.session_type_id == kind.id)
    there = sa.select(SiteService.site_id).where(SiteService.service_id == kind.service_id)
    if await change.session.scalar(sites.where(SessionTypeSite.site_id.not_in(there)).limit(1)) is not None:
        raise Invalid("the service is not in every site of the type; link it there first", field="input.service")
    if kind.config is None:
        return
    try:
        against = json_schemas.against(service.config_schema, kind.config)
    except ValueError:
        told = "the service's schema can't be followed; a superadmin must mend it"
        raise WrongState(told, field="input.service") from None
    if against is not None:
        path, why = against
        raise Invalid(f"the config is against the service's schema: {why}", field=".".join(["input.config", *path]))


async def _expect_unused(
    session: AsyncSession, link: SessionTypeSite | SessionTypeProject | SessionTypeService
) -> None:
    """DEPENDENCY while there are sessions of the type in the place that a link is to."""
    held = sa.select(sa.func.count()).select_from(Session).where(Session.type_id == link.session_type_id)
    held = held.where(Session.deleted_at.is_(None))
    if isinstance(link, SessionTypeProject):
        held = held.where(Session.project_id == link.project_id)
    elif isinstance(link, SessionTypeSite):
        held = held.where(Session.project_id.in_(sa.select(Project.id).where(Project.site_id == link.site_id)))
    else:
        serving = sa.select(ProjectService.project_id).where(ProjectService.service_id == link.service_id)
        held = held.where(Session.project_id.in_(serving))
    if number := await session.scalar(held):
        raise Dependency(
            f"there are {number} sessions of this type; delete them first",
            blockedBy=[{"type": "Session", "count": number}],
        )


async def _validate_type_in_site(change: Change) -> None:
    session, link = change.session, change.row
    if change.going:
        await _expect_unused(session, link)
        return
    kind = await session.get_one(SessionType, link.session_type_id)
    there = sa.select(SiteService.id).where(
        SiteService.site_id == link.site_id, SiteService.service_id == kind.service_id
    )
    if kind.service_id is not None and await session.scalar(there) is None:
        raise Invalid("the service that runs its sessions is not in the site; link it there first", field="ids")


async def _leave_site(change: Change) -> None:
    """A type that leaves a site leaves the projects of that site."""
    if not change.going:
        return
    session, link = change.session, change.row
    because(session, "without its site a type leaves its projects", SessionTypeProject)
    projects = sa.select(Project.id).where(Project.site_id == link.site_id)
    gone = sa.delete(SessionTypeProject).where(
        SessionTypeProject.session_type_id == link.session_type_id, SessionTypeProject.project_id.in_(projects)
    )
    if await in_order(session, gone):
        changed(session, row_topic(Project, "*"))


async def _validate_type_in_project(change: Change) -> None:
    session, link = change.session, change.row
    if change.going:
        await _expect_unused(session, link)
        return
    site = sa.select(Project.site_id).where(Project.id == link.project_id).scalar_subquery()
    held = sa.select(SessionTypeSite.id).where(
        SessionTypeSite.session_type_id == link.session_type_id, SessionTypeSite.site_id == site
    )
    if await session.scalar(held) is None:
        raise Invalid("the type is not in the project's site; link it there first", field="ids")
    kind = await session.get_one(SessionType, link.session_type_id)
    there = sa.select(ProjectService.id).where(
        ProjectService.project_id == link.project_id, ProjectService.service_id == kind.service_id
    )
    if kind.service_id is not None and await session.scalar(there) is None:
        raise Invalid("the service that runs its sessions is not in the project; link it there first", field="ids")


async def _validate_helper(change: Change) -> None:
    session, link = change.session, change.row
    if change.going:
        await _expect_unused(session, link)
        return
    sites = sa.select(SessionTypeSite.site_id).where(SessionTypeSite.session_type_id == link.session_type_id)
    there = sa.select(SiteService.site_id).where(SiteService.service_id == link.service_id)
    if await session.scalar(sites.where(SessionTypeSite.site_id.in_(there)).limit(1)) is None:
        raise Invalid("the service is in no site of the type; link it there first", field="ids")
    kind = await session.get_one(SessionType, link.session_type_id)
    if kind.service_id == link.service_id:
        raise Invalid("this service runs the sessions already", field="ids")


async def _validate(change: Change) -> None:
    """A session under way stays; and who deletes one must see everybody in it."""
    session, row = change.session, change.row
    if not change.going:
        return
    if row.status is SessionStatus.IN_PROGRESS:
        raise WrongState("a session under way can't be deleted; end it first", field="id")
    principal = change.principal
    if principal.superadmin:
        return
    sees = allowed(policy_of(Participant).read, Participant, principal.profile)
    held = sa.select(SessionMember.participant_id).where(
        SessionMember.session_id == row.id,
        SessionMember.deleted_at.is_(None),
        SessionMember.participant_id.is_not(None),
    )
    hidden = sa.select(sa.func.count()).select_from(Participant)
    hidden = hidden.where(Participant.id.in_(held), Participant.deleted_at.is_(None), sa.not_(sees))
    if await session.scalar(hidden, dict(principal.parameters)):
        raise Forbidden("participants whom you don't see were in it; who sees all of them may delete it")


async def _tell(change: Change) -> None:
    """Who follows a session hears of its events."""
    key = change.row.session_id
    changed(change.session, events_topic(key), row_topic(Session, key))


POLICIES = (
    Policy(
        model=SessionType,
        read=(SITE_USER, PROJECT_USER, TYPE_SERVICE, TYPE_PARTICIPANT, TYPE_DEVICE),
        fields=dict.fromkeys(("online", "config"), _SETTINGS),
        project=by_link(SessionTypeProject, "session_type_id", "project_id"),
        site=by_link(SessionTypeSite, "session_type_id", "site_id"),
        create=_RUNNING,
        update=_RUNNING,
        delete=_RUNNING,
        goes_with=(SessionType.service_id,),
        validate=_validate_type,
        rights=("service_id",),
    ),
    Policy(
        model=SessionTypeSite,
        link_of=SessionTypeSite.session_type_id,
        site=by_column("site_id"),
        create=(TYPE_LINKER, RUNNER_IN_SITE, SUPERADMIN),
        founding=(SITE_ADMIN, RUNNER_IN_SITE, SUPERADMIN),
        delete=(SITE_ADMIN, RUNNER_IN_SITE, SUPERADMIN),
        goes_with=(SessionTypeSite.site_id, SessionTypeSite.session_type_id),
        validate=_validate_type_in_site,
        then=_leave_site,
    ),
    Policy(
        model=SessionTypeProject,
        link_of=SessionTypeProject.session_type_id,
        create=(PROJECT_ADMIN, RUNNER_IN_PROJECT, SUPERADMIN),
        delete=(PROJECT_ADMIN, RUNNER_IN_PROJECT, SUPERADMIN),
        goes_with=(SessionTypeProject.project_id, SessionTypeProject.session_type_id),
        validate=_validate_type_in_project,
    ),
    Policy(
        model=SessionTypeService,
        link_of=SessionTypeService.session_type_id,
        site=in_sites_of_type("session_type_id"),
        create=(TYPE_LINKER, RUNNER_OF_LINK, SUPERADMIN),
        delete=(TYPE_LINKER, RUNNER_OF_LINK, SUPERADMIN),
        goes_with=(SessionTypeService.service_id, SessionTypeService.session_type_id),
        validate=_validate_helper,
    ),
    Policy(
        model=Session,
        read=(PROJECT_USER, *APART),
        fields={
            "comments": (CREATOR, PROJECT_USER, INVITED, MADE_BY_SERVICE, SESSION_SERVICE, SUPERADMIN),
            "parameters": (
                CREATOR, PROJECT_USER, INVITED, INVITED_PARTICIPANT, INVITED_DEVICE, MADE_BY_PARTICIPANT,
                MADE_BY_DEVICE, MADE_BY_SERVICE, SESSION_SERVICE, SUPERADMIN,
            ),
        },
        made_in=(Project,),
        create=(*MAKERS, SUPERADMIN),
        update=(*KEEPERS, SUPERADMIN),
        columns={"comments": (CREATOR, PROJECT_USER, MADE_BY_SERVICE, SESSION_SERVICE, SUPERADMIN)},
        beside=("users", "participants", "devices"),
        delete=(PROJECT_ADMIN, SUPERADMIN),
        undelete=(SUPERADMIN,),
        blocks=(
            Session.type_id, Session.project_id, Session.creator_id, Session.creator_participant_id,
            Session.creator_device_id, Session.creator_service_id,
        ),
        validate=_validate,
    ),
    Policy(
        model=SessionEvent,
        through=SessionEvent.session,
        create=(REPORTER, SUPERADMIN),
        update=(EVENT_KEEPER, SUPERADMIN),
        delete=(EVENT_REMOVER, SUPERADMIN),
        undelete=(),
        goes_with=(SessionEvent.session_id,),
        stays=(SessionEvent.user_id, SessionEvent.participant_id, SessionEvent.device_id, SessionEvent.service_id),
        then=_tell,
        followed=True,
    ),
    Policy(
        model=SessionMember,
        through=SessionMember.session,
        goes_with=(SessionMember.session_id,),
        blocks=(SessionMember.user_id, SessionMember.participant_id, SessionMember.device_id),
        counted_as=SessionMember.session_id,
        followed=True,
    ),
)  # fmt: skip
