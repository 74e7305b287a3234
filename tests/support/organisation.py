"""Who works where: two sites with their devices, services and participants, one of them hidden from most people."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.types import later, uuid7
from resolvers.access import roles
from resolvers.identity.tokens import digest_of
from resolvers.spelling import global_id
from tests.support.further import Spot, furnish_further


@dataclass(frozen=True)
class Place:
    """Keys of what a site and its one project have."""

    site: UUID
    project: UUID
    group: UUID
    participant: UUID
    idle: UUID
    """A participant without sessions and devices."""
    device: UUID
    spare: UUID
    """A device that only the site has."""
    service: UUID
    config: UUID
    members: UUID
    """The group of the project's users."""
    grant: UUID
    participant_key: UUID
    device_key: UUID

    def id(self, typename: str, name: str) -> str:
        return global_id(typename, getattr(self, name))

    @property
    def secrets(self) -> dict[str, str]:
        return secrets_of(self.project)


def secrets_of(project: UUID) -> dict[str, str]:
    """The static tokens of a place's participant, device and service."""
    return {
        kind: f"{prefix}_{project}" for kind, prefix in (("participant", "pt"), ("device", "dt"), ("service", "st"))
    }


async def _hold(session: AsyncSession, site: UUID, project: UUID, service: UUID, held: UUID) -> list[models.Entity]:
    """The links of the type of a session to where it is held, and to the service that helps in it."""
    kind = (await session.get_one(models.Session, held)).type_id
    return [
        models.SessionTypeSite(site_id=site, session_type_id=kind),
        models.SessionTypeProject(project_id=project, session_type_id=kind),
        models.SessionTypeService(service_id=service, session_type_id=kind),
    ]


async def furnish(
    session: AsyncSession, site: models.Site, project: models.Project, users: list[UUID], held: UUID, kind: UUID
) -> Place:
    """Put everything into a site and its project: `users` are the project's, `held` is a session of it, `kind` a type
    of devices."""
    for place in (site, project):
        await roles.found(session, place)
    group = models.ParticipantGroup(id=uuid7(), project_id=project.id, name=f"group of {project.name}")
    session.add(group)
    await session.flush()
    participant = models.Participant(
        id=uuid7(), project_id=project.id, group_id=group.id, name="P-01", username=f"p01-{project.name.lower()}",
        email=f"p01@{site.name.lower()}.example", token_enabled=True, login_enabled=True,
    )  # fmt: skip
    idle = models.Participant(id=uuid7(), project_id=project.id, name="P-02", email="p02@example.org")
    subtype = models.DeviceSubtype(id=uuid7(), type_id=kind, name=f"subtype at {site.name}")
    session.add_all([participant, idle, subtype])
    await session.flush()
    device = models.Device(
        id=uuid7(), name=f"sensor of {site.name}", type_id=kind, subtype_id=subtype.id, enabled=True,
        config={"rate": 50}, infos={"serial": "A-1"}, notes="by the window",
    )  # fmt: skip
    spare = models.Device(id=uuid7(), name=f"spare of {site.name}", type_id=kind)
    service = models.Service(
        id=uuid7(), name=f"calls at {site.name}", key=f"calls-{site.name.lower()}", hostname="calls.internal", port=4000,
        endpoint="/", client_endpoint="/calls", enabled=True, editable_config=True,
        config_schema={"type": "object", "properties": {"volume": {"type": "integer", "maximum": 10}}},
    )  # fmt: skip
    session.add_all([device, spare, service])
    await session.flush()
    config = models.ServiceConfig(
        id=uuid7(), service_id=service.id, participant_id=participant.id, config={"volume": 3}
    )
    own = secrets_of(project.id)
    keys = [
        models.Credential(id=uuid7(), kind=models.CredentialKind.STATIC_TOKEN, algorithm="sha256", label=who,
                          secret_hash=digest_of(own[who]), expires_at=later(3600), **{f"{who}_id": owner.id})
        for who, owner in (("participant", participant), ("device", device), ("service", service))
    ]  # fmt: skip
    session.add_all(
        [
            models.SiteDevice(site_id=site.id, device_id=device.id),
            models.SiteDevice(site_id=site.id, device_id=spare.id),
            models.ProjectDevice(project_id=project.id, device_id=device.id),
            models.ParticipantDevice(participant_id=participant.id, device_id=device.id),
            models.SiteService(site_id=site.id, service_id=service.id),
            models.ProjectService(project_id=project.id, service_id=service.id),
            models.SessionMember(session_id=held, participant_id=participant.id),
            *await _hold(session, site.id, project.id, service.id, held),
            config,
            *keys,
        ]
    )
    await session.flush()
    members = await roles.enrol(session, project, *users)
    granted = sa.select(models.RoleGrant.id).where(models.RoleGrant.user_group_id == members.id)
    grant = (await session.scalars(granted)).one()
    await furnish_further(session, Spot(project.id, participant.id, device.id), f"further of {project.name}")
    return Place(
        site.id, project.id, group.id, participant.id, idle.id, device.id, spare.id, service.id, config.id, members.id,
        grant, keys[0].id, keys[1].id,
    )  # fmt: skip
