"""Create, update, delete and restore a row of any model. Each is one transaction.

The rules of the model's policy are asked of the row in the database: for a new row after the insert, for a changed row
before and after the change. When no rule holds, the transaction is rolled back and the refusal is recorded.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from db.keys import among
from db.locks import referred_held
from db.models import Entity, Erasable
from db.written import asked, because
from resolvers.access.policy import policy_of
from resolvers.access.rules import allowed
from resolvers.context import Context
from resolvers.failures import Failure, NotFound, WrongState
from resolvers.identity.principal import Kind
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase, hold, revive
from resolvers.writing.constraints import Taken, names_of, unlike
from resolvers.writing.refusals import expect_room, recorded, writing
from resolvers.writing.row_events import change_of, conclude, note_change, note_link, place_of, publish
from resolvers.writing.rows import expect, holds, locked, refer, referred_seen, require, seen, stored, target


@dataclass(frozen=True, slots=True)
class Link:
    """Links to create with a new row: rows of `model`, in which `own` holds the row's key and `other` each of `keys`.
    `field` is the input that gave them."""

    model: type[Entity]
    own: str
    other: str
    field: str
    keys: Sequence[UUID]


async def create(ctx: Context, model: type[Entity], values: Mapping[str, Any], links: Sequence[Link] = ()) -> UUID:
    """Create a row with its links; returns its key."""
    async with recorded(ctx, "CREATE", model), ctx.database.write() as session:
        await expect_room(session, ctx, model, values)
        row, joined = await _make(session, ctx, model, values, links)
        for link in joined:
            await conclude(session, ctx, link, {}, new=True)
            await note_link(session, ctx, link)
        await conclude(session, ctx, row, values, new=True)
        return row.id


async def _make(
    session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any], links: Sequence[Link]
) -> tuple[Entity, Sequence[Entity]]:
    """Create a row and its links, if the principal may: references are checked, and the rules asked. The row gets its
    unique names only afterwards, so that a principal who may not create it is not told whether a name is taken."""
    await referred_held(session, model, values)
    await refer(session, ctx, model, values)
    apart = names_of(model).items()
    others = {name: uuid4().hex[:16] for name, within in apart if within or values.get(name) is not None}
    row = model(**{**values, **others})
    policy = policy_of(model)
    if policy.creator is not None and ctx.principal.kind is Kind.USER:
        setattr(row, policy.creator, ctx.principal.id)
    session.add(row)
    await stored(session, model, values)
    joined = []
    for link in links:
        other = target(link.model, link.other)
        for n, key in enumerate(link.keys):
            if key in link.keys[:n]:
                continue
            await referred_seen(session, ctx, other, key, f"input.{link.field}.{n}")
            made = link.model(**{link.own: row.id, link.other: key})
            session.add(made)
            await stored(session, link.model)
            await require(session, ctx, made, policy_of(link.model).founds, "make")
            joined.append(made)
    await require(session, ctx, row, policy.create, "make")
    await _require_given(session, ctx, row, values)
    if others:
        with unlike(model, values):
            await _name(session, row, {name: values.get(name, _default(model, name)) for name in others})
    return row, joined


async def _require_given(session: AsyncSession, ctx: Context, row: Entity, values: Mapping[str, Any]) -> None:
    """Ask who may give these values to a row that is new in its place: one that was made there, or moved there."""
    model = type(row)
    for name, rules in policy_of(model).giving.items():
        if values.get(name) not in (None, _default(model, name)):
            await require(session, ctx, row, rules, "give", name)


async def _name(session: AsyncSession, row: Entity, names: Mapping[str, Any]) -> None:
    """Give a newly created row its unique names; its version and times stay those of a new row."""
    model: Any = type(row)
    because(session, "what was just made gets its names", model)
    own = {"updated_at": model.updated_at} if "updated_at" in model.__table__.columns else {}
    await session.execute(
        sa.update(model).where(model.id == row.id).values(**names, **own).execution_options(synchronize_session=False)
    )
    for name, value in names.items():
        set_committed_value(row, name, value)


async def update(
    ctx: Context, model: type[Entity], key: UUID, expected_version: int, values: Mapping[str, Any]
) -> None:
    """Change columns of a row, each by the rules for it."""

    async def change(session: AsyncSession, given: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        return await _change(session, ctx, model, key, expected_version, given)

    async with recorded(ctx, "UPDATE", model, key), _asking(ctx, change, values), ctx.database.write() as session:
        row, before = await change(session, values)
        await conclude(session, ctx, row, before)
        await note_change(session, ctx, row, before)


async def _change(
    session: AsyncSession,
    ctx: Context,
    model: type[Entity],
    key: UUID,
    expected_version: int,
    values: Mapping[str, Any],
) -> tuple[Entity, Mapping[str, Any]]:
    """Change a row as the principal may; returns it with its former values."""
    may = policy_of(model)
    await referred_held(session, model, values, key)
    row: Any = await locked(session, ctx, model, key)
    needed = {name: may.changing(name) for name in values} or {"": may.update}
    for name, rules in needed.items():
        await require(session, ctx, row, may.leaving.get(name, rules), "change", name)
    expect(row, expected_version)
    await refer(session, ctx, model, values)
    before = {name: getattr(row, name) for name in values}
    await expect_room(session, ctx, model, {name: value for name, value in values.items() if value != before[name]})
    for name, value in values.items():
        setattr(row, name, value)
    await stored(session, model, values)
    for name, rules in needed.items():
        await require(session, ctx, row, rules, "change", name)
    if any(getattr(row, name) != before[name] for name in may.leaving if name in before):
        await _require_given(session, ctx, row, {c: getattr(row, c) for c in may.giving})
    return row, before


async def delete(ctx: Context, model: type[Entity], key: UUID, expected_version: int | None = None) -> datetime:
    """Delete a row with the rows that go with it; DEPENDENCY when others block it. Returns when."""
    async with writing(ctx, "DELETE", model, key) as session:
        await require(session, ctx, await seen(session, ctx, model, key), policy_of(model).delete, "delete")
        await hold(session, model, key)
        row: Any = await locked(session, ctx, model, key)
        await require(session, ctx, row, policy_of(model).delete, "delete")
        if expected_version is not None:
            expect(row, expected_version)
        await conclude(session, ctx, row, None)
        record(session, ctx, "DELETE", model.__name__, key, **await place_of(session, row))
        return await erase(session, row, partial(_may_go, session, ctx))


async def _may_go(session: AsyncSession, ctx: Context, model: type[Entity], keys: Collection[UUID]) -> int:
    """How many of the rows that go with another the principal may not delete directly."""
    clause = allowed(policy_of(model).delete, model, ctx.principal.profile)
    kept = sa.select(sa.func.count()).where(among(model.id, "keys", list(keys)), sa.not_(clause))
    return await session.scalar(kept.select_from(model), dict(ctx.principal.parameters)) or 0


async def restore(ctx: Context, model: type[Entity], key: UUID) -> None:
    """Restore a row with the rows that were deleted with it; NOT_FOUND also for a principal who may not."""
    policy = policy_of(model)
    async with writing(ctx, "RESTORE", model, key) as session:
        missing = NotFound(f"no deleted {model.__name__} with this id", field="id")
        perhaps = sa.select(model).where(model.id == key, _perhaps_restored(model, ctx))
        if await session.scalar(perhaps.with_only_columns(model.id), dict(ctx.principal.parameters)) is not None:
            if policy.held_before is not None:
                await policy.held_before(session, key)
            await hold(session, model, key, restoring=True)
        wanted = perhaps.with_for_update(of=model, key_share=issubclass(model, Erasable))
        row: Any = (await session.scalars(wanted, dict(ctx.principal.parameters))).one_or_none()
        if row is None or not issubclass(model, Erasable):
            raise missing
        known, there = await holds(session, ctx, row, policy.restore), row.deleted_at is None
        if not there:
            try:
                if policy.returns is not None and known:
                    await policy.returns(change_of(session, ctx, row, {}))
                with unlike(model):
                    await revive(session, row)
            except Failure:
                if not known:
                    raise missing from None
                raise
        # A rule may ask for what comes back with it: the roles of a group.
        if not await holds(session, ctx, row, policy.restore):
            raise missing
        asked(session, row)
        if there:
            raise WrongState(f"this {model.__name__} is not deleted", field="id")
        publish(session, row)
        record(session, ctx, "RESTORE", model.__name__, key, **await place_of(session, row))


def _perhaps_restored(model: Any, ctx: Context) -> Any:
    """The rows that the principal may restore, or could once the rows that were deleted with them are back. Other rows
    are not even read: that would show that they exist."""
    policy, profile = policy_of(model), ctx.principal.profile
    may = allowed(policy.restore, model, profile)
    return may if policy.perhaps is None else sa.or_(may, policy.perhaps(model, profile))


class _Undone(Exception):
    """Rolls back a trial."""


@asynccontextmanager
async def _asking(
    ctx: Context, write: Callable[[AsyncSession, Mapping[str, Any]], Awaitable[Any]], values: Mapping[str, Any]
) -> AsyncIterator[None]:
    """Tell a principal who may not write so, and not that a name is taken. When a name is taken, the rules, which need
    a row in the database, are asked of a trial row with other names."""
    try:
        yield
    except Taken as taken:
        others = {name: uuid4().hex[:16] for name in taken.columns if isinstance(values.get(name), str)}
        if others:
            with suppress(_Undone):
                async with ctx.database.write() as session:
                    await write(session, {**values, **others})
                    raise _Undone from None
        raise


def _default(model: type[Entity], name: str) -> Any:
    """The default value of a column."""
    found = sa.inspect(model).mapper.columns[name].default
    return None if found is None else getattr(found, "arg", None)
