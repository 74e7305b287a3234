"""What happens to sessions by itself: invitations that nobody answers, people who may be asked again, and at night the
sessions that were forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog

from db import models as m
from db.engine import moment_of
from db.models import Session, SessionMember, SessionMemberState, SessionStatus
from db.types import now
from resolvers.context import Context, Services
from resolvers.identity.principal import Principal
from resolvers.sessions import happenings, members
from resolvers.sessions.commands import end
from resolvers.sessions.members import Who
from resolvers.sessions.states import Step, Turn, turn

log = structlog.get_logger("torana")

SOME = 100
"""The most sessions that are looked after at once."""


async def _held(session: Any, key: UUID) -> tuple[Session, dict[Who, SessionMember]] | None:
    """A session that may be under way, with its members, locked as all who write it lock."""
    await members.held(session, key)
    wanted = sa.select(Session).where(Session.id == key, Session.deleted_at.is_(None))
    wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    row = (await session.scalars(wanted)).one_or_none()
    if row is None:
        return None
    there = await members.of(session, key)
    members.expect_held(session, there)
    return row, there


async def time_out(services: Services) -> int:
    """End the invitations that were not answered in time; returns how many sessions had one."""
    late = sa.select(SessionMember.session_id).where(SessionMember.expires_at <= now())
    late = late.where(SessionMember.deleted_at.is_(None)).order_by(SessionMember.expires_at).limit(SOME)
    found = sorted({row.session_id for row in await services.database.rows(late)})
    for key in found:
        async with services.database.write(as_system="who does not answer an invitation in time") as session:
            held = await _held(session, key)
            if held is None:
                continue
            row, there = held
            moment = await moment_of(session)
            over = {
                one: member
                for one, member in there.items()
                if member.expires_at is not None and member.expires_at <= moment
            }
            for member in over.values():
                turn(member, Turn.TIME_OUT)
            await session.flush()
            members.told(session, row.id, over)
    return len(found)


async def ask_again(services: Services, who: UUID | None = None) -> int:
    """Ask those into sessions under way who were busy and are no longer. With `who`, somebody who came back: then also
    who was asked and did not answer. Returns how many sessions had one."""
    states = [SessionMemberState.BUSY]
    if who is not None:
        states += [SessionMemberState.TIMED_OUT, SessionMemberState.INVITED]
    wanted = (
        sa.select(SessionMember.session_id)
        .distinct()
        .join(Session, Session.id == SessionMember.session_id)
        .where(
            SessionMember.state.in_(states),
            SessionMember.deleted_at.is_(None),
            Session.status == SessionStatus.IN_PROGRESS,
            Session.deleted_at.is_(None),
            sa.not_(_busy()),
        )
        .limit(SOME)
    )
    if who is not None:
        columns = (SessionMember.user_id, SessionMember.participant_id, SessionMember.device_id)
        wanted = wanted.where(sa.or_(*(column == who for column in columns)))
    found = [row.session_id for row in await services.database.rows(wanted)]
    for key in found:
        async with services.database.write(as_system="who was busy, or away, is asked again") as session:
            held = await _held(session, key)
            if held is None or held[0].status is not SessionStatus.IN_PROGRESS:
                continue
            row, there = held
            busy = await members.busy_of(session, there)
            again = {
                one: member
                for one, member in there.items()
                if member.state in states and one not in busy and who in (None, one[1])
            }
            await members.ask(session, again, await moment_of(session), services.limits.reply)
            members.told(session, row.id, again)
    return len(found)


def _busy() -> Any:
    """The member is in another session that is under way."""
    return sa.or_(
        *(
            sa.exists().where(model.id == getattr(SessionMember, column), model.busy)
            for column, model in (("user_id", m.User), ("participant_id", m.Participant), ("device_id", m.Device))
        )
    )


async def came_back(ctx: Context, principal: Principal) -> None:
    """Somebody listens for invitations from now on."""
    if principal.id is not None:
        await ask_again(ctx.services, principal.id)


def last_night(moment: datetime, at: timedelta, zone: ZoneInfo) -> datetime:
    """The beginning of the day of which forgotten sessions were to be tidied last: each day so long after midnight, by
    the clocks of a zone. What was to start before it is forgotten."""
    here = moment.astimezone(zone)
    hours, seconds = divmod(int(at.total_seconds()), 3600)
    tonight = here.replace(hour=hours, minute=seconds // 60, second=0, microsecond=0)
    if tonight > here:
        tonight -= timedelta(days=1)
    return tonight.replace(hour=0, minute=0).astimezone(UTC)


async def tidy(services: Services, before: datetime) -> int:
    """Cancel planned sessions, and terminate those under way, that were to start before a moment. Returns how many were
    ended."""
    ended, last = 0, -1
    while last < ended:
        last = ended
        for key in await _forgotten(services, before):
            try:
                ended += await _end_forgotten(services, key, before)
            except sa.exc.DBAPIError:  # the others do not wait for this one
                log.exception("session.not_tidied", session=str(key))
    return ended


async def _end_forgotten(services: Services, key: UUID, before: datetime) -> bool:
    async with services.database.write(as_system="sessions that were forgotten end at night") as session:
        held = await _held(session, key)
        if held is None:
            return False
        row, there = held
        what = {SessionStatus.NOT_STARTED: Step.CANCEL, SessionStatus.IN_PROGRESS: Step.TERMINATE}
        began = row.starts_at if row.resumed_at is None else row.resumed_at
        if row.status not in what or began >= before:
            return False
        moment = await moment_of(session)
        await end(session, row, there, what[row.status], moment)
        happenings.tell(session, row.id, "GENERAL_INFO", moment, text="forgotten; ended at night")
        return True


async def _forgotten(services: Services, before: datetime) -> Sequence[UUID]:
    planned = sa.and_(Session.status == SessionStatus.NOT_STARTED, Session.starts_at < before)
    began = sa.func.coalesce(Session.resumed_at, Session.starts_at) < before
    under_way = sa.and_(Session.status == SessionStatus.IN_PROGRESS, began)
    wanted = sa.select(Session.id).where(sa.or_(planned, under_way), Session.deleted_at.is_(None))
    return [row.id for row in await services.database.rows(wanted.order_by(Session.id).limit(SOME))]
