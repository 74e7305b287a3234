"""What is not kept for ever."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db.engine import Database, changed, row_topic
from db.locks import held_in_order, in_order
from db.models import (
    Attempts,
    AuditEvent,
    Credential,
    CredentialKind,
    Job,
    Notification,
    NotificationState,
    Simulation,
    SimulationLink,
    Task,
)
from db.types import later, now
from resolvers.writing.rate_limits import KNOWN, KNOWN_FOR

DAY = 86_400
SOME = 50
"""Simulations removed in one transaction, with all that belongs to them."""
_FLEETING = (
    CredentialKind.LOGIN_SESSION,
    CredentialKind.EMAIL_CODE,
    CredentialKind.EMAIL_VERIFY,
    CredentialKind.PASSWORD_RESET,
)


async def tidy(
    database: Database, *, audit_days: float, notice_days: float, simulation_days: float, deleted_days: float
) -> Mapping[str, int]:
    """Delete audit events and notifications that are older than so many days, and what expired a day ago. Simulations
    go when they are `simulation_days` old and the last of their jobs ended as long ago (0: never), and for good
    `deleted_days` after they were deleted. Returns how many rows of each table went."""
    sent = Notification.state != NotificationState.PENDING
    old: tuple[Any, ...] = (
        sa.delete(AuditEvent).where(AuditEvent.at < later(-audit_days * DAY)),
        sa.delete(Notification).where(sent, Notification.created_at < later(-notice_days * DAY)),
        sa.delete(Credential).where(Credential.kind.in_(_FLEETING), Credential.expires_at < later(-DAY)),
        sa.delete(SimulationLink).where(SimulationLink.expires_at < later(-DAY)),
        sa.delete(Attempts).where(
            Attempts.since < later(-DAY),
            sa.or_(sa.not_(Attempts.key.startswith(KNOWN)), Attempts.since < later(-KNOWN_FOR)),
        ),
    )
    gone: dict[str, int] = {}
    if simulation_days:
        gone["finished simulations"] = await _erase_finished(database, simulation_days)
    gone["simulations"] = await _clear_deleted(database, deleted_days)
    for statement in old:
        async with database.write(as_system="what is old is cleared away") as session:
            gone[statement.table.name] = await in_order(session, statement)
    return gone


async def _erase_finished(database: Database, days: float) -> int:
    since = later(-days * DAY)
    recent = sa.exists().where(
        Job.simulation_id == Simulation.id, sa.or_(Job.ended_at.is_(None), Job.ended_at >= since)
    )
    old = (Simulation.deleted_at.is_(None), Simulation.created_at < since, ~recent)
    async with database.write(as_system="what is old is cleared away") as session:
        number = await in_order(
            session, sa.update(Simulation).where(*old).values(deleted_at=now(), version=Simulation.version + 1)
        )
        if number:
            changed(session, row_topic(Simulation, "*"))
        return number


async def _clear_deleted(database: Database, days: float) -> int:
    """Some at a time, so that no other write waits for long."""
    gone = 0
    while True:
        async with database.write(as_system="what is old is cleared away") as session:
            old = sa.select(Simulation.id).where(Simulation.deleted_at < later(-days * DAY)).limit(SOME)
            keys = (await session.scalars(old)).all()
            await held_in_order(session, Simulation, Simulation.id.in_(keys))
            jobs = sa.select(Job.id).where(Job.simulation_id.in_(keys))
            await held_in_order(session, Job, Job.id.in_(jobs))
            await held_in_order(session, Task, Task.job_id.in_(jobs))
            await session.execute(sa.delete(Job).where(Job.simulation_id.in_(keys)))
            await session.execute(sa.delete(Simulation).where(Simulation.id.in_(keys)))
        gone += len(keys)
        if len(keys) < SOME:
            return gone
