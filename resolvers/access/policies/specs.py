"""Policies of OpenAPI specifications and their versions."""

from db.models import Spec, SpecVersion
from resolvers.access.policy import Policy
from resolvers.access.rules import OWNER

POLICIES = (
    Policy(model=Spec, read=(OWNER,), stays=(Spec.user_id, Spec.latest_version_id)),
    Policy(model=SpecVersion, through=SpecVersion.spec, stays=(SpecVersion.spec_id,)),
)
