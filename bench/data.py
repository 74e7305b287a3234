"""Generated rows: simulations of many users in one project, each with a job of ten tasks."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from db import migrating, models
from db.engine import Database
from db.types import uuid7
from resolvers.accounts import create_user
from resolvers.passwords import Passwords
from schema.scalars import global_id

DATABASE = "torana_bench"
USERNAME, PASSWORD = "reader", "correct horse battery staple"
USERS, TASKS, PRIMARIES = 1_000, 10, 100_000
ASKED = 1_000
"""Simulations that are asked for by id."""
START = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


async def create(server: str) -> str:
    """The URL of a new, migrated database at `server`."""
    await drop(server)
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    await migrating.migrate(f"{server}/{DATABASE}")
    return f"{server}/{DATABASE}"


async def drop(server: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    finally:
        await connection.close()


async def fill(url: str, simulations: int) -> list[str]:
    """Store everything; returns global ids of simulations to ask for."""
    chance = random.Random(simulations)
    project = uuid7()
    reader = await _reader(url)
    users = [uuid7() for _ in range(USERS)]
    owners = [chance.choice(users) for _ in range(simulations)]
    keys = [uuid7() for _ in range(simulations)]
    jobs = [uuid7() for _ in range(simulations)]
    site: Row = {"id": uuid7(), "name": "Bench", "two_factor_required": False}
    connection = await asyncpg.connect(url)
    try:
        await _copy(connection, models.Site, [site])
        await _copy(
            connection, models.Project, [{"id": project, "site_id": site["id"], "name": "Bench", "enabled": True}]
        )
        await _copy(connection, models.User, map(_user, users, range(USERS)))
        memberships = ({"id": uuid7(), "user_id": u, "project_id": project, "role": "USER"} for u in [reader, *users])
        await _copy(connection, models.Membership, memberships)
        await _copy(
            connection,
            models.Simulation,
            (_simulation(n, key, owner, project) for n, (key, owner) in enumerate(zip(keys, owners, strict=True))),
        )
        await _copy(connection, models.Job, map(_job, range(simulations), jobs, keys, owners))
        await _copy(connection, models.Task, (_task(n, jobs[n], i) for n in range(simulations) for i in range(TASKS)))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return [global_id("Simulation", key) for key in chance.sample(keys, min(ASKED, simulations))]


async def _reader(url: str) -> UUID:
    """The user who asks, with a password to sign in with."""
    database, passwords = Database(url), Passwords()
    try:
        hashed = await passwords.hash(PASSWORD)
        async with database.write() as session:
            return (await create_user(session, USERNAME, hashed)).id
    finally:
        passwords.close()
        await database.dispose()


async def _copy(connection: Any, model: type[models.Entity], rows: Iterable[Row]) -> None:
    """COPY rows that all have the same columns; those of every entity are added."""
    rows = iter(rows)
    first = _entity(next(rows))
    records = [tuple(first.values()), *(tuple(_entity(row).values()) for row in rows)]
    await connection.copy_records_to_table(model.__tablename__, records=records, columns=list(first))


def _entity(row: Row) -> Row:
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


def _simulation(n: int, key: UUID, owner: UUID, project: UUID) -> Row:
    return {
        "id": key,
        "user_id": owner,
        "title": f"Proton beam {n} in water",
        "sim_type": "SHIELDHIT",
        "input_type": "FILES",
        "project_id": project,
        "created_at": _moment(n),
    }


def _job(n: int, key: UUID, simulation: UUID, owner: UUID) -> Row:
    at = _moment(n)
    return {
        "id": key,
        "key": f"{at:%Y%m%d-%H%M%S}-{key}-in-process",
        "kind": "SIMULATION",
        "owner_user_id": owner,
        "state": _state(n),
        "platform": "IN_PROCESS",
        "title": f"Proton beam {n} in water",
        "attempt": 1,
        "progress": 1.0,
        "submitted_at": at,
        "started_at": at,
        "ended_at": at + timedelta(minutes=5),
        "warnings": "[]",
        "last_update_at": at + timedelta(minutes=5),
        "log_length": 0,
        "simulation_id": simulation,
        "created_at": at,
    }


def _task(n: int, job: UUID, index: int) -> Row:
    at = _moment(n)
    return {
        "id": uuid7(),
        "job_id": job,
        "ordinal": index + 1,
        "state": _state(n),
        "requested": PRIMARIES,
        "done": PRIMARIES if _state(n) == "COMPLETED" else PRIMARIES // (index + 2),
        "started_at": at,
        "ended_at": at + timedelta(minutes=5),
        "last_update_at": at + timedelta(minutes=5),
        "attempt": 1,
        "losses": 0,
        "created_at": at,
    }


def _state(n: int) -> str:
    return "CANCELED" if n % 10 == 0 else "COMPLETED"
