"""Which numbers are missing among the events that a device told of."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from db.models import Device, SessionEvent
from resolvers.access.rules import (
    DEVICE_ADMIN,
    DEVICE_SELF,
    LINKED_SERVICE,
    PROJECT_ADMIN,
    SITE_ADMIN,
    SUPERADMIN,
    allowed,
    words,
)  # fmt: skip
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Forbidden, NotFound

MOST = 1_000
"""The most gaps that are told."""
MAY = (DEVICE_SELF, DEVICE_ADMIN, SITE_ADMIN, PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that did not come, from the first to the last."""

    first: int
    last: int


async def gaps(ctx: Context, device: UUID) -> list[Gap]:
    """The holes between the numbers of a device's events, the first `MOST`."""
    profile = ctx.principal.profile
    wanted = sa.select(Device.id, allowed(MAY, Device, profile).label("may"))
    wanted = wanted.where(Device.id == device, visible(Device, profile))
    known = await ctx.database.rows(wanted, dict(ctx.principal.parameters))
    if not known:
        raise NotFound("no Device with this id", field="device")
    if not known[0].may:
        raise Forbidden(f"only {words(MAY)} may read which events of a device are missing")
    number = SessionEvent.seq
    before = sa.func.lag(number).over(order_by=number).label("before")
    of_device = sa.select(number.label("seq"), before).where(SessionEvent.device_id == device, number.is_not(None))
    told = of_device.subquery("told")
    holes = sa.select(told.c.before, told.c.seq).where(told.c.seq - told.c.before > 1).order_by(told.c.seq).limit(MOST)
    return [Gap(row.before + 1, row.seq - 1) for row in await ctx.database.rows(holes, {}, ctx.lane)]
