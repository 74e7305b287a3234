"""Revoke API keys and tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import OWNERS, Credential, CredentialKind
from db.written import because
from resolvers.access.acting import ACTS_FOR_OWNER
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.policy import Rules
from resolvers.access.rules import (
    DEVICE_LINKER,
    LINKED_SERVICE,
    OWNER,
    PROJECT_ADMIN,
    SITE_ADMIN,
    SUPERADMIN,
    allowed,
)
from resolvers.access.visibility import visible
from resolvers.accounts.owners import Owner, owner_there
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import principal_topic
from resolvers.identity.credentials import LIVE
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import require

_ENDED = (
    CredentialKind.API_KEY,
    CredentialKind.STATIC_TOKEN,
    CredentialKind.CHALLENGE_WORKER,
    CredentialKind.SPEC_TOKEN,
    CredentialKind.CERTIFICATE,
)
"""The kinds of credentials that are revoked."""


async def revoke(ctx: Context, key: UUID) -> datetime:
    """Revoke a key or token at once; returns when. For one that was revoked before, that moment stays."""
    async with writing(ctx, "REVOKE_CREDENTIAL", Credential, key) as session:
        profile = ctx.principal.profile
        # A service ends tokens of participants that it doesn't see.
        ends = sa.and_(Credential.participant_id.is_not(None), allowed((LINKED_SERVICE,), Credential, profile))
        known = sa.or_(visible(Credential, profile), sa.and_(Credential.kind.in_(_ENDED), ends))
        wanted = sa.select(Credential).where(Credential.id == key, known).with_for_update(of=Credential)
        row = (await session.scalars(wanted, dict(ctx.principal.parameters))).one_or_none()
        if row is None:
            raise NotFound("no Credential with this id", field="id")
        of_people: Rules = (OWNER, ACTS_FOR_OWNER, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN)
        rules: Rules = (DEVICE_LINKER, SUPERADMIN) if row.device_id else of_people
        rules = (ORGANISER, SUPERADMIN) if row.challenge_id else rules
        await require(session, ctx, row, (*rules, LINKED_SERVICE) if row.participant_id else rules, "revoke")
        return row.revoked_at or _revoked(session, ctx, row, await moment_of(session))


async def revoke_all(ctx: Context, owner: Owner | None = None) -> datetime:
    """Revoke all keys and tokens of specs of the owner, or of oneself; returns when."""
    async with writing(ctx, "REVOKE_CREDENTIAL", Credential) as session:
        if (user := await owner_there(session, ctx, owner, hold=True, disabled=True)) is not None:
            kinds = (CredentialKind.API_KEY, CredentialKind.SPEC_TOKEN)
            await end(session, ctx, Credential.user_id == user, Credential.kind.in_(kinds))
        return await moment_of(session)


async def end(session: AsyncSession, ctx: Context, *which: Any) -> None:
    """Revoke keys of the user, whose row is locked."""
    rows = (await session.scalars(sa.select(Credential).where(*which, LIVE).order_by(Credential.id))).all()
    because(session, "keys are revoked by their owner", Credential)
    moment = await moment_of(session)
    for row in rows:
        _revoked(session, ctx, row, moment)
    await session.flush()


def _revoked(session: AsyncSession, ctx: Context, row: Credential, moment: datetime) -> datetime:
    """Note in a credential, and on record, that it is revoked; returns when."""
    row.revoked_at, owner = moment, owner_of(row)
    changed(session, principal_topic(owner))
    record(session, ctx, "REVOKE_CREDENTIAL", "Credential", row.id, label=row.label, owner=owner)
    return moment


def owner_of(row: Credential) -> UUID | None:
    return next((key for key in (getattr(row, name) for name in OWNERS) if key is not None), None)
