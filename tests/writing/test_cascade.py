"""What each policy says of its foreign keys, tried on rows: what goes with a row, what keeps it, what stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Erasable, Job, JobState
from resolvers.access.policy import Model, blocked_by, gone_with, policies, policy_of, target_of
from resolvers.failures import Dependency
from resolvers.writing.cascade import erase, revive
from tests.support.matrix import Stage

GOES = [key for policy in policies() for key in policy.goes_with]
BLOCKS = [key for policy in policies() for key in policy.blocks]
STAYS = [key for policy in policies() for key in policy.stays]


class _Undone(Exception):
    pass


@asynccontextmanager
async def _trying(stage: Stage) -> AsyncIterator[AsyncSession]:
    """A transaction of which nothing stays."""
    with suppress(_Undone):
        async with stage.rendered.services.database.write(as_system="test") as session:
            yield session
            raise _Undone


async def _pair(session: AsyncSession, key: Any) -> tuple[UUID, UUID]:
    """A live row that names a live row by the key, and that row; one that is there is made to name it, if none does."""
    model, parent = key.class_, target_of(key)
    policy = policy_of(model)
    if model is Job:
        await session.execute(sa.update(Job).values(state=JobState.RUNNING))
    which = [*_live(model), *_live(parent)]
    if policy.blocks_while is not None:
        which.append(policy.blocks_while(model))
    named = sa.select(model.id, key).join(parent, parent.id == key).where(*which)
    found = (await session.execute(named.limit(1))).first()
    if found is None:
        own = await session.scalar(sa.select(model.id).where(*_live(model)).limit(1))
        above = await session.scalar(sa.select(parent.id).where(*_live(parent)).limit(1))
        others = {c.key: None for c in model.__table__.columns if c.nullable and c.foreign_keys and c.key != key.key}
        for values in ({}, others):
            with suppress(sa.exc.IntegrityError):
                async with session.begin_nested():
                    await session.execute(sa.update(model).where(model.id == own).values({key.key: above, **values}))
                break
        found = (await session.execute(named.limit(1))).first()
    assert found is not None, f"there is no row that names another by {key}"
    return found[0], found[1]


def _live(model: Any) -> list[Any]:
    return [model.deleted_at.is_(None)] if issubclass(model, Erasable) else []


async def _clear(session: AsyncSession, model: Model, keys: set[UUID]) -> None:
    """Take out of the way what keeps rows, and what goes with them, from being deleted."""
    for key in blocked_by(model):
        one = key.class_
        soft = issubclass(one, Erasable) and issubclass(model, Erasable)
        gone = sa.update(one).values(deleted_at=sa.func.now()) if soft else sa.delete(one)
        await session.execute(gone.where(key.in_(keys)).execution_options(synchronize_session=False))
    for key in gone_with(model):
        below = set((await session.scalars(sa.select(key.class_.id).where(key.in_(keys)))).all())
        if below:
            await _clear(session, key.class_, below)


async def _look(session: AsyncSession, model: Any, key: UUID) -> Any:
    return (await session.execute(sa.select(model.__table__).where(model.__table__.c.id == key))).one_or_none()


@pytest.mark.parametrize("key", GOES, ids=str)
async def test_what_goes_with_a_row_goes_and_comes_back_with_it(stage: Stage, key: Any) -> None:
    model, parent = key.class_, target_of(key)
    async with _trying(stage) as session:
        own, above = await _pair(session, key)
        await _clear(session, parent, {above})
        if await _look(session, model, own) is None:
            pytest.skip("it stands in the way of its parent by another key")
        moment = await erase(session, await session.get_one(parent, above))
        row = await _look(session, model, own)
        if not (issubclass(model, Erasable) and issubclass(parent, Erasable)):
            assert row is None
            return
        assert row.deleted_at == moment
        await revive(session, await session.get_one(parent, above))
        assert (await _look(session, model, own)).deleted_at is None


@pytest.mark.parametrize("key", BLOCKS, ids=str)
async def test_what_keeps_a_row_from_going_is_counted(stage: Stage, key: Any) -> None:
    model, parent, policy = key.class_, target_of(key), policy_of(key.class_)
    async with _trying(stage) as session:
        _, above = await _pair(session, key)
        with pytest.raises(Dependency) as refused:
            await erase(session, await session.get_one(parent, above))
        named = model if policy.counted_as is None else target_of(policy.counted_as)
        assert named.__name__ in {one["type"] for one in refused.value.details["blockedBy"]}


@pytest.mark.parametrize("key", STAYS, ids=str)
async def test_what_stays_is_as_it_was(stage: Stage, key: Any) -> None:
    model, parent = key.class_, target_of(key)
    async with _trying(stage) as session:
        own, above = await _pair(session, key)
        await _clear(session, parent, {above})
        before = await _look(session, model, own)
        await erase(session, await session.get_one(parent, above))
        # Of a parent that is gone for good, the database empties the reference.
        gone = not issubclass(parent, Erasable)
        assert await _look(session, model, own) == tuple(None if gone and one == above else one for one in before)
