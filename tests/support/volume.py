"""A database with as many rows as one asks for, and four people who see all of them by their projects, a part, or none."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench import data, results, rows
from bench.rows import Generated, Row
from db import migrating, models
from db.engine import Database
from db.types import uuid7
from resolvers.accounts.sign_in import create_user
from resolvers.spelling import global_id
from tests.support.databases import quick_passwords
from tests.support.volume_challenges import SAME_KEY, Contests
from tests.support.world import PASSWORD

STANDINGS = ("all", "one", "few", "none", "superadmin")
"""Member of all projects, of one, of one with few rows, of none."""
OWN = 2
"""Rows of each kind in the project with few."""


@dataclass(frozen=True)
class Volume:
    """`people` by access profile, and the ids that operations are asked with."""

    url: str
    people: Mapping[str, UUID]
    simulation: str
    whole: str

    def variables(self, name: str) -> dict[str, Any]:
        """What the operation of this name is asked with."""
        given = {
            "by id": {"id": self.simulation},
            "four levels": {"name": "proton"},
            "whole result": {"id": self.whole},
        }
        return given.get(name, {})


@dataclass(frozen=True)
class _More:
    """What the bench has no rows of: `number` of each."""

    of: Generated
    people: Mapping[str, UUID]
    number: int

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        kind, cohorts = uuid7(), [uuid7() for _ in self.of.projects]
        participants, devices = [[uuid7() for _ in range(self.number)] for _ in range(2)]
        places = [self.of.projects[n % len(self.of.projects)] for n in range(self.number)]
        group = uuid7()
        small, apart, own, few = uuid7(), uuid7(), [uuid7() for _ in range(OWN)], uuid7()
        rows_of = {"id": few, "service_id": models.CORE, "scope": "PROJECT", "project_id": small, "name": "user"}
        role = {"service_id": models.CORE, "scope": "PROJECT", "project_id": self.of.projects[0], "name": "one"}
        for model, found in (
            (models.DeviceType, [{"id": kind, "name": "Sensor", "key": "sensor"}]),
            (models.ParticipantGroup, self._cohorts(cohorts)),
            (models.Participant, self._participants(participants, places, cohorts)),
            (models.Device, self._devices(devices, kind)),
            (models.SiteDevice, [_pair(site_id=self.of.site, device_id=key) for key in devices]),
            (models.ProjectDevice, [_pair(project_id=p, device_id=d) for p, d in zip(places, devices, strict=True)]),
            (models.ParticipantDevice, [_pair(participant_id=p, device_id=d) for p, d in zip(participants, devices, strict=True)]),
            (models.UserGroup, [{"id": group, "name": "one"}]),
            (models.UserGroupMember, [_pair(user_group_id=group, user_id=self.people["one"])]),
            (models.Role, [role := {"id": uuid7(), **role}]),
            (models.RoleGrant, [_pair(role_id=role["id"], user_group_id=group)]),
            (models.Site, [{"id": apart, "name": "Apart", "two_factor_required": False}]),
            (models.Project, [{"id": small, "site_id": apart, "name": "Small", "enabled": True}]),
            (models.Participant, [{"id": key, "project_id": small, "name": f"S-{n}", "enabled": True, "login_enabled": False, "token_enabled": False} for n, key in enumerate(own)]),
            (models.ProjectDevice, [_pair(project_id=small, device_id=key) for key in devices[:OWN]]),
            (models.Simulation, [{"id": uuid7(), "user_id": self.of.users[0], "title": f"Small beam {n}", "sim_type": "SHIELDHIT", "input_type": "FILES", "project_id": small} for n in range(OWN)]),
            (models.UserGroup, [{"id": few, "name": "few"}]),
            (models.UserGroupMember, [_pair(user_group_id=few, user_id=self.people["few"])]),
            (models.Role, [rows_of]),
            (models.RoleGrant, [_pair(role_id=few, user_group_id=few)]),
        ):  # fmt: skip
            yield model, map(rows.entity, found)

    def _cohorts(self, keys: list[UUID]) -> list[Row]:
        return [
            {"id": key, "project_id": project, "name": "cohort"}
            for key, project in zip(keys, self.of.projects, strict=True)
        ]

    def _participants(self, keys: list[UUID], places: list[UUID], cohorts: list[UUID]) -> Iterator[Row]:
        for n, (key, project) in enumerate(zip(keys, places, strict=True)):
            yield {
                "id": key, "project_id": project, "group_id": cohorts[n % len(cohorts)], "name": f"P-{n:06}",
                "email": f"p{n}@example.org", "enabled": True, "login_enabled": False, "token_enabled": False,
            }  # fmt: skip

    def _devices(self, keys: list[UUID], kind: UUID) -> Iterator[Row]:
        for n, key in enumerate(keys):
            yield {"id": key, "name": f"sensor {n:06}", "type_id": kind, "enabled": True, "onlineable": False}


async def fill(url: str, number: int, *, tasks: int = rows.TASKS, whole: bool = True) -> Volume:
    """Migrate a database, and put `number` simulations, participants and submissions into it, and a result if `whole`."""
    await migrating.migrate(url)
    database = Database(url)
    try:
        async with database.write(as_system="test") as session:
            hashed = await quick_passwords().hash(PASSWORD)
            keys = {
                name: (
                    await create_user(
                        session,
                        name,
                        hashed,
                        email=f"{name}@torana.example",
                        email_verified=True,
                        superadmin=name == "superadmin",
                    )
                ).id
                for name in STANDINGS
            }
        generated = rows.generate(number, keys["all"], tasks)
        await data.store(database, generated)
        if whole:
            await results.keep(database, generated.simulations[0], results.generated())
        await data.store(database, Contests(generated.users, keys, number))
        async with database.write(as_system="test") as session:
            for text in SAME_KEY:
                await session.execute(sa.text(text))
        await data.store(database, _More(generated, keys, number))
    finally:
        await database.dispose()
    middle, first = generated.simulations[number // 2], generated.simulations[0]
    return Volume(url, keys, global_id("Simulation", middle), global_id("Simulation", first))


def _pair(**keys: Any) -> Row:
    return {"id": uuid7(), **keys}
