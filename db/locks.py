"""The order in which all transactions lock rows, so that no two wait for each other."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.keys import among
from db.models import Base, Erasable, of_table
from db.outages import Contended

ORDER: Sequence[type[Base]] = (
    # What others are of; then who signs in and who may be granted a role, with the places that they belong to.
    m.DeviceType, m.DeviceSubtype,
    m.User, m.UserGroup, m.Device, m.Service, m.ParticipantGroup, m.Site, m.Project, m.Participant,
    m.Role, m.RoleGrant, m.UserGroupMember, m.SiteDevice, m.SiteService, m.ProjectDevice, m.ProjectService,
    m.ParticipantDevice, m.ServiceConfig, m.NotificationTemplate,
    m.SessionType, m.SessionTypeSite, m.SessionTypeProject, m.SessionTypeService,
    m.Session, m.SessionEvent, m.SessionMember,
    m.Challenge, m.Phase, m.Registration, m.Team, m.TeamMember,
    m.Spec, m.SpecVersion, m.SpecModel, m.SpecLabel,
    m.Simulation, m.Archive, m.Cluster, m.ClusterUserGroup, m.Job, m.Task, m.TaskResult, m.TaskSlab,
    m.SimulationSetup, m.SimulationLabel, m.Estimator, m.Page, m.PageSlab, m.LogEntry,
    m.Upload, m.UploadPart, m.Blob, m.File, m.Evaluator, m.EvaluatorVersion, m.EvaluatorFile,
    m.Submission, m.Reevaluation, m.Evaluation,
    m.Leaderboard, m.LeaderboardBuild, m.ExternalEntry, m.LeaderboardEntry, m.LeaderboardRequest,
    m.Credential, m.SimulationLink, m.Preference,
    m.Notification, m.AuditEvent, m.Attempts, m.ServerSetting,
)  # fmt: skip
"""The order of locks. A transaction locks rows, and changes rows that it has not locked before, in this order: by
table, and in one table by key; tasks by their jobs' keys. `tests/db/test_locks.py` holds every mutation to it."""


def place_of(model: type[Base]) -> tuple[int, str]:
    """The place of a model in `ORDER`; models that are not named there come last."""
    return (ORDER.index(model), "") if model in ORDER else (len(ORDER), model.__tablename__)


async def held_in_order(session: AsyncSession, model: type[Base], *which: Any, read: bool = False) -> None:
    """Lock rows that a statement is to change, in the order of their keys: a statement by itself takes them in any
    order."""
    keys = (m.Task.job_id, m.Task.ordinal) if model is m.Task else sa.inspect(model).primary_key
    held = sa.select(*sa.inspect(model).primary_key).where(*which).order_by(*keys)
    await session.execute(held.with_for_update(of=model, read=read, key_share=not read and issubclass(model, Erasable)))


async def in_order(session: AsyncSession, statement: sa.Update | sa.Delete) -> int:
    """Change or delete many rows, locked in the order of their keys first. Returns how many."""
    table: Any = statement.table
    model = of_table(table)
    await held_in_order(session, model, statement.whereclause)
    done: Any = await session.execute(statement.execution_options(synchronize_session=False))
    return int(done.rowcount)


async def referred_held(
    session: AsyncSession, model: type[Base], values: Mapping[str, Any], own: UUID | None = None
) -> None:
    """Lock the rows that some columns are to refer to, and the row with the key `own`, in their order."""
    columns = sa.inspect(model).columns
    wanted: set[tuple[Any, UUID]] = {
        (of_table(foreign.column.table), values[name])
        for name in values
        if values[name] is not None
        for foreign in columns[name].foreign_keys
    }
    held: set[tuple[Any, UUID]] = set() if own is None else {(model, own)}
    for one, key in sorted(wanted | held, key=lambda found: (place_of(found[0]), found[1])):
        await held_in_order(session, one, one.id == key, read=(one, key) not in held)


async def groups_held(session: AsyncSession, groups: Collection[UUID]) -> None:
    """Lock groups of users with their members, so that of two ways in which a user comes into a site at once the second
    sees the first. Raises Contended when somebody joined meanwhile: the mutation is tried again."""
    wanted = sa.select(m.UserGroupMember.user_id).where(among(m.UserGroupMember.user_group_id, "groups", list(groups)))
    members = set((await session.scalars(wanted)).all())
    await held_in_order(session, m.User, among(m.User.id, "keys", list(members)))
    await held_in_order(session, m.UserGroup, among(m.UserGroup.id, "keys", list(groups)))
    if not members.issuperset((await session.scalars(wanted)).all()):
        raise Contended("somebody joined a group")
