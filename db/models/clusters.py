"""Tables of clusters and of the groups that may use them. How a cluster is reached is a setting."""

from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates, unique
from db.models.jobs import Platform
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.groups import UserGroup


class Cluster(Erasable, Entity):
    """A cluster. Without groups it is for every user. `max_tasks` bounds the tasks that are handed to it at once."""

    __tablename__ = "clusters"
    __table_args__ = (
        unique("uq_clusters_name", "name", where="deleted_at IS NULL"),
        lists("ix_clusters_by_name", folded("name"), "id"),
        sa.CheckConstraint("platform <> 'IN_PROCESS'", name="elsewhere"),
        sa.CheckConstraint("max_tasks IS NULL OR max_tasks >= 1", name="max_tasks"),
    )

    name: Mapped[str] = mapped_column(Name(64))
    name_folded: Mapped[str | None] = folds("name")
    description: Mapped[str] = mapped_column(sa.String(1000), default="")
    platform: Mapped[Platform] = mapped_column(choice(Platform))
    enabled: Mapped[bool] = mapped_column(default=True)
    max_tasks: Mapped[int | None]

    user_groups: Mapped[list["UserGroup"]] = relates(secondary="cluster_user_groups", back_populates="clusters")


class ClusterUserGroup(Entity):
    __tablename__ = "cluster_user_groups"
    __table_args__ = (
        sa.UniqueConstraint("cluster_id", "user_group_id"),
        sa.Index("ix_cluster_user_groups_user_group_id_cluster_id", "user_group_id", "cluster_id"),
    )

    cluster_id: Mapped[UUID] = refers("clusters.id", ondelete="CASCADE")
    user_group_id: Mapped[UUID] = refers("user_groups.id", ondelete="CASCADE")
