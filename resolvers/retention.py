"""What is not kept for ever."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db.engine import Database
from db.models import Attempts, AuditEvent, Credential, CredentialKind, Notification, NotificationState
from db.types import later

DAY = 86_400
_FLEETING = (
    CredentialKind.LOGIN_SESSION,
    CredentialKind.EMAIL_CODE,
    CredentialKind.EMAIL_VERIFY,
    CredentialKind.PASSWORD_RESET,
)


async def tidy(database: Database, *, audit_days: float, notice_days: float) -> Mapping[str, int]:
    """Delete audit events and notifications that are older than so many days, and what expired a day ago; returns how
    many rows of each table went."""
    sent = Notification.state != NotificationState.PENDING
    old: tuple[Any, ...] = (
        sa.delete(AuditEvent).where(AuditEvent.at < later(-audit_days * DAY)),
        sa.delete(Notification).where(sent, Notification.created_at < later(-notice_days * DAY)),
        sa.delete(Credential).where(Credential.kind.in_(_FLEETING), Credential.expires_at < later(-DAY)),
        sa.delete(Attempts).where(Attempts.since < later(-DAY)),
    )
    gone: dict[str, int] = {}
    for statement in old:
        async with database.write() as session:
            done = await session.execute(statement.execution_options(synchronize_session=False))
            gone[statement.table.name] = done.rowcount  # type: ignore[attr-defined]
    return gone
