"""The demo's sessions and their events."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import SessionCategory, SessionEventType, SessionMemberState, SessionStatus
from db.types import uuid7


async def fill_sessions(session: AsyncSession, projects: list[UUID], creators: list[UUID]) -> None:
    found = sa.select(models.Participant.project_id, models.Participant.id).order_by(models.Participant.name)
    people: dict[UUID, list[UUID]] = {}
    for project, participant in (await session.execute(found)).all():
        people.setdefault(project, []).append(participant)
    kinds = [
        models.SessionType(id=uuid7(), name=name, online=online, color=color, category=category)
        for name, online, color, category in (
            ("Video visit", True, "#2f7ed8", SessionCategory.SERVICE),
            ("Balance measurement", False, "#8bbc21", SessionCategory.DATACOLLECT),
            ("Gait protocol", False, "#910000", SessionCategory.PROTOCOL),
            ("Sensor upload", True, "#1aadce", SessionCategory.FILETRANSFER),
        )
    ]
    session.add_all(kinds)
    await session.flush()
    service = await session.scalar(sa.select(models.Service.id).where(models.Service.key == "video-calls"))
    kinds[0].service_id = service
    await _link(session, kinds, projects)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=40)
    ends = (SessionStatus.COMPLETED, SessionStatus.COMPLETED, SessionStatus.TERMINATED, SessionStatus.CANCELLED)
    for n in range(48):
        kind, begins = kinds[n % 4], start + timedelta(hours=20 * n)
        held = models.Session(
            id=uuid7(),
            type_id=kind.id,
            project_id=projects[n % 3],
            creator_id=creators[n % 2],
            name=f"{kind.name} {n + 1}",
            starts_at=begins,
            ends_at=begins + timedelta(seconds=900 + 60 * (n % 20)),
            duration_seconds=900 + 60 * (n % 20) if begins < datetime.now(UTC) else 0,
            status=ends[n % 4] if begins < datetime.now(UTC) else SessionStatus.NOT_STARTED,
            comments=None if n % 3 else "The participant asked for a shorter break.",
            parameters={"repetitions": 5 + n % 4},
        )
        session.add(held)
        await session.flush()
        participants = people[projects[n % 3]]
        state = SessionMemberState.INVITED if begins > datetime.now(UTC) else SessionMemberState.JOINED
        session.add_all(
            models.SessionMember(session_id=held.id, state=state, **who)
            for who in ({"participant_id": participants[n % (len(participants) - 1)]}, {"user_id": creators[n % 2]})
        )
        happened = ("SESSION_START", "SESSION_JOIN", "USER_EVENT", "SESSION_LEAVE", "SESSION_STOP")
        session.add_all(
            models.SessionEvent(
                session_id=held.id,
                type=SessionEventType[name],
                occurred_at=begins + timedelta(minutes=3 * step),
                text=f"Step {step + 1} of {len(happened)}",
            )
            for step, name in enumerate(happened)
        )


async def _link(session: AsyncSession, kinds: list[models.SessionType], projects: list[UUID]) -> None:
    """Have all types in all projects and their sites."""
    places = list(await session.scalars(sa.select(models.Project).where(models.Project.id.in_(projects))))
    for kind in kinds:
        session.add_all(
            models.SessionTypeSite(site_id=site, session_type_id=kind.id) for site in {one.site_id for one in places}
        )
        session.add_all(models.SessionTypeProject(project_id=one.id, session_type_id=kind.id) for one in places)
    await session.flush()
