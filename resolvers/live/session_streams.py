"""The subscriptions to sessions, to what happens in one, and to invitations. Each subscribes first, then reads, then
waits, so no change is missed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.engine import row_topic
from db.models import SessionMember, SessionMemberState, SessionStatus
from db.types import later, now
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import NotFound, Unauthenticated
from resolvers.feed import any_of_kind, events_topic, invited_topic, key_of_topic
from resolvers.live.watching import SOME, TOGETHER, UNHEARD, watch
from resolvers.reading.selection import Selection

PAUSE = 0.1
"""Seconds between two reads of what goes on changing."""
OVERLAP = timedelta(seconds=10)
"""How far back events are read again: one that was stored in a long transaction shows late."""
EVENTS = 1_000
"""The most events that are read at once."""


async def session(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[Any, None]:
    """The session as it is, then after each change of it, its members or its events."""
    with ctx.services.feed.subscription(row_topic(models.Session, key)) as changes:
        while True:
            row = await ctx.fork().loaders.one(selection, key)
            if row is None:
                raise NotFound("no Session with this id", field="id")
            yield row
            await asyncio.sleep(PAUSE)
            await changes.next()


async def sessions(ctx: Context, selection: Selection) -> AsyncGenerator[Any, None]:
    """Each session that one sees, when it, its members or its events change."""
    every = any_of_kind(row_topic(models.Session, ""))
    with watch(ctx, every) as changes:
        looked = time.monotonic()
        while True:
            topics = await changes.next()
            keys = {key for topic in topics if (key := key_of_topic(topic)) is not None}
            if every in topics:  # which ones changed was not heard
                since = sa.select(models.Session.id).where(
                    models.Session.updated_at >= later(looked - time.monotonic() - UNHEARD)
                )
                keys |= {row.id for row in await ctx.database.rows(since)}
            looked = time.monotonic()
            ordered = sorted(keys)
            for start in range(0, len(ordered), SOME):
                for row in await ctx.fork().loaders.among(selection, ordered[start : start + SOME], None):
                    yield row
            await asyncio.sleep(TOGETHER)


async def events(ctx: Context, key: UUID, selection: Selection) -> AsyncGenerator[list[Any], None]:
    """The events of a session that are stored or changed from now on, some at once. The first list is empty, and is
    sent as soon as none can be missed."""
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, "version"})))
    seen: dict[tuple[UUID, int], datetime] = {}
    with ctx.services.feed.subscription(events_topic(key)) as changes:
        ((since,),) = await ctx.database.rows(sa.select(now()))
        seen = {(row.id, row.version): row.updated_at for row in await _events(ctx, key, since - OVERLAP)}
        yield []
        while True:
            await changes.next()
            rows = await _events(ctx, key, since - OVERLAP)
            new = [row for row in rows if (row.id, row.version) not in seen]
            seen |= {(row.id, row.version): row.updated_at for row in new}
            if new:
                since = max(since, *(row.updated_at for row in new))
                seen = {one: at for one, at in seen.items() if at >= since - OVERLAP - OVERLAP}
                for start in range(0, len(new), SOME):
                    keys = [row.id for row in new[start : start + SOME]]
                    found = {row.id: row for row in await ctx.fork().loaders.among(wanted, keys, None)}
                    if some := [found[one] for one in keys if one in found]:
                        yield some
            await asyncio.sleep(PAUSE)


async def _events(ctx: Context, key: UUID, since: datetime) -> list[Any]:
    """The events of a session that one sees and that changed since, the oldest first."""
    model, profile = models.SessionEvent, ctx.principal.profile
    held = sa.select(models.Session.id).where(models.Session.id == key, visible(models.Session, profile))
    if not await ctx.database.rows(held, dict(ctx.principal.parameters), ctx.lane):
        raise NotFound("no Session with this id", field="session")
    wanted = sa.select(model.id, model.version, model.updated_at).where(
        model.session_id == key, model.updated_at >= since, model.deleted_at.is_(None)
    )
    found: list[Any] = []
    last: Any = None
    while True:
        after = () if last is None else (sa.tuple_(model.updated_at, model.id) > (last.updated_at, last.id),)
        page = list(await ctx.database.rows(
            wanted.where(*after).order_by(model.updated_at, model.id).limit(EVENTS), {}, ctx.lane
        ))  # fmt: skip
        found += page
        if len(page) < EVENTS:
            return found
        last = page[-1]


async def invitations(ctx: Context, selection: Selection) -> AsyncGenerator[list[Any], None]:
    """The memberships of the principal that wait for an answer: first all of them, then those that come, and those that
    were sent and wait no more."""
    me = ctx.principal.id
    columns = {"user": "user_id", "participant": "participant_id", "device": "device_id"}
    column = columns.get(ctx.principal.kind.value)
    if me is None or column is None:
        raise Unauthenticated("users, participants and devices are invited; sign in as one")
    sent: dict[UUID, int] = {}
    wanted = replace(selection, columns=tuple(sorted({*selection.columns, "version"})))
    with ctx.services.feed.subscription(invited_topic(me)) as changes:
        first = True
        while True:
            there = {row.id: row.version for row in await _asked(ctx, column)}
            gone = sent.keys() - there.keys()
            new = {key for key, version in there.items() if sent.get(key) != version}
            rows = await ctx.fork().loaders.among(wanted, sorted(gone | new), None) if gone | new else []
            if first or rows:
                yield list(rows)
            sent, first = there, False
            await asyncio.sleep(PAUSE)
            await changes.next()


async def _asked(ctx: Context, column: str) -> list[Any]:
    """The memberships of the principal that wait for an answer."""
    session = models.Session
    wanted = (
        sa.select(SessionMember.id, SessionMember.version)
        .join(session, session.id == SessionMember.session_id)
        .where(
            getattr(SessionMember, column) == sa.bindparam("me", type_=SessionMember.id.type),
            SessionMember.state == SessionMemberState.INVITED,
            SessionMember.expires_at.is_not(None),
            SessionMember.deleted_at.is_(None),
            session.status == SessionStatus.IN_PROGRESS,
            session.deleted_at.is_(None),
        )
    )
    return list(await ctx.database.rows(wanted, dict(ctx.principal.parameters), ctx.lane))
