"""Who may need attention in a site or a project: participants without sessions for long, users who are never there."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.types import later
from resolvers.access.places import project_of, site_of
from resolvers.access.policy import policy_of
from resolvers.access.visibility import may_read, visible
from resolvers.context import Context
from resolvers.failures import Invalid, NotFound

DAY = 86_400
LONG, AWAY, NEW = 183 * DAY, 92 * DAY, 31 * DAY
"""Seconds: without a session, without being online, and since somebody who never was came."""
MOST = 1_000
"""The most that are told at once."""


class Why(Enum):
    NO_SESSION_FOR_LONG = "NO_SESSION_FOR_LONG"
    NO_SESSION = "NO_SESSION"
    AWAY_FOR_LONG = "AWAY_FOR_LONG"
    NEVER_ONLINE = "NEVER_ONLINE"


@dataclass(frozen=True, slots=True)
class Attention:
    """A user or participant, why, and since when."""

    model: type[models.Entity]
    id: UUID
    why: Why
    last_at: datetime


async def attention(ctx: Context, kind: str, key: UUID) -> list[Attention]:
    """Whom to look after in a Site or a Project, of those whom one sees, those first who wait longest. One statement;
    NOT_FOUND for a place that one does not see."""
    if kind not in ("Site", "Project"):
        raise Invalid("attention is asked for a Site or a Project", field="scope")
    profile = ctx.principal.profile
    model: Any = models.Site if kind == "Site" else models.Project
    place = sa.bindparam("scope", type_=model.id.type)
    there = sa.select(model.id).where(model.id == place, visible(model, profile))
    if not await ctx.database.rows(there, {**ctx.principal.parameters, "scope": key}):
        raise NotFound(f"no {kind} with this id", field="scope")

    def within(entity: Any, of: Any) -> Any:
        belongs = (site_of if kind == "Site" else project_of)(of)
        assert belongs is not None
        return belongs(entity, lambda column: column == place)

    every = sa.union_all(_participants(profile, within), _users(profile, within)).subquery("attention")
    wanted = sa.select(every).order_by(every.c.since, every.c.id).limit(MOST)
    rows = await ctx.database.rows(wanted, {**ctx.principal.parameters, "scope": key}, ctx.lane)
    named: dict[str, Any] = {"Participant": models.Participant, "User": models.User}
    return [Attention(named[row.name], row.id, Why[row.why], row.since) for row in rows]


def _participants(profile: Any, within: Any) -> Any:
    one, member, held = Alias(models.Participant), Alias(models.SessionMember), Alias(models.Session)
    last = (
        sa.select(sa.func.max(held.starts_at))
        .select_from(sa.join(member, held, held.id == member.session_id))
        .where(member.participant_id == one.id, member.deleted_at.is_(None), visible(held, profile))
        .correlate(one.__clause_element__())
        .scalar_subquery()
    )
    enabled = policy_of(models.Participant).guard("enabled")
    known = sa.select(one.id, one.updated_at, last.label("last")).where(
        visible(one, profile), within(one, models.Participant), may_read(enabled, one, profile), one.enabled
    )
    return _told("Participant", known.subquery("participants"), LONG, Why.NO_SESSION_FOR_LONG, Why.NO_SESSION)


def _users(profile: Any, within: Any) -> Any:
    one = Alias(models.User)
    readable = (may_read(policy_of(models.User).guard(name), one, profile) for name in ("active", "last_online_at"))
    known = sa.select(one.id, one.updated_at, one.last_online_at.label("last")).where(
        visible(one, profile), within(one, models.User), *readable, one.active, sa.not_(one.superadmin)
    )
    return _told("User", known.subquery("users"), AWAY, Why.AWAY_FOR_LONG, Why.NEVER_ONLINE)


def _told(name: str, known: Any, long: int, before: Why, never: Why) -> Any:
    """Of these rows, those whose last time is long ago, and those that never had one and are not new."""
    why = sa.case((known.c.last.is_(None), sa.literal(never.name)), else_=sa.literal(before.name))
    since = sa.func.coalesce(known.c.last, known.c.updated_at)
    late = sa.or_(known.c.last < later(-long), sa.and_(known.c.last.is_(None), known.c.updated_at < later(-NEW)))
    typed = sa.type_coerce(since, models.User.updated_at.type)
    return sa.select(known.c.id, sa.literal(name).label("name"), why.label("why"), typed.label("since")).where(late)
