"""Release several tasks: together, or one by one where that fails, so that none keeps the others from running again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from db.outages import Unavailable
from jobs.engine import Ending
from resolvers.context import Services
from resolvers.identity.principal import TaskClaim
from resolvers.queue import leases
from resolvers.steps import guarded


@dataclass(frozen=True, slots=True)
class Release:
    """A task whose run ended without a result: why, and how. A run with no `ending` does not count."""

    task_claim: TaskClaim
    reason: str
    ending: Ending | None = Ending.LOST


async def release_all(services: Services, releases: Sequence[Release], *, lapsed: bool = False) -> None:
    """Release these tasks; those of a lease that has `lapsed`, unless their workers have reported after all."""
    if not releases:
        return
    try:
        await _together(services, releases, lapsed)
    except Unavailable:
        raise
    except Exception:
        if len(releases) == 1:
            raise
        for one in releases:
            await guarded(partial(_together, services, [one], lapsed), "jobs")


async def _together(services: Services, releases: Sequence[Release], lapsed: bool) -> None:
    async with services.database.write(as_system="jobs are handed to engines") as session:
        await leases.hold_jobs(session, [one.task_claim for one in releases])
        for one in releases:
            await leases.release_task(
                session,
                one.task_claim,
                one.reason,
                None if one.ending is None else services.limits.runs,
                ending=one.ending or Ending.LOST,
                lapsed=lapsed,
            )
