"""What the service of a session is told when it is made, starts and ends: by a call to its endpoint, which the outbox
sends and tries again."""

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import (
    Channel,
    Credential,
    CredentialKind,
    Notification,
    Service,
    ServiceConfig,
    Session,
    SessionMember,
    SessionType,
)  # fmt: skip
from db.models.sessions import MEMBERS
from db.types import instant_text, now
from db.written import because
from resolvers.mail.outbox import OUTBOX
from resolvers.spelling import global_id

_TYPES = {"user_id": "User", "participant_id": "Participant", "device_id": "Device"}
TLS = 443
"""The port of services that are called by HTTPS."""


async def post(session: AsyncSession, row: Session, what: str) -> None:
    """Put a call to the service that runs a session into the outbox: `what` is CREATED, STARTED, or how it ended."""
    kind = await session.get_one(SessionType, row.type_id)
    if kind.service_id is None:
        return
    service = await session.get_one(Service, kind.service_id)
    if not service.enabled or service.deleted_at is not None or not service.endpoint:
        return
    moment = await moment_of(session)
    body = json.dumps(
        {
            "event": what,
            "at": instant_text(moment),
            "session": _session(row),
            "members": await _members(session, row.id, service.id),
        },
        separators=(",", ":"),
    )
    scheme = "https" if service.port == TLS else "http"
    because(session, "a service hears of its sessions", Notification)
    session.add(
        Notification(
            channel=Channel.SERVICE,
            template_key="session",
            service_id=service.id,
            recipient=f"{scheme}://{service.hostname}:{service.port}/{service.endpoint.lstrip('/')}"[:254],
            text=body,
            headers={"Torana-Signature": await _signature(session, service.id, moment, body)},
        )
    )
    changed(session, OUTBOX)


def _session(row: Session) -> Mapping[str, Any]:
    return {
        "id": global_id("Session", row.id),
        "type": global_id("SessionType", row.type_id),
        "project": None if row.project_id is None else global_id("Project", row.project_id),
        "name": row.name,
        "status": row.status.name,
        "startsAt": instant_text(row.starts_at),
        "parameters": row.parameters,
    }


async def _members(session: AsyncSession, row: UUID, service: UUID) -> list[Mapping[str, Any]]:
    """The members, each with its configuration of the service: the general one, and those of installations by their
    ids."""
    joined = [getattr(ServiceConfig, column) == getattr(SessionMember, column) for column in MEMBERS]
    config = sa.and_(sa.or_(*joined), ServiceConfig.service_id == service, ServiceConfig.deleted_at.is_(None))
    wanted = sa.select(SessionMember, ServiceConfig.specific_id, ServiceConfig.config)
    wanted = wanted.outerjoin(ServiceConfig, config)
    wanted = wanted.where(SessionMember.session_id == row, SessionMember.deleted_at.is_(None))
    found: dict[UUID, dict[str, Any]] = {}
    for member, specific, given in await session.execute(wanted.order_by(SessionMember.id)):
        column = next(one for one in MEMBERS if getattr(member, one) is not None)
        told = found.setdefault(
            member.id,
            {
                "id": global_id(_TYPES[column], getattr(member, column)),
                "state": member.state.name,
                "config": None,
                "installations": {},
            },
        )
        if specific == "":
            told["config"] = given
        elif specific is not None:
            told["installations"][specific] = given
    return list(found.values())


async def _signature(session: AsyncSession, service: UUID, moment: Any, body: str) -> str:
    """The signature of a call: by each token of the service, whose digest both sides know. The service computes the
    HMAC-SHA256 of `{t}.{body}` with the SHA-256 of its token, in hexadecimal digits, for a key."""
    at = str(int(moment.timestamp()))
    held = sa.select(Credential.secret_hash).where(
        Credential.service_id == service,
        Credential.kind == CredentialKind.STATIC_TOKEN,
        Credential.revoked_at.is_(None),
        sa.or_(Credential.expires_at.is_(None), Credential.expires_at > now()),
    )
    keys = [key for key in await session.scalars(held.order_by(Credential.id).limit(5)) if key]
    signed = (hmac.new(key.encode(), f"{at}.{body}".encode(), sha256).hexdigest() for key in keys)
    return ",".join([f"t={at}", *(f"v1={one}" for one in signed)])
