"""End the login sessions of a user or a participant, and delete those that expired."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.locks import in_order
from db.models import Credential, CredentialKind
from db.types import now
from db.written import because
from resolvers.feed import principal_topic
from resolvers.identity.principal import Kind
from resolvers.retention import Sweep


async def end(session: AsyncSession, kind: Kind, owner: UUID, *which: Any) -> int:
    """End login sessions of an owner; their sockets and streams are told. Returns how many."""
    number = await _end(session, *of(kind, owner), *which)
    changed(session, principal_topic(owner))
    return number


async def end_of_participants(session: AsyncSession, participants: Any) -> None:
    """End the login sessions of all participants that a SELECT gives the keys of."""
    await _end(session, Credential.participant_id.in_(participants), Credential.kind == CredentialKind.LOGIN_SESSION)


async def _end(session: AsyncSession, *which: Any) -> int:
    because(session, "login sessions end with what they stood on", Credential)
    ended = sa.update(Credential).where(*which, Credential.revoked_at.is_(None))
    return await in_order(session, ended.values(revoked_at=now()))


def of(kind: Kind, owner: UUID) -> tuple[Any, ...]:
    column: Any = getattr(Credential, f"{kind.value}_id")
    return column == owner, Credential.kind == CredentialKind.LOGIN_SESSION


_FLEETING = (
    CredentialKind.LOGIN_SESSION,
    CredentialKind.EMAIL_CODE,
    CredentialKind.EMAIL_VERIFY,
    CredentialKind.PASSWORD_RESET,
    CredentialKind.LOGIN_CODE,
)


def sweep() -> Sweep:
    """The sweep of login sessions, links and codes that expired a day ago."""
    fleeting = Credential.kind.in_(_FLEETING)
    return Sweep.of_rows(Credential, 1, lambda before: sa.and_(fleeting, Credential.expires_at < before))
