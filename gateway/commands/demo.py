"""Demonstration data of all four families, made here and put in as a user would."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import files, models
from db.models import InputType, SessionCategory, SessionEventType, SessionStatus, SimulationType
from db.types import uuid7
from jobs.programs.proton_beam import simulation
from jobs.programs.shieldhit import native
from resolvers.access import roles
from resolvers.accounts.sign_in import create_user
from resolvers.context import Context, Services
from resolvers.identity.principal import Kind, Principal
from resolvers.queue import leases
from resolvers.queue.reports import Line, Report
from resolvers.simulations import merging, simulations
from resolvers.work import worker_api


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

BEAM = """RNDSEED      4711             ! random seed
JPART0       2                ! protons
TMAX0        150.0 1.5        ! energy and its spread, MeV
NSTAT        {primaries} 0    ! primaries
STRAGG       2                ! energy straggling
MSCAT        2                ! multiple scattering
NUCRE        1                ! nuclear reactions
BEAMPOS      0 0 0
BEAMDIR      0.0 0.0
BEAMSIGMA    0.1 0.1          ! cm
DELTAE       0.03
"""
WATER = "MEDIUM 1\nICRU 276\nEND\n"
CYLINDER = """
    0    0          Proton beam in a water cylinder
  RCC    1       0.0       0.0       0.0       0.0       0.0      20.0
                 5.0
  RCC    2       0.0       0.0      -0.5       0.0       0.0      22.0
                 5.5
  RCC    3       0.0       0.0      -1.5       0.0       0.0      24.0
                 6.0
  END
  001          +1
  002          +2     -1
  003          -2     +3     -1
  END
    1    2    3
    1 1000    0
"""
SCORING = """Geometry Cyl
    Name Depth
    R 0 5 1
    Z 0 20 400

Geometry Mesh
    Name Plane
    X -0.25 0.25 1
    Y -2 2 40
    Z 0 20 100

Filter
    Name Protons
    Z == 1
    A == 1
Filter
    Name Primaries
    Z == 1
    A == 1
    GEN == 0

Output
    Filename depth.bdo
    Geo Depth
    Quantity Dose
    Quantity Fluence Protons
    Quantity Fluence Primaries

Output
    Filename plane.bdo
    Geo Plane
    Quantity Dose
