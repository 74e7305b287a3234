"""Delete or restore a row with all rows that go with it, as the policies declare; other rows may block the deletion.

All rows of one deletion carry the same moment. A restore finds by it exactly what was deleted together.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.keys import among
from db.locks import held_in_order, place_of
from db.models import Entity, Erasable
from db.written import because
from resolvers.access.policy import Model, blocked_by, gone_with, needed_by, policy_of, target_of
from resolvers.failures import Dependency, WrongState

MANY = 500
"""The most rows of one model whose changes are published one by one."""

Found = dict[Model, set[UUID]]
MayNot = Callable[[Model, Collection[UUID]], Awaitable[int]]
"""A function that counts those of some rows that may not be deleted."""


async def hold(session: AsyncSession, model: Model, key: UUID, *, restoring: bool = False) -> None:
    """Lock a row with all rows that are deleted or restored with it, in the order of all locks."""
    moment: datetime | None = None
    if restoring:
        erased = sa.select(model.deleted_at).where(model.id == key) if issubclass(model, Erasable) else None
        moment = None if erased is None else await session.scalar(erased)
        if moment is None:
            return
    going = await _going(session, model, {key}, moment)
    if (also := policy_of(model).held_with) is not None:
        for other, keys in (await also(session, key)).items():
            going.setdefault(other, set()).update(keys)
    await _hold(session, going)


async def _hold(session: AsyncSession, going: Found) -> None:
    for one in sorted(going, key=place_of):
        await held_in_order(session, one, _one_of(one.id, going[one]))


async def erase(session: AsyncSession, row: Entity, may_not: MayNot | None = None) -> datetime:
    """Delete a row and the rows that go with it; returns when. Raises DEPENDENCY with the rows that block it, such as
    rows that `may_not` be deleted."""
    going = await _going(session, type(row), {row.id})
    blocking = await _blocking(session, going)
    if may_not is not None:
        for model, keys in going.items():
            if policy_of(model).asked and model is not type(row) and (number := await may_not(model, keys)):
                blocking[model.__name__] = number
    if blocking:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(blocking.items()))
        kept = "" if isinstance(row, Erasable) else ", deleted ones included"
        raise Dependency(
            f"this {type(row).__name__} is still in use: {listed}{kept}; delete or unlink those first",
            blockedBy=[{"type": name, "count": count} for name, count in sorted(blocking.items())],
        )
    return await _mark(session, going)


async def erase_old(session: AsyncSession, model: Model, old: Sequence[Any], most: int) -> int:
    """Delete at most so many rows that meet the conditions, and the rows that go with them, whatever they block.
    Returns how many."""
    keys = set((await session.scalars(sa.select(model.id).where(*old).order_by(model.id).limit(most))).all())
    if not keys:
        return 0
    await _hold(session, await _going(session, model, keys))
    held = set((await session.scalars(sa.select(model.id).where(_one_of(model.id, keys), *old))).all())
    await _mark(session, await _going(session, model, held))
    return len(held)


async def _mark(session: AsyncSession, going: Found) -> datetime:
    """Mark rows as deleted, and remove those that are none to be restored. Returns when."""
    because(session, "what goes with a row goes when it goes", *going)
    moment = await moment_of(session)
    for model, keys in going.items():
        if issubclass(model, Erasable):
            marked = sa.update(model).where(_one_of(model.id, keys), model.deleted_at.is_(None))
            changes = {"deleted_at": moment, "version": model.version + 1, "updated_at": moment}
            await session.execute(marked.values(changes).execution_options(synchronize_session=False))
            _tell(session, model, keys)
    for model, keys in reversed(list(going.items())):
        if not issubclass(model, Erasable):
            await session.execute(
                sa.delete(model).where(_one_of(model.id, keys)).execution_options(synchronize_session=False)
            )
    return moment


async def revive(session: AsyncSession, row: Any) -> None:
    """Restore a row and the rows that were deleted with it, at the same moment; STATE when a parent of it is
    deleted."""
    for column in needed_by(type(row)):
        parent: Any = target_of(column)
        key = getattr(row, column.key)
        if key is not None and await session.scalar(sa.select(parent.deleted_at).where(parent.id == key)) is not None:
            raise WrongState(f"its {parent.__name__} is deleted; restore that first", field="id")
    moment = row.deleted_at
    going = await _going(session, type(row), {row.id}, moment)
    because(session, "what went with a row comes back with it", *going)
    for model, keys in going.items():
        if issubclass(model, Erasable):
            changes = {"deleted_at": None, "version": model.version + 1}
            marked = sa.update(model).where(_one_of(model.id, keys), model.deleted_at == moment).values(changes)
            await session.execute(marked.execution_options(synchronize_session=False))
            _tell(session, model, keys)
    await session.refresh(row)


def _tell(session: AsyncSession, model: Model, keys: Collection[UUID]) -> None:
    """Publish that rows changed; for many at once, not which."""
    told: Collection[object] = keys if len(keys) <= MANY else "*"
    changed(session, *(row_topic(model, key) for key in told))
    if (topic := policy_of(model).topic) is not None:
        changed(session, *map(topic, told))


async def _going(session: AsyncSession, model: Model, keys: set[UUID], moment: datetime | None = None) -> Found:
    """Rows and all rows that go with them: live ones, or those deleted at `moment`."""
    going: Found = {model: set(keys)}
    new: Found = {model: keys}
    while new:
        found: Found = {}
        for parent, parents in new.items():
            for column in gone_with(parent):
                child: Any = column.class_
                wanted = sa.select(child.id).where(_one_of(column, parents))
                if issubclass(child, Erasable):
                    wanted = wanted.where(child.deleted_at.is_(None) if moment is None else child.deleted_at == moment)
                more = set((await session.scalars(wanted)).all()) - going.get(child, set())
                if more:
                    found.setdefault(child, set()).update(more)
        for child, children in found.items():
            going.setdefault(child, set()).update(children)
        new = found
    return going


async def _blocking(session: AsyncSession, going: Found) -> dict[str, int]:
    """The number of blocking rows, by the type that clients are told."""
    standing: dict[str, list[Any]] = {}
    for model, keys in going.items():
        for column in blocked_by(model):
            counted = policy_of(column.class_).counted_as
            name = column.class_.__name__ if counted is None else target_of(counted).__name__
            told = column.class_.id if counted is None else counted
            standing.setdefault(name, []).append(_standing(column, told, model, keys, going))
    counts = {
        name: await session.scalar(sa.select(sa.func.count()).select_from(sa.union(*found).subquery()))
        for name, found in standing.items()
    }
    return {name: count for name, count in counts.items() if count}


def _standing(column: Any, told: Any, parent: Model, keys: set[UUID], going: Found) -> Any:
    """Rows that refer to some keys and are not deleted with them. Deleted rows, which may come back, count where the
    keys can't be restored."""
    model: Any = column.class_
    found = sa.select(told).where(_one_of(column, keys))
    if issubclass(model, Erasable) and issubclass(parent, Erasable):
        found = found.where(model.deleted_at.is_(None))
    if (blocks := policy_of(model).blocks_while) is not None:
        found = found.where(blocks(model))
    if model in going:
        found = found.where(sa.not_(_one_of(model.id, going[model])))
    return found


def _one_of(column: Any, keys: set[UUID]) -> Any:
    """The column holds one of these keys; there may be more than a statement takes parameters."""
    return among(column, "keys", list(keys))
