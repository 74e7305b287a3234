"""Events that the gateway itself tells of: sessions that start and end, members that come and go."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.models import Session, SessionEvent, SessionEventType, SessionMember
from db.models.sessions import MEMBERS
from db.written import because
from resolvers.feed import events_topic


def tell(
    session: AsyncSession,
    row: UUID,
    what: str,
    moment: datetime,
    member: SessionMember | None = None,
    text: str | None = None,
) -> None:
    """Add an event to a session; `member` is whom it is about."""
    because(session, "what happens to a session is told in it", SessionEvent)
    whom = {} if member is None else {column: getattr(member, column) for column in MEMBERS}
    session.add(SessionEvent(session_id=row, type=SessionEventType[what], occurred_at=moment, text=text, **whom))
    changed(session, events_topic(row), row_topic(Session, row))
