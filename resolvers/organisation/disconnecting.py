"""End the connections of a user, a participant, a device or a service: login sessions, sockets and streams."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from db.engine import changed
from db.models import Device, Participant, Service, User
from resolvers.access.policy import Rules
from resolvers.access.rules import (
    DEVICE_ADMIN,
    LINKED_SERVICE,
    PROJECT_ADMIN,
    SUPERADMIN,
    USER_ADMIN,
)  # fmt: skip
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.feed import disconnected_topic
from resolvers.identity import session_store
from resolvers.identity.principal import Kind
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import place_of
from resolvers.writing.rows import locked, require

MAY: Mapping[str, tuple[Any, Kind, Rules]] = {
    "User": (User, Kind.USER, (USER_ADMIN, SUPERADMIN)),
    "Participant": (Participant, Kind.PARTICIPANT, (PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)),
    "Device": (Device, Kind.DEVICE, (DEVICE_ADMIN, PROJECT_ADMIN, LINKED_SERVICE, SUPERADMIN)),
    "Service": (Service, Kind.SERVICE, (SUPERADMIN,)),
}
"""Who may disconnect whom."""


async def disconnect(ctx: Context, typename: str, key: UUID) -> int:
    """End the login sessions of somebody, and their sockets and streams at once; keys and static tokens stay valid.
    Returns how many login sessions ended."""
    if typename not in MAY:
        raise Invalid(f"who is disconnected is a {', a '.join(MAY)}, not a {typename}", field="id")
    model, kind, rules = MAY[typename]
    async with writing(ctx, "DISCONNECT", model, key) as session:
        row = await locked(session, ctx, model, key)
        await require(session, ctx, row, rules, "disconnect")
        ended = 0
        if kind in (Kind.USER, Kind.PARTICIPANT):
            ended = await session_store.end(session, kind, key)
        changed(session, disconnected_topic(key))
        record(session, ctx, "DISCONNECT", typename, key, sessions=ended, **await place_of(session, row))
        return ended
