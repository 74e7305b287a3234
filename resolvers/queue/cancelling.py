"""Cancel jobs: on request, or because of what happens to what they are about."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.locks import in_order
from db.models import TERMINAL, Job, JobState, Task
from db.types import later, now
from db.written import because
from resolvers.queue.lifecycle import move

LETTING_GO = 10.0
"""Seconds for which a cancelled task stays known to its engine, so that the engine can end it."""


async def end_job(session: AsyncSession, key: UUID, *, asked: bool) -> None:
    """Cancel a job, with its tasks, with its subject; one that has ended stays as it is."""
    job = await session.get(Job, key, with_for_update=True, populate_existing=True)
    if job is not None and job.state not in TERMINAL:
        because(session, "a job is cancelled with what it is about", Job)
        await cancel(session, job, asked=asked)


async def cancel(session: AsyncSession, job: Job, *, asked: bool) -> None:
    """Cancel a job, locked by the transaction, and its tasks. Its owner is told unless the owner `asked` for it."""
    because(session, "tasks end with their job", Task)
    moment = await moment_of(session)
    await move(session, job, JobState.CANCELED, asked=asked, cancel_requested_at=moment)
    changes = {"state": JobState.CANCELED, "ended_at": now(), "lease_until": later(LETTING_GO),
               "estimated_seconds": None, "version": Task.version + 1}  # fmt: skip
    await in_order(session, sa.update(Task).where(Task.job_id == job.id, Task.state.not_in(TERMINAL)).values(changes))
