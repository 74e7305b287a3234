"""The loaders of one request."""

from collections import defaultdict
from collections.abc import Hashable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import strawberry
from sqlalchemy.orm import aliased, undefer
from strawberry.dataloader import DataLoader

from bench.plain.database import sessions
from bench.plain.pages import Pages, Slice
from db import models


async def load_users(keys: list[UUID]) -> list[models.User | None]:
    async with sessions() as session:
        rows = await session.scalars(sa.select(models.User).where(models.User.id.in_(keys)))
        found = {row.id: row for row in rows}
    return [found.get(key) for key in keys]


async def load_latest_jobs(keys: list[UUID]) -> list[models.Job | None]:
    """By the key of the simulation."""
    statement = (
        sa.select(models.Job)
        .where(models.Job.simulation_id.in_(keys))
        .distinct(models.Job.simulation_id)
        .order_by(models.Job.simulation_id, models.Job.attempt.desc())
    )
    async with sessions() as session:
        found = {row.simulation_id: row for row in await session.scalars(statement)}
    return [found.get(key) for key in keys]


async def load_pages(slices: list[Slice]) -> list[list[Any]]:
    """One row more than asked for, where there is one."""
    together: dict[Hashable, list[Slice]] = defaultdict(list)
    for slice in slices:
        together[slice.pages, slice.first, slice.after].append(slice)
    found: dict[Slice, list[Any]] = {slice: [] for slice in slices}
    async with sessions() as session:
        for group in together.values():
            pages, first, after = group[0].pages, group[0].first, group[0].after
            by_parent = {slice.parent: slice for slice in group}
            model = pages.column.class_
            number = sa.func.row_number().over(partition_by=pages.parent, order_by=pages.by(model))
            ranked = sa.select(*model.__table__.c, number.label("number_")).where(pages.parent.in_(by_parent))
            if after is not None:
                ranked = ranked.where(pages.beyond(model, after))
            rows = ranked.subquery()
            child = aliased(model, rows)
            statement = sa.select(child).where(rows.c.number_ <= first + 1).order_by(rows.c.number_)
            statement = statement.options(*(undefer(getattr(child, column.key)) for column in pages.deferred))
            for row in await session.scalars(statement):
                found[by_parent[getattr(row, pages.parent.key)]].append(row)
    return [found[slice] for slice in slices]


async def load_counts(lists: list[tuple[Pages, UUID]]) -> list[int]:
    """Of the children of a parent."""
    together: dict[Pages, list[UUID]] = defaultdict(list)
    for pages, parent in lists:
        together[pages].append(parent)
    found: dict[tuple[Pages, UUID], int] = {}
    async with sessions() as session:
        for pages, parents in together.items():
            counted = sa.select(pages.parent, sa.func.count()).where(pages.parent.in_(parents)).group_by(pages.parent)
            found |= {(pages, parent): count for parent, count in await session.execute(counted)}
    return [found.get(each, 0) for each in lists]


class Loaders:
    """Those of one request."""

    def __init__(self) -> None:
        self.users = DataLoader(load_users)
        self.jobs = DataLoader(load_latest_jobs)
        self.pages = DataLoader(load_pages)
        self.counts = DataLoader(load_counts)


Info = strawberry.Info[Loaders, None]
