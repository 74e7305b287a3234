"""The clusters to which jobs may be handed. They come and go with the gateway's settings."""

import strawberry

from db import models
from resolvers.paging import Order
from schema.declarations import Orders
from schema.editing import Given, editing, inputs, result
from schema.fields import column, node
from schema.groups import GROUP_ORDERS, UserGroup
from schema.jobs import Platform
from schema.lists import chosen, connection, contains, equal
from schema.nodes import Connection, Node


@node(models.Cluster)
class Cluster(Node):
    """Where jobs may run besides the gateway's own machine."""

    name: str = column("What the gateway's settings call it.")
    description: str = column("What its users should know; may be empty.")
    platform: Platform = column("How jobs are handed to it.")  # type: ignore[valid-type]
    enabled: bool = column("Whether it takes new jobs.")
    max_tasks: int | None = column("How many tasks are handed to it at once; null for no bound.")
    user_groups: Connection[UserGroup] = connection(
        models.Cluster.user_groups,
        "The groups of users that it is for, as far as you see them; without any it is for every user.",
        orders=GROUP_ORDERS,
    )


@strawberry.input(description="Which clusters.")
class ClusterFilter:
    name: str | None = contains(models.Cluster.name, "Part of the name, in any case.")
    platform: list[Platform] | None = chosen(  # type: ignore[valid-type]
        models.Cluster.platform, "Of one of these platforms."
    )
    enabled: bool | None = equal(models.Cluster.enabled, "Those that take new jobs, or do not.")


@strawberry.type
class ClustersQuery:
    clusters: Connection[Cluster] = connection(
        models.Cluster,
        "The clusters that you may use.",
        orders=Orders("ClusterOrder", "Orders of clusters.", NAME=(Order(models.Cluster.name), "By name.")),
        filter=ClusterFilter,
    )


_CLUSTER = inputs(
    "Cluster",
    models.Cluster,
    description=Given(str, "What its users should know; may be empty.", default=""),
    enabled=Given(bool, "Whether it takes new jobs.", default=True),
    max_tasks=Given(int, "How many tasks are handed to it at once; null for no bound.", default=None),
)


@strawberry.type
class ClustersMutation:
    update_cluster = editing(_CLUSTER, result(Cluster))[1]
