"""Store settings that superadmins change while the gateway runs."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import ServerSetting
from db.types import uuid7
from resolvers.access.policy import policy_of
from resolvers.context import Context
from resolvers.writing.rows import require, stored


async def put(session: AsyncSession, ctx: Context, name: str, value: str) -> ServerSetting:
    """Store the value of a setting."""
    may = policy_of(ServerSetting)
    row = await session.scalar(sa.select(ServerSetting).where(ServerSetting.name == name).with_for_update())
    if row is None:
        row = ServerSetting(id=uuid7(), name=name)
        await require(session, ctx, row, may.create, "make")
        session.add(row)
    else:
        await require(session, ctx, row, may.update, "change")
    row.value = value
    await stored(session, ServerSetting)
    return row
