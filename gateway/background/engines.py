"""The job engines of this process: one for its own machine, and one for each cluster that the settings name."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from db.models import Cluster
from gateway.settings.jobs import ClusterSettings
from jobs.engine import Engine
from jobs.engines.embedded import EmbeddedEngine
from jobs.engines.slurm.engine import SlurmEngine
from resolvers.context import Services
from resolvers.feed import WORK
from resolvers.work.clusters import register
from resolvers.work.dispatcher import Post

HEARTBEAT, START = 10.0, 60.0
"""Seconds between two polls of the workers of this machine, and seconds in which one must have claimed its task."""


def engine_of(cluster: ClusterSettings) -> Engine:
    if cluster.slurm is not None:
        return SlurmEngine.of(cluster.slurm)
    made: Engine = import_module("jobs.engines.celery").CeleryEngine(cluster.broker, cluster.queue)
    return made


async def make_posts(services: Services, clusters: Sequence[ClusterSettings], *, slots: int, runs: Path) -> list[Post]:
    """Make the engines of this process; the rows of clusters then agree with the settings."""
    database = services.database
    await register(database, {one.name: one.platform for one in clusters})
    posts = []
    if slots:
        own = EmbeddedEngine(slots, runs, lambda: services.feed.publish([WORK]))
        await asyncio.to_thread(own.open)
        posts.append(Post(own, None, interval=HEARTBEAT, patience=START))
    rows = await database.rows(sa.select(Cluster.id, Cluster.name).where(Cluster.deleted_at.is_(None)))
    ids: dict[str, UUID] = {row.name: row.id for row in rows}
    return posts + [Post(engine_of(one), ids[one.name], interval=one.look, patience=one.patience) for one in clusters]
