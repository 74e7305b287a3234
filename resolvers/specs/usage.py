"""How many models the specs of a user have, and may have."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import held_in_order
from db.models import Spec, SpecVersion, User
from db.written import because
from resolvers.failures import Quota


async def hold_owner(session: AsyncSession, owner: UUID) -> None:
    """Lock the owner, so that what is put and deleted of theirs comes one after another."""
    await held_in_order(session, User, User.id == owner)


async def expect_room(session: AsyncSession, owner: UUID, requested: int, limit: int | None, spec: UUID | None) -> None:
    """QUOTA where the latest versions of the owner's other specs leave no room for so many models. The owner is
    locked."""
    if limit is None:
        return
    used = await _used(session, owner, spec)
    if used + requested > limit:
        told = f"your specs may have {limit} models together; others have {used}, and this one has {requested}"
        raise Quota(told, field="source", limit=limit, used=used, requested=requested)


async def count(session: AsyncSession, owner: UUID) -> None:
    """Store how many models the owner's specs have now. The owner is locked."""
    because(session, "the models of one's specs are counted", User)
    number = await _used(session, owner, None)
    own = {"updated_at": User.updated_at}
    counted = sa.update(User).where(User.id == owner).values(spec_model_count=number, **own)
    await session.execute(counted.execution_options(synchronize_session=False))


async def _used(session: AsyncSession, owner: UUID, but: UUID | None) -> int:
    latest = SpecVersion.id == Spec.latest_version_id
    counted = sa.select(sa.func.sum(SpecVersion.model_count)).join(Spec, latest)
    counted = counted.where(Spec.user_id == owner, Spec.deleted_at.is_(None))
    if but is not None:
        counted = counted.where(Spec.id != but)
    return await session.scalar(counted) or 0
