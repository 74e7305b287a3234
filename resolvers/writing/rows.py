"""What every write does first: find its row as its principal may see it, at the version the client read."""

from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Entity, Erasable
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Conflict, NotFound, Unauthenticated

E = TypeVar("E", bound=Entity)


async def locked(session: AsyncSession, ctx: Context, model: type[E], key: UUID, *, field: str = "id") -> E:
    """The row, held until the transaction ends; hidden and absent are the same. The order of locks is `locks.ORDER`."""
    seen = visible(model, ctx.principal.standing)
    # Rows that are only marked as deleted keep their keys: whoever refers to them need not wait.
    statement = sa.select(model).where(model.id == key, seen)
    statement = statement.with_for_update(of=model, key_share=issubclass(model, Erasable))
    statement = statement.execution_options(populate_existing=True)
    row = (await session.scalars(statement, dict(ctx.principal.parameters))).one_or_none()
    if row is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)
    return row


async def seen(session: AsyncSession, ctx: Context, model: type[E], key: UUID, *, field: str = "id") -> E:
    """The row as `locked` gives it, not held: for those that are held together with others, in their order."""
    statement = sa.select(model).where(model.id == key, visible(model, ctx.principal.standing))
    row = (await session.scalars(statement, dict(ctx.principal.parameters))).one_or_none()
    if row is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)
    return row


def expect(row: Entity, expected_version: int) -> None:
    """Refuse to change what someone else changed since the client read it."""
    if row.version != expected_version:
        raise Conflict(
            f"the {type(row).__name__} is at version {row.version}, not {expected_version}; read it again",
            field="expectedVersion",
            version=row.version,
        )


def signed_in(ctx: Context) -> UUID:
    """The user's key."""
    if ctx.principal.id is None:
        raise Unauthenticated("sign in first")
    return ctx.principal.id
