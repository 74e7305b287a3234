"""What goes with a row that is deleted, and what stands in its way: data for every model, and the one walk over it.

All that goes at once carries the same moment, which is how bringing it back finds exactly that.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.engine import changed, moment_of, row_topic
from db.keys import among
from db.locks import ORDER, held_in_order
from db.models import TERMINAL, Entity, Erasable
from db.written import because
from resolvers.failures import Dependency, WrongState

Model = type[Entity]

WITH: Mapping[Model, Sequence[Any]] = {
    m.User: (m.ServiceConfig.user_id, m.UserGroupMember.user_id, m.Credential.user_id, m.Preference.user_id),
    m.UserGroup: (m.RoleGrant.user_group_id,),
    m.Site: (m.Project.site_id, m.SiteDevice.site_id, m.SiteService.site_id),
    m.Project: (
        m.Participant.project_id,
        m.ParticipantGroup.project_id,
        m.ProjectDevice.project_id,
        m.ProjectService.project_id,
    ),
    m.ParticipantGroup: (m.Participant.group_id, m.RoleGrant.participant_group_id),
    m.Participant: (m.ServiceConfig.participant_id, m.ParticipantDevice.participant_id, m.Credential.participant_id),
    m.Device: (
        m.ServiceConfig.device_id,
        m.RoleGrant.device_id,
        m.SiteDevice.device_id,
        m.ProjectDevice.device_id,
        m.Credential.device_id,
    ),
    m.Service: (m.ServiceConfig.service_id, m.Credential.service_id),
    m.Role: (m.RoleGrant.role_id,),
    m.Session: (m.SessionEvent.session_id, m.SessionMember.session_id),
}
"""Per model: the columns by which other rows go with it. Rows that can't be marked as deleted are gone for good."""

BLOCKS: Mapping[Model, Sequence[Any]] = {
    m.User: (m.Session.creator_id, m.SessionMember.user_id, m.Job.owner_user_id),
    m.UserGroup: (m.UserGroupMember.user_group_id,),
    m.Project: (m.Session.project_id,),
    m.Participant: (m.SessionMember.participant_id,),
    m.DeviceType: (m.Device.type_id,),
    m.DeviceSubtype: (m.Device.subtype_id,),
    m.Device: (m.ParticipantDevice.device_id, m.SessionMember.device_id),
}
"""Per model: the columns by which rows stand in the way, unless they go too. Of jobs only those that run."""

SHOWN: Mapping[Model, tuple[str, Any]] = {
    m.SessionMember: ("Session", m.SessionMember.session_id),
    m.ParticipantDevice: ("Participant", m.ParticipantDevice.participant_id),
    m.UserGroupMember: ("User", m.UserGroupMember.user_id),
}
"""What a link is told as, once however many links lead to it."""

PARENTS: Mapping[Model, Sequence[Any]] = {
    m.Project: (m.Project.site,),
    m.ParticipantGroup: (m.ParticipantGroup.project,),
    m.Participant: (m.Participant.project, m.Participant.group),
    m.ServiceConfig: (
        m.ServiceConfig.service,
        m.ServiceConfig.user,
        m.ServiceConfig.participant,
        m.ServiceConfig.device,
    ),
    m.RoleGrant: (m.RoleGrant.user_group, m.RoleGrant.device, m.RoleGrant.participant_group),
    m.Session: (m.Session.project, m.Session.type, m.Session.creator),
}
"""Per model: what must be there for a row to come back."""

ASKED: Sequence[Model] = (m.Project, m.ParticipantGroup, m.Participant)
"""What goes with another row, but only where who deletes that may delete this, too."""

MANY = 500
"""Rows of one model of which each is told by itself."""

Found = dict[Model, set[UUID]]
MayNot = Callable[[Model, Collection[UUID]], Awaitable[int]]
"""How many of some rows may not be deleted."""


async def hold(session: AsyncSession, model: Model, key: UUID, *, restoring: bool = False) -> None:
    """Lock a row, and what is to go or come back with it, in the order of all locks."""
    moment: datetime | None = None
    if restoring:
        erased = sa.select(model.deleted_at).where(model.id == key) if issubclass(model, Erasable) else None
        moment = None if erased is None else await session.scalar(erased)
        if moment is None:
            return
    going = await _going(session, model, key, moment)
    if model is m.RoleGrant:  # of two roles that a group loses at once, each is told of the other
        groups = sa.select(m.RoleGrant.user_group_id).where(m.RoleGrant.id == key)
        going[m.UserGroup] = {group for group in await session.scalars(groups) if group is not None}
    for one in sorted(going, key=ORDER.index):
        await held_in_order(session, one, _one_of(one.id, going[one]))


