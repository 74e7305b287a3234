"""A small platform to ask about: four people, two projects, and rows of every kind, some of them hidden from some."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import InputType, JobKind, JobState, SessionCategory, SessionEventType, SimulationType
from db.types import uuid7
from resolvers.access.roles import enrol
from resolvers.accounts.sign_in import create_user
from resolvers.spelling import global_id
from tests.support.boards import build_of
from tests.support.organisation import Place, furnish

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class World:
    """Keys by what they name. `shared` is a project that maria administers and tom uses; eve has none. sita administers
    its site, silo is a user of the site alone, mona manages the platform. `here` is what tom's site and project have,
    `there` what the hidden ones have."""

    root: UUID
    maria: UUID
    tom: UUID
    eve: UUID
    sita: UUID
    silo: UUID
    mona: UUID
    here: Place
    there: Place
    device_type: UUID
    site: UUID
    shared: UUID
    apart: UUID
    sessions: tuple[UUID, ...]
    simulation: UUID
    private: UUID
    estimator: UUID
    page: UUID
    job: UUID
    task: UUID
    challenge: UUID
    leaderboard: UUID
    spec: UUID
    spec_version: UUID

    def id(self, typename: str, name: str) -> str:
        return global_id(typename, getattr(self, name))


async def populate(session: AsyncSession, password_hash: str) -> World:
    """Rows for `World`, in the transaction of `session`."""
    people = [
        await create_user(
            session, name, password_hash, email=f"{name}@torana.example", email_verified=True, superadmin=name == "root"
        )
        for name in ("root", "maria", "tom", "eve", "sita", "silo", "mona")
    ]
    root, maria, tom, eve, sita, silo, mona = (user.id for user in people)
    people[-1].platform_role = models.PlatformRole.MANAGER
    site, apart_site, shared, apart = uuid7(), uuid7(), uuid7(), uuid7()
    harbour, island = models.Site(id=site, name="Harbour"), models.Site(id=apart_site, name="Island")
    kind = models.DeviceType(id=uuid7(), name="Sensor", key="sensor")
    session.add_all([harbour, island, kind])
    await session.flush()
    protons = models.Project(id=shared, site_id=site, name="Protons")
    secret = models.Project(id=apart, site_id=apart_site, name="Secret")
    session.add_all([protons, secret])
    await session.flush()
    await enrol(session, protons, maria, admin=True)
    await enrol(session, harbour, sita, admin=True)
    await enrol(session, harbour, silo)
    sessions = await _sessions(session, [(shared, maria), (apart, root)])
    here = await furnish(session, harbour, protons, [tom], sessions[0], kind.id)
    there = await furnish(session, island, secret, [], sessions[1], kind.id)
    simulation = await simulate(session, tom, shared, "shared by tom")
    private = await simulate(session, root, None, "of root alone")
    challenge, leaderboard = uuid7(), uuid7()
    session.add(
        models.Challenge(
            id=challenge, label="units-2026", start_date=date(2026, 1, 1), active=True, url="https://x.example"
        )
    )
    await session.flush()
    session.add(
        models.Leaderboard(
            id=leaderboard,
            challenge_id=challenge,
            label="units",
            entry_file="e.json",
            archived=False,
            static_files=False,
            sorting_key="scores.per",
        )
    )
    await session.flush()
    session.add(models.Phase(challenge_id=challenge, name="main"))
    await build_of(
        session,
        leaderboard,
        ({"position": n, "data": {"per": 10 + n}, "author_label": f"Team {n}"} for n in range(1, 4)),
    )
    spec, spec_version = await specify(session, tom, "clinic")
    await specify(session, root, "hidden")
    session.add(models.AuditEvent(actor_kind="user", actor_id=tom, action="LOG_IN", entity_type="User"))
    session.add(models.AuditEvent(actor_kind="user", actor_id=root, action="LOG_IN", entity_type="User"))
    return World(
        root, maria, tom, eve, sita, silo, mona, here, there, kind.id, site, shared, apart, sessions, simulation.simulation, private.simulation,
        simulation.estimator, simulation.page, simulation.job, simulation.task, challenge, leaderboard, spec, spec_version,
    )  # fmt: skip


@dataclass(frozen=True)
class Simulated:
    simulation: UUID
    estimator: UUID
    page: UUID
    job: UUID
    task: UUID


async def simulate(
    session: AsyncSession, owner: UUID, project: UUID | None, title: str, *, tasks: int = 2, estimators: int = 1
) -> Simulated:
    """A completed simulation with its input, job, tasks, log, estimators and pages."""
    simulation, job, estimator, page, task = (uuid7() for _ in range(5))
    session.add(
        models.Simulation(
            id=simulation, user_id=owner, project_id=project, title=title, sim_type=SimulationType.SHIELDHIT,
            input_type=InputType.FILES,
        )
    )  # fmt: skip
    await session.flush()
    session.add(models.SimulationSetup(simulation_id=simulation, files={"beam.dat": "x"}, total_primaries=100))
    session.add(
        models.Job(
            id=job, key=f"20260105-090000-{job}-DIRECT", kind=JobKind.SIMULATION, owner_user_id=owner, project_id=project, title=title,
            state=JobState.COMPLETED, simulation_id=simulation, progress=1.0, log_length=tasks,
        )
    )  # fmt: skip
    await session.flush()
    for n in range(1, tasks + 1):
        key = task if n == 1 else uuid7()
        session.add(
            models.Task(id=key, job_id=job, ordinal=n, requested=50, done=50, state=JobState.COMPLETED, attempt=1)
        )
        await session.flush()
        session.add(models.LogEntry(job_id=job, task_id=key, attempt=1, line=1, sequence=n, text=f"task {n}"))
    for n in range(estimators):
        key = estimator if n == 0 else uuid7()
        session.add(models.Estimator(id=key, simulation_id=simulation, name=f"e{n}_", file_name=f"e{n}.bdo", meta={}))
        await session.flush()
        session.add_all(
            models.Page(
                id=page if n == number == 0 else uuid7(), estimator_id=key, number=number, name="DOSE", dimension=1,
                value_count=3, unit="MeV/g", axis1_name="Position (Z)", axis1_unit="cm", axis1_count=3,
                axis1_values="[0.5,1.5,2.5]", meta={"page_number": str(number)}, data_values="[1.0,null,3.0]",
                has_non_finite=True,
            )
            for number in range(2)
        )  # fmt: skip
    await session.flush()
    return Simulated(simulation, estimator, page, job, task)


async def specify(session: AsyncSession, owner: UUID, name: str, *, versions: int = 1) -> tuple[UUID, UUID]:
    """A spec with its versions; the last one is the latest."""
    spec = models.Spec(id=uuid7(), user_id=owner, canonical_name=name, name=name.title())
    session.add(spec)
    await session.flush()
    for n in range(versions):
        version = models.SpecVersion(
            id=uuid7(), spec_id=spec.id, name=f"1.{n}", canonical_name=f"1.{n}", title=name, model_count=n, source="openapi: 3.0.0",
            language=models.SpecLanguage.YAML,
        )  # fmt: skip
        session.add(version)
        await session.flush()
        spec.latest_version_id = version.id
        columns = f"id\nname of {name} {n}"
        session.add(
            models.SpecModel(spec_version_id=version.id, name=name.title(), table_name=name, column_names=columns)
        )
    session.add(models.SpecLabel(spec_id=spec.id, name="mine"))
    await session.flush()
    return spec.id, version.id


async def _sessions(session: AsyncSession, held: list[tuple[UUID, UUID]]) -> tuple[UUID, ...]:
    kind = uuid7()
    session.add(
        models.SessionType(id=kind, name="Visit", online=True, color="#2f7ed8", category=SessionCategory.SERVICE)
    )
    await session.flush()
    keys = tuple(uuid7() for _ in held)
    for n, (project, creator) in enumerate(held):
        session.add(
            models.Session(
                id=keys[n], type_id=kind, project_id=project, creator_id=creator, name=f"session {n}",
                starts_at=START + timedelta(days=n), comments="quiet",
            )
        )  # fmt: skip
        await session.flush()
        session.add_all(
            models.SessionEvent(
                session_id=keys[n], type=SessionEventType.USER_EVENT, occurred_at=START + timedelta(hours=h)
            )
            for h in range(2)
        )
    return keys
