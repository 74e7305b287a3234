"""What the tests take for proof that nothing changed."""

import pytest
import sqlalchemy as sa

from db import models
from tests.support.platforms import Platform
from tests.support.recording import changes


async def test_rows_that_are_made_changed_and_deleted_are_told_by_their_tables(platform: Platform) -> None:
    database = platform.services.database
    with changes(database) as changed:
        async with database.write(as_system="test") as session:
            session.add(models.Site(name="Cape"))
        async with database.write(as_system="test") as session:
            await session.execute(sa.update(models.Project).values(description="x"))
            await session.execute(sa.delete(models.LeaderboardEntry))
    assert changed == ["sites", "projects", "leaderboard_entries"]


async def test_what_is_rolled_back_or_meets_no_row_is_no_change(platform: Platform) -> None:
    database = platform.services.database
    with changes(database) as changed:
        with pytest.raises(RuntimeError):
            async with database.write(as_system="test") as session:
                session.add(models.Site(name="Cape"))
                await session.flush()
                raise RuntimeError
        async with database.write(as_system="test") as session:
            await session.execute(sa.update(models.Site).where(models.Site.name == "none").values(name="x"))
            session.add(models.AuditEvent(actor_kind="user", action="X", entity_type="User"))
    assert changed == []
