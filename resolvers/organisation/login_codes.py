"""Codes with which somebody who signed in here is known at a service: one use, for a minute, for that service alone."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.engine import moment_of
from db.locks import in_order
from db.models import Credential, CredentialKind, Service
from db.types import now
from db.written import because
from resolvers.context import Context
from resolvers.failures import Forbidden, Unauthenticated, WrongState
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import digest_of
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import seen, signed_in

LASTS = timedelta(seconds=60)
_OWNERS = {Kind.USER: "user_id", Kind.PARTICIPANT: "participant_id"}


@dataclass(frozen=True, slots=True)
class LoginCode:
    code: str
    expires_at: datetime


async def create(ctx: Context, service: UUID) -> LoginCode:
    """A code for a service that one sees; the one before ends."""
    column, owner = _OWNERS[ctx.principal.kind], signed_in(ctx)
    async with writing(ctx, "CREATE_CODE", Service, service) as session:
        row = await seen(session, ctx, Service, service, field="service")
        if not row.enabled:
            raise WrongState("this service is disabled", field="service")
        because(session, "who signed in has a code for a service", Credential)
        mine = (getattr(Credential, column) == owner, Credential.kind == CredentialKind.LOGIN_CODE)
        await in_order(session, sa.delete(Credential).where(*mine))
        code, moment = secrets.token_urlsafe(24), await moment_of(session)
        session.add(
            Credential(
                **{column: owner},
                kind=CredentialKind.LOGIN_CODE,
                label=str(service),
                secret_hash=digest_of(code),
                algorithm="sha256",
                expires_at=moment + LASTS,
            )
        )
        await session.flush()
        record(session, ctx, "CREATE_CODE", "Service", service)
        return LoginCode(code, moment + LASTS)


async def redeem(ctx: Context, code: str) -> tuple[Kind, UUID]:
    """Who a code is of; it is used up. UNAUTHENTICATED for any other text, and for another service's code."""
    service = ctx.principal.id
    if ctx.principal.kind is not Kind.SERVICE:
        raise Forbidden("services redeem codes")
    limits = ctx.services.limits
    await rate_limits.count(ctx, {f"login_code:{service}": limits.sign_ins_anywhere}, limits.sign_in_window)
    async with ctx.database.write() as session:
        because(session, "a code is used once", Credential)
        used: Any = sa.delete(Credential).where(
            Credential.kind == CredentialKind.LOGIN_CODE,
            Credential.secret_hash == digest_of(code),
            Credential.label == str(service),
            Credential.expires_at > now(),
        )
        used = used.returning(Credential.user_id, Credential.participant_id)
        row = (await session.execute(used.execution_options(synchronize_session=False))).one_or_none()
        if row is None:
            raise Unauthenticated(
                "the code does not hold: it was used, its minute is over, or it is for another service"
            )
        kind, owner = (Kind.USER, row[0]) if row[0] is not None else (Kind.PARTICIPANT, row[1])
        record(session, ctx, "REDEEM_CODE", "User" if kind is Kind.USER else "Participant", owner)
        return kind, owner
