"""The lock that superadmins put on while nothing may change: reads go on, writes are refused."""

import sqlalchemy as sa

from db.engine import changed
from db.models import ServerSetting
from db.written import because
from resolvers.audit import record
from resolvers.context import Context
from resolvers.editing import writing
from resolvers.failures import Forbidden
from resolvers.locking import LOCK, SETTING


async def set_read_only(ctx: Context, read_only: bool) -> None:
    """Lock or unlock; superadmins only."""
    async with writing(ctx, "LOCK", ServerSetting) as session:
        if not ctx.principal.superadmin:
            raise Forbidden("only superadmins may lock the gateway")
        because(session, "superadmins lock the gateway", ServerSetting)
        row = await session.scalar(sa.select(ServerSetting).where(ServerSetting.name == SETTING).with_for_update())
        if row is None:
            row = ServerSetting(name=SETTING)
            session.add(row)
        row.value = "on" if read_only else "off"
        record(session, ctx, "LOCK" if read_only else "UNLOCK", "ServerSetting", None)
        changed(session, LOCK)
