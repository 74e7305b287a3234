"""What changed while somebody was offline: rows by the moment of their last change, page by page."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.types import Key, now
from resolvers.access.clauses import TRUE, Clause
from resolvers.access.policy import policy_of
from resolvers.access.rules import allowed
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.identity.principal import AccessProfile
from resolvers.live.watching import UNHEARD

KNOWN: tuple[Any, ...] = (
    models.Session,
    models.SessionMember,
    models.SessionEvent,
    models.SessionType,
    models.Participant,
    models.Device,
)
"""The models that may be asked for."""
MOST = 500
"""The most changes of one answer."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that changed, or that is deleted."""

    model: type[models.Entity]
    id: UUID
    deleted: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in their order, the cursor to go on from, and whether there are more now."""

    rows: Sequence[Changed]
    cursor: str
    more: bool


async def changes_since(ctx: Context, watched: Sequence[Any], cursor: str | None, first: int) -> Changes:
    """The rows of these models that one sees and that changed since a cursor, each once, and those that were deleted. A
    change may come twice: of the last minute all come again, because a long transaction shows late. Without a cursor
    there are none: it tells from where to go on. One statement, and one for the moment."""
    for model in watched:
        if model not in KNOWN:
            names = ", ".join(one.__name__ for one in KNOWN)
            raise Invalid(f"changes are told of {names}, not of a {model.__name__}", field="types")
    if not watched:
        raise Invalid("name at least one type", field="types")
    if not 1 <= first <= MOST:
        raise Invalid(f"1 to {MOST} changes at once", field="first")
    ((moment,),) = await ctx.database.rows(sa.select(now()))
    if cursor is None:
        return Changes((), _cursor(moment - timedelta(seconds=UNHEARD), UUID(int=0)), False)
    since, after = _read(cursor)
    parts = [_of(model, ctx.principal.profile) for model in watched]
    every = sa.union_all(*parts).subquery("changed")
    wanted = sa.select(every).order_by(every.c.updated_at, every.c.id).limit(first + 1)
    given = {**ctx.principal.parameters, "since": since, "after": after}
    rows = list(await ctx.database.rows(wanted, given, ctx.lane))
    named = {model.__name__: model for model in watched}
    found = [Changed(named[row.name], row.id, bool(row.deleted)) for row in rows[:first]]
    if len(rows) > first:
        last = rows[first - 1]
        return Changes(found, _cursor(last.updated_at, last.id), True)
    return Changes(found, _cursor(moment - timedelta(seconds=UNHEARD), UUID(int=0)), False)


def _of(model: Any, profile: AccessProfile) -> Any:
    entity: Any = Alias(model)
    since = sa.bindparam("since", type_=model.updated_at.type)
    after = sa.bindparam("after", type_=Key())
    later = sa.or_(entity.updated_at > since, sa.and_(entity.updated_at == since, entity.id > after))
    gone = entity.deleted_at.is_not(None)
    seen = sa.or_(visible(entity, profile), sa.and_(gone, _perceived(entity, model, profile)))
    columns = (entity.id, entity.updated_at, sa.literal(model.__name__).label("name"), gone.label("deleted"))
    return sa.select(*columns).where(entity.updated_at >= since, later, seen)


def _perceived(entity: Any, model: Any, profile: AccessProfile) -> Clause:
    """Whether one would see the row if it was not deleted, nor what it is of."""
    policy = policy_of(model)
    if policy.parent is None:
        return TRUE if profile.superadmin else allowed(policy.read, entity, profile)
    parent: Any = Alias(policy.parent)
    (local, remote) = policy.through.property.local_remote_pairs[0]
    own = getattr(parent, remote.key) == getattr(entity, local.key)
    return sa.exists().where(own, _perceived(parent, policy.parent, profile))


def _cursor(moment: datetime, key: UUID) -> str:
    return base64.urlsafe_b64encode(f"{moment.isoformat()}|{key}".encode()).decode()


def _read(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, _, key = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        found = datetime.fromisoformat(moment)
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC), UUID(key)
    except (ValueError, OverflowError, binascii.Error):
        raise Invalid("this is no cursor of changesSince", field="cursor") from None