async def erase(session: AsyncSession, row: Entity, may_not: MayNot | None = None) -> datetime:
    """Delete a row and what goes with it; raises DEPENDENCY with what stands in the way, such as rows that `may_not` be
    deleted. Returns the moment."""
    going = await _going(session, type(row), row.id)
    blocking = await _blocking(session, going)
    if may_not is not None:
        for model in ASKED:
            if model is not type(row) and model in going and (number := await may_not(model, going[model])):
                blocking[model.__name__] = number
    if blocking:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(blocking.items()))
        kept = "" if isinstance(row, Erasable) else ", deleted ones included"
        raise Dependency(
            f"this {type(row).__name__} is still in use: {listed}{kept}; delete or unlink those first",
            blockedBy=[{"type": name, "count": count} for name, count in sorted(blocking.items())],
        )
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
    """Bring back a row and what was deleted at the same moment with it; STATE when what it belongs to is deleted."""
    for relationship in PARENTS.get(type(row), ()):
        (local, _) = next(iter(relationship.property.local_remote_pairs))
        parent: Any = relationship.property.mapper.class_
        key = getattr(row, relationship.property.parent.get_property_by_column(local).key)
        if key is not None and await session.scalar(sa.select(parent.deleted_at).where(parent.id == key)) is not None:
            raise WrongState(f"its {parent.__name__} is deleted; restore that first", field="id")
    moment = row.deleted_at
    going = await _going(session, type(row), row.id, moment)
    because(session, "what went with a row comes back with it", *going)
    for model, keys in going.items():
        if issubclass(model, Erasable):
            changes = {"deleted_at": None, "version": model.version + 1}
            marked = sa.update(model).where(_one_of(model.id, keys), model.deleted_at == moment).values(changes)
            await session.execute(marked.execution_options(synchronize_session=False))
            _tell(session, model, keys)
    await session.refresh(row)


def _tell(session: AsyncSession, model: Model, keys: Collection[UUID]) -> None:
    """That some rows changed; of many at once not which."""
    changed(session, *(row_topic(model, key) for key in (keys if len(keys) <= MANY else "*")))


async def _going(session: AsyncSession, model: Model, key: UUID, moment: datetime | None = None) -> Found:
    """A row and all that goes with it: live, or deleted at `moment`."""
    going: Found = {model: {key}}
    new: Found = {model: {key}}
    while new:
        found: Found = {}
        for parent, keys in new.items():
            for column in WITH.get(parent, ()):
                child: Any = column.class_
                wanted = sa.select(child.id).where(_one_of(column, keys))
                if issubclass(child, Erasable):
                    wanted = wanted.where(child.deleted_at.is_(None) if moment is None else child.deleted_at == moment)
                more = set((await session.scalars(wanted)).all()) - going.get(child, set())
                if more:
                    found.setdefault(child, set()).update(more)
        for child, keys in found.items():
            going.setdefault(child, set()).update(keys)
        new = found
    return going


async def _blocking(session: AsyncSession, going: Found) -> dict[str, int]:
    """How many rows stand in the way, by what they are told as."""
    standing: dict[str, list[Any]] = {}
    for model, keys in going.items():
        for column in BLOCKS.get(model, ()):
            name, told = SHOWN.get(column.class_, (column.class_.__name__, column.class_.id))
            standing.setdefault(name, []).append(_standing(column, told, model, keys, going))
    counted = {
        name: await session.scalar(sa.select(sa.func.count()).select_from(sa.union(*found).subquery()))
        for name, found in standing.items()
    }
    return {name: count for name, count in counted.items() if count}


def _standing(column: Any, told: Any, parent: Model, keys: set[UUID], going: Found) -> Any:
    """Rows that refer to some keys and don't go with them; deleted ones, which may come back, where the keys can't."""
    model: Any = column.class_
    found = sa.select(told).where(_one_of(column, keys))
    if issubclass(model, Erasable) and issubclass(parent, Erasable):
        found = found.where(model.deleted_at.is_(None))
    if model is m.Job:
        found = found.where(m.Job.state.not_in(TERMINAL))
    if model in going:
        found = found.where(sa.not_(_one_of(model.id, going[model])))
    return found


def _one_of(column: Any, keys: set[UUID]) -> Any:
    """The column holds one of these, of which there may be more than a statement takes parameters."""
    return among(column, "keys", list(keys))
