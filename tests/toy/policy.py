"""Samples: users of the project read and change them, its administrators delete them and read the notes."""

from resolvers.access.policy import Policy
from resolvers.access.rules import PROJECT_ADMIN, PROJECT_USER, SITE_ADMIN, SUPERADMIN
from tests.toy.model import Sample, SampleDevice

POLICIES = (
    Policy(
        model=Sample,
        read=(PROJECT_USER,),
        fields={"notes": (PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN)},
        create=(PROJECT_USER, SUPERADMIN),
        update=(PROJECT_USER, SUPERADMIN),
        columns={"notes": (PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN)},
        delete=(PROJECT_ADMIN, SUPERADMIN),
        goes_with=(Sample.project_id, Sample.participant_id),
    ),
    Policy(
        model=SampleDevice,
        link_of=SampleDevice.sample_id,
        create=(PROJECT_ADMIN, SUPERADMIN),
        delete=(PROJECT_ADMIN, SUPERADMIN),
        goes_with=(SampleDevice.sample_id, SampleDevice.device_id),
    ),
)
