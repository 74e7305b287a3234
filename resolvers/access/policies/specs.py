"""Policies of OpenAPI specifications, their versions, models and labels."""

from db.models import Spec, SpecLabel, SpecModel, SpecVersion
from resolvers.access.acting import ACTS_FOR_OWNER
from resolvers.access.policy import Policy
from resolvers.access.rules import ANY_USER, OWNER, SUPERADMIN
from resolvers.access.spec_rules import ACTS_FOR_SPEC, OWNER_OF_SPEC, READERS

POLICIES = (
    Policy(
        model=Spec,
        read=READERS,
        create=(ANY_USER, ACTS_FOR_OWNER),
        update=(OWNER, ACTS_FOR_OWNER, SUPERADMIN),
        delete=(OWNER, ACTS_FOR_OWNER, SUPERADMIN),
        undelete=(),
        followed=True,
        stays=(Spec.user_id, Spec.project_id, Spec.latest_version_id),
    ),
    Policy(model=SpecLabel, through=SpecLabel.spec, stays=(SpecLabel.spec_id,)),
    Policy(
        model=SpecVersion,
        through=SpecVersion.spec,
        delete=(OWNER_OF_SPEC, ACTS_FOR_SPEC, SUPERADMIN),
        undelete=(),
        followed=True,
        goes_with=(SpecVersion.spec_id,),
    ),
    Policy(model=SpecModel, through=SpecModel.version_of, stays=(SpecModel.spec_version_id,)),
)
