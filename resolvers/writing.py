"""What every write does first: find its row as its principal may see it, at the version the client read."""

from typing import Any, TypeVar
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Entity, Erasable
from resolvers.access import visible
from resolvers.context import Context
from resolvers.failures import Conflict, Invalid, LimitExceeded, NotFound, Unauthenticated

E = TypeVar("E", bound=Entity)
BYTES = 65_536
"""Of a status, a configuration, or what a device tells about itself."""


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


async def seen(session: AsyncSession, ctx: Context, model: type[E], key: UUID) -> E:
    """The row as `locked` gives it, not held: for those that are held together with others, in their order."""
    statement = sa.select(model).where(model.id == key, visible(model, ctx.principal.standing))
    row = (await session.scalars(statement, dict(ctx.principal.parameters))).one_or_none()
    if row is None:
        raise NotFound(f"no {model.__name__} with this id", field="id")
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


def check_object(field: str, value: Any) -> None:
    """Refuse what is no object, or is too large to be kept beside a row."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise Invalid(f"{field} is an object", field=field)
    try:
        size = len(orjson.dumps(value))
    except TypeError as error:  # a number that is too large, for one
        raise Invalid(f"{field} can't be stored: {error}", field=field) from None
    if size > BYTES:
        raise LimitExceeded(f"{field} takes at most {BYTES} bytes", limit=field, allowed=BYTES, value=size)
