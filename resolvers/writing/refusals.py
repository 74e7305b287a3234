"""Record refused writes, and bound how often a refusal may tell that a name is taken by a row one doesn't see."""

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
"""How often one may be told that a name is taken which must be unique in all places."""


@asynccontextmanager
async def writing(
    ctx: Context, action: str, model: type[Entity], key: UUID | None = None
) -> AsyncIterator[AsyncSession]:
    """A write transaction; a refusal in it is recorded."""
    async with recorded(ctx, action, model, key), ctx.database.write() as session:
        yield session


@asynccontextmanager
async def recorded(ctx: Context, action: str, model: type[Entity], key: UUID | None = None) -> AsyncIterator[None]:
    """Record refusals of what is done inside. "This name is taken", for a name that is unique in all places, tells of
    rows that one doesn't see: it is recorded, too, and counted."""
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
    """Refuse a write with a name that must be unique in all places, after the principal was told too often that one is
    taken: otherwise the answer would still tell which names are free."""
    if not ctx.principal.superadmin and any(values.get(name) is not None for name in everywhere(model)):
        await rate_limits.expect_room(session, _taken_key(ctx), TAKEN)


def _taken_key(ctx: Context) -> str:
    return f"taken:{ctx.principal.id}"
