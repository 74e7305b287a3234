"""What follows a write: policy checks and consequences, topics for principals whose rights change, audit events."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.models import Entity
from resolvers.access.policy import Change, policy_of
from resolvers.access.roles import place_by_columns
from resolvers.context import Context
from resolvers.feed import RIGHTS, principal_topic
from resolvers.spelling import spelled
from resolvers.writing.audit import record
from resolvers.writing.rows import target


def change_of(
    session: AsyncSession, ctx: Context, row: Entity, before: Mapping[str, Any] | None, *, new: bool = False
) -> Change:
    """The `Change` of a row with its former values, as policies take it."""
    return Change(session, ctx.principal, row, before, partial(record, session, ctx), new)


async def conclude(
    session: AsyncSession, ctx: Context, row: Entity, before: Mapping[str, Any] | None, *, new: bool = False
) -> None:
    """Let the policy check a row and bring about the consequences; then publish to those whose view or rights change.
    `before` has the former values (for a new row the given ones), and is None for a row that is to be deleted."""
    change = change_of(session, ctx, row, before, new=new)
    await policy_of(type(row)).conclude(change)
    publish(session, row, None if new or before is None else [name for name in before if change.differs(name)])


def publish(session: AsyncSession, row: Entity, columns: Collection[str] | None = None) -> None:
    """Let every process forget the principals whose rights change with these columns of a row, or with the row itself.
    For a link, publish that both its ends changed."""
    policy = policy_of(type(row))
    if policy.link_of is not None:
        for column in type(row).__table__.columns:
            if (end := target(type(row), column.key)) is not None:
                changed(session, row_topic(end, getattr(row, column.key)))
    if policy.rights is not None and (columns is None or set(columns) & set(policy.rights)):
        changed(session, RIGHTS)
    if policy.principal:
        changed(session, principal_topic(row.id))


async def note_change(session: AsyncSession, ctx: Context, row: Any, before: Mapping[str, Any]) -> None:
    """Record changes of what a user may do, of how one signs in, and of what was enabled or disabled."""
    model, policy = type(row).__name__, policy_of(type(row))
    new = {name: getattr(row, name) for name, value in before.items() if getattr(row, name) != value}
    if not new.keys() & {*policy.rank, *policy.sign_in, policy.switch}:
        return
    place = await place_of(session, row)
    if rank := {name: new[name] for name in policy.rank if name in new}:
        record(session, ctx, "CHANGE_ROLE", model, row.id, **rank, **place)
    if told := sorted(new.keys() & set(policy.sign_in)):
        record(session, ctx, "CHANGE_SIGN_IN", model, row.id, changed=[*map(spelled, told)], **place)
    if policy.switch in new:
        record(session, ctx, "ACTIVATE" if new[policy.switch] else "DEACTIVATE", model, row.id, **place)


async def note_link(session: AsyncSession, ctx: Context, link: Any, action: str = "LINK") -> None:
    """Record who is in a group, and where devices and services work."""
    policy = policy_of(type(link))
    if policy.link_of is None:
        return
    ends = {column.key: getattr(link, column.key) for column in link.__table__.columns if column.foreign_keys}
    if policy.recorded_in is not None:
        place = dict(await policy.recorded_in(session, link))
    else:
        place = {name: ends[name] for name in ("site_id", "project_id") if name in ends}
    own = policy.link_of.key
    others = {spelled(name): key for name, key in ends.items() if name != own}
    record(session, ctx, action, target(type(link), own).__name__, ends[own], **others, **place)


async def place_of(session: AsyncSession, row: Any) -> Mapping[str, UUID | None]:
    """The project and site of a row, for the audit record. A row that may be in several sites has one only when it is
    in one."""
    if (recorded_in := policy_of(type(row)).recorded_in) is not None:
        return await recorded_in(session, row)
    return await place_by_columns(session, row)
