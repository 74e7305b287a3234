"""The demo's accounts, sites and projects, and the participants, devices and services of its projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.types import uuid7
from resolvers.access import roles


@dataclass(frozen=True, slots=True)
class Account:
    role: str
    username: str
    password: str


ACCOUNTS = (
    Account("administrator", "admin", "demo-administrator"),
    Account("project manager", "maria", "demo-project-manager"),
    Account("ordinary user", "tom", "demo-ordinary-user"),
)


PEOPLE: tuple[dict[str, object], ...] = (
    {"first_name": "Alma", "last_name": "Nowak", "superadmin": True, "email_verified": True},
    {
        "first_name": "Maria",
        "last_name": "Okafor",
        "affiliation": "Institute of Medical Physics",
        "email_verified": True,
    },
    {"first_name": "Tom", "last_name": "Lindqvist", "affiliation": "University Hospital", "email_verified": True},
)


async def fill_organisation(session: AsyncSession, maria: UUID, tom: UUID) -> list[UUID]:
    sites = [models.Site(id=uuid7(), name=name) for name in ("Harbour Hospital", "Hill Laboratory")]
    session.add_all(sites)
    await session.flush()
    projects = [
        models.Project(id=uuid7(), site_id=sites[0].id, name="Proton therapy", description="Beams and depth doses."),
        models.Project(
            id=uuid7(), site_id=sites[0].id, name="Rehabilitation at home", description="Movement sessions."
        ),
        models.Project(id=uuid7(), site_id=sites[1].id, name="Speech without text", description="Unsupervised units."),
    ]
    session.add_all(projects)
    await session.flush()
    for site in sites:
        await roles.found(session, site)
    for project in projects:
        await roles.found(session, project)
        await roles.enrol(session, project, maria, admin=True)
    for project in projects[:2]:
        await roles.enrol(session, project, tom)
    await _equipment(session, projects)
    return [project.id for project in projects]


async def _equipment(session: AsyncSession, projects: Sequence[models.Project]) -> None:
    """Participants, their devices, and a service that works in the projects."""
    kinds = [models.DeviceType(id=uuid7(), name=n, key=k) for n, k in (("Wrist sensor", "wrist"), ("Tablet", "tablet"))]
    calls = models.Service(
        id=uuid7(), name="Video calls", key="video-calls", hostname="calls.internal", port=4000, endpoint="/",
        client_endpoint="/calls", enabled=True, editable_config=True,
        config_schema={
            "type": "object",
            "properties": {"volume": {"type": "integer", "minimum": 0, "maximum": 10}, "camera": {"type": "boolean"}},
            "additionalProperties": False,
        },
    )  # fmt: skip
    session.add_all([*kinds, calls])
    await session.flush()
    session.add_all(models.SiteService(site_id=site, service_id=calls.id) for site in {p.site_id for p in projects})
    for number, project in enumerate(projects, 1):
        groups = [models.ParticipantGroup(id=uuid7(), project_id=project.id, name=n) for n in ("Treatment", "Control")]
        session.add_all([*groups, models.ProjectService(project_id=project.id, service_id=calls.id)])
        await session.flush()
        for n in range(1, 9):
            participant = models.Participant(
                id=uuid7(), project_id=project.id, group_id=groups[n % 2].id, name=f"P{number}-{n:02}",
                email=f"p{number}{n:02}@torana.example",
            )  # fmt: skip
            device = models.Device(
                id=uuid7(), name=f"{kinds[n % 2].name} {number}-{n:02}", type_id=kinds[n % 2].id, enabled=True,
                config={"rateHz": 50}, notes=None if n % 3 else "Strap replaced in October.",
            )  # fmt: skip
            session.add_all([participant, device])
            await session.flush()
            session.add_all(
                [
                    models.SiteDevice(site_id=project.site_id, device_id=device.id),
                    models.ProjectDevice(project_id=project.id, device_id=device.id),
                    models.ParticipantDevice(participant_id=participant.id, device_id=device.id),
                ]
            )
