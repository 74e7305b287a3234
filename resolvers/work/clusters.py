"""The rows of clusters, kept in agreement with the settings."""

from collections.abc import Mapping

import sqlalchemy as sa

from db.engine import Database, moment_of
from db.models import TERMINAL, Cluster, Job, Platform


async def register(database: Database, configured: Mapping[str, Platform]) -> None:
    """Make the rows agree with the settings; `configured` maps names to platforms.

    A cluster that is named again is the last deleted one of that name, with its groups and bounds. A cluster that is no
    longer named is deleted, unless it has jobs that have not ended.
    """
    async with database.write(as_system="the clusters of the configuration") as session:
        if database.dialect == "postgresql":  # several processes may start at once
            await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("torana.clusters"))))
        rows = (await session.scalars(sa.select(Cluster).order_by(Cluster.deleted_at, Cluster.id))).all()
        known = {row.name: row for row in rows if row.deleted_at is not None}
        known |= {row.name: row for row in rows if row.deleted_at is None}
        for name, platform in configured.items():
            if (row := known.get(name)) is None:
                session.add(Cluster(name=name, platform=platform))
            elif row.deleted_at is not None or row.platform is not platform:
                row.deleted_at, row.platform = None, platform
        under_way = sa.exists().where(Job.cluster_id == Cluster.id, Job.state.not_in(TERMINAL))
        gone = sa.select(Cluster).where(
            Cluster.deleted_at.is_(None), Cluster.name.not_in(list(configured)), sa.not_(under_way)
        )
        moment = await moment_of(session)
        for row in (await session.scalars(gone)).all():
            row.deleted_at = moment
