"""Start, stop, cancel and terminate sessions; invite into them, answer, and leave."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import Session, SessionMember, SessionMemberState, SessionStatus
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, WrongState
from resolvers.sessions import happenings, members, service_calls
from resolvers.sessions.members import Given, Who
from resolvers.sessions.sessions import bring_in, me_in, take_out
from resolvers.sessions.states import Step, Turn, move, turn
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, locked, require, seen

REPLIES = {
    Turn.ACCEPT: "SESSION_JOIN",
    Turn.REJECT: "SESSION_JOIN_REFUSED",
    Turn.BUSY: "SESSION_JOIN_BUSY",
}
"""The event of each answer to an invitation."""
_MAKER = {
    "user_id": "creator_id",
    "participant_id": "creator_participant_id",
    "device_id": "creator_device_id",
}


async def _locked(
    session: AsyncSession, ctx: Context, key: UUID, more: Collection[Who] = ()
) -> tuple[Session, dict[Who, SessionMember]]:
    """A session with its members, locked as all who write it lock: they and `more` before itself."""
    await members.held(session, key, more)
    row = await locked(session, ctx, Session, key)
    there = await members.of(session, key)
    members.expect_held(session, there)
    return row, there


async def step(ctx: Context, key: UUID, what: Step, expected_version: int | None = None) -> UUID:
    """Take a session a step further; by whoever may change it."""
    async with writing(ctx, what.name, Session, key) as session:
        await require(session, ctx, await seen(session, ctx, Session, key), policy_of(Session).update, what.value)
        row, there = await _locked(session, ctx, key)
        await require(session, ctx, row, policy_of(Session).update, what.value)
        if expected_version is not None:
            expect(row, expected_version)
        moment = await moment_of(session)
        if what is Step.START:
            await start(session, ctx, row, there, moment)
        else:
            await end(session, row, there, what, moment)
        record(session, ctx, what.name, "Session", key, project_id=row.project_id)
    return key


async def start(
    session: AsyncSession, ctx: Context, row: Session, there: Mapping[Who, SessionMember], moment: datetime
) -> None:
    """Start a session: who starts it and is a member is in it, all others are asked."""
    move(row, Step.START, moment)
    await session.flush()
    happenings.tell(session, row.id, "SESSION_START", moment)
    because(session, "who starts a session is in it", SessionMember)
    mine = me_in(ctx, there)
    for member in there.values():
        if member.state is SessionMemberState.JOINED:  # in what was under way before
            turn(member, Turn.LEAVE)
    if mine is not None:
        turn(there[mine], Turn.ACCEPT)
        happenings.tell(session, row.id, "SESSION_JOIN", moment, there[mine])
    await session.flush()
    others = {one: member for one, member in there.items() if one != mine}
    for busy in await members.ask(session, others, moment, ctx.services.limits.reply):
        happenings.tell(session, row.id, "SESSION_JOIN_BUSY", moment, busy)
    await members.refresh_busy(session, there)
    members.told(session, row.id, there)
    await service_calls.post(session, row, "STARTED")


async def end(
    session: AsyncSession, row: Session, there: Mapping[Who, SessionMember], what: Step, moment: datetime
) -> None:
    """End a session: who was asked and did not answer is too late, who is in it is free."""
    because(session, "an invitation ends with its session", Session, SessionMember)
    move(row, what, moment)
    for member in there.values():
        if member.expires_at is not None:
            turn(member, Turn.TIME_OUT)
    await session.flush()
    if what is not Step.CANCEL:
        happenings.tell(session, row.id, "SESSION_STOP", moment)
    await members.refresh_busy(session, there)
    members.told(session, row.id, there)
    await service_calls.post(session, row, row.status.name)


@asynccontextmanager
async def _keeping(ctx: Context, key: UUID, verb: str, given: Given) -> AsyncIterator[tuple[AsyncSession, Any, Any]]:
    """A transaction of who may change a session, with the session and its members, locked."""
    async with writing(ctx, verb.upper(), Session, key) as session:
        await require(session, ctx, await seen(session, ctx, Session, key), policy_of(Session).update, verb)
        if not given.all:
            raise Invalid("name users, participants or devices", field="users")
        given.check()
        row, there = await _locked(session, ctx, key, given.all)
        await require(session, ctx, row, policy_of(Session).update, verb)
        yield session, row, there


async def invite(ctx: Context, key: UUID, given: Given) -> UUID:
    """Invite into a session. Who is in it already, or has been asked, stays as they are; others are asked again."""
    async with _keeping(ctx, key, "invite into", given) as (session, row, there):
        if row.project_id is None:
            raise WrongState("this session is of no project, and takes no members", field="id")
        if row.status not in (SessionStatus.NOT_STARTED, SessionStatus.IN_PROGRESS):
            raise WrongState("nobody is invited into a session that is over", field="id", state=row.status.name)
        await members.welcome(session, ctx, row.project_id, given, there)
        Given.of({*there, *given.all}).check()
        moment = await moment_of(session)
        await bring_in(session, ctx, row, [one for one in given.all if one not in there], moment)
        if row.status is SessionStatus.IN_PROGRESS:
            quiet = (SessionMemberState.JOINED,)
            again = {o: m for o, m in there.items() if o in given.all and m.state not in quiet and m.expires_at is None}
            for busy in await members.ask(session, again, moment, ctx.services.limits.reply):
                happenings.tell(session, row.id, "SESSION_JOIN_BUSY", moment, busy)
            members.told(session, row.id, again)
        record(session, ctx, "INVITE", "Session", key, project_id=row.project_id, members=len(given.all))
    return key


async def remove(ctx: Context, key: UUID, given: Given) -> UUID:
    """Remove members from a session. NOT_FOUND for who is no member."""
    async with _keeping(ctx, key, "remove from", given) as (session, row, there):
        known = await members.seen_of(session, ctx, [one for one in given.all if one in there])
        for one, place in given.all.items():
            if one not in known:
                raise members.missing(place)
        await take_out(session, row, {one: there[one] for one in given.all}, await moment_of(session))
        record(session, ctx, "REMOVE", "Session", key, project_id=row.project_id, members=len(given.all))
    return key


@asynccontextmanager
async def _as_member(ctx: Context, key: UUID, action: str) -> AsyncIterator[tuple[AsyncSession, Any, Any, Any]]:
    """A transaction of a member of a session that is under way."""
    async with writing(ctx, action, SessionMember, key) as session:
        await seen(session, ctx, Session, key)
        row, there = await _locked(session, ctx, key)
        mine = me_in(ctx, there)
        if mine is None:
            raise Forbidden("you are not invited into this session")
        if row.status is not SessionStatus.IN_PROGRESS:
            raise WrongState("this session is not under way", field="id", state=row.status.name)
        because(session, "who is invited answers for themself", SessionMember, Session)
        yield session, row, there, mine


async def reply(ctx: Context, key: UUID, what: Turn, text: str | None) -> UUID:
    """Answer an invitation. When the creator of a session refuses it, it ends for all."""
    async with _as_member(ctx, key, "REPLY") as (session, row, there, mine):
        moment = await moment_of(session)
        turn(there[mine], what)
        await session.flush()
        happenings.tell(session, row.id, REPLIES[what], moment, there[mine], text)
        if what is Turn.REJECT and mine[1] == getattr(row, _MAKER[mine[0]]):
            await end(session, row, there, Step.TERMINATE, moment)
        else:
            await members.refresh_busy(session, {mine})
            members.told(session, row.id, {mine})
    return key


async def leave(ctx: Context, key: UUID) -> UUID:
    """Leave a session that one is in; it goes on for the others."""
    async with _as_member(ctx, key, "LEAVE") as (session, row, there, mine):
        turn(there[mine], Turn.LEAVE)
        await session.flush()
        happenings.tell(session, row.id, "SESSION_LEAVE", await moment_of(session), there[mine])
        await members.refresh_busy(session, {mine})
        members.told(session, row.id, {mine})
    return key
