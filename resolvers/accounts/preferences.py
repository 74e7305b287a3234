"""Preferences: values that applications store for their users."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.engine import moment_of
from db.models import Preference, User
from db.written import because
from resolvers.context import Context
from resolvers.failures import Conflict, Invalid, LimitExceeded
from resolvers.writing.rows import expect, signed_in

LONGEST, MOST = 100, 100
"""The most characters of an application's tag, and the most applications of one user."""


async def keep(ctx: Context, app_tag: str, value: Any, expected_version: int | None = None) -> UUID | datetime:
    """Store one's value for an application; an empty value deletes it. Returns the row's key, or the moment when
    nothing is stored any more."""
    user = signed_in(ctx)
    if not app_tag.strip() or len(app_tag) > LONGEST or "\0" in app_tag:
        raise Invalid(f"an application's tag has 1 to {LONGEST} characters", field="appTag")
    async with ctx.database.write() as session:
        because(session, "one's own preferences", Preference)
        # So that of two first values one replaces the other.
        await session.get(User, user, with_for_update={"key_share": True})
        mine = sa.select(Preference).where(Preference.user_id == user)
        row = (await session.scalars(mine.where(Preference.app_tag == app_tag).with_for_update())).one_or_none()
        if expected_version is not None:
            if row is None:
                raise Conflict("nothing is kept for this application any more", field="expectedVersion")
            expect(row, expected_version)
        if value in (None, "", {}, []):
            if row is not None:
                await session.delete(row)
            return await moment_of(session)
        if row is None:
            if len((await session.scalars(mine)).all()) >= MOST:
                raise LimitExceeded(f"at most {MOST} applications keep something", limit="preferences", allowed=MOST)
            row = Preference(user_id=user, app_tag=app_tag)
            session.add(row)
        row.value = value
        await session.flush()
        return row.id
