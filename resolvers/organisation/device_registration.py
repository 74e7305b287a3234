"""Devices register themselves with a key from an administrator, and report their status."""

import hmac
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.engine import aside, changed, row_topic
from db.models import Device, DeviceType, ServerSetting
from db.searching.folding import composed
from db.types import now
from db.written import because
from resolvers.accounts.api_keys import new_secret, token_of
from resolvers.context import Context
from resolvers.failures import Invalid, Unauthenticated
from resolvers.feed import principal_topic
from resolvers.identity.tokens import digest_of
from resolvers.organisation.device_certificates import Signed, key_of_request, sign
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, locked, signed_in, stored
from resolvers.writing.server_settings import put

SETTING = "DEVICE_REGISTER_KEY"
"""The server setting with the digest of the key."""


async def new_register_key(ctx: Context) -> str:
    """Create the key with which devices register themselves; the former one ends."""
    async with writing(ctx, "CREATE_KEY", ServerSetting) as session:
        secret = new_secret("rk")
        row = await put(session, ctx, SETTING, digest_of(secret))
        record(session, ctx, "CREATE_KEY", "ServerSetting", row.id, name=SETTING)
        return secret


async def register(
    ctx: Context, register_key: str, name: str, type_key: str, infos: dict[str, Any] | None, request: str | None = None
) -> tuple[UUID, str, Signed | None]:
    """Create a device, which may not connect yet, its token, and its certificate if it has a `request` for one. An
    unknown, a wrong and a missing key get the same answer."""
    limits = ctx.services.limits
    source = f"register:{rate_limits.address_of(ctx)}"
    await rate_limits.count(ctx, {source: limits.registrations_per_address}, limits.sign_in_window)
    known = await ctx.database.rows(sa.select(ServerSetting.value).where(ServerSetting.name == SETTING))
    expected = known[0].value if known else ""
    if not hmac.compare_digest(expected, digest_of(register_key)):
        async with ctx.database.write() as session:
            aside(session)
            record(session, ctx, "REGISTER_DEVICE_FAILED", "Device")
        raise Unauthenticated("the register key is not valid")
    name = composed(name)
    _check_text("name", name, 255)
    _check_text("typeKey", type_key, 100)
    key = None if request is None else key_of_request(request)
    async with ctx.database.write() as session:
        because(session, "who has the register key registers a device", Device, DeviceType)
        kind = await session.scalar(sa.select(DeviceType).where(DeviceType.key == type_key))
        if kind is None:
            if not limits.register_device_types:
                raise Invalid("no type of devices has this key", field="typeKey")
            kind = DeviceType(name=type_key, key=type_key)
            session.add(kind)
            await stored(session, DeviceType)
        device = Device(name=name, type_id=kind.id, infos=infos, enabled=False)
        session.add(device)
        await session.flush()
        issued = await token_of(session, device.id)
        record(session, ctx, "REGISTER_DEVICE", "Device", device.id, name=name, type=type_key)
        signed = None if key is None else await sign(session, ctx.services.identity.keys, device.id, key)
        return device.id, issued.secret, signed


async def set_status(ctx: Context, status: dict[str, Any]) -> UUID:
    """Store the status that a device reports. It changes often, so the row's version stays."""
    device = signed_in(ctx)
    reported = sa.update(Device).where(Device.id == device)
    async with ctx.database.write() as session:
        because(session, "a device tells of itself", Device)
        changed(session, row_topic(Device, device))
        await session.execute(
            reported.values(status=status, last_online_at=now(), updated_at=Device.updated_at).execution_options(
                synchronize_session=False
            )
        )
    return device


async def set_config(ctx: Context, config: dict[str, Any] | None, expected_version: int) -> UUID:
    """Change the device's own settings."""
    device = signed_in(ctx)
    async with ctx.database.write() as session:
        row = await locked(session, ctx, Device, device)
        because(session, "a device tells of itself", Device)
        expect(row, expected_version)
        row.config = config
        changed(session, principal_topic(device))
    return device


def _check_text(field: str, text: str, most: int) -> None:
    if not text.strip() or len(text) > most or "\0" in text:
        raise Invalid(f"{field} has 1 to {most} characters", field=field)
