"""Generated rows: projects with their users, and their simulations, each with a job or two of ten tasks."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db import models
from db.types import uuid7

PROJECTS, USERS, TASKS, PRIMARIES = 20, 1_000, 10, 100_000
RETRIED = 5
"""Of so many simulations one has a second job, because the first failed."""
START = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(frozen=True)
class Generated:
    """Keys of everything that others refer to. Simulation n belongs to project n % 20, as does its owner."""

    chance: random.Random
    reader: UUID
    site: UUID
    projects: list[UUID]
    users: list[UUID]
    simulations: list[UUID]
    owners: list[UUID]
    jobs: list[tuple[int, int, UUID]]
    """Number of the simulation, attempt, key."""
    tasks: int = TASKS
    """Of each job."""

    def chosen(self, most: int) -> list[UUID]:
        """Some of the simulations."""
        return self.chance.sample(self.simulations, min(most, len(self.simulations)))

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        """The rows of each table, those first that others refer to."""
        for model, found in (
            (models.Site, iter([{"id": self.site, "name": "Bench", "two_factor_required": False}])),
            (models.Project, self._projects()),
            (models.User, map(_user, self.users, range(len(self.users)))),
            *self._roles(),
            (models.Simulation, self._simulations()),
            (models.Job, (self._job(*job) for job in self.jobs)),
            (models.Task, (self._task(n, attempt, key, i) for n, attempt, key in self.jobs for i in range(self.tasks))),
        ):
            yield model, map(entity, found)

    def _projects(self) -> Iterator[Row]:
        for n, key in enumerate(self.projects):
            name = f"{('Carbon', 'Proton')[n % 2]} therapy {n:02}"
            yield {"id": key, "site_id": self.site, "name": name, "enabled": True}

    def _roles(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        """The reader is in the group of every project, everyone else in one."""
        groups, roles = [uuid7() for _ in self.projects], [uuid7() for _ in self.projects]
        yield models.UserGroup, ({"id": key, "name": f"project {n:02}"} for n, key in enumerate(groups))
        yield (
            models.Role,
            (
                {"id": role, "service_id": models.CORE, "scope": "PROJECT", "project_id": project, "name": models.USER}
                for role, project in zip(roles, self.projects, strict=True)
            ),
        )
        yield (
            models.RoleGrant,
            (
                {"id": uuid7(), "role_id": role, "user_group_id": group}
                for role, group in zip(roles, groups, strict=True)
            ),
        )
        members = [(group, self.reader) for group in groups]
        members += [(groups[n % PROJECTS], user) for n, user in enumerate(self.users)]
        yield (
            models.UserGroupMember,
            ({"id": uuid7(), "user_group_id": group, "user_id": user} for group, user in members),
        )

    def _simulations(self) -> Iterator[Row]:
        for n, (key, owner) in enumerate(zip(self.simulations, self.owners, strict=True)):
            yield {
                "id": key,
                "user_id": owner,
                "title": f"Proton beam {n} in water",
                "sim_type": "SHIELDHIT",
                "input_type": "FILES",
                "project_id": self.projects[n % PROJECTS],
                "created_at": _moment(n),
            }

    def _job(self, n: int, attempt: int, key: UUID) -> Row:
        at = _moment(n) + timedelta(minutes=attempt)
        return {
            "id": key,
            "key": f"{at:%Y%m%d-%H%M%S}-{key}-in-process",
            "kind": "SIMULATION",
            "owner_user_id": self.owners[n],
            "project_id": self.projects[n % len(self.projects)],
            "state": _state(n, attempt),
            "platform": "IN_PROCESS",
            "title": f"Proton beam {n} in water",
            "attempt": attempt,
            "progress": 1.0,
            "submitted_at": at,
            "started_at": at,
            "ended_at": at + timedelta(minutes=5),
            "warnings": "[]",
            "last_update_at": at + timedelta(minutes=5),
            "log_length": 0,
            "simulation_id": self.simulations[n],
            "created_at": at,
        }

    def _task(self, n: int, attempt: int, job: UUID, index: int) -> Row:
        at = _moment(n) + timedelta(minutes=attempt)
        state = _state(n, attempt)
        return {
            "id": uuid7(),
            "job_id": job,
            "ordinal": index + 1,
            "state": state,
            "requested": PRIMARIES,
            "done": PRIMARIES if state == "COMPLETED" else PRIMARIES // (index + 2),
            "started_at": at,
            "ended_at": at + timedelta(minutes=5),
            "last_update_at": at + timedelta(minutes=5),
            "attempt": 1,
            "losses": 0,
            "interruptions": 0,
            "created_at": at,
        }


def generate(simulations: int, reader: UUID, tasks: int = TASKS) -> Generated:
    """What there is to be; `reader` is the key of a user who becomes a member of every project."""
    chance = random.Random(simulations)
    users = [uuid7() for _ in range(USERS)]
    return Generated(
        chance,
        reader,
        site=uuid7(),
        projects=[uuid7() for _ in range(PROJECTS)],
        users=users,
        simulations=[uuid7() for _ in range(simulations)],
        owners=[chance.choice(users[n % PROJECTS :: PROJECTS]) for n in range(simulations)],
        jobs=[(n, attempt, uuid7()) for n in range(simulations) for attempt in range(1, 2 + (n % RETRIED == 0))],
        tasks=tasks,
    )


def entity(row: Row) -> Row:
    """With the columns of every table."""
    return {"created_at": START, "updated_at": row.get("created_at", START), "version": 1, **row}


def _moment(n: int) -> datetime:
    return START + timedelta(minutes=n, microseconds=n)


def _user(key: UUID, n: int) -> Row:
    return {
        "id": key,
        "username": f"user{n:04}",
        "auth_provider": "LOCAL",
        "email": f"user{n:04}@example.org",
        "email_verified": True,
        "active": True,
        "superadmin": False,
        "platform_role": "READER",
        "profile": "{}",
        "two_factor": "NONE",
        "force_password_change": False,
    }


def _state(n: int, attempt: int) -> str:
    """The last job of a simulation was sometimes canceled; one before it failed."""
    if n % RETRIED == 0 and attempt == 1:
        return "FAILED"
    return "CANCELED" if n % 10 == 0 else "COMPLETED"
