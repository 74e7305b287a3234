"""Jobs that a gateway of the release before wrote are brought in line with their simulations."""

from typing import Any

import sqlalchemy as sa

from db.models import Job, Simulation
from db.types import now
from resolvers.simulations.alignment import align
from tests.support.platforms import Platform
from tests.support.work import submit


async def test_jobs_get_the_project_and_the_end_of_their_simulation(platform: Platform) -> None:
    project = platform.world.id("Project", "shared")
    moved, gone, right = [await submit(platform, 1, title=t, project=project) for t in ("moved", "gone", "right")]
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(Job).where(Job.title == "moved").values(project_id=None))
        await session.execute(sa.update(Simulation).where(Simulation.title == "gone").values(deleted_at=now()))
    assert await align(platform.services.database) == 2
    assert await align(platform.services.database) == 0

    async def seen(one: Any, who: str) -> bool:
        found = await platform.ask("query($id:ID!){job(id:$id){id}}", who, id=one["job"]["id"])
        return found["job"] is not None

    assert [await seen(one, "maria") for one in (moved, gone, right)] == [True, False, True]
    assert not await seen(gone, "tom")
