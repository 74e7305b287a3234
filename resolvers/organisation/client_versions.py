"""The oldest versions of client programs that may sign in."""

from collections.abc import Mapping

import sqlalchemy as sa
from packaging.version import InvalidVersion, Version

from db.models import ServerSetting
from resolvers.context import Context
from resolvers.failures import ClientTooOld, Invalid
from resolvers.spelling import invisible
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.server_settings import put

_PREFIX = "CLIENT:"
LONGEST = 64
"""The most characters of a name, and of a version."""


async def set_oldest(ctx: Context, name: str, version: str) -> None:
    """Say which version of a client is the oldest that may sign in; superadmins only."""
    async with writing(ctx, "SET", ServerSetting) as session:
        row = await put(session, ctx, _setting(name), str(_version(version, "version")))
        record(session, ctx, "SET_OLDEST_CLIENT", "ServerSetting", row.id, client=name, version=version)


async def oldest(ctx: Context) -> Mapping[str, str]:
    """The oldest version of each client that has one, by its name."""
    wanted = sa.select(ServerSetting.name, ServerSetting.value).where(ServerSetting.name.startswith(_PREFIX))
    rows = await ctx.database.rows(wanted.order_by(ServerSetting.name).limit(1_000))
    return {row.name.removeprefix(_PREFIX): row.value for row in rows}


async def expect(ctx: Context, name: str, version: str) -> None:
    """Raise ClientTooOld for a version of a client that may no longer sign in. Clients without an oldest version, and
    those that don't tell who they are, may."""
    given = _version(version, "client.version")
    rows = await ctx.database.rows(
        sa.select(ServerSetting.value).where(ServerSetting.name == _setting(name, "client.name"))
    )
    if rows and given < Version(rows[0].value):
        told = f"this version of {name} is too old: get {rows[0].value} or a newer one"
        raise ClientTooOld(told, field="client.version", oldest=rows[0].value)


def _setting(name: str, field: str = "name") -> str:
    if not 0 < len(name) <= LONGEST or invisible(name) or name != name.strip():
        raise Invalid(f"the name of a client has 1 to {LONGEST} characters", field=field)
    return f"{_PREFIX}{name}"


def _version(text: str, field: str) -> Version:
    try:
        if len(text) > LONGEST:
            raise InvalidVersion
        return Version(text)
    except InvalidVersion:
        raise Invalid("a version is such as 1.4.2", field=field) from None
