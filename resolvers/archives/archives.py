"""Ask for an archive of a simulation's results, or of those of a project."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import TERMINAL, Archive, Job, JobKind, Project, Simulation, Task
from db.searching.folding import composed
from db.types import uuid7
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, LimitExceeded
from resolvers.queue.lifecycle import Subject, enqueue, new_job
from resolvers.work.placement import checked_options, chosen_place
from resolvers.writing.refusals import writing
from resolvers.writing.rows import require, seen, signed_in

SUBJECTS: Mapping[str, Any] = {"Simulation": Simulation, "Project": Project}
SIMULATIONS = 2_000
"""The most simulations of one archive."""
WAITING = 20
"""The most archives of one user that are not made yet."""


async def request(
    ctx: Context,
    typename: str,
    key: UUID,
    *,
    cluster: UUID | None = None,
    options: Mapping[str, Any] | None = None,
) -> UUID:
    """Begin an archive of what one may read of a simulation, or of all simulations of a project; returns its key."""
    owner = signed_in(ctx)
    model = SUBJECTS.get(typename)
    if model is None:
        raise Invalid(f"no archive is made of a {typename}", field="input.subject", allowed=sorted(SUBJECTS))
    async with writing(ctx, "CREATE", Archive) as session:
        subject: Any = await seen(session, ctx, model, key, field="input.subject")
        asked = checked_options(options or {}, cluster)
        number = 1 if model is Simulation else await _number(session, ctx, key)
        await _expect_few(session, owner)
        title = composed(subject.title if model is Simulation else subject.name)
        moment = await moment_of(session)
        lasts = timedelta(seconds=ctx.services.files.bounds.archive)
        archive = Archive(
            id=uuid7(),
            user_id=owner,
            title=title,
            simulation_id=key if model is Simulation else None,
            project_id=key if model is Project else None,
            expires_at=moment + lasts,
        )
        session.add(archive)
        await session.flush()
        await require(session, ctx, archive, policy_of(Archive).create, "make")
        place = await chosen_place(session, ctx, cluster, asked)
        because(session, "an archive is made by a job", Job, Task)
        job, tasks = new_job(Subject(JobKind.ARCHIVE, archive.id, owner, None, title), [number], place, moment)
        await enqueue(session, job, tasks)
        changed(session, row_topic(Archive, archive.id))
        return archive.id


async def _number(session: AsyncSession, ctx: Context, project: UUID) -> int:
    """How many simulations of a project the principal may read; refuses none, and too many."""
    found = sa.select(Simulation.id).where(Simulation.project_id == project, visible(Simulation, ctx.principal.profile))
    counted = sa.select(sa.func.count()).select_from(found.limit(SIMULATIONS + 1).subquery())
    number = await session.scalar(counted, dict(ctx.principal.parameters)) or 0
    if number == 0:
        raise Invalid("the project has no simulation that you may read", field="input.subject")
    if number > SIMULATIONS:
        raise LimitExceeded(
            f"an archive holds at most {SIMULATIONS:,} simulations; the project has more",
            field="input.subject",
            limit="simulations",
            allowed=SIMULATIONS,
            value=number,
        )
    return number


async def _expect_few(session: AsyncSession, owner: UUID) -> None:
    waiting = sa.select(sa.func.count()).where(
        Job.owner_user_id == owner, Job.kind == JobKind.ARCHIVE, Job.state.not_in(TERMINAL)
    )
    if (number := await session.scalar(waiting) or 0) >= WAITING:
        raise LimitExceeded(
            f"{number} of your archives are still being made; wait for them, or cancel some",
            limit="archives",
            allowed=WAITING,
            value=number + 1,
        )
