"""Refused writes are on record; what a refusal would tell of rows that one doesn't see is counted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside
from db.models import Entity
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.limits import Bound
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.constraints import Taken, everywhere

TAKEN = Bound(50, 86_400)
"""How often one may be told that a name is taken that no other row of any place may have."""


@asynccontextmanager
async def writing(
    ctx: Context, action: str, model: type[Entity], key: UUID | None = None
) -> AsyncIterator[AsyncSession]:
    """A transaction; what it refuses is recorded beside it."""
    async with recorded(ctx, action, model, key), ctx.database.write() as session:
        yield session


@asynccontextmanager
async def recorded(ctx: Context, action: str, model: type[Entity], key: UUID | None = None) -> AsyncIterator[None]:
    """What is refused inside is recorded. That a name of all places is taken tells of rows that one doesn't see: it is
    recorded, too, and counted."""
    try:
        yield
    except (Forbidden, Taken) as refusal:
        if isinstance(refusal, Taken) and (not refusal.everywhere or ctx.principal.superadmin):
            raise
        async with ctx.database.write() as session:
            aside(session)
            record(session, ctx, "REFUSED", model.__name__, key, tried=action, why=refusal.message)
        if isinstance(refusal, Taken):
            await rate_limits.count(ctx, {_taken_key(ctx): TAKEN.most}, TAKEN.seconds)
        raise


async def expect_room(session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any]) -> None:
    """Refuse a name that no other row of any place may have from who was told too often that one is taken: else it
    would still tell which are free."""
    if not ctx.principal.superadmin and any(values.get(name) is not None for name in everywhere(model)):
        await rate_limits.expect_room(session, _taken_key(ctx), TAKEN)


def _taken_key(ctx: Context) -> str:
    return f"taken:{ctx.principal.id}"
