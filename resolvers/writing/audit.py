"""The audit record: sign-ins, changes of rights, refused writes, attempts of late workers."""

from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.written import because
from resolvers.context import Context
from resolvers.retention import Sweep
from resolvers.spelling import camel


def record(
    session: AsyncSession, ctx: Context, action: str, entity_type: str, entity_id: UUID | None = None, **detail: Any
) -> None:
    """Record an audit event in the transaction of `session`. `detail` never holds a secret, and is stored as JSON under
    the API's names. `site_id` and `project_id` in it decide whose administrators may read the event."""
    because(session, "what was done is put on record", models.AuditEvent)
    principal = ctx.principal
    actor = principal.task_claim.job_id if principal.task_claim else principal.id
    session.add(
        models.AuditEvent(
            actor_kind=principal.actor,
            actor_id=detail.pop("actor_id", actor),
            action=action,
            entity_type=entity_type,
            entity_id=entity_id,
            site_id=detail.pop("site_id", None),
            project_id=detail.pop("project_id", None),
            client=ctx.client or None,
            detail={camel(name): _plain(value) for name, value in detail.items()} or None,
        )
    )


def _plain(value: Any) -> Any:
    """A value as the API gives it. Raises TypeError for a value that has no JSON form, which would be stored as Python
    writes it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    raise TypeError(f"a detail of the audit record can't be a {type(value).__name__}")


def sweep(days: float) -> Sweep:
    """The sweep of events that are older than so many days."""
    return Sweep.of_rows(models.AuditEvent, days, lambda before: models.AuditEvent.at < before)
