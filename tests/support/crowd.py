"""Twenty of everything, all of it visible to tom, so that statements can be counted for few parents and for many."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import SessionCategory, SessionEventType
from db.types import later, uuid7
from resolvers.access.roles import enrol
from tests.support.crowd_challenges import Arena, compete
from tests.support.filed import archive_of, file_of, upload_of
from tests.support.further import Spot, furnish_further
from tests.support.world import START, World, simulate, specify

MANY = 20


async def crowd(session: AsyncSession, world: World) -> None:
    for n in range(MANY):
        user, site, project, kind, held = (uuid7() for _ in range(5))
        session.add(models.User(id=user, username=f"user{n}"))
        session.add(models.Site(id=site, name=f"site {n}"))
        session.add(models.SessionType(id=kind, name=f"type {n}", online=True, color="#000000",
                                       category=SessionCategory.PROTOCOL))  # fmt: skip
        await session.flush()
        place = models.Project(id=project, site_id=site, name=f"project {n}")
        session.add(place)
        session.add(models.SessionTypeSite(session_type_id=kind, site_id=site))
        await session.flush()
        session.add(models.SessionTypeProject(session_type_id=kind, project_id=project))
        members = await enrol(session, place, world.tom, user)
        cluster = models.Cluster(id=uuid7(), name=f"cluster {n}", platform=models.Platform.SLURM)
        session.add(cluster)
        session.add(models.Session(id=held, type_id=kind, project_id=project, creator_id=world.tom, name=f"held {n}",
                                   starts_at=START + timedelta(hours=n)))  # fmt: skip
        await session.flush()
        session.add_all(
            models.SessionEvent(
                session_id=held, type=SessionEventType.USER_EVENT, occurred_at=START + timedelta(hours=h)
            )
            for h in range(3)
        )
        await compete(session, Arena(world.tom, user, site, cluster.id), n)
        simulated = await simulate(session, world.tom, project, f"simulation {n}", tasks=3)
        row = await session.get(models.Simulation, simulated.simulation)
        assert row is not None
        row.session_id = held
        session.add(models.ClusterUserGroup(cluster_id=cluster.id, user_group_id=members.id))
        session.add(models.SimulationLink(simulation_id=row.id, user_id=world.tom, secret_hash=f"crowd-{n}",
                                          expires_at=later(3600)))  # fmt: skip
        session.add(models.SimulationLabel(simulation_id=row.id, name=f"label {n}"))
        await file_of(session, f"file-{n}.csv", owner_user_id=world.tom, session_id=held, project_id=project)
        await upload_of(session, f"upload-{n}.csv", owner_user_id=world.tom, project_id=project)
        await archive_of(session, world.tom, f"archive-{n}", simulation_id=row.id)
        await _furnish(session, world, place, held, n)
        await enrol(session, place, world.tom, admin=True)
        session.add(models.NotificationTemplate(key=f"message-{n}", project_id=project, text="hello"))
        session.add(models.Preference(user_id=world.tom, app_tag=f"app-{n}", value={"n": n}))
        session.add(models.Notification(user_id=world.tom, recipient="tom@torana.example", text="hello"))
        session.add(models.Credential(user_id=world.tom, kind=models.CredentialKind.API_KEY, label=f"key {n}",
                                      public_key=f"pk_{n}", secret_hash=f"crowd-{n}", algorithm="sha256"))  # fmt: skip
        await specify(session, world.tom, f"spec-{n}", versions=3)
        session.add(models.AuditEvent(actor_kind="user", actor_id=world.tom, action="LOG_IN", entity_type="User"))
    await session.flush()


async def _furnish(session: AsyncSession, world: World, project: models.Project, held: UUID, n: int) -> None:
    """Participants, devices and services of a project, linked crosswise."""
    site, kind, group, service = project.site_id, uuid7(), uuid7(), uuid7()
    session.add(models.DeviceType(id=kind, name=f"kind {n}", key=f"kind-{n}"))
    session.add(models.ParticipantGroup(id=group, project_id=project.id, name=f"group {n}"))
    session.add(models.Service(id=service, name=f"service {n}", key=f"service-{n}", hostname="x", port=1, endpoint="/",
                               client_endpoint="/"))  # fmt: skip
    await session.flush()
    subtype = models.DeviceSubtype(id=uuid7(), type_id=kind, name=f"subtype {n}")
    session.add(subtype)
    session.add(models.SiteService(site_id=site, service_id=service))
    session.add(models.ProjectService(project_id=project.id, service_id=service))
    await session.flush()
    session.add(models.ServiceConfig(service_id=service, user_id=world.tom, config={}))
    session.add(models.SessionMember(session_id=held, user_id=world.tom))
    for m in range(2):
        participant = models.Participant(id=uuid7(), project_id=project.id, group_id=group, name=f"P-{n}-{m}")
        device = models.Device(id=uuid7(), name=f"device {n}-{m}", type_id=kind, subtype_id=subtype.id)
        session.add_all([participant, device])
        await session.flush()
        session.add(models.SiteDevice(site_id=site, device_id=device.id))
        session.add(models.ProjectDevice(project_id=project.id, device_id=device.id))
        session.add(models.ParticipantDevice(participant_id=participant.id, device_id=device.id))
        session.add(models.SessionMember(session_id=held, participant_id=participant.id))
        session.add(models.SessionMember(session_id=held, device_id=device.id))
        await session.flush()
        await furnish_further(session, Spot(project.id, participant.id, device.id), f"further {n}-{m}")
    await session.flush()
