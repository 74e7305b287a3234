"""Policies of clusters and of the groups that may use them."""

from db.models import Cluster, ClusterUserGroup
from resolvers.access.policy import Policy
from resolvers.access.rules import CLUSTER_USER, SUPERADMIN

POLICIES = (
    Policy(
        model=Cluster,
        read=(CLUSTER_USER,),
        update=(SUPERADMIN,),
        contradiction="maxTasks is at least 1, or null for no bound",
        switch="enabled",
    ),
    Policy(
        model=ClusterUserGroup,
        link_of=ClusterUserGroup.cluster_id,
        create=(SUPERADMIN,),
        delete=(SUPERADMIN,),
        stays=(ClusterUserGroup.cluster_id, ClusterUserGroup.user_group_id),
    ),
)
