"""How many bytes of files a user and a project may have, and how full the storage may be."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import held_in_order
from db.models import File, Project, Upload, UploadState, User
from resolvers.failures import Away, LimitExceeded, Quota
from resolvers.limits import FileBounds

FULL = 60
"""Seconds after which a client may ask again whether there is room."""


def check_size(bounds: FileBounds, size: int, field: str) -> None:
    """LIMIT_EXCEEDED for a file that is larger than any may be."""
    if size > bounds.upload:
        raise LimitExceeded(
            f"a file has at most {bounds.upload:,} bytes, not {size:,}",
            field=field,
            limit="upload",
            allowed=bounds.upload,
            value=size,
        )


def check_free(bounds: FileBounds, free: int | None, size: int) -> None:
    """UNAVAILABLE when so many more bytes would leave too few of the `free` ones."""
    if free is not None and free - size < bounds.floor:
        raise full()


def full() -> Away:
    """The failure when there is no room for more bytes."""
    return Away("the storage is nearly full: no uploads are taken until there is room; tell the operator", seconds=FULL)


async def expect_room(
    session: AsyncSession, bounds: FileBounds, owner: UUID | None, project: UUID | None, size: int
) -> None:
    """QUOTA when the user or the project would have too many bytes. Locks both, so that of several uploads at once each
    counts those before it."""
    for model, key, column, most in (
        (User, owner, "owner_user_id", bounds.user),
        (Project, project, "project_id", bounds.project),
    ):
        if key is None or most is None:
            continue
        await held_in_order(session, model, model.id == key)
        used = await used_by(session, column, key)
        if used + size > most:
            whose = "you have" if model is User else "the project has"
            raise Quota(
                f"{whose} {used:,} of {most:,} bytes of files, and {size:,} more do not fit: delete some for good",
                field="size",
                limit=most,
                used=used,
                requested=size,
            )


async def used_by(session: AsyncSession, column: str, key: UUID) -> int:
    """The bytes of files that are there or on their way. Deleted files count until they are gone for good: their bytes
    are still stored. What services keep does not count."""
    file, upload = getattr(File, column), getattr(Upload, column)
    stored = sa.select(sa.func.coalesce(sa.func.sum(File.size), 0)).where(file == key, File.address.is_(None))
    coming: Any = sa.select(
        sa.func.coalesce(sa.func.sum(sa.func.coalesce(Upload.size, Upload.received + Upload.coming)), 0)
    ).where(upload == key, Upload.state == UploadState.OPEN)
    return int(await session.scalar(stored) or 0) + int(await session.scalar(coming) or 0)


async def expect_few(
    session: AsyncSession, bounds: FileBounds, owner: UUID | None, whose: sa.ColumnElement[bool]
) -> None:
    """LIMIT_EXCEEDED when somebody has too many uploads that are not complete."""
    if owner is not None:
        await held_in_order(session, User, User.id == owner)
    number = await session.scalar(
        sa.select(sa.func.count()).select_from(Upload).where(whose, Upload.state == UploadState.OPEN)
    )
    if (number or 0) >= bounds.under_way:
        raise LimitExceeded(
            f"at most {bounds.under_way:,} uploads may be under way; complete or delete some",
            limit="uploads",
            allowed=bounds.under_way,
            value=(number or 0) + 1,
        )