"""


def beam_files(primaries: int) -> dict[str, str]:
    """Input of the built-in program: 150 MeV protons in water."""
    return {
        "beam.dat": BEAM.format(primaries=primaries),
        "mat.dat": WATER,
        "geo.dat": CYLINDER,
        "detect.dat": SCORING,
    }


async def fill(services: Services, tell: Callable[[str], None]) -> bool:
    """Put the demonstration data into an empty database; returns whether it was empty."""
    if await services.database.rows(sa.select(models.User.id).limit(1)):
        return False
    tell("accounts and projects")
    hashes = [await services.passwords.hash(account.password) for account in ACCOUNTS]
    async with services.database.write(as_system="the demo fills its own database") as session:
        _, maria, tom = [
            await create_user(session, account.username, hashed, email=f"{account.username}@torana.example", **columns)
            for account, hashed, columns in zip(ACCOUNTS, hashes, _PEOPLE, strict=True)
        ]
        projects = await _organisation(session, maria.id, tom.id)
        tell("sessions and their events")
        await _sessions(session, projects, [maria.id, tom.id])
        tell("challenges and leaderboards")
        await _challenges(session)
        tell("specs and their versions")
        await _specs(session, [maria.id, tom.id])
    tell("a simulation of a proton beam, computed now")
    await _simulation(services, tom.id, projects[0], tell)
    tell("a simulation that will run once the gateway is up")
    await _submit(services, maria.id, projects[0], "Proton beam, 4 tasks", 4_000, 4)
    return True


_PEOPLE: tuple[dict[str, object], ...] = (
    {"first_name": "Alma", "last_name": "Nowak", "superadmin": True, "email_verified": True},
    {
        "first_name": "Maria",
        "last_name": "Okafor",
        "affiliation": "Institute of Medical Physics",
        "email_verified": True,
    },
    {"first_name": "Tom", "last_name": "Lindqvist", "affiliation": "University Hospital", "email_verified": True},
)


async def _organisation(session: AsyncSession, maria: UUID, tom: UUID) -> list[UUID]:
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
    """Participants, their devices, and a service that both work with."""
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


async def _sessions(session: AsyncSession, projects: list[UUID], creators: list[UUID]) -> None:
    found = sa.select(models.Participant.project_id, models.Participant.id).order_by(models.Participant.name)
    people: dict[UUID, list[UUID]] = {}
    for project, participant in (await session.execute(found)).all():
        people.setdefault(project, []).append(participant)
    kinds = [
        models.SessionType(id=uuid7(), name=name, online=online, color=color, category=category)
        for name, online, color, category in (
            ("Video visit", True, "#2f7ed8", SessionCategory.SERVICE),
            ("Balance measurement", False, "#8bbc21", SessionCategory.DATACOLLECT),
            ("Gait protocol", False, "#910000", SessionCategory.PROTOCOL),
            ("Sensor upload", True, "#1aadce", SessionCategory.FILETRANSFER),
        )
    ]
    session.add_all(kinds)
    await session.flush()
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=40)
    ends = (SessionStatus.COMPLETED, SessionStatus.COMPLETED, SessionStatus.TERMINATED, SessionStatus.CANCELLED)
    for n in range(48):
        kind, begins = kinds[n % 4], start + timedelta(hours=20 * n)
        held = models.Session(
            id=uuid7(),
            type_id=kind.id,
            project_id=projects[n % 3],
            creator_id=creators[n % 2],
            name=f"{kind.name} {n + 1}",
            starts_at=begins,
            duration_seconds=900 + 60 * (n % 20),
            status=ends[n % 4] if begins < datetime.now(UTC) else SessionStatus.NOT_STARTED,
            comments=None if n % 3 else "The participant asked for a shorter break.",
            parameters={"repetitions": 5 + n % 4},
        )
        session.add(held)
        await session.flush()
        participants = people[projects[n % 3]]
        session.add(models.SessionMember(session_id=held.id, participant_id=participants[n % (len(participants) - 1)]))
        session.add(models.SessionMember(session_id=held.id, user_id=creators[n % 2]))
        happened = ("SESSION_START", "SESSION_JOIN", "USER_EVENT", "SESSION_LEAVE", "SESSION_STOP")
        session.add_all(
            models.SessionEvent(
                session_id=held.id,
                type=SessionEventType[name],
                occurred_at=begins + timedelta(minutes=3 * step),
                text=f"Step {step + 1} of {len(happened)}",
            )
            for step, name in enumerate(happened)
        )


async def _challenges(session: AsyncSession) -> None:
    tracks = ("spoken-units", "word-discovery", "voice-transfer", "dose-prediction")
    for year, track in enumerate(tracks, 2022):
        challenge = models.Challenge(
            id=uuid7(),
            label=f"{track}-{year}",
            start_date=date(year, 2, 1),
            end_date=None if year == 2025 else date(year, 6, 30),
            active=year == 2025,
            url=f"https://challenges.torana.example/{track}",
        )
        session.add(challenge)
        await session.flush()
        for board in ("development", "test"):
            leaderboard = models.Leaderboard(
                id=uuid7(),
                challenge_id=challenge.id,
                label=f"{track}-{year}-{board}",
                entry_file="entry.json",
                archived=year < 2024,
                static_files=False,
                sorting_key="scores.across",
                built_at=datetime(year, 7, 1, tzinfo=UTC),
            )
            session.add(leaderboard)
            await session.flush()
            session.add_all(_entry(leaderboard.id, place, board) for place in range(1, 13))


def _entry(leaderboard: UUID, place: int, board: str) -> models.LeaderboardEntry:
    teams = ("Aurora", "Birch", "Cobalt", "Delta", "Ember", "Fjord")
    across = round(8.0 + 1.3 * place + (0.4 if board == "test" else 0.0), 2)
    return models.LeaderboardEntry(
        leaderboard_id=leaderboard,
        position=place,
        author_label=f"Team {teams[place % len(teams)]}",
        external=place % 4 == 0,
        data={
            "scores": {"across": across, "within": round(across * 0.71, 2)},
            "model": f"system-{place:02d}",
            "supervision": place % 3 == 0,
        },
    )


SPEC = """openapi: "3.0.0"
info:
  title: {title}
  version: "{version}"
