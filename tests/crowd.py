"""Twenty of everything, all of it visible to tom, so that statements can be counted for few parents and for many."""

from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import ProjectRole, SessionCategory, SessionEventType
from db.types import uuid7
from tests.world import START, World, simulate, specify

MANY = 20


async def crowd(session: AsyncSession, world: World) -> None:
    for n in range(MANY):
        user, site, project, kind, held, challenge, board = (uuid7() for _ in range(7))
        session.add(models.User(id=user, username=f"user{n}"))
        session.add(models.Site(id=site, name=f"site {n}"))
        session.add(models.SessionType(id=kind, name=f"type {n}", online=True, color="#000000",
                                       category=SessionCategory.PROTOCOL))  # fmt: skip
        session.add(models.Challenge(id=challenge, label=f"challenge-{n}", start_date=date(2026, 1, 1) + timedelta(n),
                                     active=True, url="https://x.example"))  # fmt: skip
        await session.flush()
        session.add(models.Project(id=project, site_id=site, name=f"project {n}"))
        await session.flush()
        session.add(models.Membership(user_id=world.tom, project_id=project, role=ProjectRole.USER))
        session.add(models.Membership(user_id=user, project_id=project, role=ProjectRole.USER))
        session.add(models.Session(id=held, type_id=kind, project_id=project, creator_id=world.tom, name=f"held {n}",
                                   starts_at=START + timedelta(hours=n)))  # fmt: skip
        session.add(models.Leaderboard(id=board, challenge_id=challenge, label=f"board-{n}", entry_file="e.json",
                                       archived=False, static_files=False))  # fmt: skip
        await session.flush()
        session.add_all(
            models.SessionEvent(
                session_id=held, type=SessionEventType.USER_EVENT, occurred_at=START + timedelta(hours=h)
            )
            for h in range(3)
        )
        session.add_all(models.LeaderboardEntry(leaderboard_id=board, position=p, data={}) for p in range(1, 4))
        simulated = await simulate(session, world.tom, project, f"simulation {n}", tasks=3)
        row = await session.get(models.Simulation, simulated.simulation)
        assert row is not None
        row.session_id = held
        await specify(session, world.tom, f"spec-{n}", versions=3)
        session.add(models.AuditEvent(actor_kind="user", actor_id=world.tom, action="LOG_IN", entity_type="User"))
    await session.flush()
