"""Delete simulations that are older than the settings keep them."""

from collections.abc import Awaitable, Callable
from functools import partial

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.locks import held_in_order, in_order
from db.models import Job, Page, PageSlab, Simulation, Task
from db.types import later
from resolvers.retention import DAY, Sweep
from resolvers.writing.cascade import erase_old

SOME = 50
"""Simulations that are removed in one transaction, with all that belongs to them."""


def finished(days: float) -> Sweep:
    """The sweep that deletes simulations that are so old, and whose last job ended as long ago."""
    return Sweep("finished simulations", days, partial(_all, _erase_finished))


def deleted(days: float) -> Sweep:
    """The sweep that removes for good the simulations that were deleted so long ago."""
    return Sweep("simulations", days, partial(_all, _clear_deleted))


def unused_numbers() -> Sweep:
    """The sweep that removes the numbers of pages that were not stored, or that went with their simulations."""
    return Sweep("numbers of no page", 1.0, partial(_all, _clear_numbers))


async def _all(clear: Callable[[AsyncSession, float], Awaitable[int]], database: Database, days: float) -> int:
    """Clear some at a time, each in a transaction, so that no other write waits for long; returns how many went."""
    gone = 0
    while True:
        async with database.write(as_system="what is old is cleared away") as session:
            number = await clear(session, days)
        gone += number
        if number < SOME:
            return gone


async def _clear_numbers(session: AsyncSession, days: float) -> int:
    used = sa.exists().where(Page.content == PageSlab.content)
    old = sa.select(PageSlab.id).where(PageSlab.created_at < later(-days * DAY), ~used).limit(SOME)
    return await in_order(session, sa.delete(PageSlab).where(PageSlab.id.in_((await session.scalars(old)).all())))


async def _erase_finished(session: AsyncSession, days: float) -> int:
    since = later(-days * DAY)
    recent = sa.exists().where(
        Job.simulation_id == Simulation.id, sa.or_(Job.ended_at.is_(None), Job.ended_at >= since)
    )
    old = (Simulation.deleted_at.is_(None), Simulation.created_at < since, ~recent)
    return await erase_old(session, Simulation, old, SOME)


async def _clear_deleted(session: AsyncSession, days: float) -> int:
    old = sa.select(Simulation.id).where(Simulation.deleted_at < later(-days * DAY)).limit(SOME)
    keys = (await session.scalars(old)).all()
    await held_in_order(session, Simulation, Simulation.id.in_(keys))
    jobs = sa.select(Job.id).where(Job.simulation_id.in_(keys))
    await held_in_order(session, Job, Job.id.in_(jobs))
    await held_in_order(session, Task, Task.job_id.in_(jobs))
    await session.execute(sa.delete(Job).where(Job.simulation_id.in_(keys)))
    await session.execute(sa.delete(Simulation).where(Simulation.id.in_(keys)))
    return len(keys)
