"""Remove for good the specs and versions that were deleted some days ago.

A version whose package was fetched stays, without its source: the hash of that keeps its name from other content.
"""

import sqlalchemy as sa

from db.engine import Database
from db.locks import held_in_order, in_order
from db.models import File, Job, Spec, SpecModel, SpecVersion, Task
from db.types import later
from resolvers.retention import DAY, Sweep

SOME = 100
"""Versions that are removed in one transaction."""


def deleted(days: float) -> Sweep:
    """The sweep that removes specs and versions that were deleted so long ago."""
    return Sweep("specs", days, _clear)


async def _clear(database: Database, days: float) -> int:
    gone = 0
    while number := await _clear_versions(database, days):
        gone += number
    async with database.write(as_system="what is old is cleared away") as session:
        left = sa.exists().where(SpecVersion.spec_id == Spec.id)
        return gone + await in_order(session, sa.delete(Spec).where(Spec.deleted_at < later(-days * DAY), ~left))


async def _clear_versions(database: Database, days: float) -> int:
    old = (
        SpecVersion.deleted_at < later(-days * DAY),
        sa.or_(SpecVersion.fetched_at.is_(None), SpecVersion.source != ""),
    )
    async with database.write(as_system="what is old is cleared away") as session:
        wanted = sa.select(SpecVersion.id).where(*old).order_by(SpecVersion.id).limit(SOME)
        keys = (await session.scalars(wanted)).all()
        jobs = sa.select(Job.id).where(Job.spec_version_id.in_(keys))
        await held_in_order(session, SpecVersion, SpecVersion.id.in_(keys))
        await held_in_order(session, Job, Job.id.in_(jobs))
        await held_in_order(session, Task, Task.job_id.in_(jobs))
        for model in (SpecModel, File, Job):
            of_them = sa.delete(model).where(model.spec_version_id.in_(keys))
            await session.execute(of_them.execution_options(synchronize_session=False))
        versions = SpecVersion.id.in_(keys)
        emptied = sa.update(SpecVersion).where(versions, SpecVersion.fetched_at.is_not(None))
        await session.execute(emptied.values(source="", title=None, description=None))
        await session.execute(sa.delete(SpecVersion).where(versions, SpecVersion.fetched_at.is_(None)))
        return len(keys)
