"""What access costs: `python -m bench.access` fills a database with an organisation and asks for the same page as a
user of many groups and as a superadmin, in turn; then it measures how long loading that user's principal takes.

Prints medians and their ratio for PostgreSQL and for SQLite.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench import data
from db import models
from db.engine import Database
from db.types import later, uuid7
from gateway.app import make_services
from gateway.operations.documents import Documents, Envelope
from gateway.operations.execution import Execution
from gateway.settings import load
from resolvers.context import Context, Services
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import Kind, Principal
from resolvers.identity.tokens import Session
from schema import build
from schema.fields.cost import Bounds
from tests.support.postgres import running_postgres
from tests.support.recording import recorded

GROUPS, SITES, PROJECTS, PARTICIPANTS = 20, 50, 500, 10_000
PAGE = """{ participants(first: 50) { nodes { id name project { name site { name } } group { name }
  devices(first: 5) { nodes { name } } } pageInfo { hasNextPage endCursor } } }"""


async def fill(database: Database) -> tuple[UUID, UUID]:
    """The organisation; returns a user with a role in half of the projects by 20 groups, and a superadmin."""
    user, root, kind = uuid7(), uuid7(), uuid7()
    sites, projects = [uuid7() for _ in range(SITES)], [uuid7() for _ in range(PROJECTS)]
    groups = [uuid7() for _ in range(GROUPS)]
    rows: list[Sequence[Any]] = [
        [
            models.User(id=user, username="many", email_verified=True),
            models.User(id=root, username="root", superadmin=True),
        ],
        [models.Site(id=key, name=f"site {n:02}") for n, key in enumerate(sites)],
        [models.Project(id=key, site_id=sites[n % SITES], name=f"project {n:03}") for n, key in enumerate(projects)],
        [models.UserGroup(id=key, name=f"group {n:02}") for n, key in enumerate(groups)],
        [models.UserGroupMember(user_group_id=key, user_id=user) for key in groups],
        [models.DeviceType(id=kind, name="sensor", key="sensor")],
    ]
    roles, grants, cohorts = [], [], []
    for n, project in enumerate(projects):
        role = models.Role(
            id=uuid7(), service_id=models.CORE, scope=models.RoleScope.PROJECT, project_id=project,
            name=models.ADMIN if n % 4 == 0 else models.USER,
        )  # fmt: skip
        roles.append(role)
        if n % 2 == 0:
            grants.append(models.RoleGrant(role_id=role.id, user_group_id=groups[n // 2 % GROUPS]))
        cohorts.append(models.ParticipantGroup(id=uuid7(), project_id=project, name="cohort"))
    rows += [roles, grants, cohorts]
    participants = [
        models.Participant(
            id=uuid7(), project_id=projects[n % PROJECTS], group_id=cohorts[n % PROJECTS].id, name=f"P-{n:05}",
            email=f"p{n}@example.org",
        )
        for n in range(PARTICIPANTS)
    ]  # fmt: skip
    devices = [models.Device(id=uuid7(), name=f"sensor {n:05}", type_id=kind) for n in range(PARTICIPANTS)]
    rows += [
        participants,
        devices,
        [models.SiteDevice(site_id=sites[n % PROJECTS % SITES], device_id=d.id) for n, d in enumerate(devices)],
        [models.ProjectDevice(project_id=projects[n % PROJECTS], device_id=d.id) for n, d in enumerate(devices)],
        [
            models.ParticipantDevice(participant_id=p.id, device_id=d.id)
            for p, d in zip(participants, devices, strict=True)
        ],
    ]
    for some in rows:
        async with database.write(as_system="bench") as session:
            session.add_all(some)
    return user, root


async def signed_in(services: Services, user: UUID) -> Session:
    family = uuid7()
    async with services.database.write(as_system="bench") as session:
        session.add(
            models.Credential(
                user_id=user, kind=models.CredentialKind.LOGIN_SESSION, secret_hash=str(family), algorithm="none",
                family=family, expires_at=later(3600),
            )
        )  # fmt: skip
    return Session(Kind.USER, user, family, None)  # type: ignore[arg-type]


async def medians(times: int, **asked: Callable[[], Awaitable[Any]]) -> dict[str, float]:
    """Milliseconds of each, asked in turn, so that all share what else the machine does."""
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for n in range(times + 10):
        for name, ask in asked.items():
            start = time.perf_counter()
            await ask()
            if n >= 10:
                taken[name].append(1_000 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in taken.items()}


async def measure(url: str, folder: Path, times: int) -> None:
    key: Any = "bench:" + "0123456789abcdefghijklmnopqrstuvwxyz"
    settings = load(database_url=url, data_dir=folder, secret_keys=key, task_slots=0)
    services = make_services(settings)
    await services.database.start()
    schema = build()
    documents, execution = Documents(schema.core, Bounds(), keep=10**7), Execution(schema, Bounds(), timeout=15)
    try:
        user, root = await fill(services.database)
        async with services.database.write(as_system="bench") as session:
            await session.execute(sa.text("ANALYZE"))
        said, above = await signed_in(services, user), await signed_in(services, root)
        who = {
            "user": await principal_of(services.database, said),
            "superadmin": await principal_of(services.database, above),
        }

        async def page(principal: Principal) -> Any:
            answer = await execution.run(documents.operation(Envelope(PAGE)), {}, Context(services, principal))
            assert not answer.codes, answer.codes
            return answer

        with recorded() as counted:
            await page(who["user"])
        found = await medians(
            times,
            user=lambda: page(who["user"]),
            superadmin=lambda: page(who["superadmin"]),
            principal=lambda: principal_of(services.database, said),
        )
        seen, ratio = len(who["user"].projects), found["user"] / found["superadmin"]
        print(
            f"{services.database.dialect}: page of 50 in {counted.statements} statement(s), {found['user']:.2f} ms as "
            f"a user of {seen} projects, {found['superadmin']:.2f} ms as superadmin, ratio {ratio:.2f}; "
            f"principal {found['principal']:.2f} ms"
        )
    finally:
        await services.identity.close()
        await services.database.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="how often each is asked")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        folder = Path(name)
        asyncio.run(_both(server, folder, given.times))


async def _both(server: str, folder: Path, times: int) -> None:
    for url in (await data.create(server), await data.create_file(folder)):
        await measure(url, folder, times)


if __name__ == "__main__":
    main()
