"""Policies of devices, device types, and the links of devices to sites, projects and participants."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.locks import in_order
from db.models import (
    Device,
    DeviceSubtype,
    DeviceType,
    Participant,
    ParticipantDevice,
    Project,
    ProjectDevice,
    Site,
    SiteDevice,
)  # fmt: skip
from db.written import because
from resolvers.access.places import by_link, by_parent
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.rules import (
    DEVICE_ADMIN,
    DEVICE_LINKER,
    DEVICE_OF_PARTICIPANT,
    DEVICE_SELF,
    LINKED_SERVICE,
    ORGANISED,
    PROJECT_ADMIN,
    PROJECT_USER,
    SITE_ADMIN,
    SITE_USER,
    SUPERADMIN,
)  # fmt: skip
from resolvers.failures import Dependency, Invalid

_ACCOUNT: Rules = (DEVICE_ADMIN, SUPERADMIN)
"""Who may enable a device and make its tokens: with a token one reads the participants of every site of the device."""
_CARE: Rules = (SITE_ADMIN, PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)
_READ_CARE: Rules = (PROJECT_ADMIN, SITE_ADMIN, LINKED_SERVICE, SUPERADMIN)
_USE: Rules = (PROJECT_USER, SITE_USER, DEVICE_SELF, LINKED_SERVICE, SUPERADMIN)
_LINKING: Rules = (SITE_ADMIN, SUPERADMIN)


async def _site_of(session: AsyncSession, device: Device) -> dict[str, UUID | None]:
    linked = sa.select(SiteDevice.site_id).where(SiteDevice.device_id == device.id).limit(2)
    sites = (await session.scalars(linked)).all()
    return {"site_id": sites[0] if len(sites) == 1 else None}


async def _validate(change: Change) -> None:
    device = change.row
    if not change.going and device.subtype_id is not None:
        subtype = await change.session.get_one(DeviceSubtype, device.subtype_id)
        if subtype.type_id != device.type_id:
            raise Invalid("the subtype is of another type", field="input.subtype")


async def _leave_site(change: Change) -> None:
    """A device that leaves a site leaves the projects of that site."""
    if not change.going:
        return
    session, link = change.session, change.row
    because(session, "without its site a device leaves its projects", ProjectDevice, ParticipantDevice)
    projects = sa.select(Project.id).where(Project.site_id == link.site_id)
    participants = sa.select(Participant.id).where(Participant.project_id.in_(projects))
    held = (
        sa.delete(ProjectDevice).where(
            ProjectDevice.device_id == link.device_id, ProjectDevice.project_id.in_(projects)
        ),
        sa.delete(ParticipantDevice).where(
            ParticipantDevice.device_id == link.device_id, ParticipantDevice.participant_id.in_(participants)
        ),
    )
    for statement in held:
        await in_order(session, statement)
    changed(session, row_topic(Project, "*"), row_topic(Participant, "*"))


async def _validate_in_project(change: Change) -> None:
    session, link = change.session, change.row
    if not change.going:
        site = sa.select(Project.site_id).where(Project.id == link.project_id).scalar_subquery()
        held = sa.select(SiteDevice.id).where(SiteDevice.device_id == link.device_id, SiteDevice.site_id == site)
        if await session.scalar(held) is None:
            raise Invalid("the device is not in the project's site; link it there first", field="ids")
        return
    participants = sa.select(Participant.id).where(Participant.project_id == link.project_id)
    holding = sa.select(sa.func.count()).where(
        ParticipantDevice.device_id == link.device_id, ParticipantDevice.participant_id.in_(participants)
    )
    if number := await session.scalar(holding):
        raise Dependency(
            f"{number} participants of the project have the device; take it from them first",
            blockedBy=[{"type": "Participant", "count": number}],
        )


async def _validate_of_participant(change: Change) -> None:
    if change.going:
        return
    link = change.row
    project = sa.select(Participant.project_id).where(Participant.id == link.participant_id).scalar_subquery()
    held = sa.select(ProjectDevice.id).where(
        ProjectDevice.device_id == link.device_id, ProjectDevice.project_id == project
    )
    if await change.session.scalar(held) is None:
        raise Invalid("the device is not in the participant's project; link it there first", field="ids")


POLICIES = (
    Policy(model=DeviceType, read=(ORGANISED,), create=(SUPERADMIN,), update=(SUPERADMIN,), delete=(SUPERADMIN,)),
    Policy(
        model=DeviceSubtype,
        read=(ORGANISED,),
        create=(SUPERADMIN,),
        update=(SUPERADMIN,),
        delete=(SUPERADMIN,),
    ),
    Policy(
        model=Device,
        read=(PROJECT_USER, SITE_USER, DEVICE_OF_PARTICIPANT, DEVICE_SELF, LINKED_SERVICE),
        fields={
            **dict.fromkeys(("onlineable", "last_online_at", "online", "presence", "status"), _USE),
            "config": (DEVICE_SELF, *_READ_CARE),
            **dict.fromkeys(("infos", "notes"), _READ_CARE),
        },
        project=by_link(ProjectDevice, "device_id", "project_id"),
        site=by_link(SiteDevice, "device_id", "site_id"),
        recorded_in=_site_of,
        made_in=(Site,),
        create=(SITE_ADMIN, SUPERADMIN),
        update=(SITE_ADMIN, SUPERADMIN),
        columns={
            "enabled": _ACCOUNT,
            "config": (DEVICE_SELF, *_CARE),
            "notes": _CARE,
            "status": (DEVICE_SELF,),
        },
        delete=(DEVICE_ADMIN, SUPERADMIN),
        undelete=(SUPERADMIN,),
        blocks=(Device.type_id, Device.subtype_id),
        validate=_validate,
        principal=True,
        switch="enabled",
        tokens=_ACCOUNT,
    ),
    Policy(
        model=SiteDevice,
        link_of=SiteDevice.device_id,
        create=(DEVICE_LINKER, SUPERADMIN),
        founding=_LINKING,
        delete=_LINKING,
        goes_with=(SiteDevice.site_id, SiteDevice.device_id),
        then=_leave_site,
    ),
    Policy(
        model=ProjectDevice,
        link_of=ProjectDevice.device_id,
        create=_LINKING,
        delete=_LINKING,
        goes_with=(ProjectDevice.project_id, ProjectDevice.device_id),
        validate=_validate_in_project,
    ),
    Policy(
        model=ParticipantDevice,
        link_of=ParticipantDevice.device_id,
        project=by_parent(Participant, "participant_id"),
        create=(PROJECT_ADMIN, SUPERADMIN),
        delete=(PROJECT_ADMIN, SUPERADMIN),
        goes_with=(ParticipantDevice.participant_id,),
        blocks=(ParticipantDevice.device_id,),
        counted_as=ParticipantDevice.participant_id,
        validate=_validate_of_participant,
    ),
)