components:
  schemas:
{schemas}
"""
SCHEMA = """    {name}:
      type: object
      x-tablename: {table}
      properties:
        id: {{type: integer, x-primary-key: true}}
        name: {{type: string, x-index: true}}
      required: [name]
"""


async def _specs(session: AsyncSession, owners: list[UUID]) -> None:
    described = {
        "Clinic": ["Patient", "Visit", "Room"],
        "Beamline": ["Magnet", "Monitor"],
        "Corpus": ["Speaker", "Recording", "Segment", "Label"],
        "Inventory": ["Device"],
    }
    for n, (title, tables) in enumerate(described.items()):
        spec = models.Spec(id=uuid7(), user_id=owners[n % 2], canonical_name=title.lower(), name=title)
        session.add(spec)
        await session.flush()
        for minor in range(1 + n % 3):
            count = min(len(tables), minor + 1)
            version = models.SpecVersion(
                id=uuid7(),
                spec_id=spec.id,
                name=f"1.{minor}",
                title=f"{title} data",
                description=f"What the {title.lower()} keeps.",
                model_count=count,
                language=models.SpecLanguage.YAML,
                source=SPEC.format(
                    title=f"{title} data",
                    version=f"1.{minor}",
                    schemas="".join(SCHEMA.format(name=name, table=name.lower()) for name in tables[:count]),
                ),
            )
            session.add(version)
            await session.flush()
            spec.latest_version_id = version.id


async def _submit(services: Services, owner: UUID, project: UUID, title: str, primaries: int, tasks: int) -> None:
    ctx = Context(services, Principal(kind=Kind.USER, id=owner, projects={project: False}))
    await simulations.submit_simulation(
        ctx,
        title=title,
        sim_type=SimulationType.SHIELDHIT,
        input_type=InputType.FILES,
        given=beam_files(primaries),
        tasks=tasks,
        project_id=project,
    )


async def _simulation(services: Services, owner: UUID, project: UUID, tell: Callable[[str], None]) -> None:
    """Submit, compute here, and deliver as a worker would."""
    primaries, tasks = 1_000, 2
    await _submit(services, owner, project, "150 MeV protons in water", primaries, tasks)
    async with services.database.write(as_system="the demo fills its own database") as session:
        errands = await leases.claim_waiting(session, tasks, services.limits.lease)
    plan = native.read(beam_files(primaries))
    for errand, share in zip(errands, simulations.shares(primaries, tasks), strict=True):
        ctx = Context(services, Principal(kind=Kind.WORKER, errand=errand))
        said: list[str] = []
        seed = plan.seed + errand.ordinal
        estimators = await asyncio.to_thread(simulation.run, plan, share, seed, said.append, lambda _: None)
        lines = [Line(number, line) for number, line in enumerate(said, 1)]
        await worker_api.report(ctx, Report(lines=lines))
        await worker_api.put_results(ctx, estimators)
        tell(f"  task {errand.ordinal} of {tasks}: {share} primaries")
    await merging.merge_ready(services)


def own_keys(data_dir: Path) -> str:
    """The demo's own signing key, made at its first start and kept beside its database."""
    file = data_dir / "secret-keys"
    if not file.exists():
        files.made(data_dir)
        file.touch(mode=0o600)
        file.write_text(f"demo:{secrets.token_urlsafe(48)}")
    return file.read_text().strip()
