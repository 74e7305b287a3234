"""The engines of this process: its own machine, and the clusters that the settings name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module, util
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.models import Cluster, Platform
from jobs.engine import WORD, Engine
from jobs.engines.embedded import EmbeddedEngine
from jobs.engines.slurm.config import SlurmConfig
from jobs.engines.slurm.engine import SlurmEngine
from resolvers.context import Services
from resolvers.feed import WORK
from resolvers.work.clusters import register
from resolvers.work.dispatcher import Post

HEARTBEAT, START = 10.0, 60.0
"""Seconds between two looks at the workers of this machine, and until one must have claimed its task."""
LOOK, PATIENCE = 5.0, 120.0
"""The same for clusters: what Slurm still queues has as long again at each look; a broker is given it anew."""


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster, and how it is reached: a broker with its queue, or Slurm. `look` and `patience` are in seconds."""

    name: str
    platform: Platform
    broker: str = ""
    queue: str = "torana"
    slurm: SlurmConfig | None = None
    look: float = LOOK
    patience: float = PATIENCE

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "ClusterSettings":
        """From a table of the settings; raises ValueError that begins with the field."""
        given = dict(table)
        name, platform = str(given.pop("name", "")), str(given.pop("platform", "")).upper()
        if not WORD.fullmatch(name):
            raise ValueError("name: up to 64 letters, digits, dots, dashes and underscores are needed")
        times: dict[str, Any] = {key: float(given.pop(key)) for key in ("look", "patience") if key in given}
        if any(value <= 0 for value in times.values()):
            raise ValueError("look, patience: they are seconds, more than 0")
        match platform:
            case "SLURM":
                known = {field.name for field in fields(SlurmConfig)} - {"name"}
                _refuse_others(given, known)
                lists: dict[str, Any] = {key: tuple(given.pop(key)) for key in ("client", "prologue") if key in given}
                return cls(name, Platform.SLURM, slurm=SlurmConfig(name=name, **given, **lists), **times)
            case "CELERY":
                _refuse_others(given, {"broker", "queue"})
                if not str(given.get("broker", "")):
                    raise ValueError("broker: the address of a broker is needed, as redis://host:6379/0")
                if util.find_spec("celery") is None:
                    raise ValueError("platform: Celery is not installed here; pip install 'torana[celery]'")
                return cls(name, Platform.CELERY, **given, **times)
            case _:
                raise ValueError("platform: it must be SLURM or CELERY")

    def engine(self) -> Engine:
        if self.slurm is not None:
            return SlurmEngine.of(self.slurm)
        made: Engine = import_module("jobs.engines.celery").CeleryEngine(self.broker, self.queue)
        return made


def _refuse_others(given: Mapping[str, Any], known: set[str]) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{key}: there is no such field; there are {', '.join(sorted(known))}")


def read_clusters(tables: Sequence[Mapping[str, Any]]) -> list[ClusterSettings]:
    """All clusters; raises ValueError, also when two have the same name."""
    found = [ClusterSettings.read(table) for table in tables]
    if len({one.name for one in found}) < len(found):
        raise ValueError("name: two clusters have the same")
    return found


async def make_posts(services: Services, clusters: Sequence[ClusterSettings], *, slots: int, runs: Path) -> list[Post]:
    """The engines of this process; the clusters' rows then agree with the settings."""
    database = services.database
    await register(database, {one.name: one.platform for one in clusters})
    posts = []
    if slots:
        own = EmbeddedEngine(slots, runs, lambda: services.feed.publish([WORK]))
        if database.dialect == "sqlite":
            own.clear()
        posts.append(Post(own, None, interval=HEARTBEAT, patience=START))
    rows = await database.rows(sa.select(Cluster.id, Cluster.name).where(Cluster.deleted_at.is_(None)))
    ids: dict[str, UUID] = {row.name: row.id for row in rows}
    return posts + [Post(one.engine(), ids[one.name], interval=one.look, patience=one.patience) for one in clusters]
