"""Log events that services add to the record."""

from datetime import datetime
from enum import Enum
from uuid import UUID

from db.engine import moment_of
from db.models import AuditEvent, Project
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid
from resolvers.identity.principal import Kind
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import seen

LONGEST = 2_000
"""The most characters of a message."""


class Level(Enum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


async def add(ctx: Context, level: Level, message: str, project: UUID | None) -> datetime:
    """Put a message of a service on record, of a project that it works in or of none. Returns when."""
    if ctx.principal.kind is not Kind.SERVICE:
        raise Forbidden("services add log events")
    async with writing(ctx, "LOG", AuditEvent) as session:
        place: dict[str, UUID] = {}
        if project is not None:
            row = await seen(session, ctx, Project, project, field="project")
            place = {"project_id": row.id, "site_id": row.site_id}
        if not message.strip() or len(message) > LONGEST:
            raise Invalid(f"a message has 1 to {LONGEST} characters", field="message")
        record(session, ctx, "SERVICE_LOG", "Service", ctx.principal.id, level=level, message=message, **place)
        return await moment_of(session)
