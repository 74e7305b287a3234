"""Bring jobs in line with their simulations. Gateways of the release before wrote jobs without the project, and deleted
simulations without their jobs."""

import sqlalchemy as sa

from db.engine import Database
from db.locks import in_order
from db.models import Job, Simulation

SOME = 500
"""Jobs that are changed by one statement."""


async def align(database: Database) -> int:
    """Give jobs the project of their simulation, and delete those of deleted ones; returns how many were wrong."""
    own = Simulation.id == Job.simulation_id
    moved = Simulation.project_id.is_distinct_from(Job.project_id)
    gone = sa.and_(Simulation.deleted_at.is_not(None), Job.deleted_at.is_(None))
    wrong = sa.select(Job.id).join(Simulation, own).where(sa.or_(moved, gone))
    keys = [row.id for row in await database.rows(wrong)]
    project = sa.select(Simulation.project_id).where(own).scalar_subquery()
    deleted = sa.select(Simulation.deleted_at).where(own).scalar_subquery()
    mended = 0
    for start in range(0, len(keys), SOME):
        async with database.write(as_system="jobs are brought in line with their simulations") as session:
            some = sa.update(Job).where(Job.id.in_(keys[start : start + SOME]))
            values = {"project_id": project, "deleted_at": sa.func.coalesce(Job.deleted_at, deleted)}
            mended += await in_order(session, some.values(values))
    return mended
