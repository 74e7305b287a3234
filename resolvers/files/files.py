"""Files for download and deletion."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import File, FilePurpose, FileState, Project
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.access.rules import allowed
from resolvers.access.session_rules import CHECKER
from resolvers.context import Context
from resolvers.failures import NotFound, WrongState
from resolvers.reading.selection import Selection
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import conclude
from resolvers.writing.rows import expect, locked, require

_FILE = Selection(
    File,
    (
        "name",
        "media_type",
        "size",
        "digest",
        "state",
        "refusal",
        "purpose",
        "project_id",
        "spec_version_id",
        "expires_at",
        "address",
    ),
)


async def readable(ctx: Context, key: UUID) -> Any:
    """The row of a file whose bytes may be read; STATE while it is being checked, and when it was refused."""
    row = await ctx.fork().loaders.one(_FILE, key)
    if row is None:
        raise NotFound("no File with this id that you may see")
    if row.state is FileState.QUARANTINED:
        looks = sa.select(File.id).where(File.id == key, allowed((CHECKER,), File, ctx.principal.profile))
        if not await ctx.database.rows(looks, dict(ctx.principal.parameters)):
            raise WrongState("the file waits for a service that checks it", state=row.state.name)
    return _ready(row)


async def public(ctx: Context, name: str) -> Any:
    """The row of the public file of this name."""
    wanted = sa.select(File.id).where(
        File.purpose == FilePurpose.PUBLIC, File.state == FileState.READY, File.name == name, File.deleted_at.is_(None)
    )
    found = [] if "\0" in name else await ctx.database.rows(wanted)
    if not found:
        raise NotFound("there is no public file of this name")
    return await readable(ctx, found[0].id)


def _ready(row: Any) -> Any:
    if row.state is FileState.CHECKING:
        raise WrongState("the file is being checked; try again in some seconds", state=row.state.name)
    if row.state is FileState.REFUSED:
        raise WrongState(f"the file was refused: {row.refusal['message']}", state=row.state.name)
    return row


async def note(ctx: Context, row: Any) -> None:
    """Record that a file is downloaded."""
    async with ctx.database.write() as session:
        site = None
        if row.project_id is not None:
            site = await session.scalar(sa.select(Project.site_id).where(Project.id == row.project_id))
        place = {"project_id": row.project_id, "site_id": site}
        record(session, ctx, "DOWNLOAD", "File", row.id, file=row.name, **place)


async def delete_forever(ctx: Context, key: UUID, expected_version: int | None) -> datetime:
    """Delete a file for good, also one that was deleted; its bytes go with the last file that has them. Returns
    when."""
    async with writing(ctx, "DELETE", File, key) as session:
        row = await _deleted(session, ctx, key) or await locked(session, ctx, File, key)
        await require(session, ctx, row, policy_of(File).delete, "delete")
        if expected_version is not None:
            expect(row, expected_version)
        if row.state is FileState.CHECKING:
            raise WrongState("the file is being checked; try again in some seconds", state=row.state.name)
        if row.deleted_at is None:
            await conclude(session, ctx, row, None)
            await erase(session, row)
            await session.refresh(row)
        record(session, ctx, "DELETE", "File", key, forever=True, project_id=row.project_id)
        because(session, "a file is deleted for good by who may delete it", File)
        await session.delete(row)
        return await moment_of(session)


async def _deleted(session: AsyncSession, ctx: Context, key: UUID) -> File | None:
    """A deleted file of those that one may delete, locked."""
    mine = allowed(policy_of(File).delete, File, ctx.principal.profile)
    wanted = sa.select(File).where(File.id == key, File.deleted_at.is_not(None), mine).with_for_update()
    return (await session.scalars(wanted, dict(ctx.principal.parameters))).one_or_none()
