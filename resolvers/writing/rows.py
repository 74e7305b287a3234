"""The first steps of every write: find the row that the principal sees, check its version, ask the rules."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import Entity, Erasable
from db.written import asked
from resolvers.access.clauses import FALSE, TRUE
from resolvers.access.rules import Rule, allowed, words
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Conflict, Forbidden, NotFound, Unauthenticated
from resolvers.reading.conditions import Where
from resolvers.spelling import spelled
from resolvers.writing.constraints import unlike

E = TypeVar("E", bound=Entity)


async def locked(session: AsyncSession, ctx: Context, model: type[E], key: UUID, *, field: str = "id") -> E:
    """The row, locked until the transaction ends. Hidden and missing rows are the same: NOT_FOUND. The order of locks
    is `locks.ORDER`."""
    seen = visible(model, ctx.principal.profile)
    # Rows that are only marked as deleted keep their keys: whoever refers to them need not wait.
    statement = sa.select(model).where(model.id == key, seen)
    statement = statement.with_for_update(of=model, key_share=issubclass(model, Erasable))
    statement = statement.execution_options(populate_existing=True)
    row = (await session.scalars(statement, dict(ctx.principal.parameters))).one_or_none()
    if row is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)
    return row


async def seen(session: AsyncSession, ctx: Context, model: type[E], key: UUID, *, field: str = "id") -> E:
    """The row as `locked` gives it, but not locked: for rows that are locked together with others, in their order."""
    statement = sa.select(model).where(model.id == key, visible(model, ctx.principal.profile))
    row = (await session.scalars(statement, dict(ctx.principal.parameters))).one_or_none()
    if row is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)
    return row


def expect(row: Entity, expected_version: int) -> None:
    """Raise CONFLICT when someone else changed the row since the client read it."""
    if row.version != expected_version:
        raise Conflict(
            f"the {type(row).__name__} is at version {row.version}, not {expected_version}; read it again",
            field="expectedVersion",
            version=row.version,
        )


async def expect_met(session: AsyncSession, ctx: Context, row: Entity, where: Where | None) -> None:
    """Raise CONFLICT for a row, locked by the transaction, that no longer meets the conditions that found it."""
    if where is None:
        return
    model, principal = type(row), ctx.principal
    met = sa.select(model.id).where(model.id == row.id, *where.clauses(model, "", principal.profile))
    if (await session.execute(met, {**principal.parameters, **where.values})).first() is None:
        raise Conflict(f"this {model.__name__} changed meanwhile, and no longer meets the filter", field="filter")


def signed_in(ctx: Context) -> UUID:
    """The user's key."""
    if ctx.principal.id is None:
        raise Unauthenticated("sign in first")
    return ctx.principal.id


async def require(
    session: AsyncSession, ctx: Context, row: Entity, rules: Sequence[Rule], verb: str, column: str = ""
) -> None:
    """Raise FORBIDDEN when none of the rules holds for the row as it stands in the transaction."""
    if not await holds(session, ctx, row, rules):
        what = f"`{spelled(column)}` of a {type(row).__name__}" if column else f"a {type(row).__name__} here"
        who = f"only {words(rules)} may {verb}" if rules else f"nobody may {verb}"
        raise Forbidden(f"{who} {what}")
    asked(session, row)


async def holds(session: AsyncSession, ctx: Context, row: Entity, rules: Sequence[Rule]) -> bool:
    """Whether one of the rules holds for the row as it stands in the transaction."""
    model = type(row)
    may = allowed(rules, model, ctx.principal.profile)
    if may is TRUE or may is FALSE:
        return may is TRUE
    found = sa.select(model.id).where(model.id == row.id, may)
    return (await session.execute(found, dict(ctx.principal.parameters))).first() is not None


async def refer(session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any]) -> None:
    """Raise NOT_FOUND for a reference to a row that the principal does not see; lock the others."""
    for column, key in values.items():
        if key is not None and (referred := target(model, column)) is not None:
            await referred_seen(session, ctx, referred, key, f"input.{spelled(column)}")


async def referred_seen(session: AsyncSession, ctx: Context, model: Any, key: UUID, field: str) -> None:
    """Raise NOT_FOUND for a row that the principal does not see; else lock it."""
    seen = sa.select(model.id).where(model.id == key, visible(model, ctx.principal.profile)).with_for_update(read=True)
    if (await session.execute(seen, dict(ctx.principal.parameters))).first() is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)


def target(model: type[Entity], column: str) -> Any:
    """The model that a column refers to, if any."""
    for key in sa.inspect(model).mapper.columns[column].foreign_keys:
        return models.of_table(key.column.table)
    return None


async def stored(session: AsyncSession, model: type[Entity], given: Collection[str] = ()) -> None:
    """Flush the changes, of which the client gave some columns as `input`."""
    with unlike(model, given):
        await session.flush()
