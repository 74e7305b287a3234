"""Policies of sites, projects, participants and participant groups."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.locks import groups_held, in_order
from db.models import (
    CORE,
    Device,
    Participant,
    ParticipantDevice,
    ParticipantGroup,
    Project,
    ProjectDevice,
    ProjectService,
    Role,
    RoleGrant,
    Site,
)  # fmt: skip
from db.written import because
from resolvers.access import roles
from resolvers.access.clauses import TRUE
from resolvers.access.places import by_column
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.rules import (
    HOME,
    HOME_TOKEN,
    LINKED_SERVICE,
    PARTICIPANT_NAMED,
    PARTICIPANT_OF_DEVICE,
    PARTICIPANT_SELF,
    PROJECT_ADMIN,
    PROJECT_DEVICE,
    PROJECT_USER,
    RETURNING,
    SERVING,
    SITE_ADMIN,
    SITE_SERVICE,
    SITE_USER,
    SUPERADMIN,
    allowed,
)  # fmt: skip
from resolvers.failures import Dependency, Invalid, WrongState
from resolvers.feed import RIGHTS
from resolvers.identity import session_store
from resolvers.identity.principal import Kind

_INSIDE: Rules = (PROJECT_USER, PARTICIPANT_SELF, LINKED_SERVICE, SUPERADMIN)
_ACCOUNT: Rules = (PROJECT_ADMIN, PARTICIPANT_SELF, LINKED_SERVICE, SUPERADMIN)
_CARE: Rules = (PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)
_MOVED: Mapping[str, Rules] = {"project_id": (PROJECT_ADMIN, SUPERADMIN)}
"""Who may move a row to another project: the administrators of the old project lose what those of the new one gain."""


async def _site_itself(session: AsyncSession, site: Site) -> dict[str, UUID | None]:
    return {"site_id": site.id}


async def _project_itself(session: AsyncSession, project: Project) -> dict[str, UUID | None]:
    return {"project_id": project.id, "site_id": project.site_id}


async def _found(change: Change) -> None:
    """Give a new site or project its roles."""
    if change.new:
        because(change.session, "a place has its roles from the beginning", Role)
        await roles.found(change.session, change.row)


async def _validate_project(change: Change) -> None:
    """Refuse that a service deletes a project in which groups have roles. These roles would no longer count, and others
    would come to administer the groups and their members."""
    if not change.going or change.principal.kind is not Kind.SERVICE:
        return
    granted = (
        sa.select(sa.func.count(RoleGrant.user_group_id.distinct()))
        .join(Role, Role.id == RoleGrant.role_id)
        .where(Role.project_id == change.row.id, Role.service_id == CORE, RoleGrant.deleted_at.is_(None))
    )
    if number := await change.session.scalar(granted):
        raise Dependency(
            f"{number} groups have a role in the project; its administrators must take it from them first",
            blockedBy=[{"type": "UserGroup", "count": number}],
        )


async def _then_project(change: Change) -> None:
    """A new project gets its roles, and a link to the service that made it. When a project is disabled, its
    participants are disabled, their login sessions end, and they lose their devices."""
    session, project = change.session, change.row
    await _found(change)
    if change.new and change.principal.kind is Kind.SERVICE:
        because(session, "a service works in the projects that it makes", ProjectService)
        session.add(ProjectService(project_id=project.id, service_id=change.principal.id))
    if not change.ended("enabled"):
        return
    because(session, "participants end with the work of their project", Participant, ParticipantDevice)
    participants = sa.select(Participant.id).where(Participant.project_id == project.id)
    disabled = sa.update(Participant).where(Participant.id.in_(participants), Participant.deleted_at.is_(None))
    unlinked = sa.delete(ParticipantDevice).where(ParticipantDevice.participant_id.in_(participants))
    for statement in (disabled.values(enabled=False, version=Participant.version + 1), unlinked):
        await in_order(session, statement)
    await session_store.end_of_participants(session, participants)
    changed(session, RIGHTS, row_topic(Participant, "*"), row_topic(Device, "*"))


async def _hold_granted(session: AsyncSession, project: UUID) -> None:
    """Lock the groups that have roles in a project, with their members, before the project itself."""
    held = (
        sa.select(RoleGrant.user_group_id)
        .join(Role, Role.id == RoleGrant.role_id)
        .where(Role.project_id == project, Role.service_id == CORE)
        .where(RoleGrant.user_group_id.is_not(None), RoleGrant.deleted_at.is_(None))
    )
    await groups_held(session, [key for key in await session.scalars(held) if key is not None])


async def _take_back(change: Change) -> None:
    """Revoke those roles in a restored project that would bring groups or their members into a further site against the
    administrators whom they have now."""
    session, project = change.session, change.row
    may = allowed((SUPERADMIN, RETURNING), RoleGrant, change.principal.profile)
    if may is TRUE:
        return
    of_project = sa.select(Role.id).where(Role.project_id == project.id, Role.service_id == CORE)
    held = sa.select(RoleGrant).where(
        RoleGrant.role_id.in_(of_project),
        RoleGrant.user_group_id.is_not(None),
        RoleGrant.deleted_at.is_(None),
        sa.not_(may),
    )
    because(session, "roles do not come back over those who administer the group now", RoleGrant)
    moment = await moment_of(session)
    for grant in (await session.scalars(held, dict(change.principal.parameters))).all():
        grant.deleted_at = moment
        change.note("DELETE", "RoleGrant", grant.id, project_id=project.id, site_id=project.site_id)
    await session.flush()
    changed(session, RIGHTS)


async def _goes_on(session: AsyncSession, project: UUID, otherwise: str) -> None:
    if not (await session.get_one(Project, project)).enabled:
        raise WrongState(f"work in this project has ended: {otherwise}", field="input.project")


async def _leave_devices(session: AsyncSession, which: Any, project: UUID) -> None:
    """Participants who moved into a project keep only the devices that the project has."""
    because(session, "devices that a project lacks are left behind", ParticipantDevice)
    moved = sa.select(Participant.id).where(which)
    there = sa.select(ProjectDevice.device_id).where(ProjectDevice.project_id == project)
    left = sa.delete(ParticipantDevice).where(
        ParticipantDevice.participant_id.in_(moved), ParticipantDevice.device_id.not_in(there)
    )
    if await in_order(session, left):
        changed(session, row_topic(Device, "*"))


async def _validate_group(change: Change) -> None:
    if change.differs("project_id"):
        await _goes_on(change.session, change.row.project_id, "it takes no participants")


async def _then_group(change: Change) -> None:
    """Participants move with their group."""
    if not change.differs("project_id"):
        return
    session, group = change.session, change.row
    because(session, "participants move with their group", Participant)
    within = Participant.group_id == group.id
    changes = {"project_id": group.project_id, "version": Participant.version + 1}
    await in_order(session, sa.update(Participant).where(within).values(changes))
    changed(session, row_topic(Participant, "*"))
    await _leave_devices(session, within, group.project_id)


async def _validate_participant(change: Change) -> None:
    session, participant = change.session, change.row
    if change.going:
        return
    await _goes_on(session, participant.project_id, "no participant of it is made or changed")
    if participant.group_id is not None:
        group = await session.get_one(ParticipantGroup, participant.group_id)
        if group.project_id != participant.project_id:
            raise Invalid("the group is of another project", field="input.group")


async def _then_participant(change: Change) -> None:
    session, participant = change.session, change.row
    if change.differs("project_id"):
        await _leave_devices(session, Participant.id == participant.id, participant.project_id)
    if change.ended("enabled") or change.ended("login_enabled"):
        await session_store.end(session, Kind.PARTICIPANT, participant.id)


POLICIES = (
    Policy(
        model=Site,
        read=(SITE_USER, SITE_SERVICE),
        site=by_column("id"),
        recorded_in=_site_itself,
        create=(SUPERADMIN,),
        update=(SITE_ADMIN, SUPERADMIN),
        delete=(SUPERADMIN,),
        then=_found,
        rights=("two_factor_required",),
        sign_in=("two_factor_required",),
    ),
    Policy(
        model=Project,
        read=(PROJECT_USER, SITE_USER, HOME, HOME_TOKEN, PROJECT_DEVICE, SERVING),
        seen_with=(Project.site,),
        project=by_column("id"),
        site=by_column("site_id"),
        recorded_in=_project_itself,
        made_in=(Site,),
        create=(SITE_ADMIN, SITE_SERVICE, SUPERADMIN),
        update=(PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN),
        columns=dict.fromkeys(("quarantine", "participant_sessions"), (PROJECT_ADMIN, SUPERADMIN)),
        delete=(SITE_ADMIN, LINKED_SERVICE, SUPERADMIN),
        undelete=(SITE_ADMIN, SUPERADMIN),
        goes_with=(Project.site_id,),
        asked=True,
        held_before=_hold_granted,
        validate=_validate_project,
        then=_then_project,
        returns=_take_back,
        rights=("enabled", "site_id"),
        switch="enabled",
    ),
    Policy(
        model=Participant,
        read=(PROJECT_USER, PARTICIPANT_NAMED, PARTICIPANT_OF_DEVICE, LINKED_SERVICE),
        seen_with=(Participant.project, Participant.group),
        fields={
            **dict.fromkeys(("username", "email", "login_enabled", "token_enabled"), _ACCOUNT),
            **dict.fromkeys(("enabled", "last_online_at", "online", "presence"), _INSIDE),
        },
        made_in=(Project,),
        create=(PROJECT_USER, LINKED_SERVICE, SUPERADMIN),
        update=(PROJECT_USER, LINKED_SERVICE, SUPERADMIN),
        columns=dict.fromkeys(("username", "email", "login_enabled", "token_enabled"), _CARE),
        leaving=_MOVED,
        delete=(PROJECT_ADMIN, SUPERADMIN),
        goes_with=(Participant.project_id, Participant.group_id),
        asked=True,
        validate=_validate_participant,
        then=_then_participant,
        principal=True,
        sign_in=("username", "email", "login_enabled", "token_enabled"),
        switch="enabled",
        tokens=_CARE,
    ),
    Policy(
        model=ParticipantGroup,
        read=(PROJECT_USER, LINKED_SERVICE),
        seen_with=(ParticipantGroup.project,),
        made_in=(Project,),
        create=_CARE,
        update=_CARE,
        leaving=_MOVED,
        delete=_CARE,
        goes_with=(ParticipantGroup.project_id,),
        asked=True,
        validate=_validate_group,
        then=_then_group,
        rights=("project_id",),
    ),
)
