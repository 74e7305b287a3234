"""Make and change sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import (
    Project,
    Session,
    SessionMember,
    SessionMemberState,
    SessionStatus,
    SessionType,
    SessionTypeProject,
)  # fmt: skip
from db.types import uuid7
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.context import Context
from resolvers.failures import Invalid, Unauthenticated, WrongState
from resolvers.identity.principal import Kind
from resolvers.sessions import happenings, members, service_calls
from resolvers.sessions.members import Given, Who
from resolvers.sessions.states import LONGEST
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, locked, referred_seen, require, seen

CREATOR = {
    Kind.USER: "creator_id",
    Kind.PARTICIPANT: "creator_participant_id",
    Kind.DEVICE: "creator_device_id",
    Kind.SERVICE: "creator_service_id",
}
ENDED = (SessionStatus.COMPLETED, SessionStatus.TERMINATED)
_TIMES = ("ends_at", "duration_seconds")


@dataclass(frozen=True, slots=True)
class New:
    """A session to make, as the client gives it."""

    type_id: UUID
    project_id: UUID
    status: SessionStatus
    values: Mapping[str, Any]
    members: Given


async def create(ctx: Context, new: New) -> UUID:
    """Make a session. One that is under way asks its members; one that ended is recorded afterwards."""
    column = CREATOR.get(ctx.principal.kind)
    if column is None or ctx.principal.id is None:
        raise Unauthenticated("sign in first")
    async with writing(ctx, "CREATE", Session) as session:
        project = await seen(session, ctx, Project, new.project_id, field="input.project")
        kind = await seen(session, ctx, SessionType, new.type_id, field="input.type")
        moment = await moment_of(session)
        times = {name: new.values[name] for name in _TIMES}
        row = Session(
            id=uuid7(), type_id=kind.id, project_id=project.id, status=new.status, **{column: ctx.principal.id},
            **{name: value for name, value in new.values.items() if name not in _TIMES},
        )  # fmt: skip
        new.members.check()
        await members.held(session, row.id, new.members.all)
        await members.welcome(session, ctx, project.id, new.members)
        await referred_seen(session, ctx, Project, project.id, "input.project")
        await referred_seen(session, ctx, SessionType, kind.id, "input.type")
        session.add(row)
        there = [members.new(row, one) for one in new.members.all]
        await session.flush()
        because(session, "who makes a session invites into it", SessionMember)
        session.add_all(there)
        await session.flush()
        await require(session, ctx, row, policy_of(Session).create, "make")
        if row.comments is not None:
            await require(session, ctx, row, policy_of(Session).columns["comments"], "give", "comments")
        if not project.enabled:
            raise WrongState("work in this project has ended: no session of it is made", field="input.project")
        await expect_type(session, kind.id, project.id, "input.type")
        for name, value in times.items():  # only now is it told whether they can be
            setattr(row, name, value)
        check_times(row, moment)
        await _begin(session, ctx, row, {members.who_of(one): one for one in there}, moment)
        record(session, ctx, "CREATE", "Session", row.id, project_id=project.id, site_id=project.site_id)
        await service_calls.post(session, row, "CREATED")
        return row.id


async def _begin(
    session: AsyncSession, ctx: Context, row: Session, there: Mapping[Who, SessionMember], moment: datetime
) -> None:
    """What a new session is at its beginning: planned, under way, or over."""
    if row.status is SessionStatus.IN_PROGRESS:
        row.resumed_at = row.starts_at
        happenings.tell(session, row.id, "SESSION_START", row.starts_at)
        mine = me_in(ctx, there)
        if mine is not None:
            there[mine].state = SessionMemberState.JOINED
        others = {one: member for one, member in there.items() if one != mine}
        await session.flush()
        for busy in await members.ask(session, others, moment, ctx.services.limits.reply):
            happenings.tell(session, row.id, "SESSION_JOIN_BUSY", moment, busy)
        await members.refresh_busy(session, there)
    elif row.status in ENDED:
        for member in there.values():
            member.state = SessionMemberState.JOINED
    await session.flush()
    members.told(session, row.id, there)


def me_in(ctx: Context, there: Mapping[Who, SessionMember]) -> Who | None:
    """The member that the principal is."""
    return next((one for one in there if one[1] == ctx.principal.id), None)


def check_times(row: Session, moment: datetime) -> None:
    """INVALID for an end before the start, and for what a session that is planned, under way or over can't have."""
    if row.ends_at is not None and row.ends_at < row.starts_at:
        raise Invalid("a session ends after it starts", field="input.endsAt")
    if row.ends_at is not None and row.ends_at - row.starts_at > LONGEST:
        raise Invalid(f"a session lasts at most {LONGEST.days} days", field="input.endsAt")
    began = row.status not in (SessionStatus.NOT_STARTED, SessionStatus.CANCELLED)
    if began and row.starts_at > moment + timedelta(minutes=1):
        raise Invalid("a session that has begun does not start in the future", field="input.startsAt")
    if row.status is SessionStatus.IN_PROGRESS and row.starts_at < moment - LONGEST:
        raise Invalid(f"a session under way began at most {LONGEST.days} days ago", field="input.startsAt")
    seconds = row.duration_seconds or 0
    if seconds < 0 or timedelta(seconds=seconds) > LONGEST:
        raise Invalid(f"a session lasts 0 seconds to {LONGEST.days} days", field="input.durationSeconds")
    if row.status in ENDED:
        row.ends_at = row.ends_at or row.starts_at + timedelta(seconds=seconds)
    elif seconds and row.status is SessionStatus.NOT_STARTED:
        raise Invalid("a session that did not begin has no duration", field="input.durationSeconds")


