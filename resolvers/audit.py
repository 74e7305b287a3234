"""The record of what mattered: sign-ins, refused writes, what late workers tried."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from resolvers.context import Context
from resolvers.principal import Kind


def record(
    session: AsyncSession, ctx: Context, action: str, entity_type: str, entity_id: UUID | None = None, **detail: Any
) -> None:
    """Add an event to the transaction of `session`. `detail` never holds a secret."""
    principal = ctx.principal
    actor = principal.errand.job_id if principal.errand else principal.id
    session.add(
        models.AuditEvent(
            actor_kind=None if principal.kind is Kind.ANONYMOUS else principal.kind.value,
            actor_id=detail.pop("actor_id", actor),
            action=action,
            entity_type=entity_type,
            entity_id=entity_id,
            client=ctx.client or None,
            detail=detail or None,
        )
    )
