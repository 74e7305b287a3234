"""Lock and unlock the gateway: while it is locked, reads go on and writes are refused. Superadmins only."""

from db.engine import changed
from db.models import ServerSetting
from resolvers.context import Context
from resolvers.maintenance import LOCK, SETTING
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.server_settings import put


async def set_read_only(ctx: Context, read_only: bool) -> None:
    """Lock or unlock the gateway; superadmins only."""
    async with writing(ctx, "LOCK", ServerSetting) as session:
        await put(session, ctx, SETTING, "on" if read_only else "off")
        record(session, ctx, "LOCK" if read_only else "UNLOCK", "ServerSetting", None)
        changed(session, LOCK)