async def expect_type(session: AsyncSession, kind: UUID, project: UUID, field: str) -> None:
    there = sa.select(SessionTypeProject.id).where(
        SessionTypeProject.session_type_id == kind, SessionTypeProject.project_id == project
    )
    if await session.scalar(there) is None:
        raise Invalid("the project has no sessions of this type; link it there first", field=field)


async def update(ctx: Context, key: UUID, expected_version: int, values: Mapping[str, Any], given: Given) -> UUID:
    """Change a session. A list of members that is given replaces those of its kind that one sees; an empty one removes
    them."""
    async with writing(ctx, "UPDATE", Session, key) as session:
        await _expect_may(session, ctx, await seen(session, ctx, Session, key), values, given)
        given.check()
        if given.lists:
            await members.held(session, key, given.all)
        if (kind := values.get("type_id")) is not None:
            await referred_seen(session, ctx, SessionType, kind, "input.type")
        row = await locked(session, ctx, Session, key)
        await _expect_may(session, ctx, row, values, given)
        expect(row, expected_version)
        moment = await moment_of(session)
        before = {name: getattr(row, name) for name in values}
        for name, value in values.items():
            setattr(row, name, value)
        if before.keys() & {"starts_at", *_TIMES}:
            check_times(row, moment)
        if (
            "duration_seconds" in before
            and row.status not in ENDED
            and row.duration_seconds != before["duration_seconds"]
        ):
            raise WrongState("the duration is counted until the session ended", field="input.durationSeconds")
        if kind is not None and row.project_id is not None:
            await expect_type(session, kind, row.project_id, "input.type")
        await session.flush()
        if given.lists:
            await _replace(session, ctx, row, given, moment)
        await require(session, ctx, row, policy_of(Session).update, "change")
    return key


async def _expect_may(
    session: AsyncSession, ctx: Context, row: Session, values: Mapping[str, Any], given: Given
) -> None:
    may = policy_of(Session)
    for name in values or {"": None}:
        await require(session, ctx, row, may.changing(name), "change", name)
    if given.lists and not values:
        await require(session, ctx, row, may.update, "change")


async def _replace(session: AsyncSession, ctx: Context, row: Session, given: Given, moment: datetime) -> None:
    there = await members.of(session, row.id)
    members.expect_held(session, there)
    wanted = given.all
    for one, place in wanted.items():
        if one in there:
            await referred_seen(session, ctx, members.MODELS[one[0]], one[1], place)
    listed = {one: member for one, member in there.items() if one[0] in given.lists and one not in wanted}
    known = await members.seen_of(session, ctx, listed)
    gone = {one: member for one, member in listed.items() if one in known}
    new = {one: place for one, place in wanted.items() if one not in there}
    if row.project_id is None and new:
        raise WrongState("this session is of no project, and takes no further members", field="id")
    if row.project_id is not None and new:
        kept = [one for one in there if one not in gone]
        named = {column: [key for of, key in new if of == column] for column in given.lists}
        await members.welcome(session, ctx, row.project_id, Given(named, given.prefix), kept)
    await take_out(session, row, gone, moment)
    await bring_in(session, ctx, row, list(new), moment)


async def take_out(session: AsyncSession, row: Session, gone: Mapping[Who, SessionMember], moment: datetime) -> None:
    """Remove members from a session; who was in it leaves it."""
    if not gone:
        return
    because(session, "who keeps a session says who is in it", SessionMember)
    under_way = row.status is SessionStatus.IN_PROGRESS
    for member in gone.values():
        if under_way and member.state is SessionMemberState.JOINED:
            happenings.tell(session, row.id, "SESSION_LEAVE", moment, member)
        member.deleted_at, member.expires_at = moment, None
    await session.flush()
    if under_way:
        await members.refresh_busy(session, gone)
    members.told(session, row.id, gone)


async def bring_in(session: AsyncSession, ctx: Context, row: Session, new: Sequence[Who], moment: datetime) -> None:
    """Add members to a session; those of one under way are asked, or recorded as joined where it is over."""
    if not new:
        return
    because(session, "who keeps a session says who is in it", SessionMember)
    there = {one: members.new(row, one) for one in new}
    if row.status in ENDED:
        for member in there.values():
            member.state = SessionMemberState.JOINED
    session.add_all(there.values())
    await session.flush()
    if row.status is SessionStatus.IN_PROGRESS:
        for busy in await members.ask(session, there, moment, ctx.services.limits.reply):
            happenings.tell(session, row.id, "SESSION_JOIN_BUSY", moment, busy)
    members.told(session, row.id, there)
