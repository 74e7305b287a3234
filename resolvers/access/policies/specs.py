"""Policies of OpenAPI specifications, their versions, models and labels."""

from db.models import Spec, SpecLabel, SpecModel, SpecVersion
from resolvers.access.policy import Policy
from resolvers.access.rules import ANY_USER, OWNER, PROJECT_USER, SUPERADMIN
from resolvers.access.spec_rules import OWNER_OF_SPEC

POLICIES = (
    Policy(
        model=Spec,
        read=(OWNER, PROJECT_USER),
        create=(ANY_USER,),
        update=(OWNER, SUPERADMIN),
        delete=(OWNER, SUPERADMIN),
        undelete=(),
        stays=(Spec.user_id, Spec.project_id, Spec.latest_version_id),
    ),
    Policy(model=SpecLabel, through=SpecLabel.spec, stays=(SpecLabel.spec_id,)),
    Policy(
        model=SpecVersion,
        through=SpecVersion.spec,
        delete=(OWNER_OF_SPEC, SUPERADMIN),
        undelete=(),
        goes_with=(SpecVersion.spec_id,),
    ),
    Policy(model=SpecModel, through=SpecModel.version_of, stays=(SpecModel.spec_version_id,)),
)
