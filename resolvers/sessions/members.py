"""Who is in a session: its members, whether they are asked, and who is busy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.aliases import Alias
from db.engine import changed, row_topic
from db.keys import among
from db.locks import held_in_order
from db.models import Entity, Participant, ProjectDevice, Session, SessionMember, SessionMemberState, SessionStatus
from db.models.sessions import MEMBERS
from db.outages import Contended
from db.types import uuid7
from db.written import because
from resolvers.access.places import in_site, of_user
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, NotFound, check_limit
from resolvers.feed import PRESENT, invited_topic
from resolvers.sessions.states import Turn, turn
from resolvers.writing.rows import referred_seen

MOST = 500
"""The most members of a session."""
MODELS: Mapping[str, type[Entity]] = {"user_id": m.User, "participant_id": m.Participant, "device_id": m.Device}
FIELDS = {"user_id": "users", "participant_id": "participants", "device_id": "devices"}

Who = tuple[str, UUID]
"""A member: the column that names it, and its key."""


@dataclass(frozen=True, slots=True)
class Given:
    """Members as a client names them: keys by the column that names such a member. `prefix` is where the lists stand in
    the input."""

    lists: Mapping[str, Sequence[UUID]]
    prefix: str = "input."

    @classmethod
    def of(cls, named: Collection[Who], prefix: str = "input.") -> "Given":
        return cls({column: [key for of, key in named if of == column] for column in MEMBERS}, prefix)

    @property
    def all(self) -> dict[Who, str]:
        """Each member once, with its place in the input."""
        found: dict[Who, str] = {}
        for column, keys in self.lists.items():
            for n, key in enumerate(keys):
                found.setdefault((column, key), f"{self.prefix}{FIELDS[column]}.{n}")
        return found

    def check(self) -> None:
        check_limit(f"a session has at most {MOST} members", len(self.all), MOST, limit="members", field="input")


def who_of(member: SessionMember) -> Who:
    return next((column, key) for column in MEMBERS if (key := getattr(member, column)) is not None)


async def welcome(
    session: AsyncSession, ctx: Context, project: UUID, given: Given, beside: Collection[Who] = ()
) -> None:
    """Lock those who are named, in the order of locks, and check that each may be in a session of the project:
    NOT_FOUND for who is not seen, INVALID for who has no part in it. `beside` are in it already."""
    named = given.all
    for column in ("user_id", "device_id", "participant_id"):
        for one, place in sorted((one, place) for one, place in named.items() if one[0] == column):
            await referred_seen(session, ctx, MODELS[column], one[1], place)
    await _expect_part(session, ctx, project, named)
    people = {key for column, key in (*named, *beside) if column == "participant_id"}
    if people:
        here = sa.select(Participant.id).where(
            among(Participant.id, "keys", list(people)), Participant.project_id == project
        )
        if await session.scalar(here.limit(1)) is None:
            raise Invalid("a session is of a project of one of its participants", field=f"{given.prefix}participants")


async def _expect_part(session: AsyncSession, ctx: Context, project: UUID, named: Mapping[Who, str]) -> None:
    users = {key: place for (column, key), place in named.items() if column == "user_id"}
    if users:
        site = sa.select(m.Project.site_id).where(m.Project.id == project).scalar_subquery()
        part = sa.or_(m.User.superadmin, of_user(in_site)(m.User, lambda key: key == site))
        found = sa.select(m.User.id).where(among(m.User.id, "keys", list(users)), m.User.active, part)
        there = set(await session.scalars(found)) | {ctx.principal.id}
        for key in users.keys() - there:
            raise Invalid("this user has no part in the project or its site", field=users[key])
    people = {key: place for (column, key), place in named.items() if column == "participant_id"}
    if people:
        gone = sa.select(Participant.id).where(
            among(Participant.id, "keys", list(people)), sa.not_(Participant.enabled)
        )
        for key in await session.scalars(gone):
            raise Invalid("this participant no longer takes part", field=people[key])
    devices = {key: place for (column, key), place in named.items() if column == "device_id"}
    if devices:
        linked = sa.select(ProjectDevice.device_id).where(
            among(ProjectDevice.device_id, "keys", list(devices)), ProjectDevice.project_id == project
        )
        for key in devices.keys() - set(await session.scalars(linked)):
            raise Invalid("this device is not in the project; link it there first", field=devices[key])


def new(row: Session, one: Who) -> SessionMember:
    return SessionMember(id=uuid7(), session_id=row.id, **{one[0]: one[1]}, state=SessionMemberState.INVITED)


async def of(session: AsyncSession, row: UUID, *, lock: bool = True) -> dict[Who, SessionMember]:
    """The members of a session; locked in the order of their keys, once those who they are were locked by `held`."""
    wanted = sa.select(SessionMember).where(SessionMember.session_id == row, SessionMember.deleted_at.is_(None))
    wanted = wanted.order_by(SessionMember.id).execution_options(populate_existing=True)
    if lock:
        wanted = wanted.with_for_update(key_share=True)
    return {who_of(member): member for member in await session.scalars(wanted)}


async def held(session: AsyncSession, row: UUID, more: Collection[Who] = ()) -> None:
    """Lock those who are in a session, before the session itself: whether they are busy may change with it."""
    there = {*(await of(session, row, lock=False)), *more}
    for column in ("user_id", "device_id", "participant_id"):
        model = MODELS[column]
        if keys := sorted(key for of_column, key in there if of_column == column):
            await held_in_order(session, model, among(model.id, "keys", keys))
    session.info["held_members"] = there


def expect_held(session: AsyncSession, members: Collection[Who]) -> None:
    """Raise Contended for members that came while the session was waited for: then the mutation is tried again."""
    if not session.info.get("held_members", set()).issuperset(members):
        raise Contended("somebody was invited meanwhile")


async def busy_of(session: AsyncSession, members: Collection[Who]) -> set[Who]:
    """Those who are in a session that is under way."""
    found: set[Who] = set()
    for column, model in MODELS.items():
        keys = [key for of_column, key in members if of_column == column]
        if keys:
            entity: Any = model
            there = await session.scalars(sa.select(entity.id).where(among(entity.id, "keys", keys), entity.busy))
            found |= {(column, key) for key in there}
    return found


async def seen_of(session: AsyncSession, ctx: Context, members: Collection[Who]) -> set[Who]:
    """Those whom the principal sees."""
    found: set[Who] = set()
    for column, model in MODELS.items():
        keys = [key for of_column, key in members if of_column == column]
        if keys:
            wanted = sa.select(model.id).where(among(model.id, "keys", keys), visible(model, ctx.principal.profile))
            there = await session.scalars(wanted, dict(ctx.principal.parameters))
            found |= {(column, key) for key in there}
    return found


async def ask(
    session: AsyncSession, members: Mapping[Who, SessionMember], moment: datetime, lasts: timedelta
) -> list[SessionMember]:
    """Ask members into a session that is under way. Who is busy elsewhere is not asked; those are returned."""
    because(session, "who is invited is asked", SessionMember)
    busy = await busy_of(session, members)
    skipped = []
    for one, member in members.items():
        if one in busy:
            turn(member, Turn.SKIP)
            skipped.append(member)
        else:
            turn(member, Turn.ASK, moment + lasts)
        changed(session, invited_topic(one[1]))
    await session.flush()
    return skipped


async def refresh_busy(session: AsyncSession, members: Collection[Who]) -> None:
    """Note anew whether these are in a session that is under way. Their rows keep their versions."""
    because(session, "who is in a session is busy", m.User, m.Participant, m.Device)
    for column, model in MODELS.items():
        keys = sorted(key for of_column, key in members if of_column == column)
        if not keys:
            continue
        entity: Any = model
        member, held_in = Alias(SessionMember), Alias(Session)
        joined = sa.exists().where(
            getattr(member, column) == entity.id,
            member.deleted_at.is_(None),
            member.state == SessionMemberState.JOINED,
            held_in.id == member.session_id,
            held_in.status == SessionStatus.IN_PROGRESS,
            held_in.deleted_at.is_(None),
        )
        noted = sa.update(model).where(among(entity.id, "keys", keys), entity.busy != joined)
        noted = noted.values(busy=joined, updated_at=entity.updated_at)
        done: Any = await session.execute(noted.execution_options(synchronize_session=False))
        if done.rowcount:
            changed(session, PRESENT, FREED)


FREED = "freed:*"
"""Somebody may be asked who was busy."""


def told(session: AsyncSession, row: UUID, members: Collection[Who]) -> None:
    """Publish that the members of a session changed."""
    changed(session, row_topic(Session, row), *(invited_topic(key) for _, key in members))


def missing(field: str) -> NotFound:
    return NotFound("not a member of this session", field=field)
