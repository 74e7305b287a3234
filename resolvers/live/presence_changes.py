"""The subscription to who is present in a project."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.types import later
from resolvers.access.places import project_of
from resolvers.access.policy import policies
from resolvers.access.rules import allowed
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import NotFound
from resolvers.feed import (
    PRESENT,
    renewed_topic,
)
from resolvers.identity.presence import INTERVAL, ONLINE, Present
from resolvers.live.watching import SOME, watch


@dataclass(frozen=True, slots=True)
class Arrival:
    """Someone who came or went."""

    model: type[models.Entity]
    id: UUID
    state: Present


async def present(ctx: Context, project: UUID) -> AsyncGenerator[list[Arrival], None]:
    """The users, participants and devices of a project that are online or busy, as far as the principal may know: first
    all of them, then those who come and go, or become busy, at most `SOME` at once. NOT_FOUND for a project that is not
    visible."""
    there: dict[tuple[Any, UUID], Present] | None = None
    with watch(ctx, PRESENT, renewed_topic(ctx.principal.id)) as changes:
        while True:
            now = await _present(ctx, project)
            before = there or {}
            moved = [
                Arrival(*who, now.get(who, Present.OFFLINE))
                for who in {*now, *before}
                if now.get(who) is not before.get(who)
            ]
            if there is None and not moved:
                yield []
            for start in range(0, len(moved), SOME):
                yield moved[start : start + SOME]
            there = now
            with contextlib.suppress(TimeoutError):  # who goes says nothing
                async with asyncio.timeout(INTERVAL):
                    await changes.next()


async def _present(ctx: Context, project: UUID) -> dict[tuple[Any, UUID], Present]:
    profile = ctx.principal.profile
    place = sa.bindparam("place", type_=models.Project.id.type)
    seen = sa.select(models.Project.id).where(models.Project.id == place, visible(models.Project, profile))
    wanted = [seen.add_columns(sa.literal("").label("name"), sa.false().label("busy"))]
    known = {}
    for policy in policies():
        belongs = project_of(policy.model)
        if "presence" not in policy.fields or belongs is None:
            continue
        entity: Any = Alias(policy.model)
        name = policy.model.__name__
        known[name] = policy.model
        rows = sa.select(entity.id, sa.literal(name).label("name"), entity.busy.label("busy")).where(
            sa.or_(entity.last_online_at > later(-ONLINE.total_seconds()), entity.busy),
            belongs(entity, lambda column: column == place),
            visible(entity, profile),
            allowed(policy.fields["presence"], entity, profile),
        )
        wanted.append(rows)
    every = sa.union_all(*wanted).subquery()
    found = await ctx.database.rows(
        sa.select(every.c.id, every.c.name, every.c.busy), {**ctx.principal.parameters, "place": project}, ctx.lane
    )
    if not any(not row.name for row in found):
        raise NotFound("no Project with this id", field="project")
    return {(known[row.name], row.id): Present.BUSY if row.busy else Present.ONLINE for row in found if row.name}
