"""The clusters to which jobs may be handed. They come and go with the gateway's settings."""

from datetime import datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.accounts import ssh_certificates
from schema.fields.fields import Info, column, node
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.mutations import IN_PERSON, mutation
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.lists.connections import connection
from schema.types.accounts.signing import Done, DoneResult
from schema.types.jobs import Platform


@node(models.Cluster, by="name", listed="The clusters that you may use.")
class Cluster(Node):
    """A cluster where jobs run, beside the gateway's own machine."""

    name: str = column("Its name in the settings of the gateway.", filter=True, order=True, search=True, found=True)
    description: str = column("What its users should know; may be empty.")
    platform: Platform = column("How jobs are handed to it.", filter=True, group=True)  # type: ignore[valid-type]
    enabled: bool = column("Whether it takes new jobs.", filter=True, group=True)
    max_tasks: int | None = column("How many tasks are handed to it at once; null for no bound.", filter=True)
    user_groups = connection(
        models.Cluster.user_groups,
        "The groups of users that it is for, as far as you see them; without any it is for every user.",
        small=True,
    )


@strawberry.type(description="Your SSH key and its certificate, for clusters that ask for one. Neither is ever shown.")
class ClusterLogin:
    principals: list[str] = strawberry.field(description="The accounts that the certificate is good for.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null for never.")


ClusterLoginResult = Annotated[
    ClusterLogin | Problem, strawberry.union("ClusterLoginResult", description="The key that is stored, or why not.")
]


@strawberry.type
class ClustersQuery:
    @strawberry.field(description="Your SSH key for clusters; null when none is stored.")
    async def cluster_login(self, info: Info) -> ClusterLogin | None:
        found = await ssh_certificates.left(info.context)
        return None if found is None else ClusterLogin(principals=list(found.principals), expires_at=found.expires_at)


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

    @mutation(needs=IN_PERSON)
    async def set_cluster_login(
        self,
        info: Info,
        private_key: Annotated[str, strawberry.argument(description="The SSH key, in OpenSSH's format.")],
        signed_key: Annotated[str, strawberry.argument(description="Its certificate, as in id_ed25519-cert.pub.")],
    ) -> ClusterLoginResult:
        """Store an SSH key with its certificate, for your own jobs alone. It replaces the one stored before."""
        left = await ssh_certificates.leave(info.context, private_key, signed_key)
        return ClusterLogin(principals=list(left.principals), expires_at=left.expires_at)

    @mutation(needs=IN_PERSON)
    async def remove_cluster_login(self, info: Info) -> DoneResult:
        """Delete your SSH key and its certificate. The gateway no longer looks after your jobs on clusters that ask for
        one."""
        return Done(at=await ssh_certificates.remove(info.context))
